//! Renders one document: the same document with its sidecars. Pure.
//!
//! `collect` finds the SidecarSets and Namespaces among all documents; a [`Renderer`] made of them then renders each
//! document by itself, in any order and on any thread.

mod assignments;
mod collect;
mod file;
mod namespaces;
mod prefilter;
mod references;
mod replacements;
mod scan;
mod setup;
mod sidecar_sets;
mod unreadable;
mod workload;
mod workload_keys;

pub(crate) use assignments::RevisionAssignments;
pub use collect::{CollectedObjects, collect_objects};
pub(crate) use file::{FileRenderOptions, RenderedFile, SourceFile, render_file};
pub(crate) use namespaces::NamespaceIndex;
pub(crate) use prefilter::KeywordMatcher;
pub(crate) use references::find_dangling_references;
pub(crate) use replacements::replacement_candidates;
pub(crate) use setup::{RendererInputs, RendererSetup, build_renderer};
pub(crate) use sidecar_sets::{DocumentObject, read_sets, read_states, validate_sets};
pub(crate) use workload::{InjectedWorkload, WorkloadRef};

use crate::diagnostics::Diagnostic;
use crate::inject::{InjectionOutcome, Options};
use crate::model::api::{KRUISE_GROUP, PILLION_GROUP};
use crate::model::workload::{WorkloadKind, WorkloadKinds, api_group, item_type_meta, type_meta};
use crate::yaml::{Document, FieldPath};
use prefilter::SelectorPrefilter;
use scan::{ObjectScan, scan_object};
use serde_json::Value;
use std::sync::Arc;

/// The text of one document and its origin.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    /// The file's name, as users call it.
    pub(crate) file: &'a Arc<str>,
    /// The number of the document in its file, from 0.
    pub(crate) index: usize,
    /// The line of the file it starts on, from 1.
    pub(crate) first_line: usize,
    /// Its text, with its `---` line.
    pub(crate) text: &'a str,
    /// The namespace if the manifest has none; empty if unknown.
    pub(crate) namespace: &'a str,
    /// A person named this very file, so that text that is not a YAML is an error whatever it holds.
    pub(crate) is_named: bool,
    /// The document, if it is already parsed.
    pub(crate) document: Option<&'a Document>,
}

/// A document with its workloads, if it has some, and the diagnostics.
pub(crate) type DocumentWorkloads = (Option<(Arc<Document>, Vec<WorkloadRef>)>, Vec<Diagnostic>);

/// The output for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DocumentOutput {
    /// It stays as it is, byte for byte.
    Unchanged,
    /// Its new text.
    Changed(String),
    /// It is not part of the output: a SidecarSet, a Kustomization or a document of pillion's own.
    Excluded,
}

/// A rendered document.
#[derive(Debug)]
pub(crate) struct RenderedDocument {
    /// The output.
    pub(crate) output: DocumentOutput,
    /// Its diagnostics.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Its workloads as far as they were looked at, with what injection did to each.
    pub(crate) workloads: Vec<(String, InjectionOutcome)>,
}

impl RenderedDocument {
    fn unchanged() -> Self {
        Self { output: DocumentOutput::Unchanged, diagnostics: Vec::new(), workloads: Vec::new() }
    }

    fn excluded() -> Self {
        Self { output: DocumentOutput::Excluded, ..Self::unchanged() }
    }
}

/// Everything that rendering a document depends on.
#[derive(Debug)]
pub struct Renderer {
    assignments: RevisionAssignments,
    kinds: WorkloadKinds,
    namespaces: Arc<NamespaceIndex>,
    options: Options,
    keeps_sidecar_sets: bool,
    keeps_all: bool,
    skips_hooks: bool,
    /// The namespace if none is configured.
    default_namespace: Arc<str>,
    prefilter: SelectorPrefilter,
}

/// The role of a document in a render.
enum DocumentRole<'a> {
    /// It passes through.
    PassThrough,
    /// It is omitted.
    Excluded,
    /// It holds a pod template.
    Workload(&'a Arc<WorkloadKind>),
    /// It holds items, each with a role of its own.
    List,
}

impl Renderer {
    /// Prepares rendering with these contents.
    pub(crate) fn new(
        contents: RevisionAssignments,
        kinds: WorkloadKinds,
        namespaces: NamespaceIndex,
        options: Options,
        keeps_sidecar_sets: bool,
    ) -> Self {
        let needles = SelectorPrefilter::new(contents.all_sets().map(|s| &s.set().selector));
        Self {
            assignments: contents,
            kinds,
            namespaces: Arc::new(namespaces),
            options,
            keeps_sidecar_sets,
            keeps_all: false,
            skips_hooks: false,
            default_namespace: "default".into(),
            prefilter: needles,
        }
    }

