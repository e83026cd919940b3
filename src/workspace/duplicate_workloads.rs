//! Finds workloads with two manifests: the cluster has one of them, and git does not say which.

use super::{Input, manifests_of};
use crate::diagnostics::{Code, Diagnostic};
use crate::read::map_in_order;
use crate::render::{KeywordMatcher, Renderer, WorkloadOutline, WorkloadRef};
use crate::yaml::{Document, EntryPart};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reports the workloads with a second manifest. `workloads` are those that some SidecarSet may select; the second
/// manifest, among `texts`, may be one that none selects.
pub(super) fn duplicate_workloads(
    workloads: &[Arc<WorkloadOutline>],
    texts: &[(Input, Arc<str>)],
    renderer: &Renderer,
) -> Vec<Diagnostic> {
    let mut first: BTreeMap<&str, &WorkloadOutline> = BTreeMap::new();
    let mut found = Vec::new();
    for workload in workloads {
        match first.get(&*workload.manifest.key) {
            Some(other) => {
                found.push(duplicate_workload(&workload.manifest, &workload.source.read(), other));
            }
            None => {
                first.insert(&workload.manifest.key, workload);
            }
        }
    }
    for (document, all) in unselected_namesakes(workloads, texts, renderer) {
        let known = all.iter().filter_map(|located| Some((located, first.get(&*located.key)?)));
        found.extend(known.map(|(located, other)| duplicate_workload(located, &document, other)));
    }
    found
}

/// Returns the workloads that no SidecarSet selects and that have the name of one that is selected.
fn unselected_namesakes(
    workloads: &[Arc<WorkloadOutline>],
    texts: &[(Input, Arc<str>)],
    renderer: &Renderer,
) -> Vec<(Arc<Document>, Vec<WorkloadRef>)> {
    let names: BTreeSet<&str> = workloads.iter().map(|workload| &*workload.manifest.name).collect();
    let Some(names) = KeywordMatcher::new(names) else { return Vec::new() };
    let known: BTreeSet<(&str, usize)> =
        workloads.iter().map(|w| (&**w.source.file(), w.source.index())).collect();
    let work = |(input, text): &(Input, Arc<str>)| {
        let manifests = manifests_of(input, text);
        let others = manifests.filter(|m| !known.contains(&(&**m.file, m.index)) && names.matches(m.text));
        others.filter_map(|m| renderer.find_all_workloads(&m)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    map_in_order(texts, work, |others| found.extend(others));
    found
}

fn duplicate_workload(located: &WorkloadRef, document: &Document, first: &WorkloadOutline) -> Diagnostic {
    let at = |l: &WorkloadRef| l.path.child("metadata").child("name");
    Diagnostic::error(Code::DuplicateWorkload, format!("`{}` has two manifests", located.key))
        .at(document.label(&at(located), EntryPart::Value, "here again"))
        .at(first.source.label(&at(&first.manifest), EntryPart::Value, "first here"))
        .because("a rollout cannot tell which of them the cluster has")
        .help("remove one, or name the clusters they belong to in `clusters:` of pillion.yaml")
}
