//! Renders one document: the same document with its sidecars. Pure.
//!
//! `collect` finds the SidecarSets and Namespaces among all documents; a [`Renderer`] made of them then renders each
//! document by itself, in any order and on any thread.

mod assignments;
mod collect;
mod deployed_set;
mod document;
mod file;
mod find_objects;
mod kruise;
mod list_items;
mod namespaces;
mod override_rules;
mod overrides;
mod prefilter;
mod references;
mod renderer;
mod replacements;
mod scan;
mod setup;
mod sidecar_sets;
mod unreadable;
mod workload;
mod workload_keys;
mod workload_outline;

pub(crate) use collect::collect_own_objects;
pub use collect::{CollectedObjects, collect_objects};
pub(crate) use file::{FileRenderOptions, RenderedFile, SourceFile, render_file};
pub(crate) use kruise::unsupported_by_kruise;
pub(crate) use list_items::{RenderedList, render_items};
pub(crate) use namespaces::NamespaceIndex;
pub(crate) use override_rules::OverrideRules;
pub(crate) use overrides::{KnownSets, OverrideIndex, OverridePlace, OverrideUse};
pub(crate) use prefilter::KeywordMatcher;
pub(crate) use references::{DanglingReference, find_dangling_references, may_concern_references};
pub use renderer::Renderer;
pub(crate) use replacements::replacement_candidates;
pub(crate) use scan::scan_type_meta;
pub(crate) use setup::{RendererInputs, RendererSetup, build_renderer};
pub(crate) use sidecar_sets::{DocumentObject, read_sets, read_states, validate_sets};
pub(crate) use workload::WorkloadRef;
pub use workload_outline::WorkloadOutline;

use crate::diagnostics::Diagnostic;
use crate::inject::InjectionOutcome;
use crate::yaml::{Document, TextEdits};
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
    /// The byte of the file at which it starts.
    pub(crate) start: usize,
    /// Its text, with its `---` line.
    pub(crate) text: &'a str,
    /// The namespace if the manifest has none; empty if unknown.
    pub(crate) namespace: &'a str,
    /// A person named this very file, so that text that is not a YAML is an error whatever it holds.
    pub(crate) is_named: bool,
}

/// A document with its workloads, if it has some, and the diagnostics.
pub(crate) type DocumentWorkloads = (Option<(Arc<Document>, Vec<WorkloadRef>)>, Vec<Diagnostic>);

/// The output for a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum DocumentOutput {
    /// It stays as it is, byte for byte.
    #[default]
    Unchanged,
    /// Its text is edited.
    Changed(TextEdits),
    /// It is not part of the output: a SidecarSet, a Kustomization or a document of pillion's own.
    Excluded,
}

/// A rendered document.
#[derive(Debug, Default)]
pub(crate) struct RenderedDocument {
    /// The output.
    pub(crate) output: DocumentOutput,
    /// Its diagnostics.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Its workloads as far as they were looked at, with what injection did to each.
    pub(crate) workloads: Vec<(String, InjectionOutcome)>,
    /// The SidecarOverrides that are for one of them.
    pub(crate) reached_overrides: Vec<OverridePlace>,
}

impl RenderedDocument {
    fn excluded() -> Self {
        Self { output: DocumentOutput::Excluded, ..Self::default() }
    }
}
