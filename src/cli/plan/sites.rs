//! From the command line to what is planned: the working folder, or two commits.

use super::PlanArgs;
use crate::cli::report::Reporter;
use crate::cli::{Common, FINDINGS, USAGE};
use crate::cli::{inputs, repository};
use crate::diag::{Code, Diagnostic, Severity};
use crate::git::{self, Id, Repository};
use crate::model::ledger::{Ledger, Revision};
use crate::model::repository::Rollout;
use crate::read::{Disk, Files, Kind, Listing, plain};
use crate::stage::{
    self, Branches, Built, Configuration, Failure, Manifests, Past, Renders, Site, Sources, Supposed, Tree,
    listing, missing,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is planned.
pub(super) struct Found {
    /// The commit that everything stands on; None outside a repository.
    pub(super) base: Option<String>,
    /// One a cluster.
    pub(super) sites: Vec<Site>,
}

/// Why there is nothing to be planned.
pub(super) enum Stop {
    /// The reporter knows what is wrong; this is the exit code.
    Told(u8),
    /// The command line is wrong, in words.
    Usage(String),
    /// Git failed.
    Failed(Failure),
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

/// Reads everything that a plan is made of.
pub(super) fn find(args: &PlanArgs, common: &Common, reporter: &mut Reporter) -> Result<Found, Stop> {
    let mut supposed = Supposed {
        sources: &args.inputs.paths,
        sidecar_sets: &args.inputs.sidecar_sets,
        namespace: args.inputs.namespace.as_deref(),
        ..Supposed::default()
    };
    supposed.set(&args.strategy).map_err(Stop::Usage)?;
    let manifests = repository::manifests(args.manifests.as_deref(), common);
    match &args.from {
        None => folder(args, common, reporter, supposed, &manifests),
        Some(from) => commits(args, common, reporter, supposed, (from, args.to.as_deref()), &manifests),
    }
}

/// The working folder, with its ledgers; where they are on a branch of their own, with those.
fn folder(
    args: &PlanArgs,
    common: &Common,
    reporter: &mut Reporter,
    mut supposed: Supposed<'_>,
    manifests: &Manifests,
) -> Result<Found, Stop> {
    let configuration = on_disk(args, common, reporter)?;
    if configuration.as_ref().is_none_or(|c| c.layout.ledgers.is_none()) {
        let layout = configuration.as_ref().map(|c| c.layout.clone()).unwrap_or_default();
        reporter.add(layout.ledgers(&Disk).1);
        if reporter.has_errors() {
            return Err(Stop::Told(FINDINGS));
        }
        return Err(Stop::Usage(not_set_up(configuration.is_some())));
    }
    let configuration = configuration.unwrap_or_default();
    supposed.ledgers = Some(BTreeMap::new());
    let repository = match Repository::discover(Path::new(".")) {
        Err(refused @ git::Failure::BareRepository { .. }) => return Err(refused.into()),
        found => found.ok(),
    };
    let base = repository.as_ref().and_then(|r| r.resolve("HEAD").ok()).map(|id| id.to_string());
    let live = match &repository {
        Some(repository) => live_ledgers(repository, &configuration, reporter)?,
        None => None,
    };
    let ledgers: &dyn Files = live.as_ref().map_or(&Disk, |live| live);
    let from = Sources { files: &Disk, ledgers, built: None, cluster: None };
    let sites = sites(args, &configuration, from, &supposed, manifests, reporter)?;
    let past = past(repository.as_ref(), &configuration)?;
    for site in &sites {
        let place = repository.as_ref().map(within).unwrap_or_default();
        let past = past.as_ref().map(|past| past.borrowed(manifests));
        reporter.add(missing(site, &Tree::of_disk(&Disk, &place), past.as_ref()));
    }
    if reporter.has_errors() {
        return Err(Stop::Told(FINDINGS));
    }
    Ok(Found { base, sites })
}

/// Two commits, or one and the working folder: from what the first says, or its ledgers, to what the second says.
fn commits(
    args: &PlanArgs,
    common: &Common,
    reporter: &mut Reporter,
    mut supposed: Supposed<'_>,
    (from, to): (&str, Option<&str>),
    manifests: &Manifests,
) -> Result<Found, Stop> {
    let repository = Repository::discover(Path::new("."))?;
    let old = repository.commit(repository.resolve(from)?)?;
    let old_files = listing(&repository, old.tree)?;
    let new = match to {
        Some(to) => Some(repository.commit(repository.resolve(to)?)?),
        None => None,
    };
    let new_files = match &new {
        Some(commit) => Some(listing(&repository, commit.tree)?),
        None => None,
    };
    let within = within(&repository);
    let old_configuration = in_tree(&old_files, &within, common, reporter)?;
    let mut configuration = match &new_files {
        Some(files) => in_tree(files, &within, common, reporter)?,
        None => on_disk(args, common, reporter)?,
    }
    .unwrap_or_default();
    // A set without a ledger is new, whatever pillion.yaml expects.
    let strict = |c: &mut Configuration| {
        c.repository.ledgers.get_or_insert_default();
        let rollout = c.repository.rollout.get_or_insert_with(Rollout::default);
        rollout.require_ledger = Some(true);
    };
    let mut old_configuration = old_configuration.unwrap_or_else(|| rooted(&configuration, &within));
    // Where no ledgers are obeyed, a namespace that nobody says is `default`, as everywhere.
    let is_obeyed = configuration.repository.ledgers.is_some();
    let is_about_key = |d: &Diagnostic| d.code == Code::NamespaceUnspecified && !is_obeyed;
    strict(&mut old_configuration);
    strict(&mut configuration);
    let mut sites = Vec::new();
    for cluster in clusters(args, &configuration)? {
        let cluster = cluster.as_deref();
        let before = Sources { files: &old_files, ledgers: &old_files, built: None, cluster };
        let (site, wrong) = Site::load(&old_configuration, &before);
        let counts = |d: &Diagnostic| d.is_error() && d.code != Code::NoLedger && !is_about_key(d);
        reporter.add(wrong.into_iter().filter(counts).map(|d| of_the_past(d, from)));
        supposed.ledgers = Some(released(&site));
        let files: &dyn Files = new_files.as_ref().map_or(&Disk, |files| files);
        let nothing = Listing::new([], |_: &Id| Ok(Vec::new()));
        let built = match (&new, supposed.sources) {
            (_, [_, ..]) => Ok(None),
            (Some(commit), []) => manifests.of_tree(&repository, commit.tree, &configuration, cluster),
            (None, []) => manifests.of_folder(&configuration, cluster),
        };
        let built = taken(built, reporter)?;
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let after = Sources { files, ledgers: &nothing, built, cluster };
        let (site, wrong) = suppose(&configuration, &after, &supposed);
        reporter.add(wrong.into_iter().filter(|d| !is_about_key(d)));
        if !reporter.has_errors() {
            let now = match &new_files {
                Some(files) => Tree::of_commit(files),
                None => Tree::of_disk(&Disk, &within),
            };
            let branches = Branches::of(&configuration.repository)?;
            let config = plain(&old_configuration.layout.root.join("pillion.yaml"));
            let (repository, branches, head) = (&repository, &branches, old.id);
            let past = Past { repository, branches, config: &config, head, manifests };
            reporter.add(missing(&site, &now, Some(&past)));
        }
        sites.push(site);
    }
    if reporter.has_errors() {
        return Err(Stop::Told(FINDINGS));
    }
    Ok(Found { base: new.or(Some(old)).map(|commit| commit.id.to_string()), sites })
}

/// Where earlier states of rollouts are found for the working folder.
struct OwnPast<'r> {
    repository: &'r Repository,
    branches: Branches,
    config: PathBuf,
    head: Id,
}

impl OwnPast<'_> {
    fn borrowed<'a>(&'a self, manifests: &'a Manifests) -> Past<'a> {
        let Self { repository, branches, config, head } = self;
        Past { repository, branches, config, head: *head, manifests }
    }
}

