//! What render, validate and explain share: read the inputs, prepare the sets, render files in parallel.

use super::Common;
use super::inputs::Inputs;
use super::progress::Progress;
use crate::diag::{Code, Diagnostic, Label};
use crate::model::repository::Annotations;
use crate::read::{Cluster, Files, Input, Layout, in_order, text};
use crate::render::{File, Gathered, How, Ingredients, RenderedFile, Renderer, gather, prepare, render_file};
use crate::stage;
use crate::yaml::{Document, split};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of input text that are kept between the two passes; the rest is read again.
const KEPT: usize = 64 << 20;

/// Inputs that were read once.
pub(super) struct Texts<'f> {
    files: &'f dyn Files,
    inputs: Vec<(Input, Option<String>)>,
}

/// What the first pass found.
pub(super) struct FirstPass<'f> {
    /// The inputs, with their texts as far as they are kept.
    pub(super) texts: Texts<'f>,
    /// SidecarSets and Namespaces.
    pub(super) gathered: Gathered,
}

/// Reads every input and finds the SidecarSets and Namespaces in it.
pub(super) fn first_pass<'f>(inputs: &mut Inputs<'f>, common: &Common) -> FirstPass<'f> {
    let files = inputs.files;
    let manifests = std::mem::take(&mut inputs.manifests);
    let of_sets: BTreeSet<&str> = inputs.sidecar_sets.iter().map(|input| &*input.name).collect();
    let mut gathered = Gathered::default();
    let mut kept = Vec::with_capacity(manifests.len());
    let budget = AtomicUsize::new(KEPT);
    let mut progress = Progress::new("read", manifests.len(), common);
    let work = |input: &Input| {
        let text = text(input, files)?;
        let found = gather(&input.name, &text, input.is_named || of_sets.contains(&*input.name));
        let is_kept = !input.can_be_read_again(files) || spend(&budget, text.len());
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
    FirstPass { texts: Texts { files, inputs: manifests.into_iter().zip(kept).collect() }, gathered }
}

impl FirstPass<'_> {
    /// Finds the SidecarSets of further files, which are not rendered; files that were read already are left out.
    pub(super) fn gather_further(&self, files: &[Input]) -> Gathered {
        let known: BTreeSet<&str> = self.texts.inputs.iter().map(|(input, _)| &*input.name).collect();
        let further: Vec<_> = files.iter().filter(|f| !known.contains(&*f.name)).cloned().collect();
        gather_files(&further, self.texts.files)
    }
}

/// Finds the SidecarSets and Namespaces of some files that are expected to hold them.
pub(super) fn gather_files(inputs: &[Input], files: &dyn Files) -> Gathered {
    gather_all(inputs, files, |_| true)
}

/// Finds the SidecarSets and Namespaces among manifests.
pub(super) fn gather_manifests(inputs: &[Input], files: &dyn Files) -> Gathered {
    gather_all(inputs, files, |input| input.is_named)
}

fn gather_all(inputs: &[Input], files: &dyn Files, is_named: impl Fn(&Input) -> bool) -> Gathered {
    let mut gathered = Gathered::default();
    for input in inputs {
        match text(input, files) {
            Ok(text) => gathered.merge(gather(&input.name, &text, is_named(input))),
            Err(error) => gathered.diagnostics.push(error),
        }
    }
    gathered
}

/// The renderers of a run: one, or one a cluster.
pub(super) struct Renderers {
    by_cluster: Vec<(Option<Cluster>, Renderer)>,
    layout: Layout,
    /// Every input belongs to the one cluster that was named.
    is_named: bool,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared: BTreeSet<String>,
}

impl Renderers {
    /// Returns these with a change of each.
    pub(super) fn each(self, change: impl Fn(Renderer) -> Renderer) -> Self {
        let changed = |(cluster, renderer)| (cluster, change(renderer));
        Self { by_cluster: self.by_cluster.into_iter().map(changed).collect(), ..self }
    }

    /// Finds entries of ledgers for workloads of other namespaces than those that came in; where only one renderer
    /// was at work, so that every workload is of its ledgers.
    pub(super) fn strangers(&self, present: &BTreeSet<Arc<str>>, at: &Label) -> Vec<Diagnostic> {
        match &self.by_cluster[..] {
            [(_, renderer)] => renderer.strangers(present, &self.declared, at),
            _ => Vec::new(),
        }
    }

    /// Returns the renderer of an input; None when no cluster has it.
    fn of(&self, input: &Input) -> Option<&Renderer> {
        let has = |cluster: &Option<Cluster>| match cluster {
            Some(cluster) => self.is_named || self.layout.is_in(cluster, input),
            None => true,
        };
        self.by_cluster.iter().find(|(cluster, _)| has(cluster)).map(|(_, renderer)| renderer)
    }
}