    /// Returns a renderer with other contents, and everything else alike.
    pub(crate) fn with_assignments(&self, contents: RevisionAssignments) -> Self {
        let (kinds, namespaces) = (self.kinds.clone(), Arc::clone(&self.namespaces));
        let needles = SelectorPrefilter::new(contents.all_sets().map(|s| &s.set().selector));
        let otherwise = Arc::clone(&self.default_namespace);
        Self {
            assignments: contents,
            kinds,
            namespaces,
            prefilter: needles,
            default_namespace: otherwise,
            ..*self
        }
    }

    /// Returns a renderer that drops no document; the caller decides about that.
    #[must_use]
    pub(crate) fn keep_all(self) -> Self {
        Self { keeps_all: true, keeps_sidecar_sets: true, ..self }
    }

    /// Returns a renderer that leaves hooks of Helm as they are: Helm waits for their end, and few sidecars end.
    #[must_use]
    pub(crate) fn skip_hooks(self) -> Self {
        Self { skips_hooks: true, ..self }
    }

    /// Returns a renderer that uses this namespace for manifests without one.
    #[must_use]
    pub(crate) fn with_default_namespace(self, namespace: &str) -> Self {
        Self { default_namespace: namespace.into(), ..self }
    }

    /// Returns the kind of an object that holds a pod template.
    pub(crate) fn kind_of(&self, object: &Value) -> Option<&Arc<WorkloadKind>> {
        type_meta(object).and_then(|(api_version, kind)| self.kinds.find(api_version, kind))
    }

    /// Renders one document.
    pub(crate) fn render(&self, manifest: &Manifest<'_>) -> RenderedDocument {
        self.render_text(manifest, false)
    }

    /// Renders one document, looking also at workloads that no set can select: what `explain` needs.
    pub(crate) fn explain(&self, manifest: &Manifest<'_>) -> RenderedDocument {
        self.render_text(manifest, true)
    }

