//! Are the workloads of an open rollout still there? A fleet that shrinks without a commit that says so is an error,
//! and not a rollout that is done.

mod held;

use super::present::{self, Presence, Tree};
use super::{Branches, Live, Manifests, Site};
use crate::diag::{Code, Diagnostic, Label, counted};
use crate::git::{Id, Repository, Walk};
use crate::model::ledger::{Ledger, Scope, decode};
use crate::plan::{Counted, cluster_option};
use crate::yaml::{Document, Path as YamlPath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Workloads that are named.
const NAMED: usize = 5;

/// Where earlier states of a rollout are found.
#[derive(Clone, Copy)]
pub struct Past<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Names of branches.
    pub branches: &'a Branches,
    /// Where pillion.yaml is in the tree of the sources.
    pub config: &'a Path,
    /// The newest commit with ledgers.
    pub head: Id,
    /// Manifests that are no plain files.
    pub manifests: &'a Manifests,
}

/// Says which workloads of open rollouts are missing from a site, whose files are `now`. Without a past only their
/// number tells.
pub fn missing(site: &Site, now: &Tree<'_>, past: Option<&Past<'_>>) -> Vec<Diagnostic> {
    site.prepared.ledgers.values().filter_map(|ledger| missing_of(site, now, past, ledger)).collect()
}

/// The same for a ledger that is to become live: what would stop its rollout at once.
pub fn missing_then(live: &Live<'_>, site: &Site, ledger: &Ledger) -> Option<Diagnostic> {
    missing_of(site, &Tree::of_commit(live.sources()), Some(&live.past()), ledger)
}

/// The same for one ledger, which need not be the one that the site has; and which workloads that a person holds are
/// missing, whether a rollout is open or not.
pub(super) fn missing_of(
    site: &Site,
    now: &Tree<'_>,
    past: Option<&Past<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    counted_missing(site, now, past, ledger).or_else(|| held::missing(site, now, past, ledger))
}

fn counted_missing(
    site: &Site,
    now: &Tree<'_>,
    past: Option<&Past<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    let (scope, _) = (ledger.scope.as_ref()?, ledger.target.as_ref()?);
    let case = Case { site, now, ledger, scope };
    if scope.is_built && !site.is_built {
        return Some(case.without_build());
    }
    if scope.workloads == 0 {
        return None;
    }
    let present = Counted::of(&site.course_from(ledger).0, ledger);
    if present.digest() == scope.digest || is_with_holds(&present, ledger, scope) {
        return None;
    }
    match past.map(|past| past.find(&case)) {
        Some(Found::Same(then)) => case.by_key(&present, &then),
        Some(Found::Other(then)) => case.by_number(&present, &then.held),
        Some(Found::Nothing) | None => case.by_number(&present, &BTreeSet::new()),
    }
}

/// Tells whether all that the scope counts is there, some of it held by people since.
fn is_with_holds(present: &Counted, ledger: &Ledger, scope: &Scope) -> bool {
    let is_by_person = |key: &&Arc<str>| ledger.lines.get(*key).is_some_and(|line| line.by.is_some());
    let held = present.held.iter().filter(is_by_person);
    let all: BTreeSet<&str> = present.keys.iter().chain(held).map(|key| &**key).collect();
    Scope::digest_of(all.into_iter()) == scope.digest
}

/// One rollout, and what is there now.
struct Case<'a> {
    site: &'a Site,
    now: &'a Tree<'a>,
    ledger: &'a Ledger,
    scope: &'a Scope,
}

/// The rollout as it was when its scope was written.
struct Then<'r> {
    live: Live<'r>,
    site: Site,
    keys: BTreeSet<Arc<str>>,
    held: BTreeSet<Arc<str>>,
}

