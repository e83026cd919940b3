//! What did one commit do to the ledgers? Each change must be what a command of pillion makes, and stand alone.

use super::alone::not_alone;
use super::change::Change;
use super::deed::{Deed, Released, Step};
use super::unreadable;
use crate::diag::{Code, Diagnostic, Label, counted};
use crate::git::{Commit, trailer};
use crate::model::ledger::{Ledger, emit};
use crate::model::timestamp::day_of;
use crate::plan::Course;
use crate::read::plain;
use crate::stage::history::approver;
use crate::stage::scope::missing_of;
use crate::stage::{Failure, Live, Site, Tree};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A ledger: its cluster, where pillion.yaml names some, and its SidecarSet.
pub(super) type Key = (Option<Arc<str>>, Arc<str>);

/// What became of the ledgers with one commit.
#[derive(Default)]
pub(super) struct Judged {
    /// What is wrong, and whose ledger it is about; None: the commit as a whole.
    pub(super) wrong: Vec<(Option<Key>, Diagnostic)>,
    pub(super) changed: Vec<Changed>,
}

/// A change of a ledger that a command of pillion makes.
pub struct Changed {
    pub(super) commit: Commit,
    pub(super) key: Key,
    pub(super) deed: Deed,
    /// Who has approved its batch; None: nobody had to.
    approved_by: Option<String>,
}

/// Batches that wait for an approval where a way begins: what takes them out of pillion.yaml on the way counts behind it.
pub(super) struct Approve<'a> {
    base: Option<&'a Live<'a>>,
    sites: RefCell<BTreeMap<Option<String>, Site>>,
}

impl<'a> Approve<'a> {
    pub(super) fn of_base(base: Option<&'a Live<'a>>) -> Self {
        Self { base, sites: RefCell::default() }
    }

    fn of(&self, cluster: Option<&str>, name: &str) -> Vec<u32> {
        let Some(base) = self.base.filter(|base| base.clusters().contains(&cluster)) else {
            return Vec::new();
        };
        let mut sites = self.sites.borrow_mut();
        let site = sites.entry(cluster.map(str::to_owned)).or_insert_with(|| base.unjudged_site(cluster).0);
        site.settings(name).0.approve
    }
}

/// The ledgers of a commit, by cluster and name.
type Ledgers = BTreeMap<Key, Ledger>;

/// Judges what a commit did; `old` is what was live before, None where nothing was.
pub(super) fn judge(
    old: Option<&Live<'_>>,
    new: &Live<'_>,
    approve: &Approve<'_>,
) -> Result<Judged, Failure> {
    let mut judged = Judged::default();
    if has_same_ledgers(old, new) {
        return Ok(judged);
    }
    let earlier = old.map(ledgers_of).unwrap_or_default();
    let sites: Vec<(Site, Vec<Diagnostic>)> =
        new.clusters().into_iter().map(|cluster| new.unjudged_site(cluster)).collect();
    let later: Ledgers = sites.iter().flat_map(|(site, _)| ledgers_in(site)).collect();
    let moved = moved(&earlier, &later);
    for (site, wrong) in &sites {
        Case { old, new, site, earlier: &earlier, approve }.judge(wrong, &moved, &mut judged)?;
    }
    for key in &moved {
        let (commit, key) = (new.head.clone(), key.clone());
        judged.changed.push(Changed { commit, key, deed: Deed::Move, approved_by: None });
    }
    let is_kept = |name: &Arc<str>| moved.iter().any(|(_, kept)| kept == name);
    for (key, ledger) in earlier.iter().filter(|(key, _)| !later.contains_key(*key)) {
        if is_in_use(ledger) && !is_kept(&key.1) && !is_cluster_gone(new, old, key) {
            judged.wrong.push((Some(key.clone()), removed(&new.head, ledger)));
        }
    }
    if let Some(old) = old {
        judged.wrong.extend(not_alone(old, new, &sites, &earlier, &judged.changed));
    }
    Ok(judged)
}

