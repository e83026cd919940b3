//! What a set may not change in an update, and what it may not share with another set for the same pods.

use super::report::{FieldRef, ValidationReport, label};
use super::selector::may_overlap;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::model::json::{objects_at, text_at};
use crate::model::sidecar_set::{PatchPolicy, PodMetadataPatch, SidecarContainer, SidecarSet};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks what an update changes. Kruise v1.9.0 validateSidecarContainerConflict: containers may go, but not come.
pub(super) fn check_update(report: &mut ValidationReport<'_>, new: &SidecarSet, old: &SidecarSet) {
    let before: BTreeMap<String, String> = upgrade_types_by_name(old).collect();
    for (i, (name, kind)) in upgrade_types_by_name(new).enumerate() {
        let at = FieldRef::new(FieldPath::dotted("spec.containers").child(i));
        match before.get(&name) {
            None => {
                let message =
                    format!("the container `{name}` is new: an update cannot add or rename containers");
                let spot = at.child("name").with_name("spec.containers.name");
                let help = "make a new SidecarSet for it; init containers can be added";
                report.error(Code::ImmutableField, &spot, EntryPart::Value, message, help);
            }
            Some(was) if !was.is_empty() && *was != kind => {
                let message =
                    format!("an update cannot change the upgrade type of `{name}` from {was} to {kind}");
                let spot = at.child("upgradeStrategy").child("upgradeType");
                let spot = spot.with_name("spec.containers.upgradeStrategy.upgradeType");
                report.add(Severity::Error, |places| {
                    let old_at = FieldPath::dotted("spec.containers").child(position(old, &name));
                    let old_at = old_at.child("upgradeStrategy").child("upgradeType");
                    Diagnostic::error(Code::ImmutableField, message)
                        .at(label(places, &spot, EntryPart::Value, "changed here"))
                        .at(old.locations.label(&old_at, EntryPart::Value, "it was this before"))
                        .field(&spot.field)
                        .because("Kruise refuses such an update")
                        .help("keep the type, or make a new SidecarSet")
                });
            }
            Some(_) => {}
        }
    }
}

fn upgrade_types_by_name(set: &SidecarSet) -> impl Iterator<Item = (String, String)> {
    let containers =
        set.canonical_spec.as_object().map(|spec| objects_at(spec, "containers").collect::<Vec<_>>());
    containers.unwrap_or_default().into_iter().map(|c| {
        let kind = c.get("upgradeStrategy").and_then(|u| u.get("upgradeType")).and_then(Value::as_str);
        (text_at(c, "name").to_owned(), kind.unwrap_or_default().to_owned())
    })
}

fn position(set: &SidecarSet, name: &str) -> usize {
    set.containers.iter().position(|c| c.name == name).unwrap_or(0)
}

/// Checks a set against others that may apply to the same pods.
pub(super) fn check_others(report: &mut ValidationReport<'_>, set: &SidecarSet, others: &[Arc<SidecarSet>]) {
    for other in others.iter().filter(|o| o.name != set.name && select_same_pods(set, o)) {
        check_names(report, set, other, "initContainers", &set.init_containers, &other.init_containers);
        check_names(report, set, other, "containers", &set.containers, &other.containers);
        check_volumes(report, set, other);
        check_patches(report, set, other);
        warn_unchecked_names(report, set, other);
    }
}

/// Tells whether two sets may apply to one pod, as far as Kruise looks.
fn select_same_pods(a: &SidecarSet, b: &SidecarSet) -> bool {
    let namespaces = match (&a.namespace_selector, &b.namespace_selector) {
        (Some(a), Some(b)) => may_overlap(a, b),
        _ => true,
    };
    namespaces && may_overlap(&a.selector, &b.selector)
}

fn check_names(
    report: &mut ValidationReport<'_>,
    set: &SidecarSet,
    other: &SidecarSet,
    list: &str,
    own: &[SidecarContainer],
    theirs: &[SidecarContainer],
) {
    let taken: BTreeMap<&str, usize> = theirs.iter().enumerate().map(|(i, c)| (c.name.as_str(), i)).collect();
    for (i, container) in own.iter().enumerate() {
        let Some(j) = taken.get(container.name.as_str()) else { continue };
        let path = |i: usize| FieldPath::dotted("spec").child(list).child(i).child("name");
        let message =
            format!("`{}` and `{}` both bring a container `{}`", set.name, other.name, container.name);
        let spot = FieldRef::new(path(i)).with_name("spec.containers");
        report_conflict(report, &spot, other, &path(*j), message, "give one of them another name");
    }
}

fn report_conflict(
    report: &mut ValidationReport<'_>,
    at: &FieldRef,
    other: &SidecarSet,
    there: &FieldPath,
    message: String,
    help: &str,
) {
    report.add(Severity::Error, |places| {
        Diagnostic::error(Code::SidecarSetsConflict, message)
            .at(label(places, at, EntryPart::Value, "here"))
            .at(other.locations.label(there, EntryPart::Value, "and here, for some of the same pods"))
            .field(&at.field)
            .because("Kruise refuses a SidecarSet that conflicts with one it has")
            .help(format!("{help}, or select other pods"))
    });
}

