//! What Kruise's schema and webhook would say to a SidecarSet.
//!
//! The rules are those of Kruise v1.9.0 and of the pod validation of Kubernetes v1.32 that it borrows. Fields are
//! named as Kruise names them, which is not always where they stand. What Kruise lets through and then ignores is a
//! warning. Whether a cluster allows the keys of `patchPodMetadata` depends on the cluster and is not judged.

mod claim;
mod conflicts;
mod container;
mod env;
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

use super::SidecarSet;
use crate::diagnostics::Diagnostic;
use crate::model::json::JsonObject;
use report::ValidationReport;
use serde_json::Value;
use std::sync::Arc;

/// What a set is seen together with.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidationContext<'a> {
    /// The set as it was, where this is an update.
    pub old: Option<&'a SidecarSet>,
    /// The other sets of the cluster; one of the same name is the set itself.
    pub others: &'a [Arc<SidecarSet>],
    /// Earlier states of sets, among which a revision named in `injectionStrategy` must be. Where none are given,
    /// such a revision is an error, as it is in a cluster that has none.
    pub history: &'a [Arc<SidecarSet>],
}

/// Checks a set that was decoded, as Kruise would on its way into the cluster. The diagnostics of decoding are not
/// repeated. Conflicts with other sets are looked for only in a set that is sound by itself, as in Kruise.
pub fn validate(set: &SidecarSet, surroundings: ValidationContext<'_>) -> Vec<Diagnostic> {
    let mut report = ValidationReport::new(&set.locations);
    let empty = JsonObject::new();
    let spec = match &set.canonical_spec {
        Value::Object(spec) => spec,
        _ => &empty,
    };
    meta::check(&mut report, &set.metadata);
    strategy::check_selectors(&mut report, spec);
    strategy::check_injection(&mut report, set, spec, surroundings.history);
    strategy::check_update(&mut report, spec);
    let volumes = volume::check(&mut report, spec);
    sidecar::check(&mut report, spec);
    container::check(&mut report, spec, &volumes);
    meta::check_patches(&mut report, spec);
    if let Some(old) = surroundings.old {
        conflicts::check_update(&mut report, set, old);
    }
    if !report.has_errors() {
        conflicts::check_others(&mut report, set, surroundings.others);
    }
    report.into_diagnostics()
}

/// Checks sets against each other. Each pair that conflicts is reported once, at the set that comes later.
pub fn conflicts(sets: &[Arc<SidecarSet>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (i, set) in sets.iter().enumerate() {
        let mut report = ValidationReport::new(&set.locations);
        conflicts::check_others(&mut report, set, &sets[..i]);
        found.extend(report.into_diagnostics());
    }
    found
}
