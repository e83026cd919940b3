//! What should a reviewer know before a rollout starts?
//!
//! Everything here compares what the rollout does with objects beside the workloads, as far as git (or an observed
//! file) holds them: PodDisruptionBudgets, autoscalers, quotas, limit ranges.

mod autoscaler;
mod defaults;
mod disruption;
mod limit_range;
mod qos;
mod quota;
mod rollout;

pub use autoscaler::{has_autoscaler, missing_requests, target_name};
pub use defaults::Defaults;
pub use disruption::disruption_budgets;
pub use limit_range::limit_ranges;
pub use qos::{Qos, lower_qos, qos_of};
pub use quota::{quotas, resources_for_quota};
pub use rollout::{above_max_unavailable, canary_matches_nothing, ordered_ready, too_many_batches};

use super::simulate::{Move, Outcome};
use crate::diag::{Diagnostic, Label};
use crate::model::workload::group_of;
use crate::yaml::{Document, Part, Path};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where an object is written.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The document.
    pub document: &'a Document,
    /// The object in it; the root but for items of a List.
    pub path: Path,
}

/// A workload of the cluster, whether the rollout moves it or not.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
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
    /// Its pod template before the rollout; for a bare Pod the object.
    pub old: &'a Value,
    /// Its pod template after it.
    pub new: &'a Value,
    /// Its pods now; 0 where there are none or nobody knows.
    pub pods: u64,
    /// Where it is written.
    pub place: Option<Place<'a>>,
}

/// An object beside the workloads.
#[derive(Debug, Clone)]
pub struct Neighbour<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The object.
    pub object: &'a Value,
    /// Where it is written.
    pub place: Option<Place<'a>>,
}

/// One batch of a plan.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Its number, from 1.
    pub number: usize,
    /// The index of each workload that moves pods among the subjects, the pods, and what the simulation says.
    pub moves: Vec<(usize, Move, Outcome)>,
}

/// Returns all warnings that follow from the objects beside the workloads, and from the templates alone.
pub fn advise(subjects: &[Subject<'_>], neighbours: &[Neighbour<'_>], batches: &[Batch]) -> Vec<Diagnostic> {
    let mut found = disruption_budgets(subjects, neighbours, batches);
    found.extend(lower_qos(subjects, neighbours));
    found.extend(missing_requests(subjects, neighbours));
    found.extend(quotas(subjects, neighbours, batches));
    found.extend(resources_for_quota(subjects, neighbours));
    found.extend(limit_ranges(subjects, neighbours));
    found
}

impl Subject<'_> {
    /// Returns kind, namespace and name, for people.
    pub fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// Returns the labels that its pods will have.
    fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.new.get("metadata").and_then(|m| m.get("labels")).and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
    }

    /// Adds where the workload is written, if anybody knows.
    fn mark(&self, diagnostic: Diagnostic, text: &str) -> Diagnostic {
        match mark(self.place.as_ref(), &Path::dotted("metadata.name"), text) {
            Some(label) => diagnostic.at(label),
            None => diagnostic,
        }
    }
}

impl Neighbour<'_> {
    fn is(&self, group: &str, kind: &str) -> bool {
        let text = |key: &str| self.object.get(key).and_then(Value::as_str).unwrap_or_default();
        text("kind") == kind && group_of(text("apiVersion")) == group
    }

    fn name(&self) -> &str {
        let name = self.object.get("metadata").and_then(|m| m.get("name"));
        name.and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds where a field is written, if anybody knows.
    fn mark(&self, diagnostic: Diagnostic, field: &Path, text: &str) -> Diagnostic {
        match mark(self.place.as_ref(), field, text) {
            Some(label) => diagnostic.at(label),
            None => diagnostic,
        }
    }
}

fn mark(place: Option<&Place<'_>>, field: &Path, text: &str) -> Option<Label> {
    let place = place?;
    Some(place.document.label(&place.path.join(field), Part::Value, text))
}

/// Returns the neighbours of a kind in a namespace.
fn of_kind<'n, 'a>(
    neighbours: &'n [Neighbour<'a>],
    (group, kind): (&'static str, &'static str),
) -> impl Iterator<Item = &'n Neighbour<'a>> {
    neighbours.iter().filter(move |n| n.is(group, kind))
}
