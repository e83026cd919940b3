//! The update strategy of a workload: its limits while it replaces pods, and its native partition.

use super::update_method::UpdateMethod;
use super::update_strategy::kept_by_partition;
use crate::model::int_or_percent::{IntOrPercent, RoundingMode, pods_of_field, whole_pods};
use crate::model::workload::{KindTraits, WorkloadController, replicas_of, str_at, value_at};
use crate::yaml::{FieldPath, PathSegment};
use serde_json::{Map, Value};

/// How a workload's own controller replaces pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadStrategy {
    /// The most of its pods that can be unavailable at once, at least 1; 0 where no pod changes
    /// ([`UpdateMethod::replaces_or_restarts`]).
    pub max_unavailable: u64,
    /// The most surplus pods.
    pub max_surge: u64,
    /// Pods that its own partition keeps on the old template.
    pub kept_old: u64,
    /// The native partition, for kinds that have one and roll by themselves.
    pub partition: Option<NativePartition>,
    /// The rules, for the simulation.
    pub rolling: RollingRules,
}

/// The native partition of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativePartition {
    /// Its path in the object.
    pub path: FieldPath,
    /// Its value in the object.
    pub(crate) value: Option<Value>,
    /// How many pods that keeps on the old template.
    pub(crate) kept_old: u64,
}

/// The rules by which a controller replaces pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollingRules {
    /// No pod changes.
    NoUpdate,
    /// All at once: a bare Pod, `Recreate`, unknown kinds.
    AllAtOnce,
    /// Deployment, and Argo's canary without traffic routing.
    ReplicaSets {
        /// Pods that may be missing.
        unavailable: u64,
        /// Surplus pods.
        surge: u64,
    },
    /// StatefulSets: from the last pod down.
    StatefulSet {
        /// New pods that may be waited for at once.
        unavailable: u64,
    },
    /// DaemonSets: one pod on each node.
    DaemonSet {
        /// Pods that may be missing; without effect where there is a surge.
        unavailable: u64,
        /// Nodes that may have two pods.
        surge: u64,
    },
    /// CloneSet.
    CloneSet {
        /// Pods that may be missing.
        unavailable: u64,
        /// Surplus pods.
        surge: u64,
    },
    /// All new pods beside the old ones: Argo's blue-green, and canary with traffic routing.
    BlueGreen,
    /// The workloads of a UnitedDeployment, which are updated at the same time: pods, kept pods, rules.
    Subsets(Vec<(u64, u64, Self)>),
}

/// Returns the update strategy of a workload, from its object, its pods and its update method.
pub fn strategy_of(
    group: &str,
    kind: &str,
    object: &Value,
    pods: u64,
    how: UpdateMethod,
) -> WorkloadStrategy {
    let kind = KindTraits::of(group, kind);
    if !how.replaces_or_restarts() {
        return WorkloadStrategy {
            max_unavailable: 0,
            max_surge: 0,
            kept_old: 0,
            partition: None,
            rolling: RollingRules::NoUpdate,
        };
    }
    let partition = native_partition(kind, object, pods);
    let (kept, rolling) = match kind.subset_part(object) {
        Some(part) => united_deployment_rules(object, pods, part),
        None => (partition.as_ref().map_or(0, |p| p.kept_old), rolling_rules(kind.controller, object, pods)),
    };
    WorkloadStrategy {
        max_unavailable: max_unavailable_of(&rolling, pods).clamp(1, pods.max(1)),
        max_surge: max_surge_of(&rolling, pods).min(pods),
        kept_old: kept,
        partition,
        rolling,
    }
}

/// Returns whether a native partition can split an update into several batches.
pub fn can_split(group: &str, kind: &str, object: &Value, has_autoscaler: bool) -> bool {
    let kind = KindTraits::of(group, kind);
    // A DaemonSet has no `replicas`; where its size is not in git, the ledger has it.
    let has_size = kind.controller == WorkloadController::AdvancedDaemonSet || replicas_of(object).is_some();
    // Omitted numbers would have to be counted into the partition.
    let has_gaps =
        value_at(object, "spec.reserveOrdinals").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
    // A selector chooses the updated nodes by itself.
    let has_selector = value_at(object, "spec.updateStrategy.rollingUpdate.selector").is_some();
    kind.partition.is_some()
        && has_size
        && !has_autoscaler
        && !has_gaps
        && !has_selector
        && !kind.is_paused(object)
        && !kind.is_on_delete(object)
}

