//! From the command line to the repository that rollouts are in, its pillion.yaml, and what is live.

use super::person::person;
use super::report::Reporter;
use super::{Common, ENVIRONMENT, USAGE, clock, inputs};
use crate::git::{Id, Release, Repository};
use crate::model::file_list::slashes;
use crate::plan::cluster_option;
use crate::read::{Disk, named, plain, text};
use crate::stage::{Branches, Configuration, Failure, Live, Manifests, configuration_of};
pub(super) use crate::stage::{Opened, Put};
use crate::write;
use clap::Args;
use std::path::{Path, PathBuf};

/// Which repository, and which part of it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RepositoryArgs {
    /// Take the live branch as it was fetched last
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

/// Opens the repository and brings the live branch up to date, unless it is to be taken as it is.
pub(super) fn open(
    args: &RepositoryArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Option<Opened>, Failure> {
    let opened = open_without_fetch(args, common, reporter)?;
    if let (Some(opened), false) = (&opened, args.no_fetch) {
        opened.fetch()?;
    }
    Ok(opened)
}

/// Opens the repository for a verb that commits onto the live branch, and brings that up to date.
pub(super) fn open_to_commit(
    args: &RepositoryArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Option<Opened>, Failure> {
    let opened = open_without_fetch(args, common, reporter)?;
    if let Some(opened) = &opened {
        if args.no_fetch { opened.has_live()? } else { opened.fetch_live()? }
    }
    Ok(opened)
}

/// Opens the repository of the working folder, with the configuration that says what is live. Without a
/// configuration the reporter knows why.
pub(super) fn open_without_fetch(
    args: &RepositoryArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Option<Opened>, Failure> {
    let repository = Repository::discover(Path::new("."))?;
    let on_disk = match (&common.config, repository.root()) {
        (Some(named), _) => named.is_file().then(|| named.clone()),
        (None, Some(_)) => inputs::nearest(Path::new(".")),
        (None, None) => None,
    };
    let on_disk = on_disk.and_then(|file| Some((in_tree(&repository, &file)?, file)));
    let (config, (read, wrong)) = match on_disk.filter(|_| args.branch.is_none()) {
        Some((config, file)) => (config, Configuration::read(&Disk, &file)),
        None => {
            let config = common.config.clone().unwrap_or_else(|| PathBuf::from("pillion.yaml"));
            let commit = match &args.branch {
                Some(branch) => of_branch(&repository, branch)?,
                None => repository.resolve("HEAD")?,
            };
            let read = configuration_of(&repository, commit, &config)?;
            (config, read)
        }
    };
    reporter.add(wrong);
    let Some(read) = read else { return Ok(None) };
    let branches = Branches::of(&read.repository)?;
    let manifests = manifests(args.manifests.as_deref(), common);
    Ok(Some(Opened { repository, config, branches, manifests }))
}

/// Returns the commit of a branch: a tag of the same name, which may be anybody's, is not meant.
fn of_branch(repository: &Repository, name: &str) -> Result<Id, Failure> {
    let places = [format!("refs/heads/{name}"), format!("refs/remotes/{name}")];
    match places.iter().find_map(|place| repository.find_ref(place)) {
        Some(commit) => Ok(commit),
        None => Ok(repository.resolve(name)?),
    }
}

/// Returns the place of a file of the working tree in the tree of a commit.
fn in_tree(repository: &Repository, file: &Path) -> Option<PathBuf> {
    let root = repository.root()?.canonicalize().ok()?;
    let place = file.canonicalize().ok()?.strip_prefix(root).ok()?.to_owned();
    Some(PathBuf::from(slashes(&plain(&place))))
}

impl Opened {
    /// Reads what is live. Without a sound pillion.yaml there the reporter knows why.
    pub(super) fn live(&self, reporter: &mut Reporter) -> Result<Option<Live<'_>>, Failure> {
        let (live, wrong) = self.read()?;
        reporter.add(wrong);
        Ok(live)
    }

    /// Reads what is live for those who only look: that the live branch was rewritten is said, and shown all the same.
    pub(super) fn live_to_look_at(&self, reporter: &mut Reporter) -> Result<Option<Live<'_>>, Failure> {
        reporter.add(self.rewritten()?);
        let (live, wrong) = self.read_anyway()?;
        reporter.add(wrong);
        Ok(live)
    }
}

/// Takes the live branch as it is, although it was rewritten; where that is pushed, in the name of a person.
pub(super) fn accept_rewritten(opened: &Opened, pushes: bool) -> Result<(), Failure> {
    if !pushes {
        return opened.accept_rewritten(None);
    }
    let person = person(&opened.repository)?;
    opened.accept_rewritten(Some(&Release { at: clock::now(), by: Some(&person) }))
}

/// Returns the clusters that were asked for; None when there is no such one.
pub(super) fn clusters<'l>(
    live: &'l Live<'_>,
    args: &RepositoryArgs,
    reporter: &Reporter,
) -> Option<Vec<Option<&'l str>>> {
    let all = live.clusters();
    let Some(wanted) = args.cluster.as_deref() else {
        if args.manifests.is_some() && all.len() > 1 {
            reporter.error("pillion: say whose manifests these are with `--cluster NAME`");
            return None;
        }
        return Some(all);
    };
    let found: Vec<_> = all.iter().copied().filter(|c| *c == Some(wanted)).collect();
    if found.is_empty() {
        let known: Vec<_> = all.iter().flatten().copied().collect();
        let known =
            if known.is_empty() { "names none".to_owned() } else { format!("has {}", known.join(", ")) };
        reporter.error(&format!("pillion: there is no cluster `{wanted}`: pillion.yaml {known}"));
        return None;
    }
    Some(found)
}

/// Returns the options that a command to be typed next needs, too: the cluster, and the manifests.
pub(super) fn options(args: &RepositoryArgs, cluster: Option<&str>) -> String {
    let mut options = cluster_option(cluster);
    if let Some(file) = &args.manifests {
        options.push_str(&format!(" --manifests {}", file.display()));
    }
    options
}

/// Takes the manifests that a person hands over with `--manifests`, else those that builds make, where these may run.
pub(super) fn manifests(file: Option<&Path>, common: &Common) -> Manifests {
    let Some(file) = file else { return Manifests::built(common.builds()) };
    let input = named(&[file.to_owned()]).remove(0);
    Manifests::handed_over(&input.name, text(&input, &Disk))
}

/// Tells a person why a verb on a repository could not be done, and returns its exit code.
pub(super) fn settle(result: Result<u8, Failure>, reporter: &Reporter) -> Result<u8, write::Failure> {
    match result {
        Ok(code) => Ok(code),
        Err(failure) => Ok(refuse(&failure, reporter)),
    }
}

/// Tells a person of a failure, and returns the exit code.
pub(super) fn refuse(failure: &Failure, reporter: &Reporter) -> u8 {
    reporter.failure(failure);
    if failure.is_retryable() { ENVIRONMENT } else { USAGE }
}
