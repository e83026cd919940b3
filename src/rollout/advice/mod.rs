//! Warnings about a rollout, for its reviewer.
//!
//! Compares the rollout with related objects in git (or in an observed file): PodDisruptionBudgets, autoscalers,
//! quotas, limit ranges.

mod autoscaler;
mod disruption_budget;
mod limit_defaults;
mod limit_range;
mod missing_objects;
mod pod_security;
mod qos;
mod quota;
mod rollout_warnings;

pub use autoscaler::{autoscalers_without_requests, has_autoscaler, target_name};
pub(crate) use disruption_budget::disruption_budgets;
pub use limit_defaults::LimitRangeDefaults;
pub(crate) use limit_range::limit_ranges;
pub(crate) use missing_objects::{SECRET_SOURCES, missing_objects};
pub(crate) use pod_security::pod_security;
pub(crate) use qos::lower_qos;
#[cfg(test)]
pub(crate) use qos::qos_of;
pub(crate) use quota::{missing_quota_resources, quota_warnings};
pub(crate) use rollout_warnings::too_many_batches;
pub use rollout_warnings::{canary_matches_nothing, exceeds_max_unavailable, ordered_ready_stuck};

#[cfg(test)]
use super::NO_REQUIREMENTS;
use super::simulation::{PodUpdateRange, SimulationOutcome};
use super::{LabelMap, PodRequirements};
use crate::diagnostics::{Diagnostic, Span};
use crate::model::workload::api_group;
use crate::yaml::{DocumentSource, EntryPart, FieldPath};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The location of an object.
#[derive(Debug, Clone)]
pub struct AdviceLocation<'a> {
    /// The document.
    pub source: &'a DocumentSource,
    /// The object in it; the root except for items of a List.
    pub path: FieldPath,
}

/// A workload of the cluster, whether the rollout updates it or not.
#[derive(Debug, Clone)]
pub struct AdviceWorkload<'a> {
    /// Its API group.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The object.
    pub object: &'a Value,
    /// The labels of its pods.
    pub labels: Cow<'a, LabelMap>,
    /// The containers and resources of its pod template before the rollout; for a bare Pod of the object.
    pub old_template: &'a Value,
    /// The same after the rollout.
    pub new_template: &'a Value,
    /// What its pods need from the namespace before the rollout.
    pub old_requirements: &'a PodRequirements,
    /// The same after the rollout.
    pub new_requirements: &'a PodRequirements,
    /// The labels of its namespace, where they are known.
    pub namespace_labels: Option<&'a BTreeMap<String, String>>,
    /// The rollout changes its pod template, whether these parts or others.
    pub is_changed: bool,
    /// Its pods now; 0 where there are none or their number is unknown.
    pub replicas: u64,
    /// Its location.
    pub location: Option<AdviceLocation<'a>>,
}

#[cfg(test)]
impl<'a> AdviceWorkload<'a> {
    /// Returns Deployment shop/web with one replica; a test replaces what its case is about.
    fn web(old_template: &'a Value, new_template: &'a Value) -> Self {
        AdviceWorkload {
            group: "apps",
            kind: "Deployment",
            namespace: "shop",
            name: "web",
            object: &Value::Null,
            labels: Cow::Owned(super::template_labels(new_template)),
            old_template,
            new_template,
            old_requirements: &NO_REQUIREMENTS,
            new_requirements: &NO_REQUIREMENTS,
            namespace_labels: None,
            is_changed: old_template != new_template,
            replicas: 1,
            location: None,
        }
    }
}

/// An object beside the workloads.
#[derive(Debug, Clone)]
pub struct AdviceObject<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The object.
    pub object: &'a Value,
    /// Its location.
    pub location: Option<AdviceLocation<'a>>,
}

/// One batch of a plan.
#[derive(Debug, Clone, Default)]
pub struct BatchImpact {
    /// Its number, from 1.
    pub number: usize,
    /// For each workload that updates pods: its index among the subjects, the pods, and the result of the simulation.
    pub updates: Vec<(usize, PodUpdateRange, SimulationOutcome)>,
}

/// Returns all warnings that follow from related objects, and from the templates alone.
pub fn advise(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
    batches: &[BatchImpact],
) -> Vec<Diagnostic> {
    let mut found = disruption_budgets(subjects, objects, batches);
    found.extend(lower_qos(subjects, objects));
    found.extend(autoscalers_without_requests(subjects, objects));
    found.extend(quota_warnings(subjects, objects, batches));
    found.extend(missing_quota_resources(subjects, objects));
    found.extend(limit_ranges(subjects, objects));
    found.extend(missing_objects(subjects, objects));
    found.extend(pod_security(subjects));
    found
}

impl AdviceWorkload<'_> {
    /// Returns kind, namespace and name, for people.
    pub(crate) fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// Adds the location of the workload, where it is known.
    fn add_label(&self, diagnostic: Diagnostic, text: &str) -> Diagnostic {
        match label_at(self.location.as_ref(), &FieldPath::dotted("metadata.name"), text) {
            Some(label) => diagnostic.at(label),
            None => diagnostic,
        }
    }
}

impl AdviceObject<'_> {
    fn is_kind(&self, group: &str, kind: &str) -> bool {
        let text = |key: &str| self.object.get(key).and_then(Value::as_str).unwrap_or_default();
        text("kind") == kind && api_group(text("apiVersion")) == group
    }

    fn name(&self) -> &str {
        let name = self.object.get("metadata").and_then(|m| m.get("name"));
        name.and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds the location of a field, where it is known.
    fn add_label(&self, diagnostic: Diagnostic, field: &FieldPath, text: &str) -> Diagnostic {
        match label_at(self.location.as_ref(), field, text) {
            Some(label) => diagnostic.at(label),
            None => diagnostic,
        }
    }
}

fn label_at(place: Option<&AdviceLocation<'_>>, field: &FieldPath, text: &str) -> Option<Span> {
    let place = place?;
    Some(place.source.label(&place.path.join(field), EntryPart::Value, text))
}

/// Returns the objects of a kind in a namespace.
fn objects_of_kind<'n, 'a>(
    objects: &'n [AdviceObject<'a>],
    (group, kind): (&'static str, &'static str),
) -> impl Iterator<Item = &'n AdviceObject<'a>> {
    objects.iter().filter(move |n| n.is_kind(group, kind))
}
