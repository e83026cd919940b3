//! The nouns of the API: documents, checked and typed.

/// Names of the APIs.
pub(crate) mod api;

/// `pillion.yaml` and the configuration of functions.
pub mod config;

/// Defaults.
pub(crate) mod defaults;

/// Ledgers (`SidecarRollout`).
pub mod ledger;

/// SidecarSets: decoding, defaults, hashes, validation.
pub mod sidecar_set;

/// SidecarOverrides: what an application changes in its sidecars.
pub mod sidecar_override;

/// The `.pillion-files` list of a folder.
pub mod file_list;

/// The annotations that Kruise writes on pods.
pub(crate) mod pod_annotations;

/// Durations.
pub mod duration;

/// Points in time.
pub mod timestamp;

/// Numbers and percentages of pods.
pub mod int_or_percent;

/// Versions of Kubernetes.
pub mod kubernetes_version;

/// Label selectors.
pub(crate) mod selector;

/// Kinds that own a pod template.
pub mod workload;

/// Image references (`registry/name:tag`).
pub(crate) mod image;

/// What is wrong with an image reference.
pub(crate) mod image_problem;

/// Resource quantities (`100m`, `1Gi`).
pub mod quantity;

/// The expressions of `resourcesPolicy`.
pub(crate) mod resources_expr;

/// Regular expressions in Go's dialect.
pub(crate) mod go_regexp;

/// Access to JSON objects by key.
pub(crate) mod json;

/// JSON as Go writes it, for hashes and annotations.
pub(crate) mod go_json;

/// Checks of documents against a JSON Schema.
mod document_schema;

/// The kinds of documents that pillion reads by itself.
pub(crate) mod own_kinds;

/// Spelling suggestions.
pub(crate) mod suggestion;
