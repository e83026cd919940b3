//! Reads what is planned: the working folder, or two commits.

use super::PlanArgs;
use super::deploy_state::report_deploy_branch;
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::repository;
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::git::{self, Commit, ObjectId, Repository};
use crate::model::config::RolloutConfig;
use crate::model::ledger::{Ledger, Revision};
use crate::read::list_tree;
use crate::read::{CommitListing, Disk, FileKind, FileSource, normalize_path};
use crate::stage::{BranchConfig, ClusterView, Error, LedgerHistory, RenderHistory, missing_workloads};
use crate::workspace::{ClusterSources, Configuration, ManifestSource, TreeFiles, WhatIf};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is planned.
pub(super) struct PlanInputs {
    /// The commit that everything stands on; None outside a repository.
    pub(super) base: Option<String>,
    /// One a cluster.
    pub(super) cluster_views: Vec<ClusterView>,
}

/// Reads everything that a plan is made of.
pub(super) fn read_plan_inputs(
    args: &PlanArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<PlanInputs, CommandError> {
    let mut what_if = WhatIf { selection: args.sources.selection(&args.paths), ..WhatIf::default() };
    what_if.apply_settings(&args.strategy).map_err(CommandError::usage)?;
    let manifests = repository::manifest_source(args.manifests.as_deref(), common);
    match &args.from {
        None => from_working_folder(args, common, reporter, what_if, &manifests),
        Some(from) => from_commits(args, common, reporter, what_if, (from, args.to.as_deref()), &manifests),
    }
}

/// The working folder, with its ledgers; where they are on a branch of their own, with those.
fn from_working_folder(
    args: &PlanArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    mut what_if: WhatIf,
    manifests: &ManifestSource,
) -> Result<PlanInputs, CommandError> {
    let configuration = config_on_disk(args, common, reporter)?;
    if configuration.layout.ledgers.is_none() {
        reporter.add(configuration.layout.find_ledgers(&Disk).1);
        if reporter.has_errors() {
            return Err(CommandError::from_diagnostics([]));
        }
        return Err(not_initialized(configuration.document.is_some()));
    }
    let repository = match Repository::discover(Path::new(".")) {
        Err(refused @ git::Error::BareRepository { .. }) => return Err(refused.into()),
        found => found.ok(),
    };
    let base = repository.as_ref().and_then(|r| r.resolve("HEAD").ok()).map(|id| id.to_string());
    let only_deployed = match &repository {
        Some(repository) => report_deploy_branch(repository, &configuration, reporter)?,
        None => BTreeSet::new(),
    };
    // Their ledgers exist, so there is no note that `init rollout` writes them.
    let new_ledger = |name: Arc<str>| (Arc::clone(&name), Ledger::new(&name));
    what_if.ledgers = Some(only_deployed.into_iter().map(new_ledger).collect());
    let deploy_branch = match &repository {
        Some(repository) => deploy_branch_files(repository, &configuration)?,
        None => None,
    };
    let ledgers: &dyn FileSource = deploy_branch.as_ref().map_or(&Disk, |deploy_branch| deploy_branch);
    let from = ClusterSources { files: &Disk, ledgers, built: None, cluster: None };
    let views = load_clusters(args, &configuration, from, &what_if, manifests, (common, reporter))?;
    let past = find_history(repository.as_ref(), &configuration)?;
    for view in &views {
        let place = repository.as_ref().map(Repository::working_folder).unwrap_or_default();
        let past = past.as_ref().map(|past| past.as_past(manifests));
        reporter.add(missing_workloads(view, &TreeFiles::from_disk(&Disk, &place), past.as_ref()));
    }
    reporter.fail_on_errors()?;
    Ok(PlanInputs { base, cluster_views: views })
}

/// Two commits, or one and the working folder: from what the first says, or its ledgers, to what the second says.
fn from_commits(
    args: &PlanArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    mut what_if: WhatIf,
    (from, to): (&str, Option<&str>),
    manifests: &ManifestSource,
) -> Result<PlanInputs, CommandError> {
    let repository = Repository::discover(Path::new("."))?;
    let range = PlanRange::read(&repository, args, (from, to), common, reporter)?;
    let end = match (to, &range.new) {
        (Some(to), Some(commit)) => format!("{to} @{}", commit.id.short()),
        _ => "your working folder".to_owned(),
    };
    reporter.print_state(&format!("planned from {from} @{} to {end}", range.old.id.short()));
    let mut views = Vec::new();
    for cluster in cluster_names(args, &range.configuration)? {
        let cluster = cluster.as_deref();
        what_if.ledgers = Some(range.old_ledgers(cluster, reporter));
        let view = range.load_new(cluster, &what_if, manifests, reporter)?;
        if !reporter.has_errors() {
            reporter.add(range.missing_workloads(&view, manifests)?);
        }
        views.push(view);
    }
    reporter.fail_on_errors()?;
    let base = range.new.or(Some(range.old)).map(|commit| commit.id.to_string());
    Ok(PlanInputs { base, cluster_views: views })
}

/// The two ends of a plan between commits.
struct PlanRange<'r> {
    repository: &'r Repository,
    /// The first commit, as people named it.
    from: &'r str,
    old: Commit,
    old_files: CommitListing<'r, ObjectId>,
    old_configuration: Configuration,
    /// The second commit; None: the working folder.
    new: Option<Commit>,
    new_files: Option<CommitListing<'r, ObjectId>>,
    configuration: Configuration,
    /// The working folder, below the root of the working tree.
    within: PathBuf,
    /// pillion.yaml names ledgers; where it does not, a missing namespace is `default`, as everywhere.
    obeys_ledgers: bool,
}