fn check_volumes(report: &mut ValidationReport<'_>, set: &SidecarSet, other: &SidecarSet) {
    let stored = |set: &SidecarSet| -> Vec<Value> {
        set.canonical_spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let name = |v: &Value| v.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let theirs: BTreeMap<String, (usize, Value)> =
        stored(other).into_iter().enumerate().map(|(i, v)| (name(&v), (i, v))).collect();
    for (i, volume) in stored(set).iter().enumerate() {
        let Some((j, _)) = theirs.get(&name(volume)).filter(|(_, v)| v != volume) else { continue };
        let path = |i: usize| FieldPath::dotted("spec.volumes").child(i);
        let message =
            format!("`{}` and `{}` define the volume `{}` differently", set.name, other.name, name(volume));
        let spot = FieldRef::new(path(i)).with_name("spec.volumes");
        report_conflict(report, &spot, other, &path(*j), message, "make both the same, or rename one");
    }
}

fn check_patches(report: &mut ValidationReport<'_>, set: &SidecarSet, other: &SidecarSet) {
    let written = |patches: &[PodMetadataPatch]| -> Vec<(String, PatchPolicy, usize)> {
        let patches = patches.iter().enumerate().filter(|(_, p)| p.policy != PatchPolicy::Retain);
        patches.flat_map(|(i, p)| p.annotations.iter().map(move |(k, _)| (k.clone(), p.policy, i))).collect()
    };
    let theirs: BTreeMap<String, (PatchPolicy, usize)> =
        written(&other.patch_pod_metadata).into_iter().map(|(k, p, i)| (k, (p, i))).collect();
    for (key, policy, i) in written(&set.patch_pod_metadata) {
        let Some((their_policy, j)) = theirs.get(&key) else { continue };
        if policy != PatchPolicy::Overwrite && *their_policy != PatchPolicy::Overwrite {
            continue;
        }
        let path = |i: usize| {
            FieldPath::dotted("spec.patchPodMetadata").child(i).child("annotations").child(key.clone())
        };
        let message = format!("`{}` and `{}` both patch the annotation `{key}`", set.name, other.name);
        let spot = FieldRef::new(path(i)).with_name("spec.patchPodMetadata");
        report_conflict(report, &spot, other, &path(*j), message, "let one of them patch it");
    }
}

/// Names that Kruise does not compare, though they meet in the pod: twins of hot upgrades, and init containers
/// against containers.
fn warn_unchecked_names(report: &mut ValidationReport<'_>, set: &SidecarSet, other: &SidecarSet) {
    for (list, own, theirs) in [
        ("containers", &set.containers, &other.init_containers),
        ("initContainers", &set.init_containers, &other.containers),
    ] {
        warn_pod_name_conflicts(report, set, other, list, own, &pod_container_names(theirs));
    }
    let hot = |c: &SidecarContainer| c.hot_upgrade_empty_image.is_some();
    if set.containers.iter().chain(&other.containers).any(hot) {
        let same: BTreeSet<&str> = other.containers.iter().map(|c| c.name.as_str()).collect();
        let twins: BTreeSet<String> = pod_container_names(&other.containers)
            .into_iter()
            .filter(|n| !same.contains(n.as_str()))
            .collect();
        let all: BTreeSet<String> = pod_container_names(&other.containers).into_iter().collect();
        for (i, container) in set.containers.iter().enumerate() {
            let names = pod_container_names(std::slice::from_ref(container));
            let taken = if hot(container) { &all } else { &twins };
            if let Some(name) = names.iter().find(|n| taken.contains(*n)) {
                warn_name_conflict(
                    report,
                    set,
                    other,
                    &FieldPath::dotted("spec.containers").child(i).child("name"),
                    name,
                );
            }
        }
    }
}

/// Returns the names that containers have in the pod.
fn pod_container_names(containers: &[SidecarContainer]) -> Vec<String> {
    let names = |c: &SidecarContainer| match c.hot_upgrade_empty_image {
        Some(_) => vec![format!("{}-1", c.name), format!("{}-2", c.name)],
        None => vec![c.name.clone()],
    };
    containers.iter().flat_map(names).collect()
}

fn warn_pod_name_conflicts(
    report: &mut ValidationReport<'_>,
    set: &SidecarSet,
    other: &SidecarSet,
    list: &str,
    own: &[SidecarContainer],
    theirs: &[String],
) {
    let theirs: BTreeSet<&String> = theirs.iter().collect();
    for (i, container) in own.iter().enumerate() {
        if let Some(name) =
            pod_container_names(std::slice::from_ref(container)).iter().find(|n| theirs.contains(n))
        {
            warn_name_conflict(
                report,
                set,
                other,
                &FieldPath::dotted("spec").child(list).child(i).child("name"),
                name,
            );
        }
    }
}

fn warn_name_conflict(
    report: &mut ValidationReport<'_>,
    set: &SidecarSet,
    other: &SidecarSet,
    path: &FieldPath,
    name: &str,
) {
    let spot = FieldRef::new(path.clone());
    let message = format!("`{}` and `{}` both put a container `{name}` into a pod", set.name, other.name);
    report.add(Severity::Warning, |places| {
        Diagnostic::warning(Code::SidecarSetsConflict, message)
            .at(label(places, &spot, EntryPart::Value, ""))
            .at(other.locations.label(&FieldPath::dotted("metadata.name"), EntryPart::Value, "the other set"))
            .field(&spot.field)
            .because("Kruise does not compare these names; the API server refuses the pods")
            .help("give one of them another name")
    });
}
