//! Reads what a folder or a commit holds: pillion.yaml, the layout of its files, inputs, ledgers and builds.

mod applied_files;
mod build_policy;
mod config_lookup;
mod config_paths;
mod configuration;
mod inputs;
mod kustomization;
mod layout;
mod ledgers;
mod manifest_source;
mod path_bounds;
mod rendered_paths;
mod unread_ledgers;
mod what_if;
mod workload_files;

pub use applied_files::{is_applied, may_be_applied};
pub use build_policy::{BuildDenial, BuildPolicy};
pub use config_lookup::{
    CONFIG_VARIABLE, find_application_root, find_private_root, find_repository_root, find_topmost_config,
};
pub use config_paths::check_config_paths;
pub use configuration::{Configuration, input_choice, layout_of};
pub use inputs::{
    Input, InputOptions, InputSource, NamespaceRules, PatchLister, SelectedInputs, UNSPECIFIED_NAMESPACE,
    input_from_build, inputs_from_paths, read_input, select_inputs,
};
pub use kustomization::patch_files;
pub use layout::{ClusterLayout, Layout, LedgerFile};
pub use ledgers::{gather_ledgers, read_ledgers};
pub use manifest_source::{BUILD_LIMIT, BuiltManifests, ManifestSource};
pub use path_bounds::{PathBounds, resolve_within};
pub use rendered_paths::shared_files;
pub use what_if::WhatIf;
pub use workload_files::{TreeFiles, WorkloadFile, WorkloadFiles, contains_workload};
