//! What render, validate and explain share: read the inputs, prepare the sets, render files in parallel.

use super::Common;
use super::inputs::{Input, Inputs, Source};
use super::progress::Progress;
use crate::diag::{Code, Diagnostic, Label};
use crate::inject::{Annotations, Options, PreparedSet, Sets};
use crate::model::repository::{self, Repository};
use crate::model::sidecar_set::{Mode, SidecarSet};
use crate::model::workload::Kinds;
use crate::read::{in_order, read_file, read_stream};
use crate::render::{
    Gathered, Manifest, Namespaces, Output, Rendered, Renderer, check_sets, gather, read_sets, read_states,
};
use crate::yaml::{Document, split};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of input text that are kept between the two passes; the rest is read again.
const KEPT: usize = 64 << 20;

/// Inputs that were read once.
pub(super) struct Texts {
    inputs: Vec<(Input, Option<String>)>,
}

/// What the first pass found.
pub(super) struct FirstPass {
    /// The inputs, with their texts as far as they are kept.
    pub(super) texts: Texts,
    /// SidecarSets and Namespaces.
    pub(super) gathered: Gathered,
}

/// Reads every input and finds the SidecarSets and Namespaces in it.
pub(super) fn first_pass(inputs: &mut Inputs, common: &Common) -> FirstPass {
    let manifests = std::mem::take(&mut inputs.manifests);
    let mut gathered = Gathered::default();
    let mut kept = Vec::with_capacity(manifests.len());
    let budget = AtomicUsize::new(KEPT);
    let mut progress = Progress::new("read", manifests.len(), common);
    let work = |input: &Input| {
        let text = read(input)?;
        let found = gather(&input.name, &text);
        let is_kept = !can_be_read_again(input) || spend(&budget, text.len());
        Ok((found, is_kept.then_some(text)))
    };
    in_order(&manifests, work, |result: Result<_, Diagnostic>| {
        progress.step();
        match result {
            Ok((found, text)) => {
                gathered.merge(found);
                kept.push(text);
            }
            Err(error) => {
                gathered.diagnostics.push(error);
                kept.push(Some(String::new()));
            }
        }
    });
    FirstPass { texts: Texts { inputs: manifests.into_iter().zip(kept).collect() }, gathered }
}

impl FirstPass {
    /// Finds the SidecarSets of further files, which are not rendered; files that were read already are left out.
    pub(super) fn gather_further(&self, files: &[Input]) -> Gathered {
        let known: BTreeSet<&str> = self.texts.inputs.iter().map(|(input, _)| &*input.name).collect();
        gather_files(&files.iter().filter(|f| !known.contains(&*f.name)).cloned().collect::<Vec<_>>())
    }
}

/// Finds the SidecarSets and Namespaces of some files.
pub(super) fn gather_files(files: &[Input]) -> Gathered {
    let mut gathered = Gathered::default();
    for input in files {
        match read(input) {
            Ok(text) => gathered.merge(gather(&input.name, &text)),
            Err(error) => gathered.diagnostics.push(error),
        }
    }
    gathered
}

/// Prepares a renderer: sets of the inputs and further files, namespaces, kinds, options.
pub(super) fn renderer(
    inputs: &Inputs,
    first: &mut FirstPass,
    annotations: Option<repository::Annotations>,
    keeps_sidecar_sets: bool,
    trace: bool,
) -> (Renderer, Vec<Diagnostic>) {
    let further = first.gather_further(&inputs.sidecar_sets);
    let has_sets_to_find = !inputs.named_for_sets.is_empty() && further.sidecar_sets.is_empty();
    let mut gathered = std::mem::take(&mut first.gathered);
    // Text of the inputs that cannot be read is judged where it is rendered; here it may hide a set.
    gathered.unreadable.clear();
    gathered.merge(further);
    gathered.accept_repaired();
    let mut history = gather_files(&inputs.history);
    history.accept_repaired();
    let namespaces = namespaces(&gathered, &inputs.repository);
    let mut diagnostics = gathered.diagnostics;
    diagnostics.extend(gathered.unreadable.into_iter().chain(history.diagnostics).chain(history.unreadable));
    if has_sets_to_find && gathered.sidecar_sets.is_empty() && diagnostics.is_empty() {
        let nothing = Diagnostic::error(
            Code::NoSidecarSet,
            "there is no SidecarSet where `--sidecarsets` or pillion.yaml names some",
        )
        .help("a SidecarSet says `apiVersion: apps.kruise.io/v1beta1` (or v1alpha1) and `kind: SidecarSet`");
        let places = inputs.named_for_sets.iter().map(|p| Label::whole_file(p.to_string_lossy()));
        diagnostics.push(places.fold(nothing, Diagnostic::at));
    }
    let (sets, wrong) = read_sets(&gathered.sidecar_sets, Mode::Render);
    diagnostics.extend(wrong);
    let (history, wrong) = read_states(&history.sidecar_sets, Mode::Render);
    diagnostics.extend(wrong);
    diagnostics.extend(check_sets(&sets, &[], &history));
    let mut kinds = Kinds::default();
    inputs.repository.kinds().for_each(|k| kinds.add(k));
    let annotations = match annotations.or(inputs.repository.annotations) {
        None | Some(repository::Annotations::Minimal) => Annotations::Minimal,
        Some(repository::Annotations::Kruise) => Annotations::Kruise,
        Some(repository::Annotations::None) => Annotations::None,
    };
    (
        Renderer::new(
            Sets::new(prepared(sets), prepared(history)),
            kinds,
            namespaces,
            Options { annotations, trace },
            keeps_sidecar_sets,
        ),
        diagnostics,
    )
}