fn past<'r>(
    repository: Option<&'r Repository>,
    configuration: &Configuration,
) -> Result<Option<OwnPast<'r>>, Stop> {
    let Some(repository) = repository else { return Ok(None) };
    let branches = Branches::of(&configuration.repository)?;
    let head = match &branches.source {
        Some(_) => branches.find_live(repository).map(|(_, head)| head),
        None => repository.resolve("HEAD").ok(),
    };
    let config = plain(&within(repository).join(&configuration.layout.root).join("pillion.yaml"));
    Ok(head.map(|head| OwnPast { repository, branches, config, head }))
}

/// What is wrong with the past cannot be mended any more.
fn of_the_past(mut wrong: Diagnostic, commit: &str) -> Diagnostic {
    wrong.severity = Severity::Warning;
    wrong.help = None;
    wrong.because(format!("this is so in `{commit}`, and what it releases is planned without"))
}

/// The ledgers of a commit; for a SidecarSet without one, a ledger that says what its file says.
fn released(site: &Site) -> BTreeMap<Arc<str>, Ledger> {
    let mut ledgers = site.prepared.ledgers.clone();
    for set in &site.prepared.sets {
        ledgers.entry(set.name.as_str().into()).or_insert_with(|| {
            let revision = Revision::of(set);
            let mut ledger = Ledger::new(&set.name);
            ledger.released = Some(Arc::clone(&revision.name));
            ledger.revisions.insert(Arc::clone(&revision.name), revision);
            ledger
        });
    }
    ledgers
}

