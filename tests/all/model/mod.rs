//! Tests of the model: decoding, validation, defaults and older versions of SidecarSets.

mod canonical;
mod deprecated_syntax;
mod large_sidecar_sets;
mod validation;
mod validation_rules;
mod workload_kinds;