fn ledgers_of(live: &Live<'_>) -> Ledgers {
    let sites = live.clusters().into_iter().map(|cluster| live.unjudged_site(cluster).0);
    sites.flat_map(|site| ledgers_in(&site).collect::<Vec<_>>()).collect()
}

fn ledgers_in(site: &Site) -> impl Iterator<Item = (Key, Ledger)> {
    let all = site.prepared.ledgers.iter();
    all.map(|(name, ledger)| ((site.cluster.clone(), Arc::clone(name)), ledger.clone()))
}

/// Returns whether the files of all ledgers are those of before, in the same places.
fn has_same_ledgers(old: Option<&Live<'_>>, new: &Live<'_>) -> bool {
    let places = |live: &Live<'_>| {
        let folder = live.configuration.layout.ledgers.as_ref();
        folder.map(|folder| plain(&live.configuration.layout.root.join(folder)))
    };
    let files = |live: &Live<'_>, folder: &PathBuf| -> Vec<_> {
        let found = live.rendered().below_or_at(folder);
        found.into_iter().map(|(path, listed)| (path.to_owned(), listed.clone())).collect()
    };
    let Some(old) = old else { return places(new).is_none_or(|folder| files(new, &folder).is_empty()) };
    match (places(old), places(new)) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b && old.clusters() == new.clusters() && files(old, &a) == files(new, &b),
        _ => false,
    }
}

/// The ledgers that stand in the folder of another cluster than before, as they were: clusters were named or renamed.
fn moved(earlier: &Ledgers, later: &Ledgers) -> BTreeSet<Key> {
    let is_move = |key: &Key, ledger: &Ledger| {
        let text = emit(ledger);
        let is_gone = |old: &Key| old.1 == key.1 && !later.contains_key(old);
        !earlier.contains_key(key) && earlier.iter().any(|(old, e)| is_gone(old) && emit(e) == text)
    };
    later.iter().filter(|(key, ledger)| is_move(key, ledger)).map(|(key, _)| key.clone()).collect()
}

fn is_in_use(ledger: &Ledger) -> bool {
    ledger.released.is_some() || ledger.target.is_some() || !ledger.lines.is_empty()
}

/// Returns whether a cluster is gone from git with all of its manifests.
fn is_cluster_gone(new: &Live<'_>, old: Option<&Live<'_>>, (cluster, _): &Key) -> bool {
    let (Some(name), Some(old)) = (cluster, old) else { return false };
    let layout = &old.configuration.layout;
    let known = layout.clusters.iter().find(|c| c.name == *name);
    let Some(folder) = known.and_then(|cluster| cluster.folder.as_ref()) else { return false };
    !new.clusters().contains(&Some(&**name))
        && new.sources().below_or_at(&plain(&layout.root.join(folder))).is_empty()
}

fn removed(commit: &Commit, ledger: &Ledger) -> Diagnostic {
    let message =
        format!("commit {} removes the ledger of `{}`, which is in use", commit.id.short(), ledger.name);
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("without it nobody knows which workloads carry what")
        .help("put it back; a SidecarSet is taken away by deleting its file and releasing that; where a cluster gets a name, move the ledger as it is (`git mv`)")
}

/// One cluster, before and after a commit.
struct Case<'a> {
    old: Option<&'a Live<'a>>,
    new: &'a Live<'a>,
    site: &'a Site,
    earlier: &'a Ledgers,
    approve: &'a Approve<'a>,
}

