//! Reads what a folder or a commit holds: pillion.yaml, the layout of its files, inputs, ledgers and builds.

mod applied_files;
mod build_policy;
mod cluster_inputs;
mod config_lookup;
mod config_paths;
mod configuration;
mod deployed_sets;
mod duplicate_workloads;
mod function_inputs;
mod inputs;
mod known_names;
mod layout;
mod ledgers;
mod manifest_source;
mod path_bounds;
mod rendered_paths;
mod renderers;
mod selection;
mod survey;
mod texts;
mod unread_ledgers;
mod what_if;
mod workload_files;

pub(crate) use applied_files::{is_applied, may_be_applied};
pub(crate) use build_policy::{BuildDenial, BuildPolicy, parse_switch};
pub use cluster_inputs::{ClusterInputs, ClusterSources};
pub(crate) use config_lookup::{find_application_root, find_config};
pub use configuration::Configuration;
pub(crate) use function_inputs::{FunctionInputs, FunctionOptions};
pub use inputs::{
    Input, InputOptions, InputSource, NamespaceRules, SelectedInputs, UNSPECIFIED_NAMESPACE,
    input_from_build, inputs_from_paths, manifests_of, read_input, select_inputs,
};
#[cfg(feature = "watch")]
pub(crate) use known_names::sidecar_set_versions;
pub(crate) use known_names::{cluster_names, sidecar_set_names, workload_keys};
pub use layout::{ClusterLayout, Layout};
pub use ledgers::LedgerFile;
pub(crate) use ledgers::{read_ledger_files, read_ledgers};
pub use manifest_source::{BUILD_LIMIT, BuiltManifests, ManifestSource};
use path_bounds::{PathBounds, resolve_within};
pub(crate) use rendered_paths::shared_files;
pub(crate) use renderers::{ClusterRenderers, RenderedInput, WorkspaceRenderOptions};
pub(crate) use selection::{InputSelection, Workspace};
pub(crate) use survey::{
    BuildPart, BuiltCluster, MAX_SURVEYED_FILES, ManifestFolder, RepositorySurvey, SourceChoice, SourcePlan,
    SurveyedWorkload, is_kustomization, shown_path, survey_folder, workloads_in_text,
};
pub(crate) use texts::{CollectedInputs, InputTexts, collect_files, collect_manifests, read_documents};
pub(crate) use what_if::WhatIf;
pub(crate) use workload_files::{TreeFiles, WorkloadFile, WorkloadFiles, contains_workload};
