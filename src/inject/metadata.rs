//! The webhook's own annotations: the injected-list, both hashes, and those of hot-upgrade pairs.

use super::containers::Brought;
use super::removal::{Fates, Previous};
use super::revision::Chosen;
use super::selects::Choice;
use super::template::{Object, Pod, text};
use super::{Annotations, Work, hot_upgrade};
use crate::diag::{Code, Diagnostic};
use crate::model::annotations::{
    HASH, HASH_WITHOUT_IMAGE, INJECTED_LIST, WORKING, injected_sets, is_null, read_hashes,
};
use crate::model::go_json::to_go_json;
use crate::yaml::{Part, Path};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Brings the annotations up to date for the mode that is asked for; what another mode has written for the
/// same sets is taken out.
pub(super) fn apply(
    pod: &Pod<'_>,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    brought: &[Brought<'_>],
    patched: &Object,
    work: &mut Work<'_>,
) -> Object {
    let mut annotations = patched.clone();
    let mode = work.options.annotations;
    for key in [HASH, HASH_WITHOUT_IMAGE] {
        if mode == Annotations::Kruise && !choice.chosen.is_empty() {
            write_hashes(pod, choice, previous, key, &mut annotations, work);
        } else {
            let leaves = |set: &str| {
                let is_chosen = choice.chosen.iter().any(|c| c.name() == set);
                previous.dropped.contains(set) || (is_chosen && previous.lists(set))
            };
            forget_hashes(key, leaves, &mut annotations);
        }
    }
    write_list(choice, previous, mode, &mut annotations);
    if brought.iter().any(|b| b.twin.is_some()) && is_null(text(&annotations, WORKING)) {
        work.tell(unreadable(pod, WORKING));
    }
    hot_upgrade::annotate(brought, &fates.gone(pod), &mut annotations);
    annotations
}

/// Sets an annotation.
pub(super) fn put(annotations: &mut Object, key: &str, value: &str) {
    annotations.insert(key.to_owned(), Value::String(value.to_owned()));
}

/// Kruise v1.9.0 joins the names with those that are there, split at commas and not trimmed, each once,
/// sorted.
fn write_list(choice: &Choice<'_>, previous: &Previous<'_>, mode: Annotations, annotations: &mut Object) {
    if choice.chosen.is_empty() && previous.dropped.is_empty() {
        return;
    }
    let old = text(annotations, INJECTED_LIST).to_owned();
    let mut names = injected_sets(&old);
    names.retain(|name| !previous.dropped.contains(name));
    for chosen in &choice.chosen {
        match mode {
            Annotations::None => names.remove(chosen.name()),
            Annotations::Minimal | Annotations::Kruise => names.insert(chosen.name()),
        };
    }
    let list = names.into_iter().collect::<Vec<_>>().join(",");
    if list.is_empty() {
        annotations.shift_remove(INJECTED_LIST);
    } else {
        put(annotations, INJECTED_LIST, &list);
    }
}

fn write_hashes(
    pod: &Pod<'_>,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    key: &str,
    annotations: &mut Object,
    work: &mut Work<'_>,
) {
    let written = text(annotations, key);
    let Some(mut entries) = read_hashes(written).filter(|_| !is_null(written)) else {
        work.tell(unreadable(pod, key));
        return;
    };
    entries.retain(|set, _| !previous.dropped.contains(set.as_str()));
    for chosen in &choice.chosen {
        entries.insert(chosen.name().to_owned(), entry(chosen, key));
    }
    put(annotations, key, &encode(entries));
}

/// Takes entries out; a text that cannot be read is nobody's and stays.
fn forget_hashes(key: &str, leaves: impl Fn(&str) -> bool, annotations: &mut Object) {
    let Some(mut entries) = read_hashes(text(annotations, key)) else { return };
    let before = entries.len();
    entries.retain(|set, _| !leaves(set));
    if entries.len() == before {
        return;
    }
    if entries.is_empty() {
        annotations.shift_remove(key);
    } else {
        put(annotations, key, &encode(entries));
    }
}

/// Kruise v1.9.0 writes the time of injection; the same bytes in must give the same bytes out, so it is null
/// here, which Kruise reads and writes for a time that is not set.
fn entry(chosen: &Chosen<'_>, key: &str) -> Value {
    let set = chosen.content.set();
    let natives = set.init_containers.iter().filter(|c| c.is_native_sidecar);
    let list: BTreeSet<&str> = natives.chain(&set.containers).map(|c| c.name.as_str()).collect();
    let hash = if key == HASH { &set.hash } else { &set.hash_without_image };
    let mut entry = json!({
        "updateTimestamp": null,
        "hash": hash,
        "sidecarSetName": chosen.name(),
        "sidecarList": list,
    });
    if key == HASH && chosen.is_registered {
        entry["controllerRevision"] = Value::String(set.revision_name.clone());
    }
    entry
}

fn encode(entries: BTreeMap<String, Value>) -> String {
    to_go_json(&Value::Object(entries.into_iter().collect()))
}

fn unreadable(pod: &Pod<'_>, key: &str) -> Diagnostic {
    let path = Path::dotted("metadata.annotations").then(key);
    let what = match key {
        WORKING => "`null`, not a JSON object from containers to containers of the pod",
        _ => "not a JSON object from set names to hashes",
    };
    Diagnostic::error(
        Code::UnreadableHashes,
        format!("annotation `{key}` of `{}` cannot be read", pod.template.key),
    )
    .at(pod.label(&path, Part::Value, what))
    .field(pod.template.path.join(&path).to_string())
    .because("Kruise denies such a pod")
    .help("remove the annotation; it is written anew")
}
