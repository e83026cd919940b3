//! `patchPodMetadata`: annotations that sets put on the pod. Done before all else, so that later steps read
//! them.

use super::Work;
use super::merge_patch::{NotJson, merge};
use super::removal::Previous;
use super::selects::Choice;
use super::sets::{PreparedSet, Sets};
use super::template::{Object, Pod};
use super::trace::Origin;
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::PatchPolicy;
use crate::yaml::{Part, Path};
use serde_json::Value;

/// Returns the template's annotations with the patches of all sets applied.
///
/// A value that a set is known to have written before counts as absent, so that a newer patch takes its place
/// and one that is gone takes it along.
pub(super) fn apply(
    pod: &Pod<'_>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    work: &mut Work<'_>,
) -> Object {
    let mut annotations = pod.annotations.cloned().unwrap_or_default();
    let now: Vec<Patch<'_>> = choice.chosen.iter().flat_map(|c| patches(c.content)).collect();
    let mut keys: Vec<&str> = Vec::new();
    let earlier = previous.listed.iter().flat_map(|n| sets.known(n)).flat_map(patches);
    for patch in now.iter().copied().chain(earlier) {
        if !keys.contains(&patch.key) {
            keys.push(patch.key);
        }
    }
    for key in keys {
        let old = pod.annotation(key);
        let base = old.filter(|value| !is_known_value(value, key, &now, sets, previous));
        let mut value = base.map(str::to_owned);
        for patch in now.iter().filter(|p| p.key == key) {
            patch.check(value.as_deref(), work);
            match patch.on(value.as_deref()) {
                Ok(patched) => value = patched,
                Err(wrong) => work.tell(not_json(pod, patch, wrong)),
            }
        }
        if value.as_deref() != old {
            record(work, &now, key, value.is_some());
        }
        match value {
            Some(value) => drop(annotations.insert(key.to_owned(), Value::String(value))),
            None => drop(annotations.shift_remove(key)),
        }
    }
    annotations
}

/// Returns a key on which two sets, one after the other, give another value than the other way round.
pub(super) fn differing_key(pod: &Pod<'_>, a: &PreparedSet, b: &PreparedSet) -> Option<String> {
    let run = |first: &PreparedSet, second: &PreparedSet, key: &str| {
        patches(first)
            .chain(patches(second))
            .filter(|p| p.key == key)
            .try_fold(pod.annotation(key).map(str::to_owned), |value, patch| patch.on(value.as_deref()))
    };
    let shared = patches(a)
        .map(|p| p.key)
        .find(|key| patches(b).any(|p| p.key == *key) && run(a, b, key).ok() != run(b, a, key).ok());
    shared.map(str::to_owned)
}

/// One annotation of one patch.
#[derive(Clone, Copy)]
struct Patch<'s> {
    set: &'s PreparedSet,
    index: usize,
    policy: PatchPolicy,
    key: &'s str,
    text: &'s str,
}

fn patches(set: &PreparedSet) -> impl Iterator<Item = Patch<'_>> {
    set.set().patch_pod_metadata.iter().enumerate().flat_map(move |(index, patch)| {
        let policy = patch.policy;
        patch.annotations.iter().map(move |(key, text)| Patch { set, index, policy, key, text })
    })
}

