//! The nouns of the API: what a document means, checked and typed.

/// `pillion.yaml`.
pub mod repository;

/// SidecarSets: decoding, defaults, hashes, validation.
pub mod sidecar_set;

/// Label selectors.
pub mod selector;

/// Kinds that own a pod template.
pub mod workload;

/// Resource quantities (`100m`, `1Gi`).
pub mod quantity;