/// Returns the object with a number of kept pods; missing mappings on the path are created.
#[must_use]
pub fn with_partition(object: &Value, path: &FieldPath, n: u64) -> Value {
    let mut out = object.clone();
    let mut here = &mut out;
    for step in path.segments() {
        let PathSegment::Key(key) = step else { return out };
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = here
            .as_object_mut()
            .expect("it was created as a mapping above")
            .entry(key.as_str())
            .or_insert(Value::Null);
    }
    *here = Value::from(n);
    out
}

fn native_partition(kind: &KindTraits, object: &Value, pods: u64) -> Option<NativePartition> {
    let path = FieldPath::dotted(kind.partition?);
    let value = path.find(object).filter(|v| !v.is_null());
    let kept = match kind.controller {
        WorkloadController::CloneSet => value
            .and_then(IntOrPercent::from_value)
            .map_or(0, |partition| kept_by_partition(&partition, pods)),
        // The rollout decides about its partition.
        WorkloadController::SidecarSet => 0,
        // Kruise v1.9.0 daemonset filterDaemonPodsNodeToUpdate: percentages are rounded down.
        WorkloadController::AdvancedDaemonSet => pods_of_field(value, pods, RoundingMode::Down).unwrap_or(0),
        _ => stateful_set_kept(object, whole_pods(value).unwrap_or(0)),
    };
    Some(NativePartition { path, value: value.cloned(), kept_old: kept.min(pods) })
}

/// Pods with ordinals below the partition are kept; ordinals that an Advanced StatefulSet reserves have no pod.
fn stateful_set_kept(object: &Value, partition: u64) -> u64 {
    // Kruise v1.9.0 statefulset sortPodsToUpdate: with unorderedUpdate the partition is a number of pods.
    if value_at(object, "spec.updateStrategy.rollingUpdate.unorderedUpdate").is_some() {
        return partition;
    }
    let reserved = value_at(object, "spec.reserveOrdinals").and_then(Value::as_array).into_iter().flatten();
    let below = reserved.filter(|o| o.as_u64().is_some_and(|o| o < partition)).count();
    partition.saturating_sub(below as u64)
}

fn rolling_rules(controller: WorkloadController, object: &Value, pods: u64) -> RollingRules {
    let field = |path: &str| value_at(object, path);
    let rolling_field =
        |key: &str| value_at(object, "spec.updateStrategy.rollingUpdate").and_then(|r| r.get(key));
    match controller {
        WorkloadController::Deployment if str_at(object, "spec.strategy.type") == Some("Recreate") => {
            RollingRules::AllAtOnce
        }
        WorkloadController::Deployment => {
            let own = |key: &str| value_at(object, "spec.strategy.rollingUpdate").and_then(|r| r.get(key));
            deployment_rules(own("maxUnavailable"), own("maxSurge"), pods)
        }
        // Kubernetes 1.36 statefulset getStatefulSetMaxUnavailable: rounded down, at least 1. Where the gate
        // MaxUnavailableStatefulSet is off the field is dropped; a bound must hold where it is on.
        WorkloadController::StatefulSet | WorkloadController::AdvancedStatefulSet => {
            let written = pods_of_field(rolling_field("maxUnavailable"), pods, RoundingMode::Down);
            RollingRules::StatefulSet { unavailable: written.unwrap_or(1).max(1) }
        }
        WorkloadController::DaemonSet | WorkloadController::AdvancedDaemonSet => {
            let unavailable =
                pods_of_field(rolling_field("maxUnavailable"), pods, RoundingMode::Up).unwrap_or(1);
            let surge = pods_of_field(rolling_field("maxSurge"), pods, RoundingMode::Up).unwrap_or(0);
            RollingRules::DaemonSet { unavailable: if surge == 0 { unavailable.max(1) } else { 0 }, surge }
        }
        WorkloadController::CloneSet => clone_set_rules(
            field("spec.updateStrategy.maxUnavailable"),
            field("spec.updateStrategy.maxSurge"),
            pods,
        ),
        WorkloadController::ArgoRollout => argo_rollout_rules(object, pods),
        // Kruise v1.9.0 sidecarset calculateUpgradeCount: rounded up, 1 where it is not written.
        WorkloadController::SidecarSet => {
            let written = pods_of_field(field("spec.updateStrategy.maxUnavailable"), pods, RoundingMode::Up);
            RollingRules::CloneSet { unavailable: written.unwrap_or(1), surge: 0 }
        }
        WorkloadController::Job | WorkloadController::NewPodsOnly => RollingRules::NoUpdate,
        WorkloadController::Pod | WorkloadController::UnitedDeployment | WorkloadController::Unknown => {
            RollingRules::AllAtOnce
        }
    }
}

