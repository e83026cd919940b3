//! Computes the CPU and memory requests of a pod template.

use crate::model::quantity::Quantity;
use crate::model::sidecar_set::is_native_sidecar;
use crate::model::workload::value_at;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Requested resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodResources {
    /// CPU.
    pub cpu: Quantity,
    /// Memory.
    pub(crate) memory: Quantity,
}

impl PodResources {
    /// Returns zero.
    pub(crate) fn zero() -> Self {
        Self { cpu: Quantity::zero(), memory: Quantity::zero() }
    }

    /// Returns the sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { cpu: self.cpu.plus(&other.cpu), memory: self.memory.plus(&other.memory) }
    }

    /// Returns the difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { cpu: self.cpu.plus(&other.cpu.negated()), memory: self.memory.plus(&other.memory.negated()) }
    }

    /// Returns the product for several pods.
    #[must_use]
    pub fn times(&self, n: u64) -> Self {
        Self { cpu: self.cpu.times(n), memory: self.memory.times(n) }
    }

    /// Returns the CPU as Kubernetes writes it, at least in thousandths: `1500m`, `2`.
    pub(crate) fn cpu_text(&self) -> String {
        self.cpu.clone().rounded_to_milli().to_string()
    }

    /// Returns them as data.
    pub(crate) fn to_json(&self) -> Value {
        json!({"cpu": self.cpu_text(), "memory": self.memory.rounded_to_units().to_string()})
    }
}

/// Returns what containers with some names add to the requests of a pod.
pub(crate) fn requests_of_containers(template: &Value, names: &BTreeSet<&str>) -> PodResources {
    let mut others = template.clone();
    for list in ["initContainers", "containers"] {
        let list = others.get_mut("spec").and_then(|spec| spec.get_mut(list)).and_then(Value::as_array_mut);
        if let Some(list) = list {
            list.retain(|c| c.get("name").and_then(Value::as_str).is_none_or(|name| !names.contains(name)));
        }
    }
    requests_of(template).minus(&requests_of(&others))
}

/// Returns the requests of a pod, as the scheduler counts them.
pub fn requests_of(template: &Value) -> PodResources {
    PodResources {
        cpu: pod_amount(template, ResourceField::Requests, "cpu"),
        memory: pod_amount(template, ResourceField::Requests, "memory"),
    }
}

/// Returns the limits of a pod, counted in the same way; containers without limits count as 0.
pub fn limits_of(template: &Value) -> PodResources {
    PodResources {
        cpu: pod_amount(template, ResourceField::Limits, "cpu"),
        memory: pod_amount(template, ResourceField::Limits, "memory"),
    }
}

/// The fields of `resources`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceField {
    /// `requests`.
    Requests,
    /// `limits`.
    Limits,
}

impl ResourceField {
    /// Returns the key of the field.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// Returns an amount of a container, or of the pod's own `resources`; where only a limit is set, the request equals
/// it. A value that is not a quantity counts as 0.
pub(crate) fn resource_amount(container: &Value, part: ResourceField, resource: &str) -> Option<Quantity> {
    let resources = container.get("resources")?;
    let named = |part: ResourceField| resources.get(part.key())?.get(resource).and_then(Quantity::read);
    match part {
        ResourceField::Limits => named(ResourceField::Limits),
        ResourceField::Requests => named(ResourceField::Requests).or_else(|| named(ResourceField::Limits)),
    }
}

/// Returns the containers at a key of a template's spec.
pub(crate) fn containers<'a>(template: &'a Value, key: &str) -> &'a [Value] {
    let list = template.get("spec").and_then(|s| s.get(key)).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// Returns how many containers a running pod has: `containers` and native sidecars.
pub(crate) fn count_running_containers(template: &Value) -> u64 {
    let native = containers(template, "initContainers").iter().filter(|c| is_native_sidecar(c)).count();
    (containers(template, "containers").len() + native) as u64
}