impl<'r> PlanRange<'r> {
    fn read(
        repository: &'r Repository,
        args: &PlanArgs,
        (from, to): (&'r str, Option<&str>),
        common: &GlobalArgs,
        reporter: &mut Reporter,
    ) -> Result<Self, CommandError> {
        let old = repository.commit(repository.resolve(from)?)?;
        let old_files = list_tree(repository, old.tree)?;
        let new = match to {
            Some(to) => Some(repository.commit(repository.resolve(to)?)?),
            None => None,
        };
        let new_files = match &new {
            Some(commit) => Some(list_tree(repository, commit.tree)?),
            None => None,
        };
        let within = repository.working_folder();
        let old_configuration = config_in_tree(&old_files, &within, common, reporter)?;
        let mut configuration = match &new_files {
            Some(files) => config_in_tree(files, &within, common, reporter)?.unwrap_or_default(),
            None => config_on_disk(args, common, reporter)?,
        };
        let mut old_configuration =
            old_configuration.unwrap_or_else(|| config_for_commit(&configuration, &within));
        let obeys_ledgers = configuration.repository.ledgers.is_some();
        expect_ledgers(&mut old_configuration);
        expect_ledgers(&mut configuration);
        Ok(Self {
            repository,
            from,
            old,
            old_files,
            old_configuration,
            new,
            new_files,
            configuration,
            within,
            obeys_ledgers,
        })
    }

    fn is_about_missing_namespace(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.code == Code::NamespaceUnspecified && !self.obeys_ledgers
    }

    /// Returns the ledgers of a cluster at the first commit; its errors are warnings here.
    fn old_ledgers(&self, cluster: Option<&str>, reporter: &mut Reporter) -> BTreeMap<Arc<str>, Ledger> {
        let files = &self.old_files;
        let before = ClusterSources { files, ledgers: files, built: None, cluster };
        let (view, diagnostics) = ClusterView::load(&self.old_configuration, &before);
        let counts =
            |d: &Diagnostic| d.is_error() && d.code != Code::NoLedger && !self.is_about_missing_namespace(d);
        reporter.add(diagnostics.into_iter().filter(counts).map(|d| downgrade_to_warning(d, self.from)));
        released_ledgers(&view)
    }

    /// Reads a cluster at the second end, with the ledgers of a `what_if`.
    fn load_new(
        &self,
        cluster: Option<&str>,
        what_if: &WhatIf,
        manifests: &ManifestSource,
        reporter: &mut Reporter,
    ) -> Result<ClusterView, CommandError> {
        let files: &dyn FileSource = self.new_files.as_ref().map_or(&Disk, |files| files);
        let nothing = CommitListing::new([], |_: &ObjectId| Ok(Vec::new()));
        let built = match (&self.new, &what_if.selection.paths[..]) {
            (_, [_, ..]) => Ok(None),
            (Some(commit), []) => {
                manifests.for_tree(self.repository, commit.tree, &self.configuration, cluster)
            }
            (None, []) => manifests.for_folder(&self.configuration, cluster),
        };
        let built = built.map_err(|error| CommandError::from_diagnostics([*error]))?;
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let after = ClusterSources { files, ledgers: &nothing, built, cluster };
        let (view, diagnostics) = load_hypothetical(&self.configuration, &after, what_if);
        reporter.add(diagnostics.into_iter().filter(|d| !self.is_about_missing_namespace(d)));
        Ok(view)
    }

    /// Reports workloads of open rollouts that are missing at the second end.
    fn missing_workloads(
        &self,
        view: &ClusterView,
        manifests: &ManifestSource,
    ) -> Result<Vec<Diagnostic>, CommandError> {
        let now = match &self.new_files {
            Some(files) => TreeFiles::from_commit(files),
            None => TreeFiles::from_disk(&Disk, &self.within),
        };
        let branches = &BranchConfig::from_repository(&self.configuration.repository)?;
        let config = &normalize_path(&self.old_configuration.path());
        let (repository, head) = (self.repository, self.old.id);
        Ok(missing_workloads(
            view,
            &now,
            Some(&LedgerHistory { repository, branches, config, head, manifests }),
        ))
    }
}

/// Makes a SidecarSet without a ledger a new one, whatever pillion.yaml expects.
fn expect_ledgers(configuration: &mut Configuration) {
    configuration.repository.ledgers.get_or_insert_default();
    let rollout = configuration.repository.rollout.get_or_insert_with(RolloutConfig::default);
    rollout.require_ledger = Some(true);
}

/// Where earlier states of rollouts are found for the working folder.
struct LedgerHistorySource<'r> {
    repository: &'r Repository,
    branches: BranchConfig,
    config: PathBuf,
    head: ObjectId,
}