// Kubernetes v1.36 deployment ResolveFenceposts, and the same in Argo Rollouts v1.8: a quarter each; where both are
// 0, one pod may be missing.
fn deployment_rules(unavailable: Option<&Value>, surge: Option<&Value>, pods: u64) -> RollingRules {
    let quarter = Value::from("25%");
    let resolve = |written: Option<&Value>, round| {
        pods_of_field(written, pods, round)
            .or_else(|| pods_of_field(Some(&quarter), pods, round))
            .unwrap_or(0)
    };
    let (unavailable, surge) = (resolve(unavailable, RoundingMode::Down), resolve(surge, RoundingMode::Up));
    RollingRules::ReplicaSets {
        unavailable: if surge == 0 { unavailable.max(1) } else { unavailable },
        surge,
    }
}

// Kruise v1.9.0 cloneset calculateDiffsWithExpectation: rounded up unless there is a surge. It surges for in-place
// updates too.
fn clone_set_rules(unavailable: Option<&Value>, surge: Option<&Value>, pods: u64) -> RollingRules {
    let surge = pods_of_field(surge, pods, RoundingMode::Up).unwrap_or(0);
    let round = if surge == 0 { RoundingMode::Up } else { RoundingMode::Down };
    let fifth = Value::from("20%");
    let unavailable = pods_of_field(unavailable, pods, round)
        .or_else(|| pods_of_field(Some(&fifth), pods, round))
        .unwrap_or(0);
    // Kruise's webhook refuses two zeros.
    RollingRules::CloneSet { unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }, surge }
}

fn argo_rollout_rules(object: &Value, pods: u64) -> RollingRules {
    let strategy = value_at(object, "spec.strategy");
    let canary = strategy.and_then(|s| value_at(s, "canary"));
    let is_blue_green = canary.is_none() && strategy.and_then(|s| value_at(s, "blueGreen")).is_some();
    if is_blue_green || canary.is_some_and(|c| value_at(c, "trafficRouting").is_some()) {
        return RollingRules::BlueGreen;
    }
    let field = |key: &str| canary.and_then(|c| c.get(key));
    deployment_rules(field("maxUnavailable"), field("maxSurge"), pods)
}

/// Returns the subsets of a UnitedDeployment, each at least as large as Kruise makes it, and the pods that
/// `manualUpdate.partitions` keeps on the old template.
fn united_deployment_rules(
    object: &Value,
    pods: u64,
    (kind, part): (&KindTraits, &Value),
) -> (u64, RollingRules) {
    let listed =
        value_at(object, "spec.topology.subsets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if listed.is_empty() {
        return (0, rolling_rules(kind.controller, part, pods));
    }
    let written: Vec<Option<u64>> =
        listed.iter().map(|s| pods_of_field(s.get("replicas"), pods, RoundingMode::Up)).collect();
    let rest = pods.saturating_sub(written.iter().flatten().sum());
    let sharing = written.iter().filter(|w| w.is_none()).count().max(1) as u64;
    let partitions = value_at(object, "spec.updateStrategy.manualUpdate.partitions");
    let roll = |(subset, written): (&Value, &Option<u64>)| {
        let size = written.unwrap_or_else(|| rest.div_ceil(sharing)).min(pods);
        let name = subset.get("name").and_then(Value::as_str).unwrap_or_default();
        let kept = whole_pods(partitions.and_then(|p| p.get(name))).unwrap_or(0).min(size);
        (size, kept, rolling_rules(kind.controller, part, size))
    };
    let subsets: Vec<_> = listed.iter().zip(&written).map(roll).collect();
    let kept = subsets.iter().map(|(_, kept, _)| kept).sum::<u64>().min(pods);
    (kept, RollingRules::Subsets(subsets))
}