/// Returns what is known about namespaces: their manifests first, pillion.yaml second.
pub(super) fn namespaces(gathered: &Gathered, repository: &Repository) -> Namespaces {
    let mut namespaces = Namespaces::default();
    for (name, labels) in &gathered.namespaces {
        namespaces.add(name, labels);
    }
    for rule in &repository.namespaces {
        if let Some(labels) = &rule.labels {
            namespaces.add(&rule.name, labels);
        }
    }
    namespaces
}

/// Reads every document of an input that is not blank.
pub(super) fn read_documents(input: &Input) -> (Vec<Document>, Vec<Diagnostic>) {
    let text = match read(input) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (pieces, mut diagnostics) = split(&input.name, &text);
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

fn prepared(sets: Vec<Arc<SidecarSet>>) -> Vec<Arc<PreparedSet>> {
    sets.into_iter().map(|set| Arc::new(PreparedSet::new(set))).collect()
}

/// A file after rendering.
pub(super) struct RenderedFile<'a> {
    /// The input.
    pub(super) input: &'a Input,
    /// Its text as it was.
    pub(super) old: Cow<'a, str>,
    /// Its new text; None when nothing changed.
    pub(super) new: Option<String>,
    /// Nothing of it belongs to the output.
    pub(super) is_dropped: bool,
    /// What is wrong or worth knowing.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The workloads that were looked at.
    pub(super) workloads: Vec<(String, crate::inject::Outcome)>,
}

impl<'a> RenderedFile<'a> {
    /// Returns its text, new or as it was.
    pub(super) fn text(&self) -> &str {
        self.new.as_deref().unwrap_or(&self.old)
    }

    /// Returns its text, new or as it was.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        self.new.map_or(self.old, Cow::Owned)
    }
}

/// How files are rendered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct How {
    /// SidecarSets and pillion's own documents stay in the text.
    pub(super) keeps_all: bool,
    /// Workloads that no set can select are looked at too.
    pub(super) closely: bool,
}

/// Renders every file, in parallel, and hands them over in order.
pub(super) fn second_pass<'a>(
    texts: &'a Texts,
    renderer: &Renderer,
    how: How,
    common: &Common,
    mut take: impl FnMut(RenderedFile<'a>),
) {
    let mut progress = Progress::new("rendered", texts.inputs.len(), common);
    in_order(
        &texts.inputs,
        |(input, kept)| match kept {
            Some(text) => render_file(input, Cow::Borrowed(text), renderer, how),
            None => match read(input) {
                Ok(text) => render_file(input, Cow::Owned(text), renderer, how),
                Err(error) => failed(input, error),
            },
        },
        |file| {
            progress.step();
            take(file);
        },
    );
}

fn render_file<'a>(input: &'a Input, old: Cow<'a, str>, renderer: &Renderer, how: How) -> RenderedFile<'a> {
    let (pieces, diagnostics) = split(&input.name, &old);
    let mut file = RenderedFile {
        input,
        old: Cow::Borrowed(""),
        new: None,
        is_dropped: false,
        diagnostics,
        workloads: Vec::new(),
    };
    let mut kept = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let text = &old[piece.span.clone()];
        let manifest = Manifest {
            file: &input.name,
            index,
            first_line: piece.first_line,
            text,
            namespace: &input.namespace,
            is_named: input.is_named,
        };
        let Rendered { output, diagnostics, workloads } =
            if how.closely { renderer.explain(&manifest) } else { renderer.render(&manifest) };
        file.diagnostics.extend(diagnostics);
        file.workloads.extend(workloads);
        let replacement = match output {
            Output::Same => None,
            Output::Dropped if how.keeps_all => None,
            Output::Dropped => Some(String::new()),
            Output::New(text) => Some(text),
        };
        kept += usize::from(replacement.as_ref().is_none_or(|r| !r.is_empty()));
        match (&mut file.new, replacement) {
            (None, None) => {}
            (Some(new), None) => new.push_str(text),
            (None, Some(replacement)) => {
                file.new = Some(format!("{}{replacement}", &old[..piece.span.start]))
            }
            (Some(new), Some(replacement)) => new.push_str(&replacement),
        }
    }
    file.is_dropped = kept == 0 && !pieces.is_empty();
    file.old = old;
    file
}

fn failed(input: &Input, error: Diagnostic) -> RenderedFile<'_> {
    RenderedFile {
        input,
        old: Cow::Borrowed(""),
        new: None,
        is_dropped: true,
        diagnostics: vec![error],
        workloads: Vec::new(),
    }
}

/// Standard input and pipes (`<(kustomize build …)`) give their text once.
fn can_be_read_again(input: &Input) -> bool {
    match &input.source {
        Source::File(path) => !input.is_named || path.is_file(),
        Source::Stdin => false,
    }
}

fn read(input: &Input) -> Result<String, Diagnostic> {
    match &input.source {
        Source::File(path) => read_file(path, &input.name),
        Source::Stdin => read_stream(&mut std::io::stdin().lock(), &input.name),
    }
}

/// Takes from a budget; false when it does not suffice.
fn spend(budget: &AtomicUsize, amount: usize) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}
