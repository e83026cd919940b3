//! The renderer: everything that rendering a document depends on, and the role of each document.

use super::assignments::RevisionAssignments;
use super::namespaces::NamespaceIndex;
use super::overrides::OverrideIndex;
use super::prefilter::SelectorPrefilter;
use super::scan::{ObjectScan, scan_object};
use crate::inject::Options;
use crate::model::api::{KRUISE_GROUP, PILLION_GROUP};
use crate::model::workload::{WorkloadKind, WorkloadKinds, api_group, item_type_meta, type_meta};
use serde_json::Value;
use std::sync::Arc;

/// Everything that rendering a document depends on.
#[derive(Debug)]
pub struct Renderer {
    pub(super) assignments: RevisionAssignments,
    kinds: WorkloadKinds,
    pub(super) namespaces: Arc<NamespaceIndex>,
    pub(crate) overrides: OverrideIndex,
    pub(super) options: Options,
    keeps_sidecar_sets: bool,
    keeps_all: bool,
    pub(super) skips_hooks: bool,
    /// The kind of SidecarSets that Kruise injects; None: sidecars are part of the manifests.
    kruise_sets: Option<Arc<WorkloadKind>>,
    /// The namespace if none is configured.
    pub(super) default_namespace: Arc<str>,
    prefilter: SelectorPrefilter,
}

/// The role of a document in a render.
pub(super) enum DocumentRole<'a> {
    /// It passes through.
    PassThrough,
    /// It is omitted.
    Excluded,
    /// It holds a pod template.
    Workload(&'a Arc<WorkloadKind>),
    /// It holds items, each with a role of its own.
    List,
}

/// The role of a document, as far as its text tells without parsing.
pub(super) enum TextRole {
    /// It passes through.
    PassThrough,
    /// It is omitted.
    Excluded,
    /// It has to be parsed.
    Parse,
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
        let prefilter = SelectorPrefilter::new(contents.all_sets().map(|s| &s.set().selector));
        Self {
            assignments: contents,
            kinds,
            namespaces: Arc::new(namespaces),
            overrides: OverrideIndex::default(),
            options,
            keeps_sidecar_sets,
            keeps_all: false,
            skips_hooks: false,
            kruise_sets: None,
            default_namespace: "default".into(),
            prefilter,
        }
    }

    /// Returns a renderer with other contents, and everything else alike.
    pub(crate) fn with_assignments(&self, contents: RevisionAssignments) -> Self {
        let (kinds, namespaces) = (self.kinds.clone(), Arc::clone(&self.namespaces));
        let prefilter = SelectorPrefilter::new(contents.all_sets().map(|s| &s.set().selector));
        let (overrides, default_namespace) = (self.overrides.clone(), Arc::clone(&self.default_namespace));
        let kruise_sets = self.kruise_sets.clone();
        Self {
            assignments: contents,
            kinds,
            namespaces,
            overrides,
            prefilter,
            default_namespace,
            kruise_sets,
            ..*self
        }
    }

    /// Returns a renderer that obeys SidecarOverrides.
    #[must_use]
    pub(super) fn with_overrides(self, overrides: OverrideIndex) -> Self {
        Self { overrides, ..self }
    }

    /// Returns a renderer for a cluster with Kruise: SidecarSets are rendered, and workloads stay as they are.
    #[must_use]
    pub(super) fn with_kruise(self) -> Self {
        Self { kruise_sets: Some(Arc::new(WorkloadKind::sidecar_set())), ..self }
    }

    /// Returns a renderer that injects workloads, also where Kruise does so in the cluster.
    #[must_use]
    pub(crate) fn without_kruise(self) -> Self {
        Self { kruise_sets: None, ..self }
    }

    /// Returns a renderer that knows no SidecarOverrides, as Kruise.
    #[must_use]
    pub(crate) fn without_overrides(self) -> Self {
        Self { overrides: OverrideIndex::default(), ..self }
    }

    /// Returns whether Kruise injects the sidecars.
    pub(crate) fn is_kruise_runtime(&self) -> bool {
        self.kruise_sets.is_some()
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

    /// Returns the role of a document by its text and what a scan found there. A workload that no set can select passes through, unless `is_all`.
    pub(super) fn text_role(&self, scan: ObjectScan<'_>, text: &str, is_all: bool) -> TextRole {
        match scan {
            ObjectScan::Mapping { api_version: Some(api_version), kind: Some(kind) } => {
                match self.role(api_version, kind) {
                    DocumentRole::PassThrough => TextRole::PassThrough,
                    DocumentRole::Excluded => TextRole::Excluded,
                    DocumentRole::Workload(kind) if kind.is_sidecar_set() => TextRole::Parse,
                    DocumentRole::Workload(_) if !is_all && !self.prefilter.may_match(text) => {
                        TextRole::PassThrough
                    }
                    DocumentRole::Workload(_) | DocumentRole::List => TextRole::Parse,
                }
            }
            ObjectScan::Blank | ObjectScan::Mapping { .. } => TextRole::PassThrough,
            ObjectScan::Unclear => TextRole::Parse,
        }
    }

    /// Returns whether render leaves out a document.
    pub(crate) fn excludes(&self, text: &str) -> bool {
        matches!(self.text_role(scan_object(text), text, true), TextRole::Excluded)
    }

    /// Returns whether render leaves out an item of a List.
    pub(crate) fn excludes_item(&self, list: &Value, item: &Value) -> bool {
        item_type_meta(list, item).is_some_and(|(a, k)| matches!(self.role(&a, &k), DocumentRole::Excluded))
    }

    /// Returns the role of an object.
    pub(super) fn role(&self, api_version: &str, kind: &str) -> DocumentRole<'_> {
        match (api_group(api_version), kind, &self.kruise_sets) {
            (KRUISE_GROUP, "SidecarSet", Some(kind)) => DocumentRole::Workload(kind),
            (KRUISE_GROUP, "SidecarSet", None) if self.keeps_sidecar_sets => DocumentRole::PassThrough,
            (KRUISE_GROUP, "SidecarSet", _) | (PILLION_GROUP, ..) if !self.keeps_all => {
                DocumentRole::Excluded
            }
            ("kustomize.config.k8s.io", "Kustomization" | "Component", _) if !self.keeps_all => {
                DocumentRole::Excluded
            }
            _ => match self.kinds.find(api_version, kind) {
                Some(kind) => DocumentRole::Workload(kind),
                None if kind.ends_with("List") => DocumentRole::List,
                None => DocumentRole::PassThrough,
            },
        }
    }
}
