//! What render, validate and explain share: read the inputs, prepare the sets, render files in parallel.

use super::GlobalArgs;
use super::inputs::Inputs;
use super::progress::Progress;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::AnnotationMode;
use crate::read::{FileSource, map_in_order};
use crate::render::{
    CollectedObjects, FileRenderOptions, RenderedFile, Renderer, RendererInputs, SourceFile, build_renderer,
    collect_objects, render_file,
};
use crate::workspace::{ClusterLayout, Input, Layout, read_input};
use crate::workspace::{gather_ledgers, shared_files};
use crate::yaml::{Document, split_documents};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of input text that are kept between the two passes; the rest is read again.
const MAX_RETAINED_BYTES: usize = 64 << 20;

/// Inputs that were read once.
pub(super) struct InputTexts<'f> {
    files: &'f dyn FileSource,
    inputs: Vec<(Input, Option<String>)>,
}

/// What the first pass found.
pub(super) struct CollectedInputs<'f> {
    /// The inputs, with their texts as far as they are kept.
    pub(super) texts: InputTexts<'f>,
    /// SidecarSets and Namespaces.
    pub(super) collected: CollectedObjects,
}

/// Reads every input and finds the SidecarSets and Namespaces in it.
pub(super) fn collect_inputs<'f>(inputs: &mut Inputs<'f>, common: &GlobalArgs) -> CollectedInputs<'f> {
    let files = inputs.files;
    let manifests = std::mem::take(&mut inputs.manifests);
    let of_sets: BTreeSet<&str> = inputs.sidecar_sets.iter().map(|input| &*input.name).collect();
    let mut gathered = CollectedObjects::default();
    let mut kept = Vec::with_capacity(manifests.len());
    let budget = AtomicUsize::new(MAX_RETAINED_BYTES);
    let mut progress = Progress::new("read", manifests.len(), common);
    let work = |input: &Input| {
        let text = read_input(input, files)?;
        let found = collect_objects(&input.name, &text, input.is_explicit || of_sets.contains(&*input.name));
        let is_kept = !input.is_rereadable(files) || try_spend(&budget, text.len());
        Ok((found, is_kept.then_some(text)))
    };
    map_in_order(&manifests, work, |result: Result<_, Diagnostic>| {
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
    CollectedInputs {
        texts: InputTexts { files, inputs: manifests.into_iter().zip(kept).collect() },
        collected: gathered,
    }
}

impl CollectedInputs<'_> {
    /// Finds the SidecarSets of further files, which are not rendered; files that were read already are left out.
    pub(super) fn collect_additional(&self, files: &[Input]) -> CollectedObjects {
        let known: BTreeSet<&str> = self.texts.inputs.iter().map(|(input, _)| &*input.name).collect();
        let further: Vec<_> = files.iter().filter(|f| !known.contains(&*f.name)).cloned().collect();
        collect_files(&further, self.texts.files)
    }
}

/// Finds the SidecarSets and Namespaces of some files that are expected to hold them.
pub(super) fn collect_files(inputs: &[Input], files: &dyn FileSource) -> CollectedObjects {
    collect_all(inputs, files, |_| true)
}

/// Finds the SidecarSets and Namespaces among manifests.
pub(super) fn collect_manifests(inputs: &[Input], files: &dyn FileSource) -> CollectedObjects {
    collect_all(inputs, files, |input| input.is_explicit)
}

fn collect_all(
    inputs: &[Input],
    files: &dyn FileSource,
    is_named: impl Fn(&Input) -> bool,
) -> CollectedObjects {
    let mut gathered = CollectedObjects::default();
    for input in inputs {
        match read_input(input, files) {
            Ok(text) => gathered.merge(collect_objects(&input.name, &text, is_named(input))),
            Err(error) => gathered.diagnostics.push(error),
        }
    }
    gathered
}

/// The renderers of a run: one, or one a cluster.
pub(super) struct ClusterRenderers {
    by_cluster: Vec<(Option<ClusterLayout>, Renderer)>,
    layout: Layout,
    /// Every input belongs to the one cluster that was named.
    is_cluster_selected: bool,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared_namespaces: BTreeSet<String>,
}

impl ClusterRenderers {
    /// Returns these with a change of each.
    pub(super) fn map_each(self, change: impl Fn(Renderer) -> Renderer) -> Self {
        let changed = |(cluster, renderer)| (cluster, change(renderer));
        Self { by_cluster: self.by_cluster.into_iter().map(changed).collect(), ..self }
    }

    /// Finds entries of ledgers for workloads of other namespaces than those that came in; where only one renderer
    /// was at work, so that every workload is of its ledgers.
    pub(super) fn foreign_ledger_entries(&self, present: &BTreeSet<Arc<str>>, at: &Span) -> Vec<Diagnostic> {
        match &self.by_cluster[..] {
            [(_, renderer)] => renderer.find_unknown_entries(present, &self.declared_namespaces, at),
            _ => Vec::new(),
        }
    }

    /// Returns the renderer of an input; None when no cluster has it.
    fn renderer_for(&self, input: &Input) -> Option<&Renderer> {
        let has = |cluster: &Option<ClusterLayout>| match cluster {
            Some(cluster) => self.is_cluster_selected || self.layout.cluster_contains(cluster, input),
            None => true,
        };
        self.by_cluster.iter().find(|(cluster, _)| has(cluster)).map(|(_, renderer)| renderer)
    }
}

