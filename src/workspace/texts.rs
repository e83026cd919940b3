//! Reads inputs and finds the SidecarSets, Namespaces and ledgers in their texts.

use super::selection::OverrideFile;
use super::{Input, Workspace, read_input};
use crate::diagnostics::Diagnostic;
use crate::model::sidecar_override;
use crate::read::{Disk, FileSource, map_in_order};
use crate::render::{CollectedObjects, collect_objects, collect_own_objects};
use crate::yaml::{Document, split_documents};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of input text that are kept between the two passes; the rest is read again.
const MAX_RETAINED_BYTES: usize = 64 << 20;

/// Inputs with their texts, as far as these are kept.
pub(crate) type InputTexts = Vec<(Input, Option<Box<str>>)>;

/// Collects the objects of one file, by its name and text; `true`: it is expected to hold some.
type CollectObjects = fn(&Arc<str>, &str, bool) -> CollectedObjects;

/// The result of the first pass.
pub(crate) struct CollectedInputs {
    /// The manifests.
    pub(crate) texts: InputTexts,
    /// The objects in them.
    pub(crate) collected: CollectedObjects,
}

impl Workspace {
    /// Reads every manifest and collects the objects that rendering needs; `on_file` is called after each.
    pub(crate) fn collect_inputs(&mut self, on_file: impl FnMut()) -> CollectedInputs {
        self.collect_inputs_with(collect_objects, on_file)
    }

    /// Does the same, and leaves it to the render to check foreign objects.
    pub(crate) fn collect_unchecked_inputs(&mut self, on_file: impl FnMut()) -> CollectedInputs {
        self.collect_inputs_with(collect_own_objects, on_file)
    }

    fn collect_inputs_with(&mut self, collect: CollectObjects, on_file: impl FnMut()) -> CollectedInputs {
        let manifests = std::mem::take(&mut self.manifests);
        let names = self.sidecar_sets.iter().map(|input| &*input.name).collect();
        let (texts, mut collected) =
            read_inputs(manifests, &Disk, (&names, collect), MAX_RETAINED_BYTES, on_file);
        collected.merge(collect_overrides(&self.override_files, &Disk));
        CollectedInputs { texts, collected }
    }
}

impl CollectedInputs {
    /// Collects the objects of further files; files that were read already are left out.
    pub(crate) fn collect_additional(&self, files: &[Input]) -> CollectedObjects {
        let known: BTreeSet<&str> = self.texts.iter().map(|(input, _)| &*input.name).collect();
        collect_files(files.iter().filter(|file| !known.contains(&*file.name)), &Disk)
    }
}

/// Reads inputs in parallel, keeps at most `max_bytes` of texts that can be read again, and collects their objects. The
/// inputs of some names are expected to hold SidecarSets.
pub(super) fn read_inputs(
    inputs: Vec<Input>,
    files: &dyn FileSource,
    (sidecar_sets, collect): (&BTreeSet<&str>, CollectObjects),
    max_bytes: usize,
    mut on_file: impl FnMut(),
) -> (InputTexts, CollectedObjects) {
    let mut collected = CollectedObjects::default();
    let mut texts = Vec::with_capacity(inputs.len());
    let budget = AtomicUsize::new(max_bytes);
    // A file with SidecarSets may be rendered for several clusters.
    let (mut names, mut seen) = (inputs.iter().map(|input| &input.name), BTreeSet::new());
    let read = |input: &Input| {
        let text = read_input(input, files)?;
        let is_expected = input.is_explicit || sidecar_sets.contains(&*input.name);
        let found = collect(&input.name, &text, is_expected).in_folder(input.folder());
        let is_kept = !input.is_rereadable(files) || try_spend(&budget, text.len());
        Ok((found, is_kept.then(|| text.into_boxed_str())))
    };
    map_in_order(&inputs, read, |result: Result<_, Diagnostic>| {
        on_file();
        let (found, text) = result.unwrap_or_else(|error| {
            (CollectedObjects { diagnostics: vec![error], ..CollectedObjects::default() }, Some("".into()))
        });
        if names.next().is_some_and(|name| !found.is_empty() && seen.insert(name)) {
            collected.merge(found);
        }
        texts.push(text);
    });
    (inputs.into_iter().zip(texts).collect(), collected)
}

/// Collects the objects of files that are expected to hold them.
pub(crate) fn collect_files<'i>(
    inputs: impl IntoIterator<Item = &'i Input>,
    files: &dyn FileSource,
) -> CollectedObjects {
    collect_all(inputs, files, |_| true)
}

/// Collects the objects among manifests.
pub(crate) fn collect_manifests(inputs: &[Input], files: &dyn FileSource) -> CollectedObjects {
    collect_all(inputs, files, |input| input.is_explicit)
}

/// Collects the SidecarOverrides of files, and what is wrong with files that mention some.
pub(super) fn collect_overrides(found: &[OverrideFile], files: &dyn FileSource) -> CollectedObjects {
    let mut collected = CollectedObjects::default();
    for OverrideFile { input, reached } in found {
        let Ok(text) = read_input(input, files) else { continue };
        if text.contains(sidecar_override::KIND) {
            let found = collect_objects(&input.name, &text, false).in_folder(input.folder());
            let CollectedObjects { mut overrides, unreadable, .. } = found;
            overrides.iter_mut().for_each(|found| found.reached.clone_from(reached));
            collected.merge(CollectedObjects { overrides, unreadable, ..CollectedObjects::default() });
        }
    }
    collected
}

fn collect_all<'i>(
    inputs: impl IntoIterator<Item = &'i Input>,
    files: &dyn FileSource,
    is_expected: impl Fn(&Input) -> bool + Sync,
) -> CollectedObjects {
    let inputs: Vec<&Input> = inputs.into_iter().collect();
    let read = |input: &&Input| {
        let text = read_input(input, files)?;
        Ok(collect_objects(&input.name, &text, is_expected(input)).in_folder(input.folder()))
    };
    let mut collected = CollectedObjects::default();
    map_in_order(&inputs, read, |found: Result<_, Diagnostic>| match found {
        Ok(found) => collected.merge(found),
        Err(error) => collected.diagnostics.push(error),
    });
    collected
}

/// Reads the documents of an input that are not blank.
pub(crate) fn read_documents(input: &Input, files: &dyn FileSource) -> (Vec<Document>, Vec<Diagnostic>) {
    let text = match read_input(input, files) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (pieces, mut diagnostics) = split_documents(&input.name, &text);
    let mut documents = Vec::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        match Document::read(&input.name, index, piece.first_line, &text[piece.span]) {
            Ok(document) => documents.push(document),
            Err(error) => diagnostics.push(error),
        }
    }
    documents.retain(|d| !d.value().is_null());
    (documents, diagnostics)
}

/// Takes from a budget; false when it does not suffice.
fn try_spend(budget: &AtomicUsize, amount: usize) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}
