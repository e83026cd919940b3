//! What are a workload's own limits while it replaces its pods, and where can it be told to keep some of them old?

use super::amount::{self, Round};
use super::controller::{self, Controller, at};
use super::how::How;
use crate::yaml::{Path, Seg};
use serde_json::{Map, Value};

/// How a workload's own controller replaces pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// The most of its pods that can be down at once, at least 1; 0 where no pod moves ([`How::moves_pods`]).
    pub most_unavailable: u64,
    /// The most pods that it has above its size.
    pub surge: u64,
    /// Pods that its own partition keeps old.
    pub kept: u64,
    /// The native partition, for kinds that have one and roll by themselves.
    pub partition: Option<OwnPartition>,
    /// The rules, for the simulation.
    pub rolling: Rolling,
}

/// The native partition of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPartition {
    /// Where it is in the object.
    pub path: Path,
    /// What the object says there.
    pub value: Option<Value>,
    /// How many pods that keeps old.
    pub kept: u64,
}

/// The rules by which a controller replaces pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rolling {
    /// No pod moves.
    Still,
    /// All at once: a bare Pod, `Recreate`, kinds that nobody knows.
    AllAtOnce,
    /// Deployment, and Argo's canary without traffic routing.
    Replicas {
        /// Pods that may be missing.
        unavailable: u64,
        /// Pods that may be there in addition.
        surge: u64,
    },
    /// StatefulSets: from the last pod down.
    Ordinals {
        /// New pods that may be waited for at once.
        unavailable: u64,
    },
    /// DaemonSets: a pod a node.
    Nodes {
        /// Pods that may be missing; without effect where there is a surge.
        unavailable: u64,
        /// Nodes that may have two pods.
        surge: u64,
    },
    /// CloneSet.
    Clones {
        /// Pods that may be missing.
        unavailable: u64,
        /// Pods that may be there in addition.
        surge: u64,
    },
    /// All new pods beside the old ones: Argo's blue-green, and canary with traffic routing.
    BlueGreen,
    /// The workloads of a UnitedDeployment, which roll at the same time: pods, those kept old, rules.
    Subsets(Vec<(u64, u64, Self)>),
}

/// Returns a workload's own rolling behaviour for its object, its pods, and how it takes the template.
pub fn strategy(group: &str, kind: &str, object: &Value, pods: u64, how: How) -> Strategy {
    let controller = Controller::of(group, kind);
    if !how.moves_pods() {
        return Strategy { most_unavailable: 0, surge: 0, kept: 0, partition: None, rolling: Rolling::Still };
    }
    let partition = partition(controller, object, pods);
    let (kept, rolling) = match controller::subset(object) {
        Some(inner) if controller == Controller::UnitedDeployment => subsets(object, pods, inner),
        _ => (partition.as_ref().map_or(0, |p| p.kept), rolling(controller, object, pods)),
    };
    Strategy {
        most_unavailable: most_unavailable(&rolling, pods).clamp(1, pods.max(1)),
        surge: surge(&rolling, pods).min(pods),
        kept,
        partition,
        rolling,
    }
}

/// Tells whether a native partition can move the pods of a workload in several batches.
pub fn can_split(group: &str, kind: &str, object: &Value, has_autoscaler: bool) -> bool {
    let controller = Controller::of(group, kind);
    // A DaemonSet has no `replicas`; where its size is not in git, the ledger has it.
    let has_size = controller == Controller::AdvancedDaemonSet || controller::replicas(object).is_some();
    // Numbers that are left out would have to be counted into the partition.
    let has_gaps =
        at(object, "spec.reserveOrdinals").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
    // A selector decides by itself which nodes are updated.
    let has_selector = at(object, "spec.updateStrategy.rollingUpdate.selector").is_some();
    controller.partition().is_some()
        && has_size
        && !has_autoscaler
        && !has_gaps
        && !has_selector
        && !controller.is_paused(object)
        && !controller.is_on_delete(object)
}

/// Returns the object with a number of pods kept old; mappings on the way are made where they are missing.
#[must_use]
pub fn with_partition(object: &Value, path: &Path, n: u64) -> Value {
    let mut out = object.clone();
    let mut here = &mut out;
    for step in path.steps() {
        let Seg::Key(key) = step else { return out };
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = here
            .as_object_mut()
            .expect("it was made a mapping above")
            .entry(key.as_str())
            .or_insert(Value::Null);
    }
    *here = Value::from(n);
    out
}

