//! Tests of YAML: lossless edits, and what Kubernetes reads or refuses.

mod kubernetes_compatibility;
mod lossless_edits;
mod typos;
