//! Names of containers that cannot stand beside each other in one pod.
//!
//! Kruise's webhook lets a sidecar silently replace an application's container of its name; here that is an
//! error.

use super::Work;
use super::containers::{List, label, path};
use super::removal::{Fate, Fates};
use super::revision::Chosen;
use super::selects::Choice;
use super::template::{Pod, name};
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::Part;
use serde_json::Value;
use std::collections::BTreeMap;

/// Finds names that cannot stand beside each other.
pub(super) fn check(pod: &Pod<'_>, choice: &Choice<'_>, fates: &Fates, work: &mut Work<'_>) {
    let lists = [List::Init, List::Main];
    let own = lists.map(|list| own_names(list.of(pod), fates.of(list)));
    let mut inits: BTreeMap<&str, Sidecar<'_>> = BTreeMap::new();
    for (list, at) in lists.into_iter().zip([0, 1]) {
        let mut seen: BTreeMap<&str, Sidecar<'_>> = BTreeMap::new();
        for chosen in &choice.chosen {
            for (name, sidecar) in chosen.content.final_names(list) {
                if let Some(first) = seen.insert(name, (chosen, sidecar)) {
                    work.tell(name_twice(name, first, (chosen, sidecar)));
                }
                if let Some(i) = own[at].get(name) {
                    work.tell(name_taken(pod, list, *i, name, chosen, sidecar));
                }
                if let Some(i) = own[1 - at].get(name) {
                    work.tell(name_in_both_lists(pod, list.other(), *i, name, chosen, sidecar));
                }
                if let Some((other, init)) = inits.get(name) {
                    let found = both_lists(name, chosen).at(label(chosen, sidecar, "a container here"));
                    work.tell(found.at(label(other, init, "an init container here")));
                }
            }
        }
        inits = seen;
    }
}

/// A container of a set.
type Sidecar<'a> = (&'a Chosen<'a>, &'a SidecarContainer);

/// The places of the application's containers.
fn own_names<'a>(containers: &'a [Value], fates: &[Fate]) -> BTreeMap<&'a str, usize> {
    let own = containers.iter().zip(fates).enumerate().filter(|(_, (_, fate))| **fate == Fate::Own);
    own.rev().map(|(i, (container, _))| (name(container), i)).collect()
}

fn name_taken(
    pod: &Pod<'_>,
    list: List,
    index: usize,
    name: &str,
    chosen: &Chosen<'_>,
    sidecar: &SidecarContainer,
) -> Diagnostic {
    let path = path(list, index).then("name");
    let message = format!(
        "`{}` has a container `{name}` already, and so has SidecarSet `{}`",
        pod.template.key,
        chosen.name()
    );
    Diagnostic::error(Code::ContainerNameTaken, message)
        .at(pod.label(&path, Part::Value, "the application's container"))
        .at(label(chosen, sidecar, "the sidecar"))
        .field(pod.template.path.join(&path).to_string())
        .because(
            "Kruise's webhook would silently put the sidecar in the place of the application's container",
        )
        .help("rename one of the two, or let the set's selector leave this workload out")
}

fn name_twice(name: &str, (first, one): Sidecar<'_>, (second, two): Sidecar<'_>) -> Diagnostic {
    let message = match first.name() == second.name() {
        true => format!("SidecarSet `{}` brings two containers `{name}`", first.name()),
        false => {
            format!("SidecarSets `{}` and `{}` both bring a container `{name}`", first.name(), second.name())
        }
    };
    Diagnostic::error(Code::ContainerNameTwice, message)
        .at(label(first, one, "here"))
        .at(label(second, two, "and here"))
        .because("the API server refuses a pod with two containers of one name")
        .help("rename one of the two, or make the selectors exclude each other")
}

fn name_in_both_lists(
    pod: &Pod<'_>,
    list: List,
    index: usize,
    name: &str,
    chosen: &Chosen<'_>,
    sidecar: &SidecarContainer,
) -> Diagnostic {
    let path = path(list, index).then("name");
    both_lists(name, chosen)
        .at(pod.label(&path, Part::Value, format!("`{}` has it in `{}`", pod.template.key, list.key())))
        .at(label(chosen, sidecar, &format!("injected into `{}`", list.other().key())))
        .field(pod.template.path.join(&path).to_string())
}

fn both_lists(name: &str, chosen: &Chosen<'_>) -> Diagnostic {
    let message = format!(
        "container `{name}` of SidecarSet `{}` has the name of one in the other list of the pod",
        chosen.name()
    );
    Diagnostic::warning(Code::ContainerNameInBothLists, message)
        .because("the API server refuses a pod with one name in `initContainers` and `containers`")
        .help("rename one of the two")
}
