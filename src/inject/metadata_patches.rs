//! Applies `patchPodMetadata`: annotations that SidecarSets set on the pod. This runs first, so that later steps read
//! them.

use super::merge_patch::{MergePatchError, merge};
use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{JsonObject, PodView};
use super::trace::PartOrigin;
use super::types::{InjectionContext, PreviousInjection, SetSelection};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::PatchPolicy;
use crate::yaml::{EntryPart, FieldPath};
use serde_json::Value;

/// Returns the template's annotations with the patches of all sets applied.
///
/// A value that a set is known to have written before counts as absent, so that a newer patch takes its place
/// and one that is gone takes it along.
pub(super) fn apply_patches(
    pod: &PodView<'_>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    previous: &PreviousInjection<'_>,
    context: &mut InjectionContext<'_>,
) -> JsonObject {
    let mut annotations = pod.annotations.cloned().unwrap_or_default();
    let now: Vec<AnnotationPatch<'_>> = selection.selected.iter().flat_map(|c| patches(c.content)).collect();
    let mut keys: Vec<&str> = Vec::new();
    let earlier = previous.injected_sets.iter().flat_map(|n| sets.all_contents(n)).flat_map(patches);
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
            patch.check(value.as_deref(), context);
            match patch.apply_to(value.as_deref()) {
                Ok(patched) => value = patched,
                Err(diagnostic) => context.report(merge_error(pod, patch, diagnostic)),
            }
        }
        if value.as_deref() != old {
            record_origin(context, &now, key, value.is_some());
        }
        match value {
            Some(value) => drop(annotations.insert(key.to_owned(), Value::String(value))),
            None => drop(annotations.shift_remove(key)),
        }
    }
    annotations
}

/// Returns a key on which two sets, one after the other, give another value than the other way round.
pub(super) fn differing_key(pod: &PodView<'_>, a: &PreparedSet, b: &PreparedSet) -> Option<String> {
    let run = |first: &PreparedSet, second: &PreparedSet, key: &str| {
        patches(first)
            .chain(patches(second))
            .filter(|p| p.key == key)
            .try_fold(pod.annotation(key).map(str::to_owned), |value, patch| patch.apply_to(value.as_deref()))
    };
    let shared = patches(a)
        .map(|p| p.key)
        .find(|key| patches(b).any(|p| p.key == *key) && run(a, b, key).ok() != run(b, a, key).ok());
    shared.map(str::to_owned)
}

/// One annotation of one patch.
#[derive(Clone, Copy)]
struct AnnotationPatch<'s> {
    set: &'s PreparedSet,
    index: usize,
    policy: PatchPolicy,
    key: &'s str,
    text: &'s str,
}

fn patches(set: &PreparedSet) -> impl Iterator<Item = AnnotationPatch<'_>> {
    set.set().patch_pod_metadata.iter().enumerate().flat_map(move |(index, patch)| {
        let policy = patch.policy;
        patch.annotations.iter().map(move |(key, text)| AnnotationPatch { set, index, policy, key, text })
    })
}

impl AnnotationPatch<'_> {
    /// Returns the annotation after this patch.
    fn apply_to(&self, value: Option<&str>) -> Result<Option<String>, MergePatchError> {
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

    /// Reports a patch that is stored now and cannot be merged later.
    fn check(&self, value: Option<&str>, context: &mut InjectionContext<'_>) {
        let name = self.set.name();
        let is_stored = self.policy == PatchPolicy::MergePatchJson && value.is_none_or(str::is_empty);
        if is_stored && !serde_json::from_str::<Value>(self.text).is_ok_and(|v| v.is_object()) {
            let message = format!(
                "the patch of SidecarSet `{name}` for annotation `{}` is not a JSON object",
                self.key
            );
            context.report(
                Diagnostic::warning(Code::PatchNotJson, message)
                    .at(self.label("stored as it is where the pod has no such annotation"))
                    .field(self.path().to_string())
                    .because("Kruise denies pods that have the annotation")
                    .help("write a JSON object, or use the policy `Overwrite`"),
            );
        }
    }

    fn field_path(&self, key: &str) -> FieldPath {
        self.set.set().path.join(&FieldPath::dotted("spec.patchPodMetadata")).child(self.index).child(key)
    }

    fn path(&self) -> FieldPath {
        self.field_path("annotations").child(self.key)
    }

    fn label(&self, text: &str) -> crate::diagnostics::Span {
        self.set.set().document.label(&self.path(), EntryPart::Value, text)
    }
}

/// Returns whether a set that was injected before has written this value, as far as anybody knows: it is what
/// all present patches together, or those of one known content, make of a pod without the annotation.
fn is_known_value(
    value: &str,
    key: &str,
    now: &[AnnotationPatch<'_>],
    sets: &SidecarSetStore,
    previous: &PreviousInjection<'_>,
) -> bool {
    let alone = |patches: &mut dyn Iterator<Item = AnnotationPatch<'_>>| {
        patches
            .filter(|p| p.key == key)
            .try_fold(None, |v: Option<String>, p| p.apply_to(v.as_deref()))
            .ok()
            .flatten()
    };
    let is_listed = |p: &AnnotationPatch<'_>| previous.contains(p.set.name());
    let all_listed = now.iter().filter(|p| p.key == key).all(is_listed);
    let mut known = previous.injected_sets.iter().flat_map(|n| sets.all_contents(n));
    (all_listed && alone(&mut now.iter().copied()).as_deref() == Some(value))
        || known.any(|set| alone(&mut patches(set)).as_deref() == Some(value))
}

fn record_origin(context: &mut InjectionContext<'_>, now: &[AnnotationPatch<'_>], key: &str, is_there: bool) {
    let Some(trace) = &mut context.trace else { return };
    let path = FieldPath::dotted("metadata.annotations").child(key);
    match now.iter().rfind(|p| p.key == key).filter(|_| is_there) {
        Some(patch) => trace.origins.push(PartOrigin {
            path,
            set: Some(patch.set.name().to_owned()),
            reason: "`patchPodMetadata`".to_owned(),
            from: Some((patch.set.set().document.clone(), patch.path())),
        }),
        None => trace.removed.push((path, "no SidecarSet patches it now".to_owned())),
    }
}

fn merge_error(pod: &PodView<'_>, patch: &AnnotationPatch<'_>, diagnostic: MergePatchError) -> Diagnostic {
    let (key, key_path) = (patch.key, FieldPath::dotted("metadata.annotations").child(patch.key));
    let set = patch.set.name();
    let (what, here, there) = match diagnostic {
        MergePatchError::Value => ("the value in the workload", "not JSON", "merged into it"),
        MergePatchError::Patch => ("the patch", "to be merged with this", "neither a JSON object nor a list"),
    };
    let message =
        format!("SidecarSet `{set}` cannot merge annotation `{key}`: {what} is not JSON that can be merged");
    let label = pod.label(&key_path, EntryPart::Value, here);
    let labels = if diagnostic == MergePatchError::Value {
        [label, patch.label(there)]
    } else {
        [patch.label(there), label]
    };
    labels
        .into_iter()
        .fold(Diagnostic::error(Code::AnnotationNotJson, message), Diagnostic::at)
        .field(patch.path().to_string())
        .because("Kruise denies such a pod")
        .help("write JSON objects in both places, or use the policy `Overwrite`")
}
