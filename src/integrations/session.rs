//! Renders the manifests of an integration: a stream that came in, or the sources of its configuration.

use super::stream_objects::{STREAM_NAME, StreamObjects};
use crate::diagnostics::{Code, Diagnostic, LintLevels, Span};
use crate::read::{Disk, map_in_order};
use crate::render::{
    CollectedObjects, FileRenderOptions, OverrideUse, RenderedFile, RenderedList, Renderer, SourceFile,
    render_file, render_items,
};
use crate::workspace::{FunctionInputs, FunctionOptions, Input, read_input};
use crate::yaml::{Document, ItemChange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An integration that is ready to render.
pub(crate) struct IntegrationSession {
    /// The renderer.
    pub(crate) renderer: Renderer,
    /// The namespace of manifests that name none.
    namespace: Arc<str>,
    /// The manifests that the configuration names.
    sources: Vec<Input>,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared_namespaces: BTreeSet<String>,
    /// The position of the configuration.
    span: Span,
    /// The levels of codes in pillion.yaml.
    pub(crate) lint_levels: LintLevels,
}

/// A rendered file, and what SidecarOverrides find in it.
type RenderedText = (String, Vec<Diagnostic>, OverrideUse);

impl IntegrationSession {
    /// Opens a session for manifests that some objects were collected from already. Without a session the diagnostics
    /// say why. With `keeps_all` nothing is left out of what is rendered: the caller decides that.
    pub(crate) fn open(
        options: &FunctionOptions,
        items: CollectedObjects,
        keeps_all: bool,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let (inputs, diagnostics) = FunctionInputs::read(options, items);
        let session = inputs.map(|inputs| {
            let FunctionInputs { setup, namespace, sources, lint_levels } = inputs;
            let renderer = match options.fallback_namespace.as_deref().filter(|n| !n.is_empty()) {
                Some(namespace) => setup.renderer.with_default_namespace(namespace),
                None => setup.renderer,
            };
            let renderer = if keeps_all { renderer.keep_all() } else { renderer };
            let (declared_namespaces, span) = (setup.declared_namespaces, options.span.clone());
            Self { renderer, namespace, sources, declared_namespaces, span, lint_levels }
        });
        (session, diagnostics)
    }

    /// Renders the items of a list. What happens to them besides is up to the caller.
    pub(crate) fn render_items(&self, list: &Document) -> (BTreeMap<usize, ItemChange>, Vec<Diagnostic>) {
        let RenderedList { changes, mut diagnostics, override_use } =
            render_items(list, &self.namespace, &self.renderer);
        if !changes.is_empty() {
            diagnostics.extend(list.diagnostics().iter().cloned());
        }
        diagnostics.extend(self.findings_of_run(&override_use, &diagnostics));
        (changes, diagnostics)
    }

    /// Renders a text.
    pub(crate) fn render(&self, name: &Arc<str>, text: &str) -> (String, Vec<Diagnostic>) {
        let file = SourceFile { name, namespace: &self.namespace, is_named: true, text };
        let (text, mut diagnostics, found) = self.render_one_file(&file);
        diagnostics.extend(self.findings_of_run(&found, &diagnostics));
        (text, diagnostics)
    }

    fn render_one_file(&self, file: &SourceFile<'_>) -> RenderedText {
        let rendered = render_file(file, &self.renderer, FileRenderOptions::default());
        let found = override_use(file.name, &rendered);
        let text = rendered.text(file.text).into_owned();
        (if rendered.is_dropped { String::new() } else { text }, rendered.diagnostics, found)
    }

    /// Finds ledger entries for workloads of another namespace than those of the input, and SidecarOverrides without an
    /// effect. `so_far` is what is known to be wrong: without it, workloads may be missing.
    fn findings_of_run(&self, found: &OverrideUse, so_far: &[Diagnostic]) -> Vec<Diagnostic> {
        let mut findings =
            self.renderer.find_unknown_entries(&found.workloads, &self.declared_namespaces, &self.span);
        if !so_far.iter().any(Diagnostic::is_error) {
            findings.extend(self.renderer.overrides.unused(found));
        }
        findings
    }

    /// Reads and renders the manifests that the configuration names; returns each file with its name.
    pub(crate) fn render_sources(&self) -> (Vec<(Arc<str>, String)>, Vec<Diagnostic>) {
        let (mut texts, mut diagnostics, mut present) = (Vec::new(), Vec::new(), OverrideUse::default());
        let work = |input: &Input| {
            let text = read_input(input, &Disk)?;
            Ok(self.render_one_file(&SourceFile::of_input(input, &text)))
        };
        let mut names = self.sources.iter().map(|input| Arc::clone(&input.name));
        map_in_order(&self.sources, work, |done: Result<_, Diagnostic>| {
            let name = names.next().unwrap_or_else(|| "".into());
            match done {
                Ok((text, problems, found)) => {
                    texts.push((name, text));
                    diagnostics.extend(problems);
                    present.extend(found);
                }
                Err(error) => diagnostics.push(error),
            }
        });
        diagnostics.extend(self.findings_of_run(&present, &diagnostics));
        (texts, diagnostics)
    }
}

/// Returns what SidecarOverrides find in a rendered file.
fn override_use(name: &Arc<str>, rendered: &RenderedFile) -> OverrideUse {
    OverrideUse {
        files: BTreeSet::from([Arc::clone(name)]),
        workloads: rendered.workloads.iter().map(|(key, _)| key.as_str().into()).collect(),
        reached: rendered.reached_overrides.iter().cloned().collect(),
    }
}

/// Names the objects of a stream in diagnostics, and explains errors that a patch of kustomize causes.
pub(super) fn locate_in_stream(text: &str, diagnostics: &mut [Diagnostic]) {
    if diagnostics.is_empty() {
        return;
    }
    let objects = StreamObjects::from_stream(text);
    for diagnostic in diagnostics {
        explain_patch_error(diagnostic);
        objects.locate(diagnostic);
    }
}

/// Explains errors that a patch of kustomize causes; only for diagnostics without a located object.
pub(crate) fn explain_patch_error(diagnostic: &mut Diagnostic) {
    let is_image =
        diagnostic.field.as_deref().is_some_and(|f| f.starts_with("spec.") && f.ends_with(".image"));
    let came_over_stream = diagnostic.spans.first().is_some_and(|label| &*label.file == STREAM_NAME);
    if diagnostic.code == Code::MissingField && is_image && came_over_stream {
        diagnostic.notes.push(
            "a strategic-merge patch of a SidecarSet replaces the whole list of containers, images and all"
                .to_owned(),
        );
        diagnostic.help = Some("name the image; in a kustomization, patch the SidecarSet with JSON 6902 (`patches: [{target: …, patch: '- op: replace …'}]`)".to_owned());
    }
}