// Kubernetes v1.36 component-helpers resource.PodRequests: native sidecars keep running beside later containers; the
// maximum over time counts. A pod's own `resources` replace those of its containers.
fn pod_amount(template: &Value, part: ResourceField, resource: &str) -> Quantity {
    let of = |container: &Value| resource_amount(container, part, resource).unwrap_or_else(Quantity::zero);
    let mut beside = Quantity::zero();
    let mut most = Quantity::zero();
    for init in containers(template, "initContainers") {
        let own = of(init);
        let moment = beside.plus(&own);
        if is_native_sidecar(init) {
            beside = moment.clone();
        }
        most = most.max(moment);
    }
    let running = containers(template, "containers").iter().fold(beside, |sum, c| sum.plus(&of(c)));
    let whole = template.get("spec").and_then(|spec| resource_amount(spec, part, resource));
    let overhead = value_at(template, "spec.overhead").and_then(|o| o.get(resource)).and_then(Quantity::read);
    whole.unwrap_or_else(|| most.max(running)).plus(&overhead.unwrap_or_else(Quantity::zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(cpu: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn the_largest_moment_counts() {
        let mut native = container("50m");
        native["restartPolicy"] = json!("Always");
        let mut template = json!({"spec": {"containers": [container("100m"), container("20m")]}});
        let cpu = |template: &Value| requests_of(template).cpu.to_string();
        assert_eq!(cpu(&template), "120m");
        template["spec"]["initContainers"] = json!([native]);
        assert_eq!(cpu(&template), "170m");
        template["spec"]["initContainers"] = json!([container("130m"), native, container("130m")]);
        assert_eq!(cpu(&template), "180m");
        template["spec"]["overhead"] = json!({"cpu": "1m"});
        template["spec"]["resources"] = json!({"limits": {"cpu": 1}});
        assert_eq!(cpu(&template), "1001m");
        assert_eq!(count_running_containers(&template), 3);
    }

    #[test]
    fn containers_cost_what_the_pod_requests_more() {
        let named = |name: &str, cpu: &str| {
            let mut container = container(cpu);
            container["name"] = json!(name);
            container
        };
        let cost = |template: &Value| {
            requests_of_containers(template, &BTreeSet::from(["log", "wait"])).cpu.to_string()
        };
        let mut template = json!({"spec": {"containers": [named("app", "100m"), named("log", "20m")]}});
        assert_eq!(cost(&template), "20m");
        // An init container of the application that requests more than the running containers hides a sidecar.
        template["spec"]["initContainers"] = json!([named("migrate", "115m")]);
        assert_eq!(cost(&template), "5m");
        template["spec"]["initContainers"] = json!([named("migrate", "1"), named("wait", "1")]);
        assert_eq!(cost(&template), "0");
        template["spec"]["resources"] = json!({"requests": {"cpu": "2"}});
        template["spec"]["initContainers"] = json!(null);
        assert_eq!(cost(&template), "0");
        assert_eq!(cost(&json!(null)), "0");
        assert_eq!(cost(&json!({"spec": {"containers": [1, {"name": 2}]}})), "0");
    }

    #[test]
    fn a_limit_is_a_request_where_there_is_none() {
        let template = json!({"spec": {"containers": [{"resources": {"limits": {"memory": "64Mi"}}}]}});
        assert_eq!(requests_of(&template).memory.to_string(), "64Mi");
        assert_eq!(requests_of(&template).times(3).memory.to_string(), "192Mi");
        assert_eq!(limits_of(&template).memory.to_string(), "64Mi");
        for invalid in
            [json!(null), json!({"spec": {"containers": [1, {"resources": {"limits": {"cpu": []}}}]}})]
        {
            assert_eq!(requests_of(&invalid), PodResources::zero());
        }
    }

    #[test]
    fn differences_may_be_negative() {
        let some = requests_of(&json!({"spec": {"containers": [container("100m")]}}));
        assert_eq!(PodResources::zero().minus(&some).cpu.to_string(), "-100m");
    }
}