fn partition(controller: Controller, object: &Value, pods: u64) -> Option<OwnPartition> {
    let path = controller.partition()?;
    let value = path.find(object).filter(|v| !v.is_null());
    let kept = match controller {
        Controller::CloneSet => kept_clones(value, pods),
        // Kruise v1.9.0 daemonset filterDaemonPodsNodeToUpdate: percentages are rounded down.
        Controller::AdvancedDaemonSet => amount::pods(value, pods, Round::Down).unwrap_or(0),
        _ => kept_ordinals(object, amount::count(value).unwrap_or(0)),
    };
    Some(OwnPartition { path, value: value.cloned(), kept: kept.min(pods) })
}

// Kruise v1.9.0 pkg/util CalculatePartitionReplicas: percentages are rounded up, but one pod moves unless all are to
// stay.
fn kept_clones(value: Option<&Value>, pods: u64) -> u64 {
    let kept = amount::pods(value, pods, Round::Up).unwrap_or(0);
    let is_all_but_one = value.is_some_and(|v| v.is_string() && v != "100%");
    if is_all_but_one && kept == pods && pods > 1 { pods - 1 } else { kept }
}

/// Ordinals below the partition stay old; those that an Advanced StatefulSet leaves out have no pod.
fn kept_ordinals(object: &Value, partition: u64) -> u64 {
    // Kruise v1.9.0 statefulset sortPodsToUpdate: with unorderedUpdate the partition is a number of pods.
    if at(object, "spec.updateStrategy.rollingUpdate.unorderedUpdate").is_some() {
        return partition;
    }
    let reserved = at(object, "spec.reserveOrdinals").and_then(Value::as_array).into_iter().flatten();
    let below = reserved.filter(|o| o.as_u64().is_some_and(|o| o < partition)).count();
    partition.saturating_sub(below as u64)
}

fn rolling(controller: Controller, object: &Value, pods: u64) -> Rolling {
    let field = |path: &str| at(object, path);
    let rolling_field = |key: &str| at(object, "spec.updateStrategy.rollingUpdate").and_then(|r| r.get(key));
    match controller {
        Controller::Deployment if controller::text(object, "spec.strategy.type") == Some("Recreate") => {
            Rolling::AllAtOnce
        }
        Controller::Deployment => {
            let own = |key: &str| at(object, "spec.strategy.rollingUpdate").and_then(|r| r.get(key));
            replicas(own("maxUnavailable"), own("maxSurge"), pods)
        }
        // Kubernetes 1.36 statefulset getStatefulSetMaxUnavailable: rounded down, at least 1. Where the gate
        // MaxUnavailableStatefulSet is off the field is dropped; a bound must hold where it is on.
        Controller::StatefulSet | Controller::AdvancedStatefulSet => {
            let written = amount::pods(rolling_field("maxUnavailable"), pods, Round::Down);
            Rolling::Ordinals { unavailable: written.unwrap_or(1).max(1) }
        }
        Controller::DaemonSet | Controller::AdvancedDaemonSet => {
            let unavailable = amount::pods(rolling_field("maxUnavailable"), pods, Round::Up).unwrap_or(1);
            let surge = amount::pods(rolling_field("maxSurge"), pods, Round::Up).unwrap_or(0);
            Rolling::Nodes { unavailable: if surge == 0 { unavailable.max(1) } else { 0 }, surge }
        }
        Controller::CloneSet => {
            clones(field("spec.updateStrategy.maxUnavailable"), field("spec.updateStrategy.maxSurge"), pods)
        }
        Controller::Rollout => rollout(object, pods),
        Controller::Job | Controller::Later => Rolling::Still,
        Controller::Pod | Controller::UnitedDeployment | Controller::Unknown => Rolling::AllAtOnce,
    }
}

// Kubernetes v1.36 deployment ResolveFenceposts, and the same in Argo Rollouts v1.8: a quarter each; where both come
// to nothing, one pod may be missing.
fn replicas(unavailable: Option<&Value>, surge: Option<&Value>, pods: u64) -> Rolling {
    let quarter = Value::from("25%");
    let resolve = |written: Option<&Value>, round| {
        amount::pods(written, pods, round).or_else(|| amount::pods(Some(&quarter), pods, round)).unwrap_or(0)
    };
    let (unavailable, surge) = (resolve(unavailable, Round::Down), resolve(surge, Round::Up));
    Rolling::Replicas { unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }, surge }
}