fn max_unavailable_of(rolling: &RollingRules, pods: u64) -> u64 {
    match rolling {
        RollingRules::NoUpdate => 0,
        RollingRules::AllAtOnce => pods,
        // A surging DaemonSet deletes no pod before the new one is available.
        RollingRules::BlueGreen => 1,
        RollingRules::ReplicaSets { unavailable, .. }
        | RollingRules::StatefulSet { unavailable }
        | RollingRules::DaemonSet { unavailable, .. }
        | RollingRules::CloneSet { unavailable, .. } => *unavailable,
        RollingRules::Subsets(subsets) => {
            let each = subsets.iter().map(|(size, _, rolling)| max_unavailable_of(rolling, *size).min(*size));
            each.fold(0, u64::saturating_add)
        }
    }
}

fn max_surge_of(rolling: &RollingRules, pods: u64) -> u64 {
    match rolling {
        RollingRules::NoUpdate | RollingRules::AllAtOnce | RollingRules::StatefulSet { .. } => 0,
        RollingRules::BlueGreen => pods,
        RollingRules::ReplicaSets { surge, .. }
        | RollingRules::DaemonSet { surge, .. }
        | RollingRules::CloneSet { surge, .. } => *surge,
        RollingRules::Subsets(subsets) => {
            let each = subsets.iter().map(|(size, _, rolling)| max_surge_of(rolling, *size).min(*size));
            each.fold(0, u64::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits(group: &str, kind: &str, spec: Value, pods: u64) -> (u64, u64) {
        let strategy = strategy_of(group, kind, &json!({"spec": spec}), pods, UpdateMethod::Recreate);
        (strategy.max_unavailable, strategy.max_surge)
    }

    fn kept(group: &str, kind: &str, spec: Value, pods: u64) -> u64 {
        strategy_of(group, kind, &json!({"spec": spec}), pods, UpdateMethod::Recreate).kept_old
    }

    #[test]
    fn deployments_round_as_kubernetes_does() {
        let rolling = |unavailable: Value, surge: Value| json!({"strategy": {"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}});
        assert_eq!(limits("apps", "Deployment", json!({}), 10), (2, 3));
        assert_eq!(limits("apps", "Deployment", json!({}), 1), (1, 1));
        assert_eq!(limits("apps", "Deployment", rolling(json!(0), json!(0)), 5), (1, 0));
        assert_eq!(limits("apps", "Deployment", rolling(json!("10%"), json!("0%")), 5), (1, 0));
        assert_eq!(limits("apps", "Deployment", rolling(json!(9), json!(9)), 5), (5, 5));
        assert_eq!(limits("apps", "Deployment", rolling(json!("x"), json!([])), 10), (2, 3));
        assert_eq!(limits("apps", "Deployment", json!({"strategy": {"type": "Recreate"}}), 7), (7, 0));
    }

    #[test]
    fn sets_have_limits_of_their_own() {
        let kruise = "apps.kruise.io";
        let clone = |key: &str, value: Value| json!({"updateStrategy": {key: value}});
        let rolling = |key: &str, value: Value| json!({"updateStrategy": {"rollingUpdate": {key: value}}});
        assert_eq!(limits(kruise, "CloneSet", json!({}), 8), (2, 0));
        assert_eq!(limits(kruise, "CloneSet", clone("maxSurge", json!(1)), 8), (1, 1));
        assert_eq!(limits("apps", "StatefulSet", json!({}), 5), (1, 0));
        assert_eq!(limits("apps", "StatefulSet", rolling("maxUnavailable", json!("50%")), 5), (2, 0));
        assert_eq!(limits(kruise, "StatefulSet", rolling("maxUnavailable", json!("10%")), 5), (1, 0));
        assert_eq!(limits("apps", "DaemonSet", rolling("maxUnavailable", json!("10%")), 11), (2, 0));
        assert_eq!(limits(kruise, "DaemonSet", rolling("maxSurge", json!("30%")), 10), (1, 3));
        assert_eq!(limits("example.com", "Worker", json!({}), 4), (4, 0));
        assert_eq!(limits("", "Pod", json!({}), 1), (1, 0));
    }

    #[test]
    fn rollouts_surge_by_their_strategy() {
        let canary = |canary: Value| json!({"strategy": {"canary": canary}});
        let argo = |spec: Value| limits("argoproj.io", "Rollout", spec, 8);
        assert_eq!(argo(canary(json!({}))), (2, 2));
        assert_eq!(argo(canary(json!({"maxUnavailable": 0, "maxSurge": "50%"}))), (1, 4));
        assert_eq!(argo(canary(json!({"trafficRouting": {}}))), (1, 8));
        assert_eq!(argo(json!({"strategy": {"blueGreen": {}}})), (1, 8));
    }

    #[test]
    fn subsets_roll_at_once() {
        let united = |partitions: Value| {
            json!({"topology": {"subsets": [{"name": "a", "replicas": 3}, {"name": "b"}, {"name": "c"}]},
                "template": {"statefulSetTemplate": {"spec": {}}},
                "updateStrategy": {"manualUpdate": {"partitions": partitions}}})
        };
        assert_eq!(limits("apps.kruise.io", "UnitedDeployment", united(json!({})), 8), (3, 0));
        assert_eq!(kept("apps.kruise.io", "UnitedDeployment", united(json!({"a": 9, "b": 1})), 8), 4);
    }

    #[test]
    fn partitions_keep_pods() {
        let kruise = "apps.kruise.io";
        let clone = |value: Value| json!({"updateStrategy": {"partition": value}});
        let rolling = |value: Value| json!({"updateStrategy": {"rollingUpdate": {"partition": value}}});
        assert_eq!(kept(kruise, "CloneSet", clone(json!("95%")), 10), 9);
        assert_eq!(kept(kruise, "CloneSet", clone(json!("95%")), 1), 1);
        assert_eq!(kept(kruise, "CloneSet", clone(json!("100%")), 10), 10);
        assert_eq!(kept(kruise, "CloneSet", clone(json!(12)), 10), 10);
        assert_eq!(kept(kruise, "DaemonSet", rolling(json!("25%")), 10), 2);
        assert_eq!(kept("apps", "StatefulSet", rolling(json!(2)), 3), 2);
        assert_eq!(kept("apps", "StatefulSet", rolling(json!("2")), 3), 0);
        let mut reserved = rolling(json!(3));
        reserved["reserveOrdinals"] = json!([0, 2, "x", 7]);
        assert_eq!(kept(kruise, "StatefulSet", reserved, 5), 1);
    }

    #[test]
    fn a_partition_is_written_and_nothing_else() {
        let path = FieldPath::dotted("spec.updateStrategy.rollingUpdate.partition");
        let object = json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}, "replicas": 3}});
        let wanted = json!({"spec": {"updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"partition": 2}}, "replicas": 3}});
        assert_eq!(with_partition(&object, &path, 2), wanted);
        let empty = json!({"spec": {"updateStrategy": null}});
        let wanted = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}});
        assert_eq!(with_partition(&empty, &path, 0), wanted);
    }

    #[test]
    fn what_scales_or_waits_is_not_split() {
        let can =
            |kind: &str, spec: Value, hpa| can_split("apps.kruise.io", kind, &json!({"spec": spec}), hpa);
        assert!(can("CloneSet", json!({"replicas": 3}), false));
        assert!(can("DaemonSet", json!({}), false));
        assert!(!can("CloneSet", json!({"replicas": 3}), true));
        assert!(!can("CloneSet", json!({"replicas": "3"}), false));
        assert!(!can("CloneSet", json!({"replicas": 3, "updateStrategy": {"paused": true}}), false));
        assert!(!can("StatefulSet", json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}), false));
        assert!(!can("StatefulSet", json!({"replicas": 3, "reserveOrdinals": [1]}), false));
        assert!(!can("UnitedDeployment", json!({"replicas": 3}), false));
        assert!(!can_split("apps", "Deployment", &json!({"spec": {"replicas": 3}}), false));
    }
}
