//! From the command line to the repository that rollouts are in, its pillion.yaml, and what is live.

use super::author::current_author;
use super::reporter::Reporter;
use super::{EXIT_ENVIRONMENT, EXIT_USAGE, GlobalArgs, clock};
use crate::git::{ObjectId, ReleaseStamp, Repository};
use crate::model::file_list::to_slash;
use crate::read::{Disk, normalize_path};
use crate::rollout::cluster_option;
use crate::stage::{BranchConfig, DeployBranch, Error, read_configuration};
pub(super) use crate::stage::{PushOutcome, RepoContext};
use crate::workspace::find_config;
use crate::workspace::{Configuration, ManifestSource, inputs_from_paths, read_input};
use crate::write;
use clap::Args;
use std::path::{Path, PathBuf};

/// Which repository, and which part of it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RepositoryArgs {
    /// Take the deploy branch as it was fetched last
    #[arg(long)]
    pub(super) no_fetch: bool,
    /// Branch whose pillion.yaml counts, where no working tree holds one
    #[arg(long, value_name = "BRANCH")]
    pub(super) branch: Option<String>,
    /// Only this cluster of pillion.yaml
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Manifests that were built by another program, where git holds no plain ones; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(super) manifests: Option<PathBuf>,
}

/// Opens the repository and brings the deploy branch up to date, unless it is to be taken as it is.
pub(super) fn open(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<Option<RepoContext>, Error> {
    let opened = open_without_fetch(args, common, reporter)?;
    if let (Some(opened), false) = (&opened, args.no_fetch) {
        opened.fetch()?;
    }
    Ok(opened)
}

/// Opens the repository for a verb that commits onto the deploy branch, and brings that up to date.
pub(super) fn open_for_commit(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<Option<RepoContext>, Error> {
    let opened = open_without_fetch(args, common, reporter)?;
    if let Some(opened) = &opened {
        if args.no_fetch { opened.require_deploy_branch()? } else { opened.fetch_deploy_branch()? }
    }
    Ok(opened)
}

/// Opens the repository of the working folder, with the configuration that says what is live. Without a
/// configuration the reporter knows why.
pub(super) fn open_without_fetch(
    args: &RepositoryArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<Option<RepoContext>, Error> {
    let repository = Repository::discover(Path::new("."))?;
    let on_disk = match (&common.config, repository.root()) {
        (Some(named), _) => named.is_file().then(|| named.clone()),
        (None, Some(_)) => find_config(Path::new(".")),
        (None, None) => None,
    };
    let on_disk = on_disk.and_then(|file| Some((path_in_tree(&repository, &file)?, file)));
    let (config, (read, wrong)) = match on_disk.filter(|_| args.branch.is_none()) {
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
    reporter.add(wrong);
    let Some(read) = read else { return Ok(None) };
    let branches = BranchConfig::from_repository(&read.repository)?;
    let manifests = manifest_source(args.manifests.as_deref(), common);
    Ok(Some(RepoContext { repository, config, branches, manifest_source: manifests }))
}

/// Returns the commit of a branch: a tag of the same name, which may be anybody's, is not meant.
fn branch_commit(repository: &Repository, name: &str) -> Result<ObjectId, Error> {
    let places = [format!("refs/heads/{name}"), format!("refs/remotes/{name}")];
    match places.iter().find_map(|place| repository.find_ref(place)) {
        Some(commit) => Ok(commit),
        None => Ok(repository.resolve(name)?),
    }
}

/// Returns the place of a file of the working tree in the tree of a commit.
fn path_in_tree(repository: &Repository, file: &Path) -> Option<PathBuf> {
    let root = repository.root()?.canonicalize().ok()?;
    let place = file.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned();
    Some(PathBuf::from(to_slash(&normalize_path(&place))))
}

impl RepoContext {
    /// Reads what is live. Without a sound pillion.yaml there the reporter knows why.
    pub(super) fn read_deploy_branch_reporting(
        &self,
        reporter: &mut Reporter,
    ) -> Result<Option<DeployBranch<'_>>, Error> {
        let (live, wrong) = self.read_deploy_branch()?;
        reporter.add(wrong);
        Ok(live)
    }

    /// Reads what is live for those who only look: that the deploy branch was rewritten is said, and shown all the same.
    pub(super) fn read_deploy_branch_for_display(
        &self,
        reporter: &mut Reporter,
    ) -> Result<Option<DeployBranch<'_>>, Error> {
        reporter.add(self.check_rewritten()?);
        let (live, wrong) = self.read_unchecked()?;
        reporter.add(wrong);
        Ok(live)
    }
}

/// Takes the deploy branch as it is, although it was rewritten; where that is pushed, in the name of a person.
pub(super) fn accept_rewritten(opened: &RepoContext, pushes: bool) -> Result<(), Error> {
    if !pushes {
        return opened.accept_rewritten(None);
    }
    let person = current_author(&opened.repository)?;
    opened.accept_rewritten(Some(&ReleaseStamp { at: clock::now(), by: Some(&person) }))
}

/// Returns the clusters that were asked for; None when there is no such one.
pub(super) fn select_clusters<'l>(
    live: &'l DeployBranch<'_>,
    args: &RepositoryArgs,
    reporter: &Reporter,
) -> Option<Vec<Option<&'l str>>> {
    let all = live.clusters();
    let Some(wanted) = args.cluster.as_deref() else {
        if args.manifests.is_some() && all.len() > 1 {
            reporter.print_error("pillion: say whose manifests these are with `--cluster NAME`");
            return None;
        }
        return Some(all);
    };
    let found: Vec<_> = all.iter().copied().filter(|c| *c == Some(wanted)).collect();
    if found.is_empty() {
        let known: Vec<_> = all.iter().flatten().copied().collect();
        let known =
            if known.is_empty() { "names none".to_owned() } else { format!("has {}", known.join(", ")) };
        reporter.print_error(&format!("pillion: there is no cluster `{wanted}`: pillion.yaml {known}"));
        return None;
    }
    Some(found)
}

/// Returns the options that a command to be typed next needs, too: the cluster, and the manifests.
pub(super) fn command_options(args: &RepositoryArgs, cluster: Option<&str>) -> String {
    let mut options = cluster_option(cluster);
    if let Some(file) = &args.manifests {
        options.push_str(&format!(" --manifests {}", file.display()));
    }
    options
}

/// Takes the manifests that a person hands over with `--manifests`, else those that builds make, where these may run.
pub(super) fn manifest_source(file: Option<&Path>, common: &GlobalArgs) -> ManifestSource {
    let Some(file) = file else { return ManifestSource::from_builds(common.build_policy()) };
    let input = inputs_from_paths(&[file.to_owned()]).remove(0);
    ManifestSource::from_argument(&input.name, read_input(&input, &Disk))
}

/// Tells a person why a verb on a repository could not be done, and returns its exit code.
pub(super) fn to_exit_code(result: Result<u8, Error>, reporter: &Reporter) -> Result<u8, write::Error> {
    match result {
        Ok(code) => Ok(code),
        Err(failure) => Ok(report_error(&failure, reporter)),
    }
}

/// Tells a person of a failure, and returns the exit code.
pub(super) fn report_error(failure: &Error, reporter: &Reporter) -> u8 {
    reporter.print_failure(failure);
    if failure.is_retryable() { EXIT_ENVIRONMENT } else { EXIT_USAGE }
}
