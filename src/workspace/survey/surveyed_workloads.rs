//! Finds the workloads of plain manifests: their keys, and what a SidecarSet has to know of them.

use crate::model::api::KRUISE_GROUP;
use crate::model::workload::{WorkloadController, WorkloadKinds, api_group, type_meta};
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

static KINDS: LazyLock<WorkloadKinds> = LazyLock::new(WorkloadKinds::default);

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SurveyedWorkload {
    /// The file, or the name of the build.
    pub(crate) file: PathBuf,
    /// `apiVersion`.
    pub(crate) api_version: String,
    /// `kind`.
    pub(crate) kind: String,
    /// `metadata.name`; empty with `generateName`.
    pub(crate) name: String,
    /// `metadata.namespace`.
    pub(crate) namespace: Option<String>,
    /// The labels of its pods.
    pub(crate) labels: BTreeMap<String, String>,
    /// The names of its containers and volumes, which those of a sidecar must not have.
    pub(crate) taken_names: BTreeSet<String>,
    /// Whether its controller replaces the pods when the template changes.
    pub(crate) is_replaced: bool,
}

impl SurveyedWorkload {
    /// Returns kind, namespace and name: two workloads with the same are one in a cluster. None: its name is generated.
    pub(crate) fn identity(&self) -> Option<(&str, &str, &str)> {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        (!self.name.is_empty()).then_some((&self.kind, namespace, &self.name))
    }
}

/// Returns the workloads of a text with several documents; what cannot be read has none.
pub(crate) fn workloads_in_text(file: &Path, text: &str) -> Vec<SurveyedWorkload> {
    let name: Arc<str> = file.to_string_lossy().into();
    let read = |(index, piece): (usize, crate::yaml::DocumentSlice)| {
        let document = Document::read(&name, index, piece.first_line, &text[piece.span]);
        document.map_or_else(|_| Vec::new(), |document| workloads_of(file, document.value()))
    };
    split_documents(&name, text).0.into_iter().enumerate().flat_map(read).collect()
}

/// Returns the workload that an object is, or the workloads of its items.
pub(super) fn workloads_of(file: &Path, object: &Value) -> Vec<SurveyedWorkload> {
    let Some((api_version, kind)) = type_meta(object) else { return Vec::new() };
    if kind.ends_with("List") {
        let items = object["items"].as_array().into_iter().flatten();
        return items.flat_map(|item| workloads_of(file, item)).collect();
    }
    let Some(known) = KINDS.find(api_version, kind) else { return Vec::new() };
    let template = match known.is_pod() {
        true => Some(object),
        false => known.template_paths.iter().find_map(|path| path.find(object).filter(|t| t.is_object())),
    };
    let Some(template) = template else { return Vec::new() };
    let metadata = &object["metadata"];
    let text = |key: &str| metadata[key].as_str().map(str::to_owned);
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    let spec = &template["spec"];
    let named = ["containers", "initContainers", "volumes"];
    let named = named.iter().flat_map(|key| spec[*key].as_array().into_iter().flatten());
    vec![SurveyedWorkload {
        file: file.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: text("name").unwrap_or_default(),
        namespace: text("namespace"),
        labels: labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
        taken_names: named.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect(),
        is_replaced: !matches!(
            known.traits.controller,
            WorkloadController::Job | WorkloadController::NewPodsOnly | WorkloadController::Pod
        ),
    }]
}

/// Returns whether an object is a SidecarSet.
pub(super) fn is_sidecar_set(api_version: &str, kind: &str) -> bool {
    kind == "SidecarSet" && api_group(api_version) == KRUISE_GROUP
}

/// Returns whether a text, such as a template of Helm, has a line `kind: KIND` of a workload.
pub(super) fn names_workload_kind(text: &str) -> bool {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("kind:")).map(str::trim);
    kinds.into_iter().any(|kind| KINDS.iter().any(|known| known.kind == kind))
}