// Kruise v1.9.0 cloneset calculateDiffsWithExpectation: rounded up unless there is a surge. It surges for updates in
// place too.
fn clones(unavailable: Option<&Value>, surge: Option<&Value>, pods: u64) -> Rolling {
    let surge = amount::pods(surge, pods, Round::Up).unwrap_or(0);
    let round = if surge == 0 { Round::Up } else { Round::Down };
    let fifth = Value::from("20%");
    let unavailable = amount::pods(unavailable, pods, round)
        .or_else(|| amount::pods(Some(&fifth), pods, round))
        .unwrap_or(0);
    // Kruise's webhook refuses two zeros.
    Rolling::Clones { unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }, surge }
}

fn rollout(object: &Value, pods: u64) -> Rolling {
    let strategy = at(object, "spec.strategy");
    let canary = strategy.and_then(|s| at(s, "canary"));
    let is_blue_green = canary.is_none() && strategy.and_then(|s| at(s, "blueGreen")).is_some();
    if is_blue_green || canary.is_some_and(|c| at(c, "trafficRouting").is_some()) {
        return Rolling::BlueGreen;
    }
    let field = |key: &str| canary.and_then(|c| c.get(key));
    replicas(field("maxUnavailable"), field("maxSurge"), pods)
}

/// The subsets of a UnitedDeployment, none of them smaller than Kruise makes it, and the pods that
/// `manualUpdate.partitions` keeps old.
fn subsets(object: &Value, pods: u64, (controller, part): (Controller, &Value)) -> (u64, Rolling) {
    let listed = at(object, "spec.topology.subsets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if listed.is_empty() {
        return (0, rolling(controller, part, pods));
    }
    let written: Vec<Option<u64>> =
        listed.iter().map(|s| amount::pods(s.get("replicas"), pods, Round::Up)).collect();
    let rest = pods.saturating_sub(written.iter().flatten().sum());
    let sharing = written.iter().filter(|w| w.is_none()).count().max(1) as u64;
    let partitions = at(object, "spec.updateStrategy.manualUpdate.partitions");
    let roll = |(subset, written): (&Value, &Option<u64>)| {
        let size = written.unwrap_or_else(|| rest.div_ceil(sharing)).min(pods);
        let name = subset.get("name").and_then(Value::as_str).unwrap_or_default();
        let kept = amount::count(partitions.and_then(|p| p.get(name))).unwrap_or(0).min(size);
        (size, kept, rolling(controller, part, size))
    };
    let subsets: Vec<_> = listed.iter().zip(&written).map(roll).collect();
    let kept = subsets.iter().map(|(_, kept, _)| kept).sum::<u64>().min(pods);
    (kept, Rolling::Subsets(subsets))
}

fn most_unavailable(rolling: &Rolling, pods: u64) -> u64 {
    match rolling {
        Rolling::Still => 0,
        Rolling::AllAtOnce => pods,
        // A surging DaemonSet takes no pod away before the new one is there.
        Rolling::BlueGreen => 1,
        Rolling::Replicas { unavailable, .. }
        | Rolling::Ordinals { unavailable }
        | Rolling::Nodes { unavailable, .. }
        | Rolling::Clones { unavailable, .. } => *unavailable,
        Rolling::Subsets(subsets) => {
            let each = subsets.iter().map(|(size, _, rolling)| most_unavailable(rolling, *size).min(*size));
            each.fold(0, u64::saturating_add)
        }
    }
}

fn surge(rolling: &Rolling, pods: u64) -> u64 {
    match rolling {
        Rolling::Still | Rolling::AllAtOnce | Rolling::Ordinals { .. } => 0,
        Rolling::BlueGreen => pods,
        Rolling::Replicas { surge, .. } | Rolling::Nodes { surge, .. } | Rolling::Clones { surge, .. } => {
            *surge
        }
        Rolling::Subsets(subsets) => {
            let each = subsets.iter().map(|(size, _, rolling)| surge(rolling, *size).min(*size));
            each.fold(0, u64::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits(group: &str, kind: &str, spec: Value, pods: u64) -> (u64, u64) {
        let strategy = strategy(group, kind, &json!({"spec": spec}), pods, How::Recreate);
        (strategy.most_unavailable, strategy.surge)
    }

    fn kept(group: &str, kind: &str, spec: Value, pods: u64) -> u64 {
        strategy(group, kind, &json!({"spec": spec}), pods, How::Recreate).kept
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
        let path = Path::dotted("spec.updateStrategy.rollingUpdate.partition");
        let object = json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}, "replicas": 3}});
        let wanted = json!({"spec": {"updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"partition": 2}}, "replicas": 3}});
        assert_eq!(with_partition(&object, &path, 2), wanted);
        let odd = json!({"spec": {"updateStrategy": null}});
        let wanted = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}});
        assert_eq!(with_partition(&odd, &path, 0), wanted);
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
