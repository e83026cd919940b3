//! Warns of pods of the new templates that exceed a ResourceQuota.

use super::{AdviceObject, AdviceWorkload, BatchImpact, LimitRangeDefaults, objects_of_kind};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::quantity::{Quantity, QuantityFormat};
use crate::model::workload::value_at;
use crate::rollout::pod_resources::{ResourceField, containers, limits_of, requests_of, resource_amount};
use crate::rollout::simulation::SimulationOutcome;
use crate::yaml::FieldPath;
use serde_json::Value;
use std::collections::BTreeMap;

/// Warns of each amount that a batch brings above a quota, counted from the workloads in git.
pub(crate) fn quota_warnings(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
    batches: &[BatchImpact],
) -> Vec<Diagnostic> {
    let defaults = LimitRangeDefaults::of(objects);
    let mut diagnostics = Vec::new();
    for quota in objects_of_kind(objects, ("", "ResourceQuota")).filter(|q| !is_scoped(q.object)) {
        let templates = admitted_templates(quota, subjects, &defaults);
        for (key, measure, hard) in quota_limits(quota.object) {
            let uses = QuotaUsage::of(subjects, &templates, measure);
            if let Some(worst) = uses.highest_peak(batches, &hard) {
                diagnostics.push(quota_exceeded(quota, (key, measure), &hard, &worst, &uses));
            }
        }
    }
    diagnostics
}

/// Warns of each workload with new pods that a quota refuses, because a container omits what the quota counts.
pub(crate) fn missing_quota_resources(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
) -> Vec<Diagnostic> {
    let defaults = LimitRangeDefaults::of(objects);
    let mut diagnostics = Vec::new();
    for quota in objects_of_kind(objects, ("", "ResourceQuota")).filter(|q| !is_scoped(q.object)) {
        let templates = admitted_templates(quota, subjects, &defaults);
        for (subject, both) in subjects.iter().zip(&templates) {
            let Some((old, new)) = both.as_ref().filter(|_| subject.is_changed) else {
                continue;
            };
            let lacking =
                quota_limits(quota.object).filter(|(_, m, _)| container_without_resource(old, *m).is_none());
            let mut lacking =
                lacking.filter_map(|(key, m, _)| Some((key, container_without_resource(new, m)?.to_owned())));
            diagnostics
                .extend(lacking.next().map(|(key, name)| quota_refuses_pods(quota, subject, key, &name)));
        }
    }
    diagnostics
}

/// What a quota counts of a pod.
#[derive(Debug, Clone, Copy)]
enum QuotaResource {
    Cpu(ResourceField),
    Memory(ResourceField),
    Pods,
}

impl QuotaResource {
    fn pod_usage(self, template: &Value) -> Quantity {
        let sums =
            |part| if part == ResourceField::Limits { limits_of(template) } else { requests_of(template) };
        match self {
            Self::Cpu(part) => sums(part).cpu,
            Self::Memory(part) => sums(part).memory,
            Self::Pods => Quantity::from_milli(1000, QuantityFormat::DecimalSi),
        }
    }
}

impl QuotaResource {
    /// Formats amounts for people; in full where they would otherwise look alike.
    fn format_amounts(self, amounts: [&Quantity; 3]) -> [String; 3] {
        let full = amounts.map(ToString::to_string);
        if !matches!(self, Self::Memory(_)) {
            return full;
        }
        let short = amounts.map(Quantity::humanize);
        let misleads = |i: usize, j: usize| short[i] == short[j] && amounts[i] != amounts[j];
        if misleads(0, 1) || misleads(0, 2) || misleads(1, 2) { full } else { short }
    }
}

/// The batch that uses most of a quota.
struct QuotaPeak {
    batch: usize,
    peak: Quantity,
    /// The use before the rollout.
    before: Quantity,
}

/// Returns the known keys of a quota, what each counts, and how much is allowed.
fn quota_limits(quota: &Value) -> impl Iterator<Item = (&str, QuotaResource, Quantity)> {
    let hard = value_at(quota, "spec.hard").and_then(Value::as_object).into_iter().flatten();
    hard.filter_map(|(key, written)| {
        let measure = match key.as_str() {
            "cpu" | "requests.cpu" => QuotaResource::Cpu(ResourceField::Requests),
            "memory" | "requests.memory" => QuotaResource::Memory(ResourceField::Requests),
            "limits.cpu" => QuotaResource::Cpu(ResourceField::Limits),
            "limits.memory" => QuotaResource::Memory(ResourceField::Limits),
            "pods" | "count/pods" => QuotaResource::Pods,
            _ => return None,
        };
        Some((key.as_str(), measure, Quantity::read(written)?))
    })
}

/// Scopes select pods by properties that git does not have.
fn is_scoped(quota: &Value) -> bool {
    value_at(quota, "spec.scopes").is_some() || value_at(quota, "spec.scopeSelector").is_some()
}