fn sites(
    args: &PlanArgs,
    configuration: &Configuration,
    from: Sources<'_>,
    supposed: &Supposed<'_>,
    manifests: &Manifests,
    reporter: &mut Reporter,
) -> Result<Vec<Site>, Stop> {
    let mut sites = Vec::new();
    for cluster in clusters(args, configuration)? {
        let cluster = cluster.as_deref();
        let built = match supposed.sources {
            [] => manifests.of_folder(configuration, cluster),
            // What is named on the command line is planned.
            _ => Ok(None),
        };
        let built = taken(built, reporter)?;
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let from = Sources { cluster, built, ..from };
        let (site, wrong) = suppose(configuration, &from, supposed);
        reporter.add(wrong);
        sites.push(site);
    }
    if reporter.has_errors() { Err(Stop::Told(FINDINGS)) } else { Ok(sites) }
}

/// What is not staged yet is what a plan is about.
fn suppose(
    configuration: &Configuration,
    from: &Sources<'_>,
    supposed: &Supposed<'_>,
) -> (Site, Vec<Diagnostic>) {
    let (site, mut wrong) = Site::suppose(configuration, from, supposed);
    wrong.retain(|d| d.code != Code::NotStagedYet);
    (site, wrong)
}

/// The clusters that are planned.
fn clusters(args: &PlanArgs, configuration: &Configuration) -> Result<Vec<Option<String>>, Stop> {
    let all = &configuration.repository.clusters;
    let wanted = args.inputs.cluster.as_deref();
    if let Some(name) = wanted.filter(|name| all.iter().all(|c| c.name != *name)) {
        let known: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        let known =
            if known.is_empty() { "names none".to_owned() } else { format!("has {}", known.join(", ")) };
        return Err(Stop::Usage(format!("there is no cluster `{name}`: pillion.yaml {known}")));
    }
    let chosen = || all.iter().filter(|c| wanted.is_none_or(|name| c.name == name));
    if args.manifests.is_some() && chosen().count() > 1 {
        return Err(Stop::Usage("say whose manifests these are with `--cluster NAME`".to_owned()));
    }
    let names: Vec<Option<String>> = chosen().map(|c| Some(c.name.clone())).collect();
    Ok(if all.is_empty() { vec![None] } else { names })
}