impl Patch<'_> {
    /// Returns the annotation after this patch.
    fn on(&self, value: Option<&str>) -> Result<Option<String>, NotJson> {
        let patched = match (self.policy, value) {
            (PatchPolicy::Overwrite, _) | (PatchPolicy::Retain, None) => Some(self.text.to_owned()),
            // Kruise v1.9.0 stores the patch as it is where there is nothing to merge it with.
            (PatchPolicy::MergePatchJson, None | Some("")) => Some(self.text.to_owned()),
            (PatchPolicy::MergePatchJson, Some(value)) => Some(merge(value, self.text)?),
            (PatchPolicy::Retain, Some(value)) => Some(value.to_owned()),
            (PatchPolicy::Unknown, value) => value.map(str::to_owned),
        };
        Ok(patched)
    }

    /// Tells of a patch that is stored now and cannot be merged later.
    fn check(&self, value: Option<&str>, work: &mut Work<'_>) {
        let name = self.set.name();
        let is_stored = self.policy == PatchPolicy::MergePatchJson && value.is_none_or(str::is_empty);
        if is_stored && !serde_json::from_str::<Value>(self.text).is_ok_and(|v| v.is_object()) {
            let message = format!(
                "the patch of SidecarSet `{name}` for annotation `{}` is not a JSON object",
                self.key
            );
            work.tell(
                Diagnostic::warning(Code::PatchNotJson, message)
                    .at(self.label("stored as it is where the pod has no such annotation"))
                    .field(self.place().to_string())
                    .because("Kruise denies pods that have the annotation")
                    .help("write a JSON object, or use the policy `Overwrite`"),
            );
        }
    }

    fn at(&self, key: &str) -> Path {
        self.set.set().path.join(&Path::dotted("spec.patchPodMetadata")).then(self.index).then(key)
    }

    fn place(&self) -> Path {
        self.at("annotations").then(self.key)
    }

    fn label(&self, text: &str) -> crate::diag::Label {
        self.set.set().document.label(&self.place(), Part::Value, text)
    }
}

/// Tells whether a set that was injected before has written this value, as far as anybody knows: it is what
/// all present patches together, or those of one known content, make of a pod without the annotation.
fn is_known_value(value: &str, key: &str, now: &[Patch<'_>], sets: &Sets, previous: &Previous<'_>) -> bool {
    let alone = |patches: &mut dyn Iterator<Item = Patch<'_>>| {
        patches
            .filter(|p| p.key == key)
            .try_fold(None, |v: Option<String>, p| p.on(v.as_deref()))
            .ok()
            .flatten()
    };
    let is_listed = |p: &Patch<'_>| previous.lists(p.set.name());
    let all_listed = now.iter().filter(|p| p.key == key).all(is_listed);
    let mut known = previous.listed.iter().flat_map(|n| sets.known(n));
    (all_listed && alone(&mut now.iter().copied()).as_deref() == Some(value))
        || known.any(|set| alone(&mut patches(set)).as_deref() == Some(value))
}

fn record(work: &mut Work<'_>, now: &[Patch<'_>], key: &str, is_there: bool) {
    let Some(trace) = &mut work.trace else { return };
    let path = Path::dotted("metadata.annotations").then(key);
    match now.iter().rfind(|p| p.key == key).filter(|_| is_there) {
        Some(patch) => trace.origins.push(Origin {
            path,
            set: Some(patch.set.name().to_owned()),
            why: "`patchPodMetadata`".to_owned(),
            from: Some((patch.set.set().document.clone(), patch.place())),
        }),
        None => trace.removed.push((path, "no SidecarSet patches it now".to_owned())),
    }
}

fn not_json(pod: &Pod<'_>, patch: &Patch<'_>, wrong: NotJson) -> Diagnostic {
    let (key, key_path) = (patch.key, Path::dotted("metadata.annotations").then(patch.key));
    let set = patch.set.name();
    let (what, here, there) = match wrong {
        NotJson::Value => ("the value in the workload", "not JSON", "merged into it"),
        NotJson::Patch => ("the patch", "to be merged with this", "neither a JSON object nor a list"),
    };
    let message =
        format!("SidecarSet `{set}` cannot merge annotation `{key}`: {what} is not JSON that can be merged");
    let label = pod.label(&key_path, Part::Value, here);
    let labels =
        if wrong == NotJson::Value { [label, patch.label(there)] } else { [patch.label(there), label] };
    labels
        .into_iter()
        .fold(Diagnostic::error(Code::AnnotationNotJson, message), Diagnostic::at)
        .field(patch.place().to_string())
        .because("Kruise denies such a pod")
        .help("write JSON objects in both places, or use the policy `Overwrite`")
}