impl Case<'_> {
    fn judge(&self, wrong: &[Diagnostic], moved: &BTreeSet<Key>, judged: &mut Judged) -> Result<(), Failure> {
        // Without its manifests nothing can be judged.
        let is_unbuilt = |d: &&Diagnostic| matches!(d.code, Code::BuildFailed | Code::NoManifests);
        let unbuilt: Vec<Diagnostic> = wrong.iter().filter(is_unbuilt).cloned().collect();
        if !unbuilt.is_empty() {
            judged.wrong.extend(unbuilt.into_iter().map(|wrong| (None, wrong)));
            return Ok(());
        }
        for ledger in self.site.prepared.ledgers.values() {
            let key = (self.site.cluster.clone(), Arc::clone(&ledger.name));
            let old = self.earlier.get(&key);
            if moved.contains(&key) || old.is_some_and(|old| emit(old) == emit(ledger)) {
                continue;
            }
            // That a ledger is missing says nothing of the others.
            if let Some(error) = wrong.iter().find(|d| d.is_error() && d.code != Code::NoLedger) {
                judged.wrong.push((Some(key), unreadable(&self.new.head, error.clone())));
                continue;
            }
            match self.change(old, ledger)? {
                Ok(changed) => {
                    let wrong = self.without_approval(&changed);
                    judged.wrong.extend(wrong.map(|wrong| (Some(key), wrong)));
                    judged.changed.push(changed);
                }
                Err(wrong) => judged.wrong.push((Some(key), *wrong)),
            }
        }
        Ok(())
    }

    fn change(
        &self,
        old: Option<&Ledger>,
        ledger: &Ledger,
    ) -> Result<Result<Changed, Box<Diagnostic>>, Failure> {
        let (new, site) = (self.new, self.site);
        // What follows from a ledger follows from what it was before.
        let (mut course, _) = site.course_from(old.unwrap_or(&Ledger::new(&ledger.name)));
        course.settings.approve.extend(self.approve.of(site.cluster.as_deref(), &ledger.name));
        let others: Vec<&Ledger> = site.prepared.ledgers.values().filter(|l| l.name != ledger.name).collect();
        let change = Change {
            course: &course,
            old,
            new: ledger,
            others: &others,
            history: self.old.zip(old),
            cluster: site.cluster.as_deref(),
            today: day_of(new.head.time.seconds),
            beyond: RefCell::default(),
        };
        // A commit that counts anew says so, and goes on to the same target.
        let counts_anew =
            |old: &Ledger| ledger.scope.is_some() && old.scope != ledger.scope && old.target == ledger.target;
        let is_answer = |old: &Ledger| counts_anew(old) || change.ends_hold_of_gone(old);
        let missing = self.old.zip(old).filter(|(_, old)| !is_answer(old)).and_then(|(live, old)| {
            missing_of(site, &Tree::of_commit(new.sources()), Some(&live.past()), old)
        });
        if let Some(missing) = missing {
            let why = format!("commit {} goes on with the rollout all the same", new.head.id.short());
            return Ok(Err(Box::new(missing.because(why))));
        }
        let Some(deed) = change.deed(site)? else {
            return Ok(Err(Box::new(change.refuse(new, site.cluster.as_deref()))));
        };
        if let Some(wrong) = self.moves_at_once(&course, &deed) {
            return Ok(Err(Box::new(wrong)));
        }
        let approved_by = self.approved_by(&deed, old, ledger);
        let key = (site.cluster.clone(), Arc::clone(&ledger.name));
        Ok(Ok(Changed { commit: new.head.clone(), key, deed, approved_by }))
    }

    /// Who has approved a batch, where somebody has.
    fn approved_by(&self, deed: &Deed, old: Option<&Ledger>, ledger: &Ledger) -> Option<String> {
        let (Deed::Steps(steps), Some((live, old))) = (deed, self.old.zip(old)) else { return None };
        let is_approved = |step: &Step| match step {
            Step::Batch(batch) if old.approved.iter().any(|a| a.plan == batch.plan) => {
                Some(batch.plan.clone())
            }
            _ => None,
        };
        let plan = steps.iter().find_map(is_approved)?;
        let place = live.configuration.ledger_place(self.site.cluster.as_deref(), &ledger.name);
        Some(approver(live, place.as_deref(), &plan).unwrap_or_default())
    }

    /// What is wrong with a batch that nobody has approved.
    fn without_approval(&self, changed: &Changed) -> Option<Diagnostic> {
        let Deed::Steps(steps) = &changed.deed else { return None };
        let waits = |step: &Step| match step {
            Step::Batch(Released { number, awaited: Some(_), .. }) => Some(*number),
            _ => None,
        };
        let number = steps.iter().find_map(waits)?;
        Some(self.unapproved(changed, number))
    }

    fn unapproved(&self, changed: &Changed, number: u32) -> Diagnostic {
        let name = &changed.key.1;
        let (id, place) = (changed.commit.id.short(), self.place(name));
        let message = format!("commit {id} releases batch {number} of `{name}`, which nobody has approved");
        Diagnostic::error(Code::BatchNotApproved, message)
            .at(Label::whole_file(place))
            .because(format!(
                "`approve` of the rollout says that batch {number} waits for a person, and an approval is for exactly one plan"
            ))
            .help(format!(
                "take the commit back, then `pillion approve {name} {number}`; where it is live already, `pillion rollback {name} --to {}`",
                number - 1
            ))
    }

    /// The first ledger of a SidecarSet names what workloads carry already: it brings a sidecar to none.
    fn moves_at_once(&self, course: &Course<'_>, deed: &Deed) -> Option<Diagnostic> {
        let (Deed::Initial(released @ Some(_)), Some(old)) = (deed, self.old) else { return None };
        let name = &course.name;
        let carries = |key: &Arc<str>| {
            let unit = course.fleet.find(key);
            unit.is_some_and(|unit| !course.fleet.change(unit, &None, released).difference.is_empty())
        };
        let places = self.site.inputs_of_workloads().filter(|(key, _)| carries(key));
        let places = places.filter_map(|(_, input)| {
            let input = &self.site.inputs()[input].0;
            self.new.configuration.rendered_place(self.site.cluster.as_deref(), input)
        });
        let changes = |place: &String| {
            let file = |live: &Live<'_>| live.rendered().file(Path::new(place)).copied();
            file(old).is_some_and(|before| file(self.new) != Some(before))
        };
        let places: BTreeSet<String> = places.filter(changes).collect();
        let first = places.first()?;
        let message = format!(
            "commit {} makes the first ledger of `{name}` and changes {} in one",
            self.new.head.id.short(),
            counted(places.len() as u64, "rendered file")
        );
        Some(
            Diagnostic::error(Code::LedgerNotPlanned, message)
                .at(Label::whole_file(first.clone()))
                .because("a first ledger names as released what workloads carry already; all others would get the sidecar at once")
                .help(format!(
                    "`pillion init rollout` writes a ledger with nothing released; `pillion stage --start {name}` begins to roll it out"
                )),
        )
    }

    fn place(&self, name: &str) -> String {
        self.new.configuration.ledger_place(self.site.cluster.as_deref(), name).unwrap_or_default()
    }
}