    fn render_text(&self, manifest: &Manifest<'_>, explains: bool) -> RenderedDocument {
        match scan_object(manifest.text) {
            ObjectScan::Blank
            | ObjectScan::Mapping { api_version: None, .. }
            | ObjectScan::Mapping { kind: None, .. } => {
                return RenderedDocument::unchanged();
            }
            ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                match self.role(api_version, kind) {
                    DocumentRole::PassThrough => return RenderedDocument::unchanged(),
                    DocumentRole::Excluded => return RenderedDocument::excluded(),
                    DocumentRole::Workload(_) if !explains && !self.prefilter.may_match(manifest.text) => {
                        return RenderedDocument::unchanged();
                    }
                    DocumentRole::Workload(_) | DocumentRole::List => {}
                }
            }
            ObjectScan::Unclear => {}
        }
        if let Some(document) = manifest.document {
            return self.render_parsed(document, manifest);
        }
        match Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text) {
            Ok(document) => self.render_parsed(&document, manifest),
            // `gather` has said the same.
            Err(error) => RenderedDocument {
                diagnostics: vec![unreadable(error, manifest)],
                ..RenderedDocument::unchanged()
            },
        }
    }

    /// Returns whether render leaves out a document.
    pub(crate) fn excludes(&self, text: &str) -> bool {
        match scan_object(text) {
            ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                matches!(self.role(api_version, kind), DocumentRole::Excluded)
            }
            _ => false,
        }
    }

    /// Returns whether render leaves out an item of a List.
    pub(crate) fn excludes_item(&self, list: &Value, item: &Value) -> bool {
        item_type_meta(list, item).is_some_and(|(a, k)| matches!(self.role(&a, &k), DocumentRole::Excluded))
    }

    fn role(&self, api_version: &str, kind: &str) -> DocumentRole<'_> {
        match (api_group(api_version), kind) {
            (KRUISE_GROUP, "SidecarSet") if self.keeps_sidecar_sets => DocumentRole::PassThrough,
            (KRUISE_GROUP, "SidecarSet") | (PILLION_GROUP, _) if !self.keeps_all => DocumentRole::Excluded,
            ("kustomize.config.k8s.io", "Kustomization" | "Component") if !self.keeps_all => {
                DocumentRole::Excluded
            }
            _ => match self.kinds.find(api_version, kind) {
                Some(kind) => DocumentRole::Workload(kind),
                None if kind.ends_with("List") => DocumentRole::List,
                None => DocumentRole::PassThrough,
            },
        }
    }

    fn render_parsed(&self, document: &Document, manifest: &Manifest<'_>) -> RenderedDocument {
        let Some((api_version, kind)) = collect::object_type(document.value()) else {
            return RenderedDocument::unchanged();
        };
        match self.role(api_version, kind) {
            DocumentRole::PassThrough => RenderedDocument::unchanged(),
            DocumentRole::Excluded => RenderedDocument::excluded(),
            DocumentRole::Workload(kind) => {
                let mut rendered = RenderedDocument::unchanged();
                if let Some((at, new)) =
                    self.render_workload(document, &FieldPath::root(), kind, manifest, &mut rendered)
                {
                    apply_change(document, &at, &new, &mut rendered);
                }
                rendered
            }
            DocumentRole::List => self.render_list(document, manifest),
        }
    }

    /// Renders the items of a List. All changes are made at once, so that a long list is read once.
    fn render_list(&self, document: &Document, manifest: &Manifest<'_>) -> RenderedDocument {
        let mut rendered = RenderedDocument::unchanged();
        let mut own = Vec::new();
        let items = self.render_items(
            document,
            &FieldPath::root(),
            document.value(),
            manifest,
            &mut rendered,
            &mut own,
        );
        if let Some(items) = items {
            apply_change(document, &FieldPath::dotted("items"), &items, &mut rendered);
        }
        if !own.is_empty() && !rendered.diagnostics.iter().any(Diagnostic::is_error) {
            match remove_items(document, &own, &rendered.output) {
                Ok(output) => rendered.output = output,
                Err(error) => rendered.diagnostics.push(*error),
            }
        }
        rendered
    }

    /// Renders the items of the list at `base`; lists in lists are lists too, as for kubectl. Returns the new items
    /// where some change, and adds the places of those that are not part of the output.
    fn render_items(
        &self,
        document: &Document,
        base: &FieldPath,
        list: &Value,
        manifest: &Manifest<'_>,
        rendered: &mut RenderedDocument,
        own: &mut Vec<FieldPath>,
    ) -> Option<Value> {
        let items = list.get("items").and_then(Value::as_array)?;
        let mut new_items = Vec::new();
        let mut is_changed = false;
        for (i, item) in items.iter().enumerate() {
            let at = base.child("items").child(i);
            let role =
                item_type_meta(list, item).map_or(DocumentRole::PassThrough, |(a, k)| self.role(&a, &k));
            let new_item = match role {
                DocumentRole::PassThrough => None,
                DocumentRole::Excluded => {
                    own.push(at);
                    None
                }
                DocumentRole::Workload(kind) => {
                    self.render_workload(document, &at, kind, manifest, rendered).map(|(path, new)| {
                        with_value_at(
                            item,
                            &FieldPath::from(path.segments()[at.segments().len()..].to_vec()),
                            new,
                        )
                    })
                }
                DocumentRole::List => {
                    let inner = self.render_items(document, &at, item, manifest, rendered, own);
                    inner.map(|inner| with_value_at(item, &FieldPath::dotted("items"), inner))
                }
            };
            is_changed |= new_item.is_some();
            new_items.push(new_item.unwrap_or_else(|| item.clone()));
        }
        is_changed.then_some(Value::Array(new_items))
    }

    /// Renders the workload at `base`; returns the place and the new value, if something changes.
    fn render_workload(
        &self,
        document: &Document,
        base: &FieldPath,
        kind: &Arc<WorkloadKind>,
        manifest: &Manifest<'_>,
        rendered: &mut RenderedDocument,
    ) -> Option<(FieldPath, Value)> {
        match self.locate(document, base, kind, manifest) {
            Ok(located) => {
                rendered.diagnostics.extend(self.check_namespace(document, &located));
                let InjectedWorkload { change, mut outcome } = self.inject(document, &located);
                rendered.diagnostics.append(&mut outcome.diagnostics);
                rendered.workloads.push((located.key.to_string(), outcome));
                change
            }
            Err(diagnostic) => {
                rendered.diagnostics.extend(diagnostic.map(|d| *d));
                None
            }
        }
    }

    /// Finds the workloads of one document that some set may select, without rendering them, and says what is wrong
    /// with those that cannot be found. Why a document cannot be read is said by [`collect_objects`].
    pub(crate) fn find_selectable_workloads(&self, manifest: &Manifest<'_>) -> DocumentWorkloads {
        self.find_workloads(manifest, false)
    }

    /// Finds the workloads of one document, those too that no set can select.
    pub(crate) fn find_all_workloads(
        &self,
        manifest: &Manifest<'_>,
    ) -> Option<(Arc<Document>, Vec<WorkloadRef>)> {
        self.find_workloads(manifest, true).0
    }

    fn find_workloads(&self, manifest: &Manifest<'_>, is_all: bool) -> DocumentWorkloads {
        let is_concerned = match scan_object(manifest.text) {
            ObjectScan::Blank
            | ObjectScan::Mapping { api_version: None, .. }
            | ObjectScan::Mapping { kind: None, .. } => false,
            ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                match self.role(api_version, kind) {
                    DocumentRole::PassThrough | DocumentRole::Excluded => false,
                    DocumentRole::Workload(_) => is_all || self.prefilter.may_match(manifest.text),
                    DocumentRole::List => true,
                }
            }
            ObjectScan::Unclear => true,
        };
        let read = || Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text).ok();
        let Some(document) = is_concerned.then(read).flatten() else { return (None, Vec::new()) };
        let mut found = (Vec::new(), Vec::new());
        if let Some((api_version, kind)) = collect::object_type(document.value()) {
            match self.role(api_version, kind) {
                DocumentRole::PassThrough | DocumentRole::Excluded => {}
                DocumentRole::Workload(kind) => {
                    self.collect_workload(&document, &FieldPath::root(), kind, manifest, &mut found)
                }
                DocumentRole::List => {
                    self.collect_items(&document, &FieldPath::root(), document.value(), manifest, &mut found)
                }
            }
        }
        let (found, diagnostics) = found;
        ((!found.is_empty()).then(|| (Arc::new(document), found)), diagnostics)
    }

    fn collect_workload(
        &self,
        document: &Document,
        base: &FieldPath,
        kind: &Arc<WorkloadKind>,
        manifest: &Manifest<'_>,
        (found, diagnostics): &mut (Vec<WorkloadRef>, Vec<Diagnostic>),
    ) {
        match self.locate(document, base, kind, manifest) {
            Ok(located) => found.push(located),
            Err(reason) => diagnostics.extend(reason.map(|d| *d)),
        }
    }

    fn collect_items(
        &self,
        document: &Document,
        base: &FieldPath,
        list: &Value,
        manifest: &Manifest<'_>,
        found: &mut (Vec<WorkloadRef>, Vec<Diagnostic>),
    ) {
        for (i, item) in list.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = base.child("items").child(i);
            match item_type_meta(list, item).map_or(DocumentRole::PassThrough, |(a, k)| self.role(&a, &k)) {
                DocumentRole::PassThrough | DocumentRole::Excluded => {}
                DocumentRole::Workload(kind) => self.collect_workload(document, &at, kind, manifest, found),
                DocumentRole::List => self.collect_items(document, &at, item, manifest, found),
            }
        }
    }
}

