//! Finds workloads with two manifests: the cluster has one of them, and git does not say which.

use super::{Input, manifests_of};
use crate::diagnostics::{Code, Diagnostic};
use crate::read::map_in_order;
use crate::render::{KeywordMatcher, Renderer, WorkloadRef};
use crate::yaml::{Document, EntryPart};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reports the workloads with a second manifest. `workloads` are those that some SidecarSet may select; the second
/// manifest, among `texts`, may be one that none selects.
pub(super) fn duplicate_workloads(
    workloads: &[(Arc<Document>, Vec<WorkloadRef>)],
    texts: &[(Input, Arc<str>)],
    renderer: &Renderer,
) -> Vec<Diagnostic> {
    let selected = || workloads.iter().flat_map(|(d, all)| all.iter().map(move |l| (d, l)));
    let mut first: BTreeMap<&str, (&Document, &WorkloadRef)> = BTreeMap::new();
    let mut found = Vec::new();
    for (document, located) in selected() {
        match first.get(&*located.key) {
            Some((other, at)) => found.push(duplicate_workload(located, document, other, at)),
            None => {
                first.insert(&located.key, (document, located));
            }
        }
    }
    for (document, all) in unselected_namesakes(workloads, texts, renderer) {
        let known = all.iter().filter_map(|located| Some((located, first.get(&*located.key)?)));
        found.extend(known.map(|(located, (other, at))| duplicate_workload(located, &document, other, at)));
    }
    found
}

/// Returns the workloads that no SidecarSet selects and that have the name of one that is selected.
fn unselected_namesakes(
    workloads: &[(Arc<Document>, Vec<WorkloadRef>)],
    texts: &[(Input, Arc<str>)],
    renderer: &Renderer,
) -> Vec<(Arc<Document>, Vec<WorkloadRef>)> {
    let names: BTreeSet<&str> = workloads.iter().flat_map(|(_, all)| all.iter().map(|l| &*l.name)).collect();
    let Some(names) = KeywordMatcher::new(names) else { return Vec::new() };
    let known: BTreeSet<(&str, usize)> =
        workloads.iter().map(|(document, _)| (&**document.file(), document.index())).collect();
    let work = |(input, text): &(Input, Arc<str>)| {
        let manifests = manifests_of(input, text);
        let others = manifests.filter(|m| !known.contains(&(&**m.file, m.index)) && names.matches(m.text));
        others.filter_map(|m| renderer.find_all_workloads(&m)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    map_in_order(texts, work, |others| found.extend(others));
    found
}

fn duplicate_workload(
    located: &WorkloadRef,
    document: &Document,
    other: &Document,
    first: &WorkloadRef,
) -> Diagnostic {
    let at = |l: &WorkloadRef| l.path.child("metadata").child("name");
    Diagnostic::error(Code::DuplicateWorkload, format!("`{}` has two manifests", located.key))
        .at(document.label(&at(located), EntryPart::Value, "here again"))
        .at(other.label(&at(first), EntryPart::Value, "first here"))
        .because("a rollout cannot tell which of them the cluster has")
        .help("remove one, or name the clusters they belong to in `clusters:` of pillion.yaml")
}
