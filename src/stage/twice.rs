//! Two manifests of one workload: the cluster has one of them, and nobody knows which.

use super::Site;
use super::site::manifests_of;
use crate::diag::{Code, Diagnostic};
use crate::read::{Input, in_order};
use crate::render::{AnyOf, Located};
use crate::yaml::{Document, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Says which workloads that some SidecarSet may select stand in a second manifest, whether that is selected or not.
pub(super) fn twice(site: &Site) -> Vec<Diagnostic> {
    let selected = || site.workloads().iter().flat_map(|(d, all)| all.iter().map(move |l| (d, l)));
    let mut first: BTreeMap<&str, (&Document, &Located)> = BTreeMap::new();
    let mut found = Vec::new();
    for (document, located) in selected() {
        match first.get(&*located.key) {
            Some((other, at)) => found.push(told(located, document, other, at)),
            None => {
                first.insert(&located.key, (document, located));
            }
        }
    }
    for (document, all) in unselected(site) {
        let known = all.iter().filter_map(|located| Some((located, first.get(&*located.key)?)));
        found.extend(known.map(|(located, (other, at))| told(located, &document, other, at)));
    }
    found
}

/// The workloads that no SidecarSet selects and that are called like one that is selected.
fn unselected(site: &Site) -> Vec<(Arc<Document>, Vec<Located>)> {
    let names: BTreeSet<&str> =
        site.workloads().iter().flat_map(|(_, all)| all.iter().map(|l| &*l.name)).collect();
    let Some(names) = AnyOf::new(names) else { return Vec::new() };
    let known: BTreeSet<(&str, usize)> =
        site.workloads().iter().map(|(document, _)| (&**document.file(), document.index())).collect();
    let work = |(input, text): &(Input, Arc<str>)| {
        let manifests = manifests_of(input, text);
        let others = manifests.filter(|m| !known.contains(&(&**m.file, m.index)) && names.is_in(m.text));
        others.filter_map(|m| site.prepared.renderer.all_workloads(&m)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    in_order(site.inputs(), work, |others| found.extend(others));
    found
}

fn told(located: &Located, document: &Document, other: &Document, first: &Located) -> Diagnostic {
    let at = |l: &Located| l.base.then("metadata").then("name");
    Diagnostic::error(Code::WorkloadTwice, format!("`{}` stands in two manifests", located.key))
        .at(document.label(&at(located), Part::Value, "here again"))
        .at(other.label(&at(first), Part::Value, "first here"))
        .because("a rollout cannot tell which of them the cluster has")
        .help("remove one, or name the clusters they belong to in `clusters:` of pillion.yaml")
}
