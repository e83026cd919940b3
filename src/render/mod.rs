//! Rendering: one document in, the same document with its sidecars out. Pure.
//!
//! `gather` finds the SidecarSets and Namespaces among all documents; a [`Renderer`] made of them then renders
//! each document by itself, in any order and on any thread.

mod contents;
mod file;
mod gather;
mod namespaces;
mod needles;
mod prepare;
mod references;
mod refused;
mod replaced;
mod scan;
mod sets;
mod unspecified;
mod workload;

pub use contents::Contents;
pub use file::{File, How, RenderedFile, render_file};
pub use gather::{Gathered, gather};
pub use namespaces::Namespaces;
pub use needles::AnyOf;
pub use prepare::{Ingredients, Prepared, prepare};
pub use references::dangling;
pub use replaced::candidates;
pub use sets::{Found, check_sets, read_sets, read_states};
pub use workload::{Injected, Located};

use crate::diag::Diagnostic;
use crate::inject::{Options, Outcome};
use crate::model::workload::{Kind, Kinds, group_of, type_of, type_of_item};
use crate::yaml::{Document, Path};
use needles::Needles;
use scan::{Scan, scan};
use serde_json::Value;
use std::sync::Arc;

/// The text of one document and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    /// The file's name, as users call it.
    pub file: &'a Arc<str>,
    /// The number of the document in its file, from 0.
    pub index: usize,
    /// The line of the file it starts on, from 1.
    pub first_line: usize,
    /// Its text, with its `---` line.
    pub text: &'a str,
    /// The namespace where the manifest names none; empty where nobody says it.
    pub namespace: &'a str,
    /// A person named this very file, so that text that is no YAML is an error whatever it holds.
    pub is_named: bool,
    /// The document, where somebody has read it already.
    pub document: Option<&'a Document>,
}

/// A document with its workloads, where it has some, and what is wrong with others.
pub type FoundWorkloads = (Option<(Arc<Document>, Vec<Located>)>, Vec<Diagnostic>);

/// What becomes of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// It stays as it is, byte for byte.
    Same,
    /// Its new text.
    New(String),
    /// It is not part of the output: a SidecarSet, a Kustomization or a document of pillion's own.
    Dropped,
}

/// A rendered document.
#[derive(Debug)]
pub struct Rendered {
    /// What becomes of it.
    pub output: Output,
    /// What is wrong or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
    /// Its workloads as far as they were looked at, with what injection did to each.
    pub workloads: Vec<(String, Outcome)>,
}

impl Rendered {
    fn as_it_is() -> Self {
        Self { output: Output::Same, diagnostics: Vec::new(), workloads: Vec::new() }
    }

    fn dropped() -> Self {
        Self { output: Output::Dropped, ..Self::as_it_is() }
    }
}

/// Everything that rendering a document depends on.
#[derive(Debug)]
pub struct Renderer {
    contents: Contents,
    kinds: Kinds,
    namespaces: Arc<Namespaces>,
    options: Options,
    keeps_sidecar_sets: bool,
    keeps_all: bool,
    skips_hooks: bool,
    /// The namespace where nobody says one.
    otherwise: Arc<str>,
    needles: Needles,
}

/// What a document is to a render.
enum Role<'a> {
    /// It passes through.
    Other,
    /// It is left out.
    Own,
    /// It holds a pod template.
    Workload(&'a Arc<Kind>),
    /// It holds items, each with a role of its own.
    List,
}

impl Renderer {
    /// Prepares rendering with these contents.
    pub fn new(
        contents: Contents,
        kinds: Kinds,
        namespaces: Namespaces,
        options: Options,
        keeps_sidecar_sets: bool,
    ) -> Self {
        let needles = Needles::new(contents.all().map(|s| &s.set().selector));
        Self {
            contents,
            kinds,
            namespaces: Arc::new(namespaces),
            options,
            keeps_sidecar_sets,
            keeps_all: false,
            skips_hooks: false,
            otherwise: "default".into(),
            needles,
        }
    }

