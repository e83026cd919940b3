//! The nouns of the API: what a document means, checked and typed.

/// `pillion.yaml`.
pub mod config;

/// What `pillion.yaml` may say of branches.
pub mod branch_names;

/// Ledgers (`SidecarRollout`).
pub mod ledger;

/// SidecarSets: decoding, defaults, hashes, validation.
pub mod sidecar_set;

/// The configuration of functions and plugins.
pub mod sidecars;

/// The list of files that pillion wrote into a folder.
pub mod file_list;

/// What Kruise notes on pods.
pub mod pod_annotations;

/// Lengths of time.
pub mod duration;

/// Points in time.
pub mod timestamp;

/// Label selectors.
pub mod selector;

/// Kinds that own a pod template.
pub mod workload;

/// Image references (`registry/name:tag`).
pub mod image;

/// Resource quantities (`100m`, `1Gi`).
pub mod quantity;

/// The expressions of `resourcesPolicy`.
pub mod resources_expr;

/// Regular expressions in Go's dialect.
pub mod go_regexp;

/// JSON as Go writes it, behind hashes and annotations.
pub mod go_json;

/// Values against a JSON Schema.
mod document_schema;

/// "Did you mean".
pub(crate) mod suggestion;

/// Cron expressions.
mod cron;

/// Times in which nothing is released.
pub mod freeze;