/// Takes items out of a List, in a step of its own: so each item that stays is known by its unchanged value, and
/// keeps its text. Lists that this empties go too.
fn remove_items(
    document: &Document,
    own: &[FieldPath],
    so_far: &DocumentOutput,
) -> Result<DocumentOutput, Box<Diagnostic>> {
    let edited = match so_far {
        DocumentOutput::Changed(text) => Some(Document::read(document.file(), document.index(), 1, text)?),
        DocumentOutput::Unchanged | DocumentOutput::Excluded => None,
    };
    let document = edited.as_ref().unwrap_or(document);
    match remaining_items(document.value(), &FieldPath::root(), own) {
        Some(items) => Ok(DocumentOutput::Changed(document.rewrite(&FieldPath::dotted("items"), &items)?)),
        None => Ok(DocumentOutput::Excluded),
    }
}

/// Returns the items of a list without those at some places; None when nothing is left.
fn remaining_items(list: &Value, base: &FieldPath, own: &[FieldPath]) -> Option<Value> {
    let items = list.get("items").and_then(Value::as_array)?;
    let mut left = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = base.child("items").child(i);
        if own.contains(&at) {
            continue;
        }
        let is_above = own.iter().any(|o| o.segments().starts_with(at.segments()));
        match is_above {
            false => left.push(item.clone()),
            true => left.extend(
                remaining_items(item, &at, own)
                    .map(|inner| with_value_at(item, &FieldPath::dotted("items"), inner)),
            ),
        }
    }
    (!left.is_empty()).then_some(Value::Array(left))
}

/// Writes a change into the document's text; a document with errors is left as it is.
fn apply_change(document: &Document, at: &FieldPath, new: &Value, rendered: &mut RenderedDocument) {
    let diagnostics = document.diagnostics();
    rendered.diagnostics.extend(diagnostics.iter().cloned());
    if rendered.diagnostics.iter().any(Diagnostic::is_error) {
        return;
    }
    match document.rewrite(at, new) {
        Ok(text) => rendered.output = DocumentOutput::Changed(text),
        Err(error) => rendered.diagnostics.push(error),
    }
}

fn unreadable(error: Diagnostic, manifest: &Manifest<'_>) -> Diagnostic {
    unreadable::unreadable_document(error, manifest.text, manifest.first_line, manifest.is_named)
}

/// Returns `value` with `new` at `path`.
fn with_value_at(value: &Value, path: &FieldPath, new: Value) -> Value {
    let mut whole = value.clone();
    workload::set_value_at(&mut whole, path.segments(), new);
    whole
}