    /// Returns a renderer with other contents, and everything else alike.
    pub fn with_contents(&self, contents: Contents) -> Self {
        let (kinds, namespaces) = (self.kinds.clone(), Arc::clone(&self.namespaces));
        let needles = Needles::new(contents.all().map(|s| &s.set().selector));
        let otherwise = Arc::clone(&self.otherwise);
        Self { contents, kinds, namespaces, needles, otherwise, ..*self }
    }

    /// Returns a renderer that leaves nothing out: what is dropped is somebody else's decision.
    #[must_use]
    pub fn keeping_all(self) -> Self {
        Self { keeps_all: true, keeps_sidecar_sets: true, ..self }
    }

    /// Returns a renderer that leaves hooks of Helm as they are: Helm waits for their end, and few sidecars end.
    #[must_use]
    pub fn skipping_hooks(self) -> Self {
        Self { skips_hooks: true, ..self }
    }

    /// Returns a renderer that takes manifests of which nobody says the namespace for those of this one.
    #[must_use]
    pub fn guessing(self, namespace: &str) -> Self {
        Self { otherwise: namespace.into(), ..self }
    }

    /// Returns the kind of an object that holds a pod template.
    pub fn kind_of(&self, object: &Value) -> Option<&Arc<Kind>> {
        type_of(object).and_then(|(api_version, kind)| self.kinds.find(api_version, kind))
    }

    /// Renders one document.
    pub fn render(&self, manifest: &Manifest<'_>) -> Rendered {
        self.look(manifest, false)
    }

    /// Renders one document, looking also at workloads that no set can select: what `explain` needs.
    pub fn explain(&self, manifest: &Manifest<'_>) -> Rendered {
        self.look(manifest, true)
    }

