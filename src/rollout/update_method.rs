//! Determines how a workload's controller applies a template change.

use super::template_diff::TemplateDiff;
use crate::model::int_or_percent::{RoundingMode, pods_of_field};
use crate::model::sidecar_set::is_native_sidecar;
use crate::model::workload::{KindTraits, WorkloadController, str_at, value_at};
use serde_json::Value;

/// How a workload applies a new template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpdateMethod {
    /// Its pods stay, and some of their containers restart.
    InPlace,
    /// Its pods are recreated.
    Recreate,
    /// Pods that it creates later get the template; running pods are unchanged.
    NextRun,
    /// It cannot: the API server or the controller refuses the change.
    Never,
}

impl UpdateMethod {
    /// Returns the name in data (`Recreate`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InPlace => "InPlace",
            Self::Recreate => "Recreate",
            Self::NextRun => "NextRun",
            Self::Never => "Never",
        }
    }

    /// Returns the words for people (`recreated`).
    pub fn description(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::Recreate => "recreated",
            Self::NextRun => "next run",
            Self::Never => "never",
        }
    }

    /// Returns whether running pods change.
    pub fn replaces_or_restarts(self) -> bool {
        matches!(self, Self::InPlace | Self::Recreate)
    }
}

/// How a workload applies a template, and why where a person needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateBehavior {
    /// The method.
    pub method: UpdateMethod,
    /// The reason, for programs: kebab-case, never renamed.
    pub(crate) code: Option<&'static str>,
    /// The reason, for people: what follows a colon.
    pub(crate) reason: Option<String>,
}

/// Returns how a workload applies a new template. For a bare Pod the templates are the whole objects.
pub fn update_behavior(
    group: &str,
    kind: &str,
    object: &Value,
    old_template: &Value,
    new_template: &Value,
) -> UpdateBehavior {
    let kind = KindTraits::of(group, kind);
    if kind.controller == WorkloadController::SidecarSet {
        return sidecar_set_behavior(object, old_template, new_template);
    }
    if kind.has_no_replicas(object) {
        return with_reason(UpdateMethod::NextRun, "no-pods", "it has no pods now (`replicas: 0`)");
    }
    let difference = TemplateDiff::between(old_template, new_template);
    let (kind, object) = kind.subset_part(object).unwrap_or((kind, object));
    behavior_of(kind, object, [old_template, new_template], &difference)
}

fn behavior_of(
    kind: &KindTraits,
    object: &Value,
    [old_template, new_template]: [&Value; 2],
    difference: &TemplateDiff,
) -> UpdateBehavior {
    if kind.is_paused(object) {
        return with_reason(
            UpdateMethod::NextRun,
            "paused",
            "it is paused; its pods follow when it is resumed",
        );
    }
    if kind.is_on_delete(object) {
        let reason = "its pods are updated when they are deleted (OnDelete)";
        return with_reason(UpdateMethod::NextRun, "on-delete", reason);
    }
    match kind.controller {
        WorkloadController::Job => {
            with_reason(UpdateMethod::Never, "job-template-immutable", "the template of a Job cannot change")
        }
        WorkloadController::NewPodsOnly => without_reason(UpdateMethod::NextRun),
        // The API server allows images, labels and annotations of a running pod to change; a changed container image
        // is the one change that the kubelet acts on.
        WorkloadController::Pod if difference.can_update_in_place() => without_reason(UpdateMethod::InPlace),
        WorkloadController::Pod => with_reason(
            UpdateMethod::Never,
            "pod-immutable",
            "only the container images of a running Pod can change",
        ),
        _ => match in_place_policy(kind, object, old_template) {
            InPlacePolicy::Recreate => without_reason(UpdateMethod::Recreate),
            _ if difference.can_update_in_place() => without_reason(UpdateMethod::InPlace),
            InPlacePolicy::InPlaceIfPossible if changes_only_native_sidecars(old_template, new_template) => {
                let reason = "native sidecars are not updated in place";
                with_reason(UpdateMethod::Recreate, "native-sidecars", reason)
            }
            InPlacePolicy::InPlaceIfPossible => without_reason(UpdateMethod::Recreate),
            // Kruise v1.9.0 cloneset updatePod and statefulset inPlaceUpdatePod: an error for each pod, repeatedly.
            InPlacePolicy::InPlaceOnly => with_reason(
                UpdateMethod::Never,
                "in-place-only",
                "it only updates pods in place, and more than images changes",
            ),
        },
    }
}