/// What the past says.
enum Found<'r> {
    /// The workloads that the scope counts.
    Same(Box<Then<'r>>),
    /// Other workloads: what was there cannot be made again.
    Other(Box<Then<'r>>),
    /// There is no such commit, or it cannot be read.
    Nothing,
}

impl<'a> Past<'a> {
    /// Finds the rollout as it was when its scope was written.
    fn find(&self, case: &Case<'_>) -> Found<'a> {
        let is_scope = |ledger: Option<&Ledger>| ledger.is_some_and(|l| l.scope.as_ref() == Some(case.scope));
        let written = self.written(case.site, case.now, &case.ledger.name, is_scope);
        let Some(then) = written.and_then(|commit| self.read(commit, case.site, &case.ledger.name)) else {
            return Found::Nothing;
        };
        let is_same = Scope::digest_of(then.keys.iter().map(|k| &**k)) == case.scope.digest;
        if is_same { Found::Same(Box::new(then)) } else { Found::Other(Box::new(then)) }
    }

    /// The oldest commit of those at the end of the history whose ledger is as it is asked for.
    fn written(
        &self,
        site: &Site,
        now: &Tree<'_>,
        name: &str,
        is_so: impl Fn(Option<&Ledger>) -> bool,
    ) -> Option<Id> {
        let place = site.configuration.ledger_place(site.cluster.as_deref(), name)?;
        let place = now.in_tree(Path::new(&place)).to_string_lossy().into_owned();
        let mut found = None;
        for commit in self.repository.log(self.head, Some(&place), Walk::FirstParent).ok()? {
            // Beyond what a shallow clone has, nothing can be known.
            let Ok(commit) = commit else { break };
            match self.ledger_at(commit.tree, &place) {
                Ok(ledger) if is_so(ledger.as_ref()) => found = Some(commit.id),
                Ok(_) => break,
                // A ledger that was broken and put right says nothing of the time in between.
                Err(()) => {}
            }
        }
        found
    }

    /// Returns the ledger of a tree; none where there is no such file. One that cannot be read is an error.
    fn ledger_at(&self, tree: Id, place: &str) -> Result<Option<Ledger>, ()> {
        let Some(entry) = self.repository.entry_at(tree, place).map_err(drop)? else { return Ok(None) };
        let bytes = self.repository.read(entry.id).map_err(drop)?;
        let text = String::from_utf8(bytes).map_err(drop)?;
        let document = Arc::new(Document::read(&place.into(), 0, 1, &text).map_err(drop)?);
        decode(&document, &YamlPath::root()).0.map(Some).ok_or(())
    }

    fn read(&self, commit: Id, site: &Site, name: &str) -> Option<Then<'a>> {
        let above = self.config.ancestors().skip(1).map(|folder| folder.join("pillion.yaml"));
        let places = std::iter::once(self.config.to_owned()).chain(above);
        let mut found = places.filter_map(|config| {
            let at = (String::new(), commit);
            Live::read_at(self.repository, self.branches, &config, at).ok()?.0
        });
        let live = found.next()?.with_manifests(self.manifests);
        let site = live.unjudged_site(site.cluster.as_deref()).0;
        let ledger = site.prepared.ledgers.get(name)?.clone();
        let counted = Counted::of(&site.course(&ledger.name).0, &ledger);
        Some(Then { live, site, keys: counted.keys, held: counted.held })
    }
}

impl Case<'_> {
    /// What of the workloads that are known by name is not accounted for.
    fn by_key(&self, present: &Counted, then: &Then<'_>) -> Option<Diagnostic> {
        let gone: BTreeSet<Arc<str>> =
            then.keys.iter().filter(|key| !present.keys.contains(*key)).map(Arc::clone).collect();
        let stand = self.site.standing(&gone);
        let gone: BTreeSet<Arc<str>> = gone.into_iter().filter(|key| !stand.contains(key)).collect();
        if gone.is_empty() {
            return None;
        }
        let unaccounted = unaccounted(self.site, self.now, then, &gone);
        (!unaccounted.is_empty()).then(|| self.told(&unaccounted, unaccounted.len()))
    }

    /// What the number of workloads says, and the lines of those that are out already.
    fn by_number(&self, present: &Counted, held_before: &BTreeSet<Arc<str>>) -> Option<Diagnostic> {
        let held = present.held.iter().filter(|key| !held_before.contains(*key));
        let all: BTreeSet<&Arc<str>> = present.keys.iter().chain(held).collect();
        let moved = self.ledger.lines.iter().filter(|(_, line)| line.batch.is_some()).map(|(key, _)| key);
        let moved: BTreeSet<Arc<str>> = moved.map(Arc::clone).collect();
        let stand = self.site.standing(&moved);
        let gone: Vec<(Arc<str>, Option<PathBuf>)> =
            moved.into_iter().filter(|key| !stand.contains(key)).map(|key| (key, None)).collect();
        let fewer = (self.scope.workloads as usize).saturating_sub(all.len());
        (fewer > 0 || !gone.is_empty()).then(|| self.told(&gone, fewer.max(gone.len())))
    }

    fn told(&self, gone: &[(Arc<str>, Option<PathBuf>)], number: usize) -> Diagnostic {
        let all = self.scope.workloads;
        let message = format!(
            "the rollout of `{}` counts {}, and {number} of them {} missing",
            self.ledger.name,
            counted(all.into(), "workload"),
            if number == 1 { "is" } else { "are" }
        );
        let error = named(Diagnostic::error(Code::WorkloadsMissing, message), gone, self.place());
        let what = where_to_look(self.site);
        error.help(format!(
            "{what}; where they are gone on purpose, `pillion stage --start {}{} --accept-missing` counts anew",
            self.ledger.name,
            self.cluster_option()
        ))
    }

    fn without_build(&self) -> Diagnostic {
        let message = format!(
            "the rollout of `{}` was started with manifests that a command built, and here are none",
            self.ledger.name
        );
        let error = Diagnostic::error(Code::WorkloadsMissing, message)
            .because("without them its workloads are not known, and it would look complete")
            .help(format!(
                "write the command into `build` of pillion.yaml, or hand its output over: `COMMAND | pillion status{} --manifests -`",
                self.cluster_option()
            ));
        self.place().into_iter().fold(error, |error, place| error.at(Label::whole_file(place)))
    }

    fn place(&self) -> Option<String> {
        self.site.configuration.ledger_place(self.site.cluster.as_deref(), &self.ledger.name)
    }

    fn cluster_option(&self) -> String {
        cluster_option(self.site.cluster.as_deref())
    }
}

