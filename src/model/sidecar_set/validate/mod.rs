//! Validates SidecarSets as Kruise's webhook does.
//!
//! The rules are those of Kruise v1.9.0 and of the pod validation of Kubernetes v1.32 that it uses. Diagnostics have the
//! field paths that Kruise reports, which differ from the real ones in places. A value that Kruise accepts and ignores
//! is a warning. The keys of `patchPodMetadata` are not checked: which ones are allowed depends on the cluster.

mod claim;
mod conflicts;
mod container;
mod env;
mod fields;
mod format;
mod meta;
mod mounts;
mod probe;
mod projected;
mod report;
mod resources;
mod security;
mod selector;
mod sidecar;
mod strategy;
mod volume;
mod volume_files;

use super::SidecarSet;
use crate::diagnostics::Diagnostic;
use crate::model::json::JsonObject;
use report::ValidationReport;
use serde_json::Value;
use std::sync::Arc;

/// The context of a validation.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidationContext<'a> {
    /// The previous state of the set, if this is an update.
    pub old: Option<&'a SidecarSet>,
    /// The other sets of the cluster. One with the same name is the set itself.
    pub others: &'a [Arc<SidecarSet>],
    /// Earlier revisions of sets. A revision in `injectionStrategy` must be one of them, and is an error if there are
    /// none, as in a cluster without revisions.
    pub history: &'a [Arc<SidecarSet>],
}

/// Validates a decoded set as Kruise's webhook does. The diagnostics of decoding are not repeated. As in Kruise,
/// conflicts with other sets are checked only if the set itself has no error.
pub fn validate(set: &SidecarSet, context: ValidationContext<'_>) -> Vec<Diagnostic> {
    let mut report = ValidationReport::new(&set.locations);
    let empty = JsonObject::new();
    let spec = match &set.canonical_spec {
        Value::Object(spec) => spec,
        _ => &empty,
    };
    meta::check(&mut report, &set.metadata);
    strategy::check_selectors(&mut report, spec);
    strategy::check_injection(&mut report, set, spec, context.history);
    strategy::check_update(&mut report, spec);
    let volumes = volume::check(&mut report, spec);
    sidecar::check(&mut report, spec);
    container::check(&mut report, spec, &volumes);
    meta::check_patches(&mut report, spec);
    if let Some(old) = context.old {
        conflicts::check_update(&mut report, set, old);
    }
    if !report.has_errors() {
        conflicts::check_others(&mut report, set, context.others);
    }
    report.into_diagnostics()
}

/// Checks sets for conflicts with each other. Reports each conflicting pair once, at the later set.
pub fn conflicts(sets: &[Arc<SidecarSet>]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (i, set) in sets.iter().enumerate() {
        let mut report = ValidationReport::new(&set.locations);
        conflicts::check_others(&mut report, set, &sets[..i]);
        diagnostics.extend(report.into_diagnostics());
    }
    diagnostics
}
