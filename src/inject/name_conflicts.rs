//! Reports container names that conflict in one pod.
//!
//! Kruise's webhook lets a sidecar silently replace an application container of the same name; here that is an error.

use super::template::{ContainerList, PodView, container_path, item_name};
use super::types::{
    ContainerDisposition, InjectionContext, PodDispositions, SelectedSet, SetSelection, container_label,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::BTreeMap;

/// Finds names that cannot be beside each other.
pub(super) fn check_names(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    dispositions: &PodDispositions,
    context: &mut InjectionContext<'_>,
) {
    let lists = [ContainerList::Init, ContainerList::Regular];
    let own = lists.map(|list| app_container_names(list.in_pod(pod), dispositions.in_list(list)));
    let mut inits: BTreeMap<&str, SetContainer<'_>> = BTreeMap::new();
    for (list, at) in lists.into_iter().zip([0, 1]) {
        let mut seen: BTreeMap<&str, SetContainer<'_>> = BTreeMap::new();
        for selected in &selection.selected {
            for (name, sidecar) in selected.content.pod_names(list) {
                if let Some(first) = seen.insert(name, (selected, sidecar)) {
                    context.report(duplicate_name(name, first, (selected, sidecar)));
                }
                if let Some(i) = own[at].get(name) {
                    context.report(name_taken(pod, list, *i, name, selected, sidecar));
                }
                if let Some(i) = own[1 - at].get(name) {
                    context.report(name_in_both_lists(pod, list.opposite(), *i, name, selected, sidecar));
                }
                if let Some((other, init)) = inits.get(name) {
                    let found = both_lists_warning(name, selected).at(container_label(
                        selected,
                        sidecar,
                        "a container here",
                    ));
                    context.report(found.at(container_label(other, init, "an init container here")));
                }
            }
        }
        inits = seen;
    }
}

/// A container of a set.
type SetContainer<'a> = (&'a SelectedSet<'a>, &'a SidecarContainer);

/// The places of the application's containers.
fn app_container_names<'a>(
    containers: &'a [Value],
    dispositions: &[ContainerDisposition],
) -> BTreeMap<&'a str, usize> {
    let own = containers
        .iter()
        .zip(dispositions)
        .enumerate()
        .filter(|(_, (_, disposition))| **disposition == ContainerDisposition::App);
    own.rev().map(|(i, (container, _))| (item_name(container), i)).collect()
}

fn name_taken(
    pod: &PodView<'_>,
    list: ContainerList,
    index: usize,
    name: &str,
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
) -> Diagnostic {
    let path = container_path(list, index).child("name");
    let message = format!(
        "`{}` already has a container `{name}`, and so does SidecarSet `{}`",
        pod.template.key,
        selected.name()
    );
    Diagnostic::error(Code::ContainerNameTaken, message)
        .at(pod.label(&path, EntryPart::Value, "the application's container"))
        .at(container_label(selected, sidecar, "the sidecar"))
        .field(pod.template.path.join(&path).to_string())
        .because("Kruise's webhook would silently replace the application's container with the sidecar")
        .help("rename one of the two, or exclude this workload with the set's selector")
}

fn duplicate_name(name: &str, (first, one): SetContainer<'_>, (second, two): SetContainer<'_>) -> Diagnostic {
    let message = match first.name() == second.name() {
        true => format!("SidecarSet `{}` has two containers `{name}`", first.name()),
        false => {
            format!("SidecarSets `{}` and `{}` both have a container `{name}`", first.name(), second.name())
        }
    };
    Diagnostic::error(Code::DuplicateContainerName, message)
        .at(container_label(first, one, "here"))
        .at(container_label(second, two, "and here"))
        .because("the API server refuses a pod with two containers of one name")
        .help("rename one of the two, or make the selectors exclude each other")
}

fn name_in_both_lists(
    pod: &PodView<'_>,
    list: ContainerList,
    index: usize,
    name: &str,
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
) -> Diagnostic {
    let path = container_path(list, index).child("name");
    both_lists_warning(name, selected)
        .at(pod.label(&path, EntryPart::Value, format!("`{}` has it in `{}`", pod.template.key, list.key())))
        .at(container_label(selected, sidecar, &format!("injected into `{}`", list.opposite().key())))
        .field(pod.template.path.join(&path).to_string())
}

fn both_lists_warning(name: &str, selected: &SelectedSet<'_>) -> Diagnostic {
    let message = format!(
        "container `{name}` of SidecarSet `{}` has the name of one in the other list of the pod",
        selected.name()
    );
    Diagnostic::warning(Code::ContainerNameInBothLists, message)
        .because("the API server refuses a pod with one name in `initContainers` and `containers`")
        .help("rename one of the two")
}