impl LedgerHistorySource<'_> {
    fn as_past<'a>(&'a self, manifests: &'a ManifestSource) -> LedgerHistory<'a> {
        let Self { repository, branches, config, head } = self;
        LedgerHistory { repository, branches, config, head: *head, manifests }
    }
}

fn find_history<'r>(
    repository: Option<&'r Repository>,
    configuration: &Configuration,
) -> Result<Option<LedgerHistorySource<'r>>, CommandError> {
    let Some(repository) = repository else { return Ok(None) };
    let branches = BranchConfig::from_repository(&configuration.repository)?;
    let head = match &branches.source {
        Some(_) => branches.find_deploy_branch(repository).map(|(_, head)| head),
        None => repository.resolve("HEAD").ok(),
    };
    let config = normalize_path(&repository.working_folder().join(configuration.path()));
    Ok(head.map(|head| LedgerHistorySource { repository, branches, config, head }))
}

/// What is wrong with the past can no longer be fixed.
fn downgrade_to_warning(mut diagnostic: Diagnostic, commit: &str) -> Diagnostic {
    diagnostic.severity = Severity::Warning;
    diagnostic.help = None;
    diagnostic.because(format!("this is so in `{commit}`, and what it releases is planned without"))
}

/// The ledgers of a commit; for a SidecarSet without one, a ledger that says what its file says.
fn released_ledgers(view: &ClusterView) -> BTreeMap<Arc<str>, Ledger> {
    let mut ledgers = view.prepared.ledgers.clone();
    for set in &view.prepared.sets {
        ledgers.entry(set.name.as_str().into()).or_insert_with(|| {
            let revision = Revision::from_set(set);
            let mut ledger = Ledger::new(&set.name);
            ledger.released = Some(Arc::clone(&revision.name));
            ledger.revisions.insert(Arc::clone(&revision.name), revision);
            ledger
        });
    }
    ledgers
}

fn load_clusters(
    args: &PlanArgs,
    configuration: &Configuration,
    from: ClusterSources<'_>,
    what_if: &WhatIf,
    manifests: &ManifestSource,
    (common, reporter): (&GlobalArgs, &mut Reporter),
) -> Result<Vec<ClusterView>, CommandError> {
    let mut views = Vec::new();
    let names = cluster_names(args, configuration)?;
    let progress = Progress::new("Reading", "clusters", names.len(), common);
    for cluster in names {
        let cluster = cluster.as_deref();
        let built = match &what_if.selection.paths[..] {
            [] => manifests.for_folder(configuration, cluster),
            // What is named on the command line is planned.
            _ => Ok(None),
        };
        let built = built.map_err(|error| CommandError::from_diagnostics([*error]))?;
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let from = ClusterSources { cluster, built, ..from };
        let (view, diagnostics) = load_hypothetical(configuration, &from, what_if);
        reporter.add(diagnostics);
        views.push(view);
        progress.step();
    }
    drop(progress);
    reporter.fail_on_errors()?;
    Ok(views)
}

/// What is not staged yet is what a plan is about.
fn load_hypothetical(
    configuration: &Configuration,
    from: &ClusterSources<'_>,
    what_if: &WhatIf,
) -> (ClusterView, Vec<Diagnostic>) {
    let (view, mut diagnostics) = ClusterView::hypothetical(configuration, from, what_if);
    diagnostics.retain(|d| d.code != Code::NotStagedYet);
    (view, diagnostics)
}

