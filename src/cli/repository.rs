//! Opens the repository that the command line names, with its pillion.yaml and deploy branch.

use super::author::current_author;
use super::error::CommandError;
use super::reporter::Reporter;
use super::{GlobalArgs, clock};
use crate::diagnostics::escape;
use crate::git::{ObjectId, ReleaseStamp, Repository};
use crate::model::file_list::to_slash;
use crate::read::{Disk, normalize_path};
use crate::rollout::cluster_option;
use crate::stage::{BranchConfig, BranchPosition, DeployBranch, Error, UnpublishedFile, read_configuration};
pub(super) use crate::stage::{PushOutcome, RepoContext};
use crate::workspace::find_config;
use crate::workspace::{Configuration, Layout, ManifestSource, inputs_from_paths, read_input};
use clap::Args;
use std::path::{Path, PathBuf};

/// The repository, and the part of it that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RepositoryArgs {
    /// Use the deploy branch as last fetched
    #[arg(long)]
    pub(super) no_fetch: bool,
    /// Branch to read pillion.yaml from, also without a working tree
    #[arg(long, value_name = "BRANCH")]
    pub(super) branch: Option<String>,
    /// Cluster of pillion.yaml [default: all]
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Built manifests to use instead of the sources; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) manifests: Option<PathBuf>,
}

/// The files and folders that pillion reads, from the root of the repository.
#[derive(Debug, Clone, Default)]
pub(super) struct RepositoryPaths {
    /// Sources, SidecarSets and pillion.yaml; with one branch also rendered files and ledgers.
    pub(super) all: Vec<String>,
    /// SidecarSets.
    pub(super) sidecar_sets: Vec<String>,
}