    fn look(&self, manifest: &Manifest<'_>, closely: bool) -> Rendered {
        match scan(manifest.text) {
            Scan::Blank | Scan::Mapping { api_version: None, .. } | Scan::Mapping { kind: None, .. } => {
                return Rendered::as_it_is();
            }
            Scan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                match self.role(api_version, kind) {
                    Role::Other => return Rendered::as_it_is(),
                    Role::Own => return Rendered::dropped(),
                    Role::Workload(_) if !closely && !self.needles.are_in(manifest.text) => {
                        return Rendered::as_it_is();
                    }
                    Role::Workload(_) | Role::List => {}
                }
            }
            Scan::Unclear => {}
        }
        if let Some(document) = manifest.document {
            return self.document(document, manifest);
        }
        match Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text) {
            Ok(document) => self.document(&document, manifest),
            // `gather` has said the same.
            Err(error) => Rendered { diagnostics: vec![unreadable(error, manifest)], ..Rendered::as_it_is() },
        }
    }

    /// Tells whether a document is no part of what render writes.
    pub fn leaves_out(&self, text: &str) -> bool {
        match scan(text) {
            Scan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                matches!(self.role(api_version, kind), Role::Own)
            }
            _ => false,
        }
    }

    /// Tells whether an item of a List is no part of what render writes.
    pub fn leaves_out_item(&self, list: &Value, item: &Value) -> bool {
        type_of_item(list, item).is_some_and(|(a, k)| matches!(self.role(&a, &k), Role::Own))
    }

    fn role(&self, api_version: &str, kind: &str) -> Role<'_> {
        match (group_of(api_version), kind) {
            ("apps.kruise.io", "SidecarSet") if self.keeps_sidecar_sets => Role::Other,
            ("apps.kruise.io", "SidecarSet") | ("pillion.dev", _) if !self.keeps_all => Role::Own,
            ("kustomize.config.k8s.io", "Kustomization" | "Component") if !self.keeps_all => Role::Own,
            _ => match self.kinds.find(api_version, kind) {
                Some(kind) => Role::Workload(kind),
                None if kind.ends_with("List") => Role::List,
                None => Role::Other,
            },
        }
    }

    fn document(&self, document: &Document, manifest: &Manifest<'_>) -> Rendered {
        let Some((api_version, kind)) = gather::object_type(document.value()) else {
            return Rendered::as_it_is();
        };
        match self.role(api_version, kind) {
            Role::Other => Rendered::as_it_is(),
            Role::Own => Rendered::dropped(),
            Role::Workload(kind) => {
                let mut rendered = Rendered::as_it_is();
                if let Some((at, new)) = self.workload(document, &Path::root(), kind, manifest, &mut rendered)
                {
                    finish(document, &at, &new, &mut rendered);
                }
                rendered
            }
            Role::List => self.list(document, manifest),
        }
    }

    /// Renders the items of a List. All changes are made at once, so that a long list is read once.
    fn list(&self, document: &Document, manifest: &Manifest<'_>) -> Rendered {
        let mut rendered = Rendered::as_it_is();
        let mut own = Vec::new();
        let items = self.items(document, &Path::root(), document.value(), manifest, &mut rendered, &mut own);
        if let Some(items) = items {
            finish(document, &Path::dotted("items"), &items, &mut rendered);
        }
        if !own.is_empty() && !rendered.diagnostics.iter().any(Diagnostic::is_error) {
            match without(document, &own, &rendered.output) {
                Ok(output) => rendered.output = output,
                Err(error) => rendered.diagnostics.push(*error),
            }
        }
        rendered
    }

    /// Renders the items of the list at `base`; lists in lists are lists too, as for kubectl. Returns the new items
    /// where some change, and adds the places of those that are not part of the output.
    fn items(
        &self,
        document: &Document,
        base: &Path,
        list: &Value,
        manifest: &Manifest<'_>,
        rendered: &mut Rendered,
        own: &mut Vec<Path>,
    ) -> Option<Value> {
        let items = list.get("items").and_then(Value::as_array)?;
        let mut new_items = Vec::new();
        let mut is_changed = false;
        for (i, item) in items.iter().enumerate() {
            let at = base.then("items").then(i);
            let role = type_of_item(list, item).map_or(Role::Other, |(a, k)| self.role(&a, &k));
            let new_item = match role {
                Role::Other => None,
                Role::Own => {
                    own.push(at);
                    None
                }
                Role::Workload(kind) => {
                    self.workload(document, &at, kind, manifest, rendered).map(|(path, new)| {
                        put(item, &Path::from(path.steps()[at.steps().len()..].to_vec()), new)
                    })
                }
                Role::List => {
                    let inner = self.items(document, &at, item, manifest, rendered, own);
                    inner.map(|inner| put(item, &Path::dotted("items"), inner))
                }
            };
            is_changed |= new_item.is_some();
            new_items.push(new_item.unwrap_or_else(|| item.clone()));
        }
        is_changed.then_some(Value::Array(new_items))
    }

    /// Renders the workload at `base`; returns the place and the new value, if something changes.
    fn workload(
        &self,
        document: &Document,
        base: &Path,
        kind: &Arc<Kind>,
        manifest: &Manifest<'_>,
        rendered: &mut Rendered,
    ) -> Option<(Path, Value)> {
        match self.locate(document, base, kind, manifest) {
            Ok(located) => {
                rendered.diagnostics.extend(self.unspecified(document, &located));
                let Injected { change, mut outcome } = self.inject(document, &located);
                rendered.diagnostics.append(&mut outcome.diagnostics);
                rendered.workloads.push((located.key.to_string(), outcome));
                change
            }
            Err(wrong) => {
                rendered.diagnostics.extend(wrong.map(|d| *d));
                None
            }
        }
    }

    /// Finds the workloads of one document that some set may select, without rendering them, and says what is wrong
    /// with those that cannot be found. Why a document cannot be read is said by [`gather`].
    pub fn workloads(&self, manifest: &Manifest<'_>) -> FoundWorkloads {
        self.find_workloads(manifest, false)
    }

    /// Finds the workloads of one document, those too that no set can select.
    pub fn all_workloads(&self, manifest: &Manifest<'_>) -> Option<(Arc<Document>, Vec<Located>)> {
        self.find_workloads(manifest, true).0
    }

    fn find_workloads(&self, manifest: &Manifest<'_>, is_all: bool) -> FoundWorkloads {
        let is_concerned = match scan(manifest.text) {
            Scan::Blank | Scan::Mapping { api_version: None, .. } | Scan::Mapping { kind: None, .. } => false,
            Scan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                match self.role(api_version, kind) {
                    Role::Other | Role::Own => false,
                    Role::Workload(_) => is_all || self.needles.are_in(manifest.text),
                    Role::List => true,
                }
            }
            Scan::Unclear => true,
        };
        let read = || Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text).ok();
        let Some(document) = is_concerned.then(read).flatten() else { return (None, Vec::new()) };
        let mut found = (Vec::new(), Vec::new());
        if let Some((api_version, kind)) = gather::object_type(document.value()) {
            match self.role(api_version, kind) {
                Role::Other | Role::Own => {}
                Role::Workload(kind) => self.find(&document, &Path::root(), kind, manifest, &mut found),
                Role::List => {
                    self.find_items(&document, &Path::root(), document.value(), manifest, &mut found)
                }
            }
        }
        let (found, wrong) = found;
        ((!found.is_empty()).then(|| (Arc::new(document), found)), wrong)
    }

    fn find(
        &self,
        document: &Document,
        base: &Path,
        kind: &Arc<Kind>,
        manifest: &Manifest<'_>,
        (found, wrong): &mut (Vec<Located>, Vec<Diagnostic>),
    ) {
        match self.locate(document, base, kind, manifest) {
            Ok(located) => found.push(located),
            Err(why) => wrong.extend(why.map(|d| *d)),
        }
    }

    fn find_items(
        &self,
        document: &Document,
        base: &Path,
        list: &Value,
        manifest: &Manifest<'_>,
        found: &mut (Vec<Located>, Vec<Diagnostic>),
    ) {
        for (i, item) in list.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = base.then("items").then(i);
            match type_of_item(list, item).map_or(Role::Other, |(a, k)| self.role(&a, &k)) {
                Role::Other | Role::Own => {}
                Role::Workload(kind) => self.find(document, &at, kind, manifest, found),
                Role::List => self.find_items(document, &at, item, manifest, found),
            }
        }
    }
}

