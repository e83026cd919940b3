//! Finds the parts of an earlier injection in a template, and decides which to remove.
//!
//! Kruise's webhook sees each pod once and removes nothing; a template is rendered repeatedly. Only a template with a
//! SidecarSet in its injected-list counts as rendered before. Containers are known by their mark; volumes, pull secrets
//! and patched annotations only by a known revision of the SidecarSet that wrote them.

use super::injected_mark::has_injected_mark;
use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{ContainerList, PodView, container_path, item_name, list_items};
use super::types::{
    ContainerDisposition, InjectionContext, MergedContainers, PodDispositions, PreviousInjection,
    SetSelection,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::pod_annotations::{INJECTED_LIST, parse_injected_list};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads the injected-list. A known set that is not injected now leaves it; an unknown one (a deleted set)
/// leaves it with its containers, so that a list that another program wrote stays as it is.
pub(super) fn find_previous_injection<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
) -> PreviousInjection<'a> {
    let listed = parse_injected_list(pod.annotation(INJECTED_LIST).unwrap_or_default());
    let stays = |name: &&str| {
        selection.selected.iter().any(|c| c.name() == *name)
            || selection.paused_sets.iter().any(|p| p.name() == *name)
    };
    let was_rendered = !listed.is_empty() && pod.all_containers().any(has_injected_mark);
    let is_known = |name: &str| sets.all_contents(name).next().is_some();
    let dropped = listed.iter().copied().filter(|n| !stays(n) && (is_known(n) || was_rendered)).collect();
    PreviousInjection { injected_sets: listed, removed_sets: dropped }
}

/// Decides what becomes of the pod's containers. A set with paused injection keeps the containers that it
/// added.
pub(super) fn classify_containers(
    pod: &PodView<'_>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
) -> PodDispositions {
    let of = |list: ContainerList| {
        if !list.in_pod(pod).iter().any(has_injected_mark) {
            return vec![ContainerDisposition::App; list.in_pod(pod).len()];
        }
        let disposition = |container: &Value| match item_name(container) {
            _ if !has_injected_mark(container) => ContainerDisposition::App,
            n if selection.selected.iter().any(|c| c.content.has_container(list, n)) => {
                ContainerDisposition::Replaced
            }
            n if selection
                .paused_sets
                .iter()
                .any(|p| sets.all_contents(p.name()).any(|c| c.may_have_container(list, n))) =>
            {
                ContainerDisposition::App
            }
            _ if previous.has_injected_sets() => ContainerDisposition::Removed,
            _ => ContainerDisposition::App,
        };
        list.in_pod(pod).iter().map(disposition).collect()
    };
    PodDispositions { init: of(ContainerList::Init), regular: of(ContainerList::Regular) }
}

/// Tells of the containers that go.
pub(super) fn record_removals(
    pod: &PodView<'_>,
    dispositions: &PodDispositions,
    context: &mut InjectionContext<'_>,
) {
    let Some(trace) = &mut context.trace else { return };
    for (list, index, _, _) in dispositions
        .injected_containers(pod)
        .filter(|(.., disposition)| *disposition == ContainerDisposition::Removed)
    {
        let reason = "an earlier injection added it, and no SidecarSet has it now";
        trace.removed.push((container_path(list, index), reason.to_owned()));
    }
}

/// Returns `fresh` where everything in `old` keeps its order by that, else `old` and then what it lacks of
/// `fresh`. Each name is taken once.
pub(super) fn merge_order<'a>(old: &[&'a str], fresh: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<&str> = fresh.filter(|name| seen.insert(*name)).collect();
    let stands: BTreeSet<&str> = old.iter().copied().collect();
    if wanted.iter().filter(|n| stands.contains(*n)).eq(old) {
        return wanted;
    }
    let new = wanted.into_iter().filter(|n| !stands.contains(n));
    old.iter().copied().chain(new).collect()
}

/// Returns the pod's volumes that go: an earlier content of a set wrote them and nothing uses them now.
pub(super) fn removable_volumes<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    dispositions: &PodDispositions,
    lists: [&MergedContainers<'_>; 2],
    context: &mut InjectionContext<'_>,
) -> BTreeSet<&'a str> {
    let mut removed = BTreeSet::new();
    if !previous.has_injected_sets() {
        return removed;
    }
    let new = lists.iter().flat_map(|list| &list.values).map(|item| &**item);
    let now = used_volumes(new.chain(pod.ephemeral_containers));
    let before = used_volumes(dispositions.injected_containers(pod).map(|(_, _, container, _)| container));
    for (i, volume) in pod.volumes.iter().enumerate() {
        let name = item_name(volume);
        if now.contains(name) || selection.selected.iter().any(|c| c.content.volume_index(name).is_some()) {
            continue;
        }
        if previous.known_sets(sets).any(|set| defines_volume(set, volume)) {
            removed.insert(name);
        } else if before.contains(name) {
            context.report(leftover_volume(pod, i, name));
        }
    }
    removed
}