/// Returns the old and the new template of each subject in the namespace of the quota, as they are admitted.
fn admitted_templates(
    quota: &AdviceObject<'_>,
    subjects: &[AdviceWorkload<'_>],
    defaults: &LimitRangeDefaults<'_>,
) -> Vec<Option<(Value, Value)>> {
    let admit = |template: &Value| defaults.apply_to_template(template, quota.namespace);
    let both = |s: &AdviceWorkload<'_>| {
        (s.namespace == quota.namespace).then(|| (admit(s.old_template), admit(s.new_template)))
    };
    subjects.iter().map(both).collect()
}

/// Returns what one pod of each subject uses of one resource, before and after; None in other namespaces.
struct QuotaUsage {
    per_pod: Vec<Option<(Quantity, Quantity)>>,
    pods: Vec<u64>,
}

impl QuotaUsage {
    fn of(
        subjects: &[AdviceWorkload<'_>],
        templates: &[Option<(Value, Value)>],
        measure: QuotaResource,
    ) -> Self {
        let each = templates
            .iter()
            .map(|t| t.as_ref().map(|(old, new)| (measure.pod_usage(old), measure.pod_usage(new))));
        Self { per_pod: each.collect(), pods: subjects.iter().map(|s| s.replicas).collect() }
    }

    fn counted_pods(&self) -> u64 {
        self.per_pod.iter().zip(&self.pods).filter(|(each, _)| each.is_some()).map(|(_, pods)| *pods).sum()
    }

    /// Returns the batch with the highest peak, where that exceeds the quota and the use before.
    fn highest_peak(&self, batches: &[BatchImpact], hard: &Quantity) -> Option<QuotaPeak> {
        let known =
            self.per_pod.iter().zip(&self.pods).filter_map(|(each, pods)| Some((each.as_ref()?, *pods)));
        let untouched = known.fold(Quantity::zero(), |sum, ((old, _), pods)| sum.plus(&old.times(pods)));
        let mut now =
            self.usage_of_updated_pods(batches).into_iter().fold(untouched, |sum, more| sum.plus(&more));
        let before = now.clone();
        let mut worst: Option<(usize, Quantity)> = None;
        for batch in batches {
            let (mut peak, mut end) = (now.clone(), now);
            for (index, pods, outcome) in &batch.updates {
                let Some(Some((old, new))) = self.per_pod.get(*index) else { continue };
                let step =
                    new.plus(&old.negated()).times(pods.updated_after.saturating_sub(pods.updated_before));
                peak = peak.plus(&peak_of_update(old, new, &step, outcome));
                end = end.plus(&step);
            }
            if peak > *hard && peak > before && worst.as_ref().is_none_or(|(_, most)| peak > *most) {
                worst = Some((batch.number, peak));
            }
            now = end;
        }
        worst.map(|(batch, peak)| QuotaPeak { batch, peak, before })
    }

    /// Returns how much more pods that already have the new template use than old ones.
    fn usage_of_updated_pods(&self, batches: &[BatchImpact]) -> Vec<Quantity> {
        let mut first = BTreeMap::new();
        for (index, pods, _) in batches.iter().flat_map(|b| &b.updates) {
            first.entry(*index).or_insert(pods.updated_before);
        }
        let more = |(index, from): (usize, u64)| {
            let (old, new) = self.per_pod.get(index)?.as_ref()?;
            Some(new.plus(&old.negated()).times(from))
        };
        first.into_iter().filter_map(more).collect()
    }
}

/// Returns the most that an update uses above the use before it: the surge has new pods at first, and is beside old
/// ones at last.
fn peak_of_update(old: &Quantity, new: &Quantity, step: &Quantity, outcome: &SimulationOutcome) -> Quantity {
    new.times(outcome.surge).max(step.plus(&old.times(outcome.surge)))
}

fn quota_exceeded(
    quota: &AdviceObject<'_>,
    (key, measure): (&str, QuotaResource),
    hard: &Quantity,
    worst: &QuotaPeak,
    uses: &QuotaUsage,
) -> Diagnostic {
    let QuotaPeak { batch, peak, before } = worst;
    let [said_hard, said_peak, said_before] = measure.format_amounts([hard, peak, before]);
    let (namespace, name) = (quota.namespace, quota.name());
    let message = match before > hard {
        // The quota was exceeded without the rollout too.
        true => format!(
            "`{key}` of namespace {namespace} is {said_before} before the rollout, above the {said_hard} of \
             ResourceQuota {name}; batch {batch} may bring it to {said_peak}"
        ),
        false => format!(
            "batch {batch} may bring `{key}` of namespace {namespace} to {said_peak}, and ResourceQuota {name} allows \
             {said_hard}"
        ),
    };
    let diagnostic = Diagnostic::warning(Code::QuotaExceeded, message);
    quota
        .add_label(diagnostic, &FieldPath::dotted("spec.hard").child(key), "")
        .because(format!(
            "counted from {} of workloads in git, surge included",
            pluralize(uses.counted_pods(), "pod")
        ))
        .help("raise the quota, or lower the requests of the SidecarSet or `maxSurge` of the workloads")
}

fn quota_refuses_pods(
    quota: &AdviceObject<'_>,
    subject: &AdviceWorkload<'_>,
    key: &str,
    container: &str,
) -> Diagnostic {
    let message = format!(
        "ResourceQuota {}/{} refuses new pods of {}: container `{container}` sets no `{key}`",
        quota.namespace,
        quota.name(),
        subject.title(),
    );
    let diagnostic = Diagnostic::warning(Code::QuotaNeedsResources, message);
    let diagnostic = quota.add_label(
        diagnostic,
        &FieldPath::dotted("spec.hard").child(key),
        "every container must set it",
    );
    subject
        .add_label(diagnostic, "its pods would be rejected")
        .help("set it for the container in the SidecarSet, or give the namespace a LimitRange with defaults")
}

/// Returns the first container that omits what a quota counts.
// Kubernetes v1.36 pkg/quota/v1/evaluator/core podEvaluator.Constraints.
fn container_without_resource(template: &Value, measure: QuotaResource) -> Option<&str> {
    let (part, resource) = match measure {
        QuotaResource::Cpu(part) => (part, "cpu"),
        QuotaResource::Memory(part) => (part, "memory"),
        QuotaResource::Pods => return None,
    };
    if resource_amount(template.get("spec")?, part, resource).is_some() {
        return None;
    }
    let mut all = ["initContainers", "containers"].into_iter().flat_map(|key| containers(template, key));
    all.find(|c| resource_amount(c, part, resource).is_none())
        .map(|c| c.get("name").and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::simulation::PodUpdateRange;
    use serde_json::json;

    fn messages(hard: Value, sidecar: Value, updates: &[(u64, u64, u64)]) -> Vec<String> {
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
        let related = [AdviceObject { namespace: "shop", object: &quota, location: None }];
        let app = json!({"name": "app", "resources": {"requests": {"cpu": "100m"}}});
        let old = json!({"spec": {"containers": [app]}});
        let new = json!({"spec": {"containers": [app, {"name": "log", "resources": sidecar}]}});
        let subject =
            |namespace| AdviceWorkload { namespace, replicas: 10, ..AdviceWorkload::web(&old, &new) };
        let subjects = [subject("shop"), subject("data")];
        let batch = |(i, &(from, to, surge)): (usize, &(u64, u64, u64))| {
            let outcome = SimulationOutcome { surge, ..SimulationOutcome::default() };
            BatchImpact {
                number: i + 1,
                updates: vec![
                    (0, PodUpdateRange { updated_before: from, updated_after: to, replicas: 10 }, outcome),
                    (1, PodUpdateRange { updated_before: from, updated_after: to, replicas: 10 }, outcome),
                ],
            }
        };
        let batches: Vec<BatchImpact> = updates.iter().enumerate().map(batch).collect();
        let mut found = quota_warnings(&subjects, &related, &batches);
        found.extend(missing_quota_resources(&subjects, &related));
        found.into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn the_surge_counts() {
        let more = || json!({"requests": {"cpu": "50m"}});
        let warning = |batch: u64, peak: &str, hard: &str| {
            [format!(
                "batch {batch} may bring `requests.cpu` of namespace shop to {peak}, and ResourceQuota q allows {hard}"
            )]
        };
        // 10 pods of 150m in the end, and 3 old ones of 100m beside them on the way.
        assert_eq!(
            messages(json!({"requests.cpu": "1799m"}), more(), &[(0, 10, 3)]),
            warning(1, "1800m", "1799m")
        );
        assert!(messages(json!({"requests.cpu": "1800m"}), more(), &[(0, 10, 3)]).is_empty());
        assert_eq!(
            messages(json!({"requests.cpu": "1300m"}), more(), &[(2, 5, 0), (5, 10, 0)]),
            warning(2, "1500m", "1300m")
        );
        // A quota that was exceeded before is not the fault of the rollout.
        assert!(
            messages(json!({"requests.cpu": 1}), json!({"requests": {"cpu": 0}}), &[(0, 10, 0)]).is_empty()
        );
        let above = "`requests.cpu` of namespace shop is 1 before the rollout, above the 500m of ResourceQuota q; batch 1 \
            may bring it to 1500m";
        assert_eq!(messages(json!({"requests.cpu": "500m"}), more(), &[(0, 10, 0)]), [above]);
        let pods = "batch 1 may bring `pods` of namespace shop to 13, and ResourceQuota q allows 12";
        assert_eq!(messages(json!({"pods": 12, "services": 1}), more(), &[(0, 10, 3)]), [pods]);
    }

    #[test]
    fn a_quota_wants_every_container_to_say() {
        let wanted =
            "ResourceQuota shop/q refuses new pods of Deployment shop/web: container `log` sets no `cpu`";
        assert_eq!(messages(json!({"cpu": 99, "memory": "9Gi"}), json!({}), &[]), [wanted]);
        assert!(messages(json!({"cpu": 99}), json!({"limits": {"cpu": 1}}), &[]).is_empty());
        assert!(messages(json!(["not an object"]), json!({}), &[(0, 10, 3)]).is_empty());
    }
}