/// Takes items out of a List, in a step of its own: so each item that stays is known by its unchanged value, and
/// keeps its text. Lists that this empties go too.
fn without(document: &Document, own: &[Path], so_far: &Output) -> Result<Output, Box<Diagnostic>> {
    let edited = match so_far {
        Output::New(text) => Some(Document::read(document.file(), document.index(), 1, text)?),
        Output::Same | Output::Dropped => None,
    };
    let document = edited.as_ref().unwrap_or(document);
    match kept(document.value(), &Path::root(), own) {
        Some(items) => Ok(Output::New(document.rewrite(&Path::dotted("items"), &items)?)),
        None => Ok(Output::Dropped),
    }
}

/// Returns the items of a list without those at some places; None when nothing is left.
fn kept(list: &Value, base: &Path, own: &[Path]) -> Option<Value> {
    let items = list.get("items").and_then(Value::as_array)?;
    let mut left = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = base.then("items").then(i);
        if own.contains(&at) {
            continue;
        }
        let is_above = own.iter().any(|o| o.steps().starts_with(at.steps()));
        match is_above {
            false => left.push(item.clone()),
            true => left.extend(kept(item, &at, own).map(|inner| put(item, &Path::dotted("items"), inner))),
        }
    }
    (!left.is_empty()).then_some(Value::Array(left))
}

/// Writes a change into the document's text; a document with errors is left as it is.
fn finish(document: &Document, at: &Path, new: &Value, rendered: &mut Rendered) {
    let odd = document.diagnostics();
    rendered.diagnostics.extend(odd.iter().cloned());
    if rendered.diagnostics.iter().any(Diagnostic::is_error) {
        return;
    }
    match document.rewrite(at, new) {
        Ok(text) => rendered.output = Output::New(text),
        Err(error) => rendered.diagnostics.push(error),
    }
}

fn unreadable(error: Diagnostic, manifest: &Manifest<'_>) -> Diagnostic {
    refused::refused(error, manifest.text, manifest.first_line, manifest.is_named)
}

/// Returns `value` with `new` at `path`.
fn put(value: &Value, path: &Path, new: Value) -> Value {
    let mut whole = value.clone();
    workload::put(&mut whole, path.steps(), new);
    whole
}
