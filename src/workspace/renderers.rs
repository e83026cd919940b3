//! Builds the renderers of a workspace, one a cluster, and renders its inputs with them.

use super::{
    ClusterLayout, CollectedInputs, Input, InputTexts, Layout, Workspace, collect_files, read_input,
    read_ledger_files, shared_files,
};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::AnnotationMode;
use crate::read::{Disk, map_in_order};
use crate::render::{
    FileRenderOptions, OverrideUse, RenderedFile, Renderer, RendererInputs, SourceFile, build_renderer,
    render_file,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The renderers of a run: one, or one a cluster.
pub(crate) struct ClusterRenderers {
    by_cluster: Vec<(Option<ClusterLayout>, Renderer)>,
    layout: Layout,
    /// Every input belongs to the one cluster that was named.
    is_cluster_selected: bool,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared_namespaces: BTreeSet<String>,
}

/// How a workspace is rendered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkspaceRenderOptions {
    /// Which annotations are written, in place of the setting of pillion.yaml.
    pub(crate) annotations: Option<AnnotationMode>,
    /// SidecarSets stay in the output.
    pub(crate) keeps_sidecar_sets: bool,
    /// Injection records the origin of each line.
    pub(crate) trace: bool,
}

impl Workspace {
    /// Builds the renderer of each selected cluster from the collected objects, further SidecarSets and the ledgers.
    pub(crate) fn build_renderers(
        &self,
        inputs: &mut CollectedInputs,
        options: WorkspaceRenderOptions,
    ) -> (ClusterRenderers, Vec<Diagnostic>) {
        let (repository, layout) = (&self.configuration.repository, &self.configuration.layout);
        let sidecar_sets = inputs.collect_additional(&self.sidecar_sets);
        let manifests = std::mem::take(&mut inputs.collected);
        let history = collect_files(&self.history, &Disk);
        let (ledgers, mut diagnostics) = layout.find_ledgers(&Disk);
        let files = inputs.texts.iter().map(|(input, _)| input);
        diagnostics.extend(shared_files(&self.configuration, self.cluster.as_deref(), files));
        let mut by_cluster = Vec::new();
        let mut declared_namespaces = BTreeSet::new();
        for cluster in self.selected_clusters() {
            let own = ledgers.iter().filter(|l| l.cluster == cluster.as_ref().map(|c| c.name.clone()));
            let (ledgers, errors) = read_ledger_files(own.map(|ledger| &ledger.input), &Disk);
            diagnostics.extend(errors);
            let (setup, errors) = build_renderer(RendererInputs {
                manifests: manifests.clone(),
                sidecar_sets: sidecar_sets.clone(),
                ledgers,
                history: history.clone(),
                sidecar_set_paths: &self.sidecar_set_paths,
                repository,
                runtime: repository.runtime_of(cluster.as_ref().map(|cluster| &*cluster.name)),
                override_rules: self.configuration.override_rules(),
                annotations: options.annotations,
                keeps_sidecar_sets: options.keeps_sidecar_sets,
                trace: options.trace,
                hypothetical_ledgers: None,
            });
            diagnostics.extend(errors);
            declared_namespaces.extend(setup.declared_namespaces);
            by_cluster.push((cluster, setup.renderer));
        }
        let renderers = ClusterRenderers {
            by_cluster,
            layout: layout.clone(),
            is_cluster_selected: self.cluster.is_some(),
            declared_namespaces,
        };
        (renderers, diagnostics)
    }
}

impl ClusterRenderers {
    /// Returns these with a change of each.
    #[must_use]
    pub(crate) fn map_each(self, change: impl Fn(Renderer) -> Renderer) -> Self {
        let changed = |(cluster, renderer)| (cluster, change(renderer));
        Self { by_cluster: self.by_cluster.into_iter().map(changed).collect(), ..self }
    }

