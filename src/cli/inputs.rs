//! The arguments that say what a command reads.

use super::GlobalArgs;
use super::error::CommandError;
use super::progress::Progress;
use super::reporter::Reporter;
use crate::read::Disk;
use crate::rollout::cluster_state::{ClusterState, read_cluster_state};
use crate::workspace::{CollectedInputs, InputSelection, Workspace, inputs_from_paths, read_input};
use clap::Args;
use std::path::{Path, PathBuf};

/// Manifests and SidecarSets.
#[derive(Debug, Clone, Args)]
pub(super) struct InputArgs {
    /// Files and folders with manifests, `-` for standard input [default: the sources of pillion.yaml, else `.`]
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

/// SidecarSets, and what the manifests do not say about themselves.
#[derive(Debug, Clone, Args)]
pub(super) struct SourceArgs {
    /// Additional file or folder with SidecarSets (repeatable)
    #[arg(long = "sidecarsets", value_name = "PATH")]
    pub(super) sidecar_sets: Vec<PathBuf>,
    /// Earlier states of SidecarSets, oldest first, where no ledger has them (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) history: Vec<PathBuf>,
    /// Cluster of pillion.yaml that the manifests belong to, where their folder does not say
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Namespace of manifests that name none
    #[arg(short, long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
}

impl SourceArgs {
    /// Returns the files that are named, manifests at `paths`.
    pub(super) fn selection(&self, paths: &[PathBuf]) -> InputSelection {
        let Self { sidecar_sets, history, cluster, namespace } = self.clone();
        InputSelection { paths: paths.to_owned(), sidecar_sets, history, namespace, cluster }
    }

    /// Opens what a command reads; nothing below the `output` folder is. Without a workspace the arguments or the
    /// configuration are invalid, which is reported.
    pub(super) fn open_workspace(
        &self,
        paths: &[PathBuf],
        common: &GlobalArgs,
        output: Option<&Path>,
        reporter: &mut Reporter,
    ) -> Option<Workspace> {
        let selection = self.selection(paths);
        let (workspace, diagnostics) =
            Workspace::open(&selection, common.config.as_deref(), output, common.build_policy());
        if let Some(workspace) = &workspace {
            reporter.set_lint_levels(workspace.configuration.repository.lint_levels());
        }
        reporter.add(diagnostics);
        workspace
    }
}

/// Reads the pods of `--cluster-state`; `-` is standard input.
///
/// # Errors
/// When the file cannot be read, or has no pods.
pub(super) fn read_cluster_state_file(file: &Path) -> Result<ClusterState, CommandError> {
    let input = inputs_from_paths(&[file.to_owned()]).remove(0);
    let state = read_input(&input, &Disk).and_then(|text| read_cluster_state(&input.name, &text));
    state.map_err(|diagnostic| CommandError::from_diagnostics([diagnostic]))
}

/// Reads every manifest, with progress on a terminal.
pub(super) fn collect_inputs(workspace: &mut Workspace, common: &GlobalArgs) -> CollectedInputs {
    let progress = Progress::new("Reading", "files", workspace.manifests.len(), common);
    workspace.collect_inputs(|| progress.step())
}

/// Does the same, and leaves it to the render to check foreign objects.
pub(super) fn collect_unchecked_inputs(workspace: &mut Workspace, common: &GlobalArgs) -> CollectedInputs {
    let progress = Progress::new("Reading", "files", workspace.manifests.len(), common);
    workspace.collect_unchecked_inputs(|| progress.step())
}