impl Changed {
    /// Returns whether a person's command made it: a verb, or one step.
    pub(super) fn is_word_of_person(&self) -> bool {
        self.commit.trailer(trailer::BY).is_some() && self.deed.is_one_command()
    }

    /// Returns it in words: whose ledger, what was done, by whom.
    pub fn words(&self) -> String {
        let (cluster, name) = &self.key;
        let of = cluster.as_ref().map_or_else(String::new, |cluster| format!(" ({cluster})"));
        let total = self.commit.trailer(trailer::BATCH);
        let mut deed = self.deed.to_string();
        if let (Deed::Steps(steps), Some((number, all))) =
            (&self.deed, total.as_deref().and_then(|total| total.split_once('/')))
            && let [Step::Batch(batch)] = &steps[..]
            && batch.number.to_string() == number
            && all.parse::<u32>().is_ok()
        {
            deed.push_str(&format!(" of {all}"));
        }
        match self.approved_by.as_deref() {
            Some("") => deed.push_str(", approved"),
            Some(by) => deed.push_str(&format!(", approved by {by}")),
            None => {}
        }
        let by = self.commit.trailer(trailer::BY).unwrap_or_else(|| self.commit.author.to_string());
        format!("{name}{of}: {deed}, by {by} ({})", self.commit.id.short())
    }
}