/// Returns how pods get a new content of a SidecarSet: Kruise v1.9.0 sidecarset_hash.go and isPodSidecarUpdated change
/// the images of running pods where nothing else of the containers differs.
fn sidecar_set_behavior(object: &Value, old: &Value, new: &Value) -> UpdateBehavior {
    if str_at(object, "spec.updateStrategy.type") == Some("NotUpdate") {
        let reason = "`updateStrategy.type: NotUpdate`: only pods that are created later get it";
        return with_reason(UpdateMethod::NextRun, "not-update", reason);
    }
    let [(old_images, old_rest), (new_images, new_rest)] = [old, new].map(images_and_rest);
    if old.is_null() || new.is_null() {
        let reason = "Kruise injects pods when they are created";
        with_reason(UpdateMethod::NextRun, "at-creation", reason)
    } else if old_rest != new_rest {
        let reason = "Kruise updates only images of running pods; pods that are created later get it";
        with_reason(UpdateMethod::NextRun, "more-than-images", reason)
    } else if old_images == new_images {
        let reason = "no container changes; pods that are created later get it";
        with_reason(UpdateMethod::NextRun, "no-image", reason)
    } else {
        without_reason(UpdateMethod::InPlace)
    }
}

/// Returns the images of the containers of a SidecarSet, and what else Kruise's hash is of.
fn images_and_rest(set: &Value) -> (Vec<Value>, Vec<Value>) {
    let list = |key: &str| set["spec"][key].as_array().cloned().unwrap_or_default();
    let init = list("initContainers");
    let has_native = init.iter().any(|container| container["restartPolicy"] == "Always");
    let mut rest = list("containers");
    let images = rest.iter().map(|container| container["image"].clone()).collect();
    for container in rest.iter_mut().filter_map(Value::as_object_mut) {
        container.shift_remove("image");
    }
    rest.extend(init.into_iter().filter(|_| has_native));
    (images, rest)
}

/// The policy of a workload for in-place updates.
enum InPlacePolicy {
    Recreate,
    InPlaceIfPossible,
    InPlaceOnly,
}

fn in_place_policy(kind: &KindTraits, object: &Value, old_template: &Value) -> InPlacePolicy {
    let is_daemon = kind.controller == WorkloadController::AdvancedDaemonSet;
    if is_daemon && (surges(object) || !has_gate(old_template)) {
        return InPlacePolicy::Recreate;
    }
    match kind.in_place_policy.and_then(|path| str_at(object, path)) {
        Some("InPlaceIfPossible") => InPlacePolicy::InPlaceIfPossible,
        Some("InPlaceOnly") if !is_daemon => InPlacePolicy::InPlaceOnly,
        _ => InPlacePolicy::Recreate,
    }
}

// Kruise v1.9.0 daemonset rollingUpdate: pods are updated in place only where maxSurge is zero.
fn surges(object: &Value) -> bool {
    let surge = value_at(object, "spec.updateStrategy.rollingUpdate.maxSurge");
    pods_of_field(surge, 100, RoundingMode::Up).unwrap_or(0) > 0
}

// Kruise v1.9.0 daemonset canPodInPlaceUpdate: the running pod must have the gate.
fn has_gate(template: &Value) -> bool {
    let gates = value_at(template, "spec.readinessGates").and_then(Value::as_array);
    let is_gate = |g: &Value| g.get("conditionType").and_then(Value::as_str) == Some("InPlaceUpdateReady");
    gates.is_some_and(|g| g.iter().any(is_gate))
}

/// Returns whether pods are recreated only because native sidecars differ.
fn changes_only_native_sidecars(old: &Value, new: &Value) -> bool {
    let natives = |template: &Value| -> Vec<Value> {
        let init = template["spec"]["initContainers"].as_array();
        init.into_iter().flatten().filter(|c| is_native_sidecar(c)).cloned().collect()
    };
    let rest = |template: &Value| {
        let mut template = template.clone();
        template
            .pointer_mut("/spec")
            .and_then(Value::as_object_mut)
            .map(|spec| spec.shift_remove("initContainers"));
        template
    };
    natives(old) != natives(new) && TemplateDiff::between(&rest(old), &rest(new)).can_update_in_place()
}

fn without_reason(how: UpdateMethod) -> UpdateBehavior {
    UpdateBehavior { method: how, code: None, reason: None }
}

