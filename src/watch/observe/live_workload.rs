//! Reads the fields of a workload that a snapshot needs, of any kind.

use super::interner::Interner;
use crate::model::workload::{RevisionSource, WorkloadController, WorkloadKind, value_at};
use crate::watch::snapshot::{LiveWorkload, WorkloadCondition};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn read_u32(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::as_i64).map(saturating_u32)
}

/// Reads a workload. No field is required: a CRD may lack any.
pub(super) fn read_workload(kind: &WorkloadKind, object: &Value, texts: &mut Interner) -> LiveWorkload {
    let text = |path: &str| value_at(object, path).and_then(Value::as_str).filter(|t| !t.is_empty());
    let template = kind.template_paths.iter().filter_map(|path| path.find(object)).find(|t| t.is_object());
    let desired = match (kind.traits.desired, &kind.replicas_path) {
        (Some(path), _) => read_u32(value_at(object, path)),
        // The default of a kind of pillion.yaml is unknown.
        (None, Some(path)) => match path.find(object).filter(|v| !v.is_null()) {
            Some(value) => read_u32(Some(value)),
            None => kind.traits.is_known().then_some(1),
        },
        (None, None) => None,
    };
    let update_revision = match kind.traits.revision {
        RevisionSource::ReplicaSetNumber => None,
        RevisionSource::PodHash => text("status.currentPodHash"),
        RevisionSource::NewestControllerRevision => text("status.daemonSetHash"),
        // Kruise v1.8.2 uniteddeployment_types.go: `updatedRevision` is empty before the first update.
        RevisionSource::UnitedDeployment => {
            text("status.updateStatus.updatedRevision").or_else(|| text("status.currentRevision"))
        }
        RevisionSource::ControllerRevision | RevisionSource::StatusOnly => text("status.updateRevision"),
        RevisionSource::SidecarSetHash => None,
    };
    // The Advanced StatefulSet has it in its strategy.
    let min_ready = value_at(object, "spec.minReadySeconds")
        .or_else(|| value_at(object, "spec.updateStrategy.rollingUpdate.minReadySeconds"));
    // Argo's own pauses wait for a person too, or for its analysis.
    let waits =
        value_at(object, "status.pauseConditions").and_then(Value::as_array).is_some_and(|c| !c.is_empty());
    LiveWorkload {
        generation: value_at(object, "metadata.generation").and_then(Value::as_i64).unwrap_or(0),
        observed_generation: value_at(object, "status.observedGeneration").and_then(read_i64),
        desired,
        // The status and the annotations of a SidecarSet are no part of what it injects.
        template: match kind.is_sidecar_set() {
            true => raw(&json!({"spec": object["spec"]})),
            false => template.and_then(raw),
        },
        partition: kind
            .partition_path
            .as_ref()
            .and_then(|p| p.find(object))
            .filter(|v| !v.is_null())
            .and_then(raw),
        is_update_manual: kind.traits.needs_manual_action(object)
            || (kind.traits.controller == WorkloadController::ArgoRollout && waits),
        progress_deadline: read_u32(value_at(object, "spec.progressDeadlineSeconds")),
        min_ready_seconds: read_u32(min_ready).unwrap_or(0),
        update_revision: update_revision.map(|revision| texts.intern(revision)),
        revision_created: None,
        spec_changed: None,
        not_upgradable: 0,
        conditions: failing_conditions(object, texts),
        pods: BTreeMap::new(),
    }
}

/// Argo Rollouts writes `observedGeneration` as a string.
fn read_i64(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns conditions that explain missing pods. Kruise's kinds use `FailedScale`, `FailedUpdate`, `FailedCreatePod`,
/// `FailedUpdatePod` and `SubsetFailure`, a Job uses `Failed`, Argo a phase.
fn failing_conditions(object: &Value, texts: &mut Interner) -> Vec<WorkloadCondition> {
    let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let conditions = value_at(object, "status.conditions").and_then(Value::as_array);
    let mut found = Vec::new();
    for condition in conditions.into_iter().flatten() {
        let (kind, status) = (field(condition, "type"), field(condition, "status"));
        let is_bad = match status.as_str() {
            "True" => kind.contains("Fail") || kind == "InvalidSpec" || kind == "Degraded",
            "False" => kind == "Progressing",
            _ => false,
        };
        if is_bad {
            found.push(WorkloadCondition {
                kind: texts.intern(&kind),
                reason: texts.intern(&field(condition, "reason")),
                message: texts.intern(&field(condition, "message")),
                since: field(condition, "lastTransitionTime").parse().ok(),
            });
        }
    }
    let phase = value_at(object, "status.phase").and_then(Value::as_str);
    if phase == Some("Degraded") && !found.iter().any(|c| &*c.kind == "Degraded") {
        let message = value_at(object, "status.message").and_then(Value::as_str).unwrap_or("");
        let progress = found.iter().find(|c| &*c.kind == "Progressing");
        let reason = progress.map_or_else(|| texts.intern(""), |c| Arc::clone(&c.reason));
        let since = progress.and_then(|c| c.since);
        found.push(WorkloadCondition {
            kind: texts.intern("Degraded"),
            reason,
            message: texts.intern(message),
            since,
        });
    }
    found
}

/// Returns the text of a value.
pub(super) fn raw(value: &Value) -> Option<Arc<RawValue>> {
    to_raw_value(value).ok().map(Arc::from)
}

/// Returns a number that cannot be negative; a larger one counts as the largest.
pub(super) fn saturating_u32(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