/// Names workloads that are missing, each with the file that still holds it.
fn named(mut error: Diagnostic, gone: &[(Arc<str>, Option<PathBuf>)], ledger: Option<String>) -> Diagnostic {
    for (key, file) in gone.iter().take(NAMED) {
        error = match file {
            Some(file) => {
                let file = file.to_string_lossy();
                error
                    .at(Label::whole_file(file.clone().into_owned()))
                    .because(format!("`{key}` stands in `{file}`, which is not read for it any more"))
            }
            None => error.because(format!(
                "`{key}` is not among the manifests, and no commit that removed it is found"
            )),
        };
    }
    if gone.len() > NAMED {
        error = error.because(format!("and {} more", gone.len() - NAMED));
    }
    ledger.into_iter().fold(error, |error, place| error.at(Label::whole_file(place)))
}

fn where_to_look(site: &Site) -> &'static str {
    match site.is_built {
        true => "look at what the build prints, or at what `--manifests` holds",
        false => "check `sources`, `ignore` and `clusters` of pillion.yaml",
    }
}

/// Which of workloads that are not read any more no commit has removed, each with the file that still holds it.
fn unaccounted(
    site: &Site,
    now: &Tree<'_>,
    then: &Then<'_>,
    gone: &BTreeSet<Arc<str>>,
) -> Vec<(Arc<str>, Option<PathBuf>)> {
    let now = Presence::find(now, &site.configuration.layout, gone);
    let files = Tree::of_commit(then.live.sources());
    let before = Presence::find(&files, &then.site.configuration.layout, gone);
    let inputs: BTreeMap<&Arc<str>, &Path> = then.site.plain_inputs_of_workloads().collect();
    let mut found = Vec::new();
    for key in gone {
        let input = inputs.get(key).copied();
        match evidence(now.of(key), before.of(key), input, then.site.is_built) {
            Evidence::Removed => {}
            Evidence::StillIn(file) => found.push((Arc::clone(key), Some(file))),
            Evidence::Unknown => found.push((Arc::clone(key), None)),
        }
    }
    found
}

/// What the files say of a workload that is not read any more.
enum Evidence {
    /// A commit has removed it.
    Removed,
    /// Its manifest stands in a file that is not read for it.
    StillIn(PathBuf),
    /// No file ever held it word for word: a program makes it, and what it makes has changed.
    Unknown,
}

/// `now` and `before`: the files that hold it, with the place in the tree, each with whether it is read as a manifest;
/// `input`: the file that it was read from.
fn evidence(
    now: &[present::Holder],
    before: &[present::Holder],
    input: Option<&Path>,
    was_built: bool,
) -> Evidence {
    if was_built && before.is_empty() {
        return Evidence::Unknown;
    }
    let is_evidence = |holder: &&present::Holder| {
        // A copy that was there and not read when the rollout began is of somebody else.
        let was_aside = before.iter().any(|b| b.place == holder.place && !b.is_read);
        was_built || Some(&*holder.place) == input || (!holder.is_read && !was_aside)
    };
    match now.iter().find(is_evidence) {
        Some(holder) => Evidence::StillIn(holder.file.clone()),
        None => Evidence::Removed,
    }
}
