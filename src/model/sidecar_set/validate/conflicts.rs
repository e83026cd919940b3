//! Checks updates of a SidecarSet, and conflicts between SidecarSets that select the same pods.

use super::report::{FieldRef, ValidationReport};
use super::selector::may_overlap;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::model::json::{objects_at, text_at};
use crate::model::sidecar_set::{PatchPolicy, PodMetadataPatch, SidecarContainer, SidecarSet};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks an update. Kruise v1.9.0 validateSidecarContainerConflict: an update may remove containers, not add them.
pub(super) fn check_update(report: &mut ValidationReport<'_>, new: &SidecarSet, old: &SidecarSet) {
    let before: BTreeMap<String, String> = upgrade_types_by_name(old).collect();
    for (i, (name, kind)) in upgrade_types_by_name(new).enumerate() {
        let at = FieldRef::new(FieldPath::dotted("spec.containers").child(i));
        match before.get(&name) {
            None => {
                let message = format!("container `{name}` is new: an update cannot add or rename containers");
                let field = at.child("name").reported_as("spec.containers.name");
                let help = "create a new SidecarSet for it; init containers can be added";
                report.error(Code::ImmutableField, &field, EntryPart::Value, message, help);
            }
            Some(was) if !was.is_empty() && *was != kind => {
                let message =
                    format!("an update cannot change the upgrade type of `{name}` from {was} to {kind}");
                let field = at.child("upgradeStrategy").child("upgradeType");
                let field = field.reported_as("spec.containers.upgradeStrategy.upgradeType");
                report.add(Severity::Error, |locations| {
                    let old_at = FieldPath::dotted("spec.containers").child(position(old, &name));
                    let old_at = old_at.child("upgradeStrategy").child("upgradeType");
                    Diagnostic::error(Code::ImmutableField, message)
                        .at(locations.label(&field.path, EntryPart::Value, "changed here"))
                        .at(old.locations.label(&old_at, EntryPart::Value, "previous type"))
                        .field(&field.reported_path)
                        .because("Kruise rejects this update")
                        .help("keep the type, or create a new SidecarSet")
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

/// Returns whether two sets may select the same pod, by Kruise's rules.
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
            format!("`{}` and `{}` both define the container `{}`", set.name, other.name, container.name);
        let field = FieldRef::new(path(i)).reported_as("spec.containers");
        report_conflict(report, &field, other, &path(*j), message, "give one of them another name");
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
    report.add(Severity::Error, |locations| {
        Diagnostic::error(Code::SidecarSetsConflict, message)
            .at(locations.label(&at.path, EntryPart::Value, "here"))
            .at(other.locations.label(there, EntryPart::Value, "and here, for some of the same pods"))
            .field(&at.reported_path)
            .because("Kruise rejects a SidecarSet that conflicts with an existing one")
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
        let field = FieldRef::new(path(i)).reported_as("spec.volumes");
        report_conflict(report, &field, other, &path(*j), message, "make them equal, or rename one");
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
        let field = FieldRef::new(path(i)).reported_as("spec.patchPodMetadata");
        report_conflict(report, &field, other, &path(*j), message, "let one of them patch it");
    }
}

/// Warns of equal names in a pod that Kruise does not compare: the names of hot upgrades, and those of init containers
/// with those of containers.
fn warn_unchecked_names(report: &mut ValidationReport<'_>, set: &SidecarSet, other: &SidecarSet) {
    let pod_names = |containers: &[SidecarContainer]| -> BTreeSet<String> {
        containers.iter().flat_map(SidecarContainer::pod_names).collect()
    };
    let (their_init_names, their_names) = (pod_names(&other.init_containers), pod_names(&other.containers));
    let mut their_hot_names = their_names.clone();
    their_hot_names.retain(|name| other.containers.iter().all(|c| c.name != *name));
    let mut warn =
        |list: &str, containers: &[SidecarContainer], taken: &dyn Fn(&SidecarContainer, &String) -> bool| {
            for (i, container) in containers.iter().enumerate() {
                if let Some(name) = container.pod_names().iter().find(|name| taken(container, name)) {
                    let path = FieldPath::dotted("spec").child(list).child(i).child("name");
                    warn_name_conflict(report, set, other, &path, name);
                }
            }
        };
    warn("containers", &set.containers, &|_, name| their_init_names.contains(name));
    warn("initContainers", &set.init_containers, &|_, name| their_names.contains(name));
    warn("containers", &set.containers, &|container, name| match container.hot_upgrade_empty_image {
        Some(_) => their_names.contains(name),
        None => their_hot_names.contains(name),
    });
}

fn warn_name_conflict(
    report: &mut ValidationReport<'_>,
    set: &SidecarSet,
    other: &SidecarSet,
    path: &FieldPath,
    name: &str,
) {
    let field = FieldRef::new(path.clone());
    let message = format!("`{}` and `{}` both add a container `{name}` to a pod", set.name, other.name);
    report.add(Severity::Warning, |locations| {
        Diagnostic::warning(Code::SidecarSetsConflict, message)
            .at(locations.label(&field.path, EntryPart::Value, ""))
            .at(other.locations.label(&FieldPath::dotted("metadata.name"), EntryPart::Value, "the other set"))
            .field(&field.reported_path)
            .because("Kruise does not compare these names; the API server rejects the pods")
            .help("give one of them another name")
    });
}
