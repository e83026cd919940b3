//! The nouns of the API: what a document means, checked and typed.

/// SidecarSets: decoding, defaults, hashes, validation.
pub mod sidecar_set;

/// Label selectors.
pub mod selector;

/// Image references (`registry/name:tag`).
pub mod image;

/// Resource quantities (`100m`, `1Gi`).
pub mod quantity;

/// The expressions of `resourcesPolicy`.
pub mod resources_expr;

/// JSON as Go writes it, behind hashes and annotations.
pub mod go_json;