/// The clusters that are planned.
fn cluster_names(
    args: &PlanArgs,
    configuration: &Configuration,
) -> Result<Vec<Option<String>>, CommandError> {
    let all = &configuration.repository.clusters;
    let wanted = args.sources.cluster.as_deref();
    if let Some(name) = wanted.filter(|name| all.iter().all(|c| c.name != *name)) {
        let known: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        return Err(repository::unknown_cluster(name, &known));
    }
    let chosen = || all.iter().filter(|c| wanted.is_none_or(|name| c.name == name));
    if args.manifests.is_some() && chosen().count() > 1 {
        return Err(repository::manifests_of_no_cluster());
    }
    let names: Vec<Option<String>> = chosen().map(|c| Some(c.name.clone())).collect();
    Ok(if all.is_empty() { vec![None] } else { names })
}

/// The configuration of the working folder, where it has one.
fn config_on_disk(
    args: &PlanArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<Configuration, CommandError> {
    let start = args.paths.first().map_or(Path::new("."), PathBuf::as_path);
    report_config(Configuration::find(common.config.as_deref(), start), reporter)
}

/// The configuration of a commit: the nearest one above the working folder's place in it.
fn config_in_tree(
    files: &CommitListing<'_, ObjectId>,
    within: &Path,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<Option<Configuration>, CommandError> {
    let nearest = within.ancestors().map(|folder| folder.join("pillion.yaml"));
    let named = common.config.iter().map(|file| normalize_path(&within.join(file)));
    let file = named.chain(nearest).find(|file| files.kind(file) == Some(FileKind::File));
    file.map(|file| report_config(Configuration::read(files, &file), reporter)).transpose()
}

fn report_config(
    (configuration, diagnostics): (Option<Configuration>, Vec<Diagnostic>),
    reporter: &mut Reporter,
) -> Result<Configuration, CommandError> {
    if let Some(configuration) = &configuration {
        reporter.set_lint_levels(configuration.repository.lint_levels());
    }
    reporter.add(diagnostics);
    configuration.ok_or_else(|| CommandError::invalid_config([]))
}

/// The same configuration for a commit that has none.
fn config_for_commit(configuration: &Configuration, within: &Path) -> Configuration {
    let mut rooted = configuration.clone();
    let root = normalize_path(&within.join(&configuration.layout.root));
    rooted.layout.root = if root.starts_with("..") { PathBuf::new() } else { root };
    rooted
}

/// The files of the deploy branch, where sources have a branch of their own.
fn deploy_branch_files<'r>(
    repository: &'r Repository,
    configuration: &Configuration,
) -> Result<Option<CommitListing<'r, ObjectId>>, CommandError> {
    let branches = BranchConfig::from_repository(&configuration.repository)?;
    if branches.source.is_none() {
        return Ok(None);
    }
    if !configuration.layout.root.as_os_str().is_empty()
        || !repository.working_folder().as_os_str().is_empty()
    {
        let why =
            "the ledgers are on a branch of their own: run `pillion plan` in the root of the repository";
        return Err(CommandError::usage(why.to_owned()));
    }
    let Some((place, head)) = branches.find_deploy_branch(repository) else {
        return Err(CommandError::usage(format!(
            "there is no branch `{0}`, which has the ledgers: `git fetch` brings it, `pillion render --branch {0} --create` makes it",
            branches.deploy
        )));
    };
    // Ledgers beside a render that is not to be believed are not planned with either.
    match RenderHistory::find(repository, &branches, &configuration.path(), (&place, head)) {
        Ok(Some(renders)) => {
            if let Err(refused) = renders.newest_source()? {
                return Err(CommandError::from_diagnostics([*refused]));
            }
        }
        // A branch that was made by hand has never been rendered.
        Ok(None) | Err(Error::NoSourceTrailer { .. }) => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(Some(list_tree(repository, repository.commit(head)?.tree)?))
}

fn not_initialized(is_configured: bool) -> CommandError {
    let (what, fix) = match is_configured {
        true => ("pillion.yaml names no `ledgers`", "add `ledgers: ledgers` and run `pillion init rollout`"),
        false => ("there is no pillion.yaml here or above", "run `pillion init`, which writes it"),
    };
    CommandError::usage(format!("{what}: the released revision is unknown; {fix}, or use `--from COMMIT`"))
}