/// Prepares rendering: sets of the inputs and further files, ledgers, namespaces, kinds, options.
pub(super) fn prepare_renderers(
    inputs: &Inputs<'_>,
    first: &mut CollectedInputs<'_>,
    annotations: Option<AnnotationMode>,
    keeps_sidecar_sets: bool,
    trace: bool,
) -> (ClusterRenderers, Vec<Diagnostic>) {
    let sidecar_sets = first.collect_additional(&inputs.sidecar_sets);
    let manifests = std::mem::take(&mut first.collected);
    let history = collect_files(&inputs.history, inputs.files);
    let (ledgers, mut diagnostics) = inputs.layout.find_ledgers(inputs.files);
    let named: Vec<Input> = first.texts.inputs.iter().map(|(input, _)| input.clone()).collect();
    let only = inputs.cluster.as_deref();
    diagnostics.extend(shared_files(&inputs.repository, &inputs.layout, only, &named));
    let mut by_cluster = Vec::new();
    let mut declared = BTreeSet::new();
    for cluster in inputs.selected_clusters() {
        let own = ledgers.iter().filter(|l| l.cluster == cluster.as_ref().map(|c| c.name.clone()));
        let own: Vec<Input> = own.map(|l| l.input.clone()).collect();
        let (ledgers, wrong) = gather_ledgers(&own, inputs.files);
        diagnostics.extend(wrong);
        let (prepared, wrong) = build_renderer(RendererInputs {
            manifests: manifests.clone(),
            sidecar_sets: sidecar_sets.clone(),
            ledgers,
            history: history.clone(),
            sidecar_set_paths: &inputs.sidecar_set_paths,
            repository: &inputs.repository,
            annotations,
            keeps_sidecar_sets,
            trace,
            hypothetical_ledgers: None,
        });
        diagnostics.extend(wrong);
        declared.extend(prepared.declared_namespaces);
        by_cluster.push((cluster, prepared.renderer));
    }
    let (layout, is_named) = (inputs.layout.clone(), inputs.cluster.is_some());
    let renderers =
        ClusterRenderers { by_cluster, layout, is_cluster_selected: is_named, declared_namespaces: declared };
    (renderers, diagnostics)
}

/// Reads every document of an input that is not blank.
pub(super) fn read_documents(input: &Input, files: &dyn FileSource) -> (Vec<Document>, Vec<Diagnostic>) {
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

/// An input after rendering.
pub(super) struct RenderedInput<'a> {
    /// The input.
    pub(super) input: &'a Input,
    /// Its text as it was.
    pub(super) original: Cow<'a, str>,
    /// What became of it.
    pub(super) rendered: RenderedFile,
}

impl<'a> RenderedInput<'a> {
    /// Returns its text, new or as it was.
    pub(super) fn text(&self) -> &str {
        self.rendered.text.as_deref().unwrap_or(&self.original)
    }

    /// Returns its text, new or as it was.
    pub(super) fn into_text(self) -> Cow<'a, str> {
        self.rendered.text.map_or(self.original, Cow::Owned)
    }
}

/// Renders every file, in parallel, and hands them over in order.
pub(super) fn render_inputs<'a>(
    texts: &'a InputTexts<'_>,
    renderers: &ClusterRenderers,
    how: FileRenderOptions,
    common: &GlobalArgs,
    mut take: impl FnMut(RenderedInput<'a>),
) {
    let mut progress = Progress::new("rendered", texts.inputs.len(), common);
    map_in_order(
        &texts.inputs,
        |(input, kept)| match (renderers.renderer_for(input), kept) {
            (None, _) => failed_input(input, no_cluster_error(input)),
            (Some(renderer), Some(text)) => render_input(input, Cow::Borrowed(text), renderer, how),
            (Some(renderer), None) => match read_input(input, texts.files) {
                Ok(text) => render_input(input, Cow::Owned(text), renderer, how),
                Err(error) => failed_input(input, error),
            },
        },
        |file| {
            progress.step();
            take(file);
        },
    );
}

fn render_input<'a>(
    input: &'a Input,
    old: Cow<'a, str>,
    renderer: &Renderer,
    how: FileRenderOptions,
) -> RenderedInput<'a> {
    let file = SourceFile {
        name: &input.name,
        namespace: &input.namespace,
        is_named: input.is_explicit,
        text: &old,
        documents: &[],
    };
    RenderedInput { input, rendered: render_file(&file, renderer, how), original: old }
}

fn failed_input(input: &Input, error: Diagnostic) -> RenderedInput<'_> {
    let file = RenderedFile { is_dropped: true, diagnostics: vec![error], ..RenderedFile::default() };
    RenderedInput { input, original: Cow::Borrowed(""), rendered: file }
}

/// Whose ledgers should say what its workloads carry?
fn no_cluster_error(input: &Input) -> Diagnostic {
    let message = format!("`{}` is in the folder of no cluster of pillion.yaml", input.name);
    Diagnostic::error(Code::NoCluster, message)
        .at(Span::whole_file(input.name.clone()))
        .help("say whose it is with `--cluster NAME`, or give a cluster its folder in `clusters:`")
}

/// Takes from a budget; false when it does not suffice.
fn try_spend(budget: &AtomicUsize, amount: usize) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok()
}