    /// Finds ledger entries for workloads of other namespaces than those of the `present` workloads. Only a single
    /// renderer is checked, because then every workload belongs to its ledgers.
    pub(crate) fn foreign_ledger_entries(
        &self,
        present: &BTreeSet<Arc<str>>,
        span: &Span,
    ) -> Vec<Diagnostic> {
        match &self.by_cluster[..] {
            [(_, renderer)] => renderer.find_unknown_entries(present, &self.declared_namespaces, span),
            _ => Vec::new(),
        }
    }

    /// Returns whether there are SidecarOverrides in any of the clusters.
    pub(crate) fn has_overrides(&self) -> bool {
        self.by_cluster.iter().any(|(_, renderer)| !renderer.overrides.is_empty())
    }

    /// Reports SidecarOverrides that had no effect in a run, in any of the clusters.
    pub(crate) fn unused_overrides(&self, found: &OverrideUse) -> Vec<Diagnostic> {
        let injecting = self.by_cluster.iter().filter(|(_, renderer)| !renderer.is_kruise_runtime());
        // The clusters of one run read the same files.
        injecting.take(1).flat_map(|(_, renderer)| renderer.overrides.unused(found)).collect()
    }

    /// Returns the renderer of an input; None when no cluster has it.
    fn renderer_for(&self, input: &Input) -> Option<&Renderer> {
        let has = |cluster: &Option<ClusterLayout>| match cluster {
            Some(cluster) => self.is_cluster_selected || self.layout.cluster_contains(cluster, input),
            None => true,
        };
        self.by_cluster.iter().find(|(cluster, _)| has(cluster)).map(|(_, renderer)| renderer)
    }

    /// Renders every file in parallel, as far as `finish` too, and passes the results on in order.
    pub(crate) fn render_inputs<'a, R: Send>(
        &self,
        texts: &'a InputTexts,
        options: FileRenderOptions,
        finish: impl Fn(RenderedInput<'a>) -> R + Sync,
        take: impl FnMut(R),
    ) {
        let render = |(input, kept): &'a (Input, Option<Box<str>>)| {
            let Some(renderer) = self.renderer_for(input) else {
                return RenderedInput::failed(input, no_cluster_error(input));
            };
            let text = match kept {
                Some(text) => Ok(Cow::Borrowed(&**text)),
                None => read_input(input, &Disk).map(Cow::Owned),
            };
            match text {
                Ok(text) => RenderedInput::render(input, text, renderer, options),
                Err(error) => RenderedInput::failed(input, error),
            }
        };
        map_in_order(texts, |input| finish(render(input)), take);
    }
}

/// An input after rendering.
pub(crate) struct RenderedInput<'a> {
    /// The input.
    pub(crate) input: &'a Input,
    /// Its text before rendering.
    pub(crate) original: Cow<'a, str>,
    /// The result.
    pub(crate) rendered: RenderedFile,
}

impl<'a> RenderedInput<'a> {
    fn render(
        input: &'a Input,
        original: Cow<'a, str>,
        renderer: &Renderer,
        options: FileRenderOptions,
    ) -> Self {
        let rendered = render_file(&SourceFile::of_input(input, &original), renderer, options);
        Self { input, original, rendered }
    }

    fn failed(input: &'a Input, error: Diagnostic) -> Self {
        let rendered = RenderedFile { is_dropped: true, diagnostics: vec![error], ..RenderedFile::default() };
        Self { input, original: Cow::Borrowed(""), rendered }
    }

    /// Returns its text, rendered or unchanged.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        self.rendered.text(&self.original)
    }
}

impl<'a> SourceFile<'a> {
    /// Returns the file of an input.
    pub(crate) fn of_input(input: &'a Input, text: &'a str) -> Self {
        let (name, namespace) = (&input.name, &*input.namespace);
        Self { name, namespace, is_named: input.is_explicit, text }
    }
}

/// Reports an input without ledgers.
fn no_cluster_error(input: &Input) -> Diagnostic {
    let message = format!("`{}` is in the folder of no cluster of pillion.yaml", input.name);
    Diagnostic::error(Code::NoCluster, message)
        .at(Span::whole_file(input.name.clone()))
        .help("name the cluster with `--cluster NAME`, or give a cluster its folder in `clusters:`")
}