/// Prepares rendering: sets of the inputs and further files, ledgers, namespaces, kinds, options.
pub(super) fn renderers(
    inputs: &Inputs<'_>,
    first: &mut FirstPass<'_>,
    annotations: Option<Annotations>,
    keeps_sidecar_sets: bool,
    trace: bool,
) -> (Renderers, Vec<Diagnostic>) {
    let sidecar_sets = first.gather_further(&inputs.sidecar_sets);
    let manifests = std::mem::take(&mut first.gathered);
    let history = gather_files(&inputs.history, inputs.files);
    let (ledgers, mut diagnostics) = inputs.layout.ledgers(inputs.files);
    let named: Vec<Input> = first.texts.inputs.iter().map(|(input, _)| input.clone()).collect();
    let only = inputs.cluster.as_deref();
    diagnostics.extend(stage::shared_files(&inputs.repository, &inputs.layout, only, &named));
    let mut by_cluster = Vec::new();
    let mut declared = BTreeSet::new();
    for cluster in inputs.clusters() {
        let own = ledgers.iter().filter(|l| l.cluster == cluster.as_ref().map(|c| c.name.clone()));
        let own: Vec<Input> = own.map(|l| l.input.clone()).collect();
        let (ledgers, wrong) = stage::gather_ledgers(&own, inputs.files);
        diagnostics.extend(wrong);
        let (prepared, wrong) = prepare(Ingredients {
            manifests: manifests.clone(),
            sidecar_sets: sidecar_sets.clone(),
            ledgers,
            history: history.clone(),
            named_for_sets: &inputs.named_for_sets,
            repository: &inputs.repository,
            annotations,
            keeps_sidecar_sets,
            trace,
            supposed: None,
        });
        diagnostics.extend(wrong);
        declared.extend(prepared.declared_namespaces);
        by_cluster.push((cluster, prepared.renderer));
    }
    let (layout, is_named) = (inputs.layout.clone(), inputs.cluster.is_some());
    let renderers = Renderers { by_cluster, layout, is_named, declared };
    (renderers, diagnostics)
}

/// Reads every document of an input that is not blank.
pub(super) fn read_documents(input: &Input, files: &dyn Files) -> (Vec<Document>, Vec<Diagnostic>) {
    let text = match text(input, files) {
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

/// An input after rendering.
pub(super) struct Done<'a> {
    /// The input.
    pub(super) input: &'a Input,
    /// Its text as it was.
    pub(super) old: Cow<'a, str>,
    /// What became of it.
    pub(super) file: RenderedFile,
}

impl<'a> Done<'a> {
    /// Returns its text, new or as it was.
    pub(super) fn text(&self) -> &str {
        self.file.new.as_deref().unwrap_or(&self.old)
    }

    /// Returns its text, new or as it was.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        self.file.new.map_or(self.old, Cow::Owned)
    }
}

/// Renders every file, in parallel, and hands them over in order.
pub(super) fn second_pass<'a>(
    texts: &'a Texts<'_>,
    renderers: &Renderers,
    how: How,
    common: &Common,
    mut take: impl FnMut(Done<'a>),
) {
    let mut progress = Progress::new("rendered", texts.inputs.len(), common);
    in_order(
        &texts.inputs,
        |(input, kept)| match (renderers.of(input), kept) {
            (None, _) => failed(input, of_no_cluster(input)),
            (Some(renderer), Some(text)) => done(input, Cow::Borrowed(text), renderer, how),
            (Some(renderer), None) => match text(input, texts.files) {
                Ok(text) => done(input, Cow::Owned(text), renderer, how),
                Err(error) => failed(input, error),
            },
        },
        |file| {
            progress.step();
            take(file);
        },
    );
}

fn done<'a>(input: &'a Input, old: Cow<'a, str>, renderer: &Renderer, how: How) -> Done<'a> {
    let file = File {
        name: &input.name,
        namespace: &input.namespace,
        is_named: input.is_named,
        text: &old,
        documents: &[],
    };
    Done { input, file: render_file(&file, renderer, how), old }
}

fn failed(input: &Input, error: Diagnostic) -> Done<'_> {
    let file = RenderedFile { is_dropped: true, diagnostics: vec![error], ..RenderedFile::default() };
    Done { input, old: Cow::Borrowed(""), file }
}

/// Whose ledgers should say what its workloads carry?
fn of_no_cluster(input: &Input) -> Diagnostic {
    let message = format!("`{}` is in the folder of no cluster of pillion.yaml", input.name);
    Diagnostic::error(Code::NoCluster, message)
        .at(Label::whole_file(input.name.clone()))
        .help("say whose it is with `--cluster NAME`, or give a cluster its folder in `clusters:`")
}

/// Takes from a budget; false when it does not suffice.
fn spend(budget: &AtomicUsize, amount: usize) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}