/// Opens the repository and fetches the deploy branch, unless `--no-fetch` is given.
pub(super) fn open(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<RepoContext, CommandError> {
    open_with(args, common, reporter, RepoContext::fetch).map(|(context, _)| context)
}

/// As [`open`], and says first which branch is read and what the working folder has besides.
pub(super) fn open_reporting(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<RepoContext, CommandError> {
    let (context, paths) = open_with(args, common, reporter, RepoContext::fetch)?;
    report_position(&context, &paths, args, reporter)?;
    Ok(context)
}

/// Opens the repository for a verb that commits onto the deploy branch, fetches that, and says which branch it is.
pub(super) fn open_for_commit(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<RepoContext, CommandError> {
    let (context, paths) = open_with(args, common, reporter, RepoContext::fetch_deploy_branch)?;
    if args.no_fetch {
        context.require_deploy_branch()?;
    }
    report_position(&context, &paths, args, reporter)?;
    Ok(context)
}

/// Opens the repository to stage rollouts, and says which branch it reads. Returns also the comparison of the working
/// folder with it.
pub(super) fn open_for_stage(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<(RepoContext, Vec<UnpublishedFile>), CommandError> {
    let (context, paths) = open_with(args, common, reporter, RepoContext::fetch_with_staged)?;
    let position = report_position(&context, &paths, args, reporter)?;
    let edits = position.map_or_else(Vec::new, |position| position.unpublished_files(&paths.sidecar_sets));
    Ok((context, edits))
}

/// Says which branch is read, and what the working folder has besides.
fn report_position(
    context: &RepoContext,
    paths: &RepositoryPaths,
    args: &RepositoryArgs,
    reporter: &Reporter,
) -> Result<Option<BranchPosition>, CommandError> {
    let position = BranchPosition::find(&context.repository, &context.branches, &paths.all)?;
    if let Some(position) = &position {
        let is_old = args.no_fetch && position.has_remote();
        reporter.print_state(&format!("on {position}{}", if is_old { ", as last fetched" } else { "" }));
    }
    Ok(position)
}

/// Opens the repository of the working folder, with the configuration that names the deploy branch.
pub(super) fn open_without_fetch(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<(RepoContext, RepositoryPaths), CommandError> {
    open_with(&RepositoryArgs { no_fetch: true, ..args.clone() }, common, reporter, |_| Ok(()))
}

/// Opens the repository and fetches, unless `--no-fetch` is given.
fn open_with(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    fetch: impl FnOnce(&RepoContext) -> Result<(), Error>,
) -> Result<(RepoContext, RepositoryPaths), CommandError> {
    let repository = Repository::discover(Path::new("."))?;
    let on_disk = match (&common.config, repository.root()) {
        (Some(named), _) => named.is_file().then(|| named.clone()),
        (None, Some(_)) => find_config(Path::new(".")),
        (None, None) => None,
    };
    let on_disk = on_disk.and_then(|file| Some((path_in_tree(&repository, &file)?, file)));
    let (config, (read, diagnostics)) = match on_disk.filter(|_| args.branch.is_none()) {
        Some((config, file)) => (config, Configuration::read(&Disk, &file)),
        None => {
            let config = common.config.clone().unwrap_or_else(|| PathBuf::from("pillion.yaml"));
            let commit = match &args.branch {
                Some(branch) => branch_commit(&repository, branch)?,
                None => repository.resolve("HEAD")?,
            };
            let read = read_configuration(&repository, commit, &config)?;
            (config, read)
        }
    };
    reporter.add(diagnostics);
    let read = read.ok_or_else(|| CommandError::invalid_config([]))?;
    reporter.set_lint_levels(read.repository.lint_levels());
    let branches = BranchConfig::from_repository(&read.repository)?;
    let paths = RepositoryPaths::of(&read.layout, &config, &branches);
    let manifests = manifest_source(args.manifests.as_deref(), common);
    let context = RepoContext { repository, config, branches, manifest_source: manifests };
    if !args.no_fetch {
        fetch(&context)?;
    }
    Ok((context, paths))
}

impl RepositoryPaths {
    /// Returns those of a layout, with pillion.yaml at a place of the repository.
    pub(super) fn of(layout: &Layout, config: &Path, branches: &BranchConfig) -> Self {
        let root = config.parent().unwrap_or(Path::new("")).to_owned();
        let layout = Layout { root, ..layout.clone() };
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|path| to_slash(&normalize_path(path))).collect()
        };
        let own = [&layout.rendered, &layout.ledgers].into_iter().flatten();
        let own: Vec<String> = own.filter(|_| branches.source.is_none()).cloned().collect();
        let sidecar_sets = names(layout.paths_in_root(&layout.sidecar_sets));
        let mut all = names(layout.source_paths());
        all.extend(names(layout.paths_in_root(&own)));
        all.extend(sidecar_sets.iter().cloned());
        all.push(to_slash(config));
        Self { all, sidecar_sets }
    }
}

/// Returns the commit of a branch, also where a tag has the same name.
fn branch_commit(repository: &Repository, name: &str) -> Result<ObjectId, Error> {
    let places = [format!("refs/heads/{name}"), format!("refs/remotes/{name}")];
    match places.iter().find_map(|place| repository.find_ref(place)) {
        Some(commit) => Ok(commit),
        None => Ok(repository.resolve(name)?),
    }
}

/// Returns the place of a file of the working tree in the tree of a commit.
fn path_in_tree(repository: &Repository, file: &Path) -> Option<PathBuf> {
    let path = repository.path_in_working_tree(file)?;
    Some(PathBuf::from(to_slash(&normalize_path(&path))))
}

impl RepoContext {
    /// Reads the deploy branch.
    pub(super) fn read_deploy_branch_reporting(
        &self,
        reporter: &mut Reporter,
    ) -> Result<DeployBranch<'_>, CommandError> {
        let (deploy_branch, diagnostics) = self.read_deploy_branch()?;
        reporter.add(diagnostics);
        deploy_branch.ok_or_else(|| CommandError::from_diagnostics([]))
    }

    /// Reads the deploy branch for display: also one that was rewritten, which is reported.
    pub(super) fn read_deploy_branch_for_display(
        &self,
        reporter: &mut Reporter,
    ) -> Result<DeployBranch<'_>, CommandError> {
        reporter.add(self.check_rewritten()?);
        let (deploy_branch, diagnostics) = self.read_unchecked()?;
        reporter.add(diagnostics);
        deploy_branch.ok_or_else(|| CommandError::from_diagnostics([]))
    }
}

/// Accepts the deploy branch although it was rewritten; where that is pushed, in the name of its author.
pub(super) fn accept_rewritten(context: &RepoContext, pushes: bool) -> Result<(), Error> {
    if !pushes {
        return context.accept_rewritten(None);
    }
    let author = current_author(&context.repository)?;
    context.accept_rewritten(Some(&ReleaseStamp { at: clock::now(), by: Some(&author), note: None }))
}

/// Returns the clusters that were asked for, all without `--cluster`.
pub(super) fn select_clusters<'l>(
    deploy_branch: &'l DeployBranch<'_>,
    args: &RepositoryArgs,
) -> Result<Vec<Option<&'l str>>, CommandError> {
    let all = deploy_branch.clusters();
    let Some(name) = args.cluster.as_deref() else {
        if args.manifests.is_some() && all.len() > 1 {
            return Err(manifests_of_no_cluster());
        }
        return Ok(all);
    };
    let known: Vec<&str> = all.iter().flatten().copied().collect();
    if !known.contains(&name) {
        return Err(unknown_cluster(name, &known));
    }
    Ok(all.into_iter().filter(|cluster| *cluster == Some(name)).collect())
}

/// The error of `--manifests` where pillion.yaml has several clusters.
pub(super) fn manifests_of_no_cluster() -> CommandError {
    CommandError::usage("`--manifests` needs `--cluster NAME`: pillion.yaml has several clusters")
}

/// The error of `--cluster` with a name that pillion.yaml does not have.
pub(super) fn unknown_cluster(name: &str, known: &[&str]) -> CommandError {
    let known = if known.is_empty() { "names none".to_owned() } else { format!("has {}", known.join(", ")) };
    CommandError::usage(format!("pillion.yaml has no cluster `{name}`: it {known}"))
}

/// Returns the options that the next command needs as well: the cluster, and the manifests.
pub(super) fn command_options(args: &RepositoryArgs, cluster: Option<&str>) -> String {
    let mut options = cluster_option(cluster);
    if let Some(file) = &args.manifests {
        let file = file.to_string_lossy();
        options.push_str(&format!(" --manifests {}", escape::shell_word(&file)));
    }
    options
}

/// Returns the source of manifests: `--manifests`, else the `build` commands, where these may run.
pub(super) fn manifest_source(file: Option<&Path>, common: &GlobalArgs) -> ManifestSource {
    let Some(file) = file else { return ManifestSource::from_builds(common.build_policy()) };
    let input = inputs_from_paths(&[file.to_owned()]).remove(0);
    ManifestSource::from_argument(&input.name, read_input(&input, &Disk))
}