/// The manifests of a build, unless something is wrong with it.
fn taken(
    built: Result<Option<Built>, Box<Diagnostic>>,
    reporter: &mut Reporter,
) -> Result<Option<Built>, Stop> {
    built.map_err(|wrong| {
        reporter.add([*wrong]);
        Stop::Told(FINDINGS)
    })
}

/// The configuration of the working folder, where it has one.
fn on_disk(args: &PlanArgs, common: &Common, reporter: &mut Reporter) -> Result<Option<Configuration>, Stop> {
    let start = args.inputs.paths.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    if let Some(file) = &common.config {
        return settled(Configuration::read_named(&Disk, file), reporter);
    }
    let Some(file) = inputs::nearest(&start) else { return Ok(None) };
    settled(Configuration::read(&Disk, &file), reporter)
}

/// The configuration of a commit: the nearest one above the working folder's place in it.
fn in_tree(
    files: &Listing<'_, Id>,
    within: &Path,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Option<Configuration>, Stop> {
    let nearest = within.ancestors().map(|folder| folder.join("pillion.yaml"));
    let named = common.config.iter().map(|file| plain(&within.join(file)));
    let file = named.chain(nearest).find(|file| files.kind(file) == Some(Kind::File));
    file.map_or(Ok(None), |file| settled(Configuration::read(files, &file), reporter))
}

fn settled(
    (configuration, wrong): (Option<Configuration>, Vec<Diagnostic>),
    reporter: &mut Reporter,
) -> Result<Option<Configuration>, Stop> {
    reporter.add(wrong);
    configuration.map_or(Err(Stop::Told(USAGE)), |c| Ok(Some(c)))
}

/// The same configuration for a commit that has none.
fn rooted(configuration: &Configuration, within: &Path) -> Configuration {
    let mut rooted = configuration.clone();
    let root = plain(&within.join(&configuration.layout.root));
    rooted.layout.root = if root.starts_with("..") { PathBuf::new() } else { root };
    rooted
}

/// The working folder's place in its repository.
fn within(repository: &Repository) -> PathBuf {
    let place = || {
        let root = repository.root()?.canonicalize().ok()?;
        let here = Path::new(".").canonicalize().ok()?;
        here.strip_prefix(root).ok().map(Path::to_owned)
    };
    place().unwrap_or_default()
}

/// The files of the live branch, where sources have a branch of their own.
fn live_ledgers<'r>(
    repository: &'r Repository,
    configuration: &Configuration,
    reporter: &mut Reporter,
) -> Result<Option<Listing<'r, Id>>, Stop> {
    let branches = Branches::of(&configuration.repository)?;
    if branches.source.is_none() {
        return Ok(None);
    }
    if !configuration.layout.root.as_os_str().is_empty() || !within(repository).as_os_str().is_empty() {
        let why =
            "the ledgers are on a branch of their own: run `pillion plan` in the root of the repository";
        return Err(Stop::Usage(why.to_owned()));
    }
    let Some((place, head)) = branches.find_live(repository) else {
        return Err(Stop::Usage(format!(
            "there is no branch `{0}`, which has the ledgers: `git fetch` brings it, `pillion render --branch {0} --create` makes it",
            branches.live
        )));
    };
    // Ledgers beside a render that is not to be believed are not planned with either.
    match Renders::of(repository, &branches, Path::new("pillion.yaml"), (&place, head)) {
        Ok(Some(renders)) => {
            if let Err(refused) = renders.newest()? {
                reporter.add([*refused]);
                return Err(Stop::Told(FINDINGS));
            }
        }
        // A branch that was made by hand has never been rendered.
        Ok(None) | Err(Failure::NoSource { .. }) => {}
        Err(failure) => return Err(failure.into()),
    }
    Ok(Some(stage::listing(repository, repository.commit(head)?.tree)?))
}

fn not_set_up(is_configured: bool) -> String {
    let what =
        if is_configured { "pillion.yaml names no `ledgers`" } else { "there is no pillion.yaml here" };
    format!(
        "{what}, so nobody knows what is released: `pillion init rollout` sets rollouts up; `--from COMMIT` plans from what a commit says instead"
    )
}