/// Returns whether a volume of the pod was written by the set that adds this name: it is as one of the set's
/// known contents defines it.
pub(super) fn is_volume_from_set(
    pod: &PodView<'_>,
    index: usize,
    sets: &SidecarSetStore,
    previous: &PreviousInjection<'_>,
    set: &PreparedSet,
    context: &mut InjectionContext<'_>,
) -> bool {
    let volume = &pod.volumes[index];
    if !previous.contains(set.name()) {
        return false;
    }
    if defines_volume(set, volume) || sets.all_contents(set.name()).any(|s| defines_volume(s, volume)) {
        return true;
    }
    if sets.earlier_contents(set.name()).is_empty() {
        context.report(volume_differs(pod, index, set));
    }
    false
}

fn defines_volume(set: &PreparedSet, volume: &Value) -> bool {
    set.volume_index(item_name(volume)).is_some_and(|at| volume.as_object() == Some(&set.set().volumes[at]))
}

/// The volumes that containers use.
fn used_volumes<'v>(containers: impl Iterator<Item = &'v Value>) -> BTreeSet<&'v str> {
    containers
        .flat_map(|c| list_items(c, "volumeMounts").iter().chain(list_items(c, "volumeDevices")))
        .map(item_name)
        .collect()
}

/// Returns the pod's pull secrets that go: an earlier content of a set had them and no set has them now.
pub(super) fn removable_secrets<'a>(
    pod: &PodView<'a>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    dispositions: &PodDispositions,
    context: &mut InjectionContext<'_>,
) -> BTreeSet<&'a str> {
    if !previous.has_injected_sets() || pod.image_pull_secrets.is_empty() {
        return BTreeSet::new();
    }
    let is_kept = |name: &str| {
        selection.selected.iter().any(|c| c.content.has_secret(name))
            || selection.paused_sets.iter().any(|p| p.has_secret(name))
    };
    let loose = pod.image_pull_secrets.iter().map(item_name).filter(|n| !is_kept(n));
    let (removed, left): (BTreeSet<&str>, BTreeSet<&str>) =
        loose.partition(|name| previous.known_sets(sets).any(|set| set.has_secret(name)));
    let is_explained = |list: ContainerList, name: &str| {
        previous.known_sets(sets).any(|set| set.may_have_container(list, name))
    };
    let mut gone_containers = dispositions
        .injected_containers(pod)
        .filter(|(.., disposition)| *disposition == ContainerDisposition::Removed);
    if !left.is_empty() && gone_containers.any(|(list, _, c, _)| !is_explained(list, item_name(c))) {
        context.report(leftover_secrets(pod, &left));
    }
    removed
}

fn leftover_volume(pod: &PodView<'_>, index: usize, name: &str) -> Diagnostic {
    let at = FieldPath::dotted("spec.volumes").child(index).child("name");
    let message =
        format!("volume `{name}` of `{}` is no longer used, and its owner is unknown", pod.template.key);
    unknown_owner(message).at(pod.label(
        &at,
        EntryPart::Value,
        "only a sidecar of an earlier injection used it",
    ))
}

fn volume_differs(pod: &PodView<'_>, index: usize, set: &PreparedSet) -> Diagnostic {
    let volume = item_name(&pod.volumes[index]);
    let at = FieldPath::dotted("spec.volumes").child(index).child("name");
    let message = format!(
        "volume `{volume}` of `{}` differs from that of SidecarSet `{}`",
        pod.template.key,
        set.name()
    );
    let defined =
        set.set().volumes.iter().position(|v| v.get("name").and_then(Value::as_str) == Some(volume));
    let diagnostic = unknown_owner(message).at(pod.label(
        &at,
        EntryPart::Value,
        "from the application or an earlier injection",
    ));
    match defined {
        None => diagnostic,
        Some(i) => {
            let path = set.set().path.join(&FieldPath::dotted("spec.volumes")).child(i);
            diagnostic.at(set.set().document.label(&path, EntryPart::Value, "defined here"))
        }
    }
}

fn leftover_secrets(pod: &PodView<'_>, left: &BTreeSet<&str>) -> Diagnostic {
    let at = FieldPath::dotted("spec.imagePullSecrets");
    let message = format!(
        "the owner of pull secrets `{}` of `{}` is unknown",
        left.iter().copied().collect::<Vec<_>>().join("`, `"),
        pod.template.key
    );
    unknown_owner(message).at(pod.label(&at, EntryPart::Key, "a removed sidecar may have added them"))
}

fn unknown_owner(message: String) -> Diagnostic {
    Diagnostic::warning(Code::UnknownOwner, message)
        .because("it is kept: no known revision of a SidecarSet defines it")
        .help("pass the earlier revisions with `--history FILE`, or remove it by hand if it is not needed")
}

#[cfg(test)]
mod tests {
    use super::merge_order;

    #[test]
    fn new_names_find_their_place_only_where_nothing_moves() {
        for (old, fresh, result) in [
            (vec!["own", "a"], vec!["own", "new", "a"], vec!["own", "new", "a"]),
            (vec!["a", "own"], vec!["own", "new", "a"], vec!["a", "own", "new"]),
            (vec!["own"], vec!["own", "a", "a"], vec!["own", "a"]),
            (vec![], vec![], vec![]),
        ] {
            assert_eq!(merge_order(&old, fresh.into_iter()), result);
        }
    }
}