fn with_reason(how: UpdateMethod, code: &'static str, reason: &'static str) -> UpdateBehavior {
    UpdateBehavior { method: how, code: Some(code), reason: Some(reason.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(image: &str, further: Value) -> Value {
        let mut template = json!({"spec": {"containers": [{"name": "app", "image": image}]}});
        template["spec"].as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        template
    }

    /// How it takes another image, and how another image and a volume.
    fn both(
        group: &str,
        kind: &str,
        spec: Value,
        further: Value,
    ) -> [(UpdateMethod, Option<&'static str>); 2] {
        let old = template("a:1", further.clone());
        let image = template("a:2", further);
        let mut more = image.clone();
        more["spec"]["volumes"] = json!([]);
        [image, more].map(|new| {
            let taking = update_behavior(group, kind, &json!({"spec": spec}), &old, &new);
            (taking.method, taking.code)
        })
    }

    #[test]
    fn builtin_kinds() {
        let none = || json!({});
        let recreated = [(UpdateMethod::Recreate, None); 2];
        let later = [(UpdateMethod::NextRun, None); 2];
        for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
            assert_eq!(both("apps", kind, none(), none()), recreated);
        }
        assert_eq!(both("example.com", "Worker", none(), none()), recreated);
        assert_eq!(both("apps", "ReplicaSet", none(), none()), later);
        assert_eq!(both("batch", "CronJob", json!({"suspend": true}), none()), later);
        assert_eq!(
            both("batch", "Job", none(), none()),
            [(UpdateMethod::Never, Some("job-template-immutable")); 2]
        );
        assert_eq!(
            both("", "Pod", none(), none()),
            [(UpdateMethod::InPlace, None), (UpdateMethod::Never, Some("pod-immutable"))]
        );
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(
            both("apps", "DaemonSet", on_delete, none()),
            [(UpdateMethod::NextRun, Some("on-delete")); 2]
        );
        let paused = json!({"paused": true});
        assert_eq!(both("apps", "Deployment", paused, none()), [(UpdateMethod::NextRun, Some("paused")); 2]);
        assert_eq!(both("apps", "Deployment", json!({"replicas": 0}), none())[0].1, Some("no-pods"));
        assert_eq!(both("apps", "Deployment", json!({"replicas": "0", "paused": "true"}), none()), recreated);
    }

    #[test]
    fn native_sidecars_are_recreated_with_their_pods() {
        let native = |image: &str| json!({"name": "proxy", "image": image, "restartPolicy": "Always"});
        let with = |image: &str, init: Value| template(image, json!({"initContainers": init}));
        let clone_set = json!({"spec": {"updateStrategy": {"type": "InPlaceIfPossible"}}});
        let code = |old: &Value, new: &Value| {
            let taking = update_behavior("apps.kruise.io", "CloneSet", &clone_set, old, new);
            assert_eq!(taking.method, UpdateMethod::Recreate);
            taking.code
        };
        let old = with("a:1", json!([native("p:1")]));
        assert_eq!(code(&old, &with("a:1", json!([native("p:2")]))), Some("native-sidecars"));
        assert_eq!(code(&old, &with("a:2", json!([]))), Some("native-sidecars"));
        let plain = |image: &str| json!([{"name": "prepare", "image": image}]);
        assert_eq!(code(&with("a:1", plain("p:1")), &with("a:1", plain("p:2"))), None);
    }

    #[test]
    fn kinds_of_kruise() {
        let kruise = "apps.kruise.io";
        let recreated = [(UpdateMethod::Recreate, None); 2];
        let if_possible = [(UpdateMethod::InPlace, None), (UpdateMethod::Recreate, None)];
        let only = [(UpdateMethod::InPlace, None), (UpdateMethod::Never, Some("in-place-only"))];
        let none = || json!({});
        let clone = |policy: &str| json!({"updateStrategy": {"type": policy}});
        assert_eq!(both(kruise, "CloneSet", none(), none()), recreated);
        assert_eq!(both(kruise, "CloneSet", clone("InPlaceIfPossible"), none()), if_possible);
        assert_eq!(both(kruise, "CloneSet", clone("InPlaceOnly"), none()), only);
        let rolling = |key: &str, value: Value| json!({"updateStrategy": {"rollingUpdate": {key: value}}});
        let policy = |policy: &str| rolling("podUpdatePolicy", json!(policy));
        assert_eq!(both(kruise, "StatefulSet", policy("InPlaceOnly"), none()), only);
        assert_eq!(both(kruise, "StatefulSet", policy("InPlaceIfPossible"), none()), if_possible);
        assert_eq!(both(kruise, "StatefulSet", policy("ReCreate"), none()), recreated);
        let gate = || json!({"readinessGates": [{"conditionType": "InPlaceUpdateReady"}]});
        let daemon = || rolling("rollingUpdateType", json!("InPlaceIfPossible"));
        assert_eq!(both(kruise, "DaemonSet", daemon(), gate()), if_possible);
        assert_eq!(both(kruise, "DaemonSet", daemon(), none()), recreated);
        let mut surging = daemon();
        surging["updateStrategy"]["rollingUpdate"]["maxSurge"] = json!("10%");
        assert_eq!(both(kruise, "DaemonSet", surging, gate()), recreated);
        let paused = rolling("paused", json!(true));
        assert_eq!(both(kruise, "StatefulSet", paused, none())[0], (UpdateMethod::NextRun, Some("paused")));
        assert_eq!(both(kruise, "BroadcastJob", none(), none()), [(UpdateMethod::NextRun, None); 2]);
        let united = json!({"template": {"cloneSetTemplate": {"spec": clone("InPlaceIfPossible")}}});
        assert_eq!(both(kruise, "UnitedDeployment", united, none()), if_possible);
        assert_eq!(both(kruise, "UnitedDeployment", none(), none()), recreated);
    }
}
