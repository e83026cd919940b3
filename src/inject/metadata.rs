//! The webhook's own annotations: the injected-list, both hashes, and those of hot-upgrade pairs.

use super::hot_upgrade;
use super::template::{JsonObject, PodView, set_annotation, text_at};
use super::types::{
    InjectionContext, NewContainer, PodDispositions, PreviousInjection, SelectedSet, SetSelection,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::config::AnnotationMode;
use crate::model::go_json::to_go_json;
use crate::model::pod_annotations::{
    INJECTED_LIST, SIDECARSET_HASH, SIDECARSET_HASH_WITHOUT_IMAGE, WORKING_CONTAINERS, is_json_null,
    parse_hashes, parse_injected_list,
};
use crate::yaml::{EntryPart, FieldPath};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Brings the annotations up to date for the mode that is asked for; what another mode has written for the
/// same sets is removed.
pub(super) fn update_annotations(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    dispositions: &PodDispositions,
    new_containers: &[NewContainer<'_>],
    patched: &JsonObject,
    context: &mut InjectionContext<'_>,
) -> JsonObject {
    let mut annotations = patched.clone();
    let mode = context.options.annotations;
    for key in [SIDECARSET_HASH, SIDECARSET_HASH_WITHOUT_IMAGE] {
        if mode == AnnotationMode::Kruise && !selection.selected.is_empty() {
            write_hashes(pod, selection, previous, key, &mut annotations, context);
        } else {
            let leaves = |set: &str| {
                let is_chosen = selection.selected.iter().any(|c| c.name() == set);
                previous.removed_sets.contains(set) || (is_chosen && previous.contains(set))
            };
            remove_hashes(key, leaves, &mut annotations);
        }
    }
    write_injected_list(selection, previous, mode, &mut annotations);
    if new_containers.iter().any(|b| b.hot_upgrade_twin.is_some())
        && is_json_null(text_at(&annotations, WORKING_CONTAINERS))
    {
        context.report(unreadable_annotation(pod, WORKING_CONTAINERS));
    }
    hot_upgrade::write_annotations(new_containers, &dispositions.removed_names(pod), &mut annotations);
    annotations
}

/// Kruise v1.9.0 joins the names with those that are there, split at commas and not trimmed, each once,
/// sorted.
fn write_injected_list(
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    mode: AnnotationMode,
    annotations: &mut JsonObject,
) {
    if selection.selected.is_empty() && previous.removed_sets.is_empty() {
        return;
    }
    let old = text_at(annotations, INJECTED_LIST).to_owned();
    let mut names = parse_injected_list(&old);
    names.retain(|name| !previous.removed_sets.contains(name));
    for selected in &selection.selected {
        match mode {
            AnnotationMode::None => names.remove(selected.name()),
            AnnotationMode::Minimal | AnnotationMode::Kruise => names.insert(selected.name()),
        };
    }
    let list = names.into_iter().collect::<Vec<_>>().join(",");
    if list.is_empty() {
        annotations.shift_remove(INJECTED_LIST);
    } else {
        set_annotation(annotations, INJECTED_LIST, &list);
    }
}

fn write_hashes(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    key: &str,
    annotations: &mut JsonObject,
    context: &mut InjectionContext<'_>,
) {
    let written = text_at(annotations, key);
    let Some(mut entries) = parse_hashes(written).filter(|_| !is_json_null(written)) else {
        context.report(unreadable_annotation(pod, key));
        return;
    };
    entries.retain(|set, _| !previous.removed_sets.contains(set.as_str()));
    for selected in &selection.selected {
        entries.insert(selected.name().to_owned(), hash_entry(selected, key));
    }
    set_annotation(annotations, key, &encode_hashes(entries));
}

/// Removes entries; a text that cannot be read stays as it is.
fn remove_hashes(key: &str, leaves: impl Fn(&str) -> bool, annotations: &mut JsonObject) {
    let Some(mut entries) = parse_hashes(text_at(annotations, key)) else { return };
    let before = entries.len();
    entries.retain(|set, _| !leaves(set));
    if entries.len() == before {
        return;
    }
    if entries.is_empty() {
        annotations.shift_remove(key);
    } else {
        set_annotation(annotations, key, &encode_hashes(entries));
    }
}

/// Kruise v1.9.0 writes the time of injection; the same bytes in must give the same bytes out, so it is null
/// here, which Kruise reads and writes for a time that is not set.
fn hash_entry(selected: &SelectedSet<'_>, key: &str) -> Value {
    let set = selected.content.set();
    let natives = set.init_containers.iter().filter(|c| c.is_native_sidecar);
    let list: BTreeSet<&str> = natives.chain(&set.containers).map(|c| c.name.as_str()).collect();
    let hash = if key == SIDECARSET_HASH { &set.hash } else { &set.hash_without_image };
    let mut entry = json!({
        "updateTimestamp": null,
        "hash": hash,
        "sidecarSetName": selected.name(),
        "sidecarList": list,
    });
    if key == SIDECARSET_HASH && selected.is_registered {
        entry["controllerRevision"] = Value::String(set.revision_name.clone());
    }
    entry
}

fn encode_hashes(entries: BTreeMap<String, Value>) -> String {
    to_go_json(&Value::Object(entries.into_iter().collect()))
}

fn unreadable_annotation(pod: &PodView<'_>, key: &str) -> Diagnostic {
    let path = FieldPath::dotted("metadata.annotations").child(key);
    let what = match key {
        WORKING_CONTAINERS => "`null`, not a JSON object from containers to containers of the pod",
        _ => "not a JSON object from set names to hashes",
    };
    Diagnostic::error(
        Code::UnreadableHashes,
        format!("annotation `{key}` of `{}` cannot be read", pod.template.key),
    )
    .at(pod.label(&path, EntryPart::Value, what))
    .field(pod.template.path.join(&path).to_string())
    .because("Kruise denies such a pod")
    .help("remove the annotation; pillion writes it again")
}
