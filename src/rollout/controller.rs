//! Reads the fields of a workload that its controller rolls by.

pub(super) use crate::model::workload::{KindTraits, WorkloadController, value_at};

use crate::model::int_or_percent::whole_pods;
use serde_json::Value;

/// Returns whether the object asks for no pods at all.
pub(super) fn has_no_replicas(kind: &KindTraits, object: &Value) -> bool {
    let has_field = kind.replicas.is_some()
        && !matches!(kind.controller, WorkloadController::Job | WorkloadController::NewPodsOnly);
    has_field && replicas(object) == Some(0)
}

/// Returns the pods that git asks for, where it says so.
pub(super) fn replicas(object: &Value) -> Option<u64> {
    whole_pods(value_at(object, "spec.replicas"))
}

/// Returns the string at a dotted path.
pub(super) fn str_at<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    value_at(object, path).and_then(Value::as_str)
}
