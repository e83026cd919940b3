//! Is what git holds what pillion makes? Ledgers against the planner and the verbs, byte for byte.

use super::history::is_taken_back;
use super::scope::missing_of;
use super::verbs::{self, Hold, TakenBack};
use super::{Failure, Live, Site, Tree, after_batch, before_close};
use crate::diag::{Code, Diagnostic, Label, MAX_LINE};
use crate::git::{Commit, Id, Repository, Walk};
use crate::model::ledger::{self, Ledger, Line, Revision};
use crate::model::timestamp::day_of;
use crate::plan::{Batch, Circumstances, Course, Step, can_start, digest, next_step, recounted, steps};
use crate::read::Files as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Steps that one commit may hold: a squashed stack.
const MOST_STEPS: usize = 1000;

/// Compares the ledgers of a site with the one text that pillion writes for each.
pub fn canonical(live: &Live<'_>, site: &Site) -> Vec<Diagnostic> {
    let differs = |ledger: &Ledger| {
        let place = live.configuration.ledger_place(site.cluster.as_deref(), &ledger.name)?;
        let name: Arc<str> = place.as_str().into();
        let text = live.rendered().text(Path::new(&place), &name).ok()?;
        first_difference(&name, &text, &ledger::emit(ledger), "pillion writes this ledger otherwise")
    };
    site.prepared.ledgers.values().filter_map(differs).collect()
}

/// Judges every change of a ledger on the way from `base` to what is live: each must be a step of the planner, a
/// verb or `init rollout`.
///
/// # Errors
/// When git fails, or the way cannot be found.
pub fn since(
    repository: &Repository,
    live: &Live<'_>,
    config: &Path,
    base: Id,
) -> Result<Vec<Diagnostic>, Failure> {
    let mut found = Vec::new();
    for (before, after) in changes(repository, live.head.id, base)? {
        let at = |commit: Id| {
            let (read, wrong) =
                Live::read_at(repository, &live.branches, config, (live.place.clone(), commit))?;
            Ok::<_, Failure>((read.map(|read| read.with_manifests(&live.manifests)), wrong))
        };
        // What else was wrong on the way is over; what is wrong in the end is said by those who look at that.
        let Some(new) = at(after.id)?.0 else { continue };
        let old = match before.map(|before| at(before.id)) {
            // There were no ledgers yet.
            None | Some(Err(Failure::NoConfiguration { .. } | Failure::NoSource { .. })) => None,
            Some(read) => read?.0,
        };
        for cluster in new.clusters() {
            found.extend(judge(old.as_ref(), &new, cluster));
        }
    }
    Ok(found)
}

/// The commits after `base`, oldest first, each with the one before it.
fn changes(repository: &Repository, head: Id, base: Id) -> Result<Vec<(Option<Commit>, Commit)>, Failure> {
    let mut way = Vec::new();
    for commit in repository.log(head, None, Walk::FirstParent)? {
        let commit = commit?;
        if commit.id == base || repository.is_ancestor(commit.id, base)? {
            way.push(commit);
            break;
        }
        way.push(commit);
    }
    way.reverse();
    let is_root = way.first().is_some_and(|c| c.parents.is_empty() && c.id != base);
    let first = is_root.then(|| (None, way[0].clone()));
    let pairs = way.windows(2).map(|pair| (Some(pair[0].clone()), pair[1].clone()));
    Ok(first.into_iter().chain(pairs).filter(|(a, b)| a.as_ref().is_none_or(|a| a.tree != b.tree)).collect())
}

fn judge(earlier_live: Option<&Live<'_>>, new: &Live<'_>, cluster: Option<&str>) -> Vec<Diagnostic> {
    let (site, wrong) = new.unjudged_site(cluster);
    // Without its manifests nothing can be judged.
    let is_unbuilt = |d: &Diagnostic| matches!(d.code, Code::BuildFailed | Code::NoManifests);
    if wrong.iter().any(is_unbuilt) {
        return wrong.into_iter().filter(is_unbuilt).collect();
    }
    let mut found = Vec::new();
    let earlier = earlier_live.map(|old| old.unjudged_site(cluster).0);
    let before = |name: &str| earlier.as_ref().and_then(|site| site.prepared.ledgers.get(name));
    for (name, ledger) in &site.prepared.ledgers {
        let old = before(name);
        if old.is_some_and(|old| ledger::emit(old) == ledger::emit(ledger)) {
            continue;
        }
        // What follows from a ledger follows from what it was before.
        let (course, _) = site.course_from(old.unwrap_or(&Ledger::new(name)));
        let others: Vec<&Ledger> = site.prepared.ledgers.values().filter(|l| l.name != *name).collect();
        let (history, today) = (earlier_live.zip(old), day_of(new.head.time.seconds));
        let change = Change { course: &course, old, new: ledger, others: &others, history, cluster, today };
        // A commit that counts anew says so, and goes on to the same target.
        let counts_anew =
            |old: &Ledger| ledger.scope.is_some() && old.scope != ledger.scope && old.target == ledger.target;
        let is_answer = |old: &Ledger| counts_anew(old) || change.ends_hold_of_gone(old);
        let missing = earlier_live.zip(old).filter(|(_, old)| !is_answer(old)).and_then(|(live, old)| {
            missing_of(&site, &Tree::of_commit(new.sources()), Some(&live.past()), old)
        });
        if let Some(missing) = missing {
            found.push(
                missing
                    .because(format!("commit {} goes on with the rollout all the same", new.head.id.short())),
            );
        } else if !change.is_accounted_for(&site) {
            found.push(change.refuse(new, cluster));
        }
    }
    let gone = earlier.iter().flat_map(|site| site.prepared.ledgers.values());
    for ledger in gone.filter(|l| !site.prepared.ledgers.contains_key(&l.name)) {
        if ledger.released.is_some() || ledger.target.is_some() || !ledger.lines.is_empty() {
            found.push(removed(&new.head, ledger));
        }
    }
    found
}

/// One ledger, before and after a commit.
struct Change<'a> {
    course: &'a Course<'a>,
    old: Option<&'a Ledger>,
    new: &'a Ledger,
    others: &'a [&'a Ledger],
    /// What was live before, for the states that the ledger has had.
    history: Option<(&'a Live<'a>, &'a Ledger)>,
    cluster: Option<&'a str>,
    /// The day of the commit.
    today: String,
}

impl Change<'_> {
    fn is_accounted_for(&self, site: &Site) -> bool {
        match self.old {
            None => self.is_initial(site),
            Some(old) => self.is_verb(old) || self.is_planned(old),
        }
    }

    /// `init rollout`: nothing released, or what the SidecarSet's file holds; nothing else.
    fn is_initial(&self, site: &Site) -> bool {
        let mut wanted = Ledger::new(&self.new.name);
        if self.is(&wanted) {
            return true;
        }
        let Some(set) = site.prepared.sets.iter().find(|s| *s.name == *self.new.name) else { return false };
        let revision = Revision::of(set);
        wanted.released = Some(Arc::clone(&revision.name));
        wanted.revisions.insert(Arc::clone(&revision.name), revision);
        self.is(&wanted)
    }

    fn is_verb(&self, old: &Ledger) -> bool {
        let source = self.course.source.as_ref().map(|r| Arc::clone(&r.name));
        let paused = || {
            let paused = self.new.paused.as_ref()?;
            verbs::pause(old, &paused.reason, paused.by.as_deref()).ok()
        };
        paused().is_some_and(|l| self.is(&l))
            || verbs::resume(old, &source).is_ok_and(|l| self.is(&l))
            || verbs::roll_back(old).is_ok_and(|l| self.is(&l))
            || self.is_taken_back()
            || self.is_reopened()
            || self.is_recount(old)
            || self.is_approval(old)
            || self.is_hold(old)
    }

    /// `rollback --to`: the rollout as it was after an earlier batch.
    fn is_taken_back(&self) -> bool {
        let Some((live, old)) = self.history else { return false };
        match old.target {
            Some(_) => self.is_back_from(live, old),
            None => self.reopened().is_some_and(|reopened| self.is_back_from(live, &reopened)),
        }
    }

    fn is_back_from(&self, live: &Live<'_>, open: &Ledger) -> bool {
        let Some(paused) = &self.new.paused else { return false };
        let past = after_batch(live, self.cluster, open, paused.batch).ok().flatten();
        past.is_some_and(|past| {
            let (reason, by) = (paused.reason.as_str(), paused.by.as_deref());
            let back = TakenBack { batch: paused.batch, past: &past, reason, by };
            verbs::take_back(self.course, open, &back).is_ok_and(|l| self.is(&l))
        })
    }

    /// `rollback` after Close.
    fn is_reopened(&self) -> bool {
        let back = self.reopened().and_then(|reopened| verbs::roll_back(&reopened).ok());
        back.is_some_and(|l| self.is(&l))
    }

    fn reopened(&self) -> Option<Ledger> {
        let (live, old) = self.history.filter(|(_, old)| old.target.is_none())?;
        let before = before_close(live, self.cluster, old).ok().flatten()?;
        verbs::reopen(self.course, old, &before).ok()
    }

    /// `stage --start NAME --accept-missing`: the scope is counted anew.
    fn is_recount(&self, old: &Ledger) -> bool {
        old.scope.is_some() && self.new.scope != old.scope && self.is(&recounted(self.course, old))
    }

    fn is_approval(&self, old: &Ledger) -> bool {
        let added = self.new.approved.iter().filter(|a| !old.approved.contains(a));
        added.take(1).any(|a| {
            [None, Some(self.today.clone())].into_iter().any(|today| {
                let given = Circumstances { today, ..Circumstances::default() };
                digest_of(self.course, old, a.batch, &given).is_some_and(|d| d == a.plan)
            }) && verbs::approve(old, a.batch, &a.plan).is_ok_and(|l| self.is(&l))
        })
    }

    fn is_hold(&self, old: &Ledger) -> bool {
        let keys: BTreeSet<&Arc<str>> = old.lines.keys().chain(self.new.lines.keys()).collect();
        let mut changed = keys.into_iter().filter(|key| old.lines.get(*key) != self.new.lines.get(*key));
        let (Some(key), None) = (changed.next(), changed.next()) else { return false };
        let unit = self.course.fleet.find(key);
        let Some(unit) = unit else { return verbs::release(old, key).is_ok_and(|l| self.is(&l)) };
        match self.new.lines.get(key) {
            Some(Line { held: Some(reason), by: Some(by), since: Some(since), images, until, .. }) => {
                // A hold that is changed has begun earlier; a commit that was made anew is younger than its hold.
                [&*self.today, &**since].into_iter().any(|today| {
                    let (reason, until) = (Some(&**reason), until.as_deref());
                    let hold = Hold { reason, images, by, today, until };
                    verbs::hold(old, unit, &hold).is_ok_and(|l| self.is(&l))
                })
            }
            _ => verbs::release(old, key).is_ok_and(|l| self.is(&l)),
        }
    }

    /// `hold --off` of a workload that is gone.
    fn ends_hold_of_gone(&self, old: &Ledger) -> bool {
        let mut gone = old.lines.keys().filter(|key| !self.new.lines.contains_key(*key));
        gone.next().is_some_and(|key| {
            self.course.fleet.find(key).is_none() && verbs::release(old, key).is_ok_and(|l| self.is(&l))
        })
    }

    /// One step of the planner, or several.
    fn is_planned(&self, old: &Ledger) -> bool {
        self.circumstances(old).iter().any(|given| {
            let mut at = old.clone();
            for _ in 0..MOST_STEPS {
                at = match next_step(self.course, &at, given) {
                    Step::Open(after)
                    | Step::Close(after)
                    | Step::Resume(after)
                    | Step::Batch(Batch { ledger: after, .. }) => after,
                    Step::Rest(_) => return false,
                };
                if self.is(&at) {
                    return true;
                }
            }
            false
        })
    }

    /// What a watcher may have seen: nothing, workloads of other rollouts that it passed over, pods that were
    /// not healthy.
    fn circumstances(&self, old: &Ledger) -> Vec<Circumstances> {
        let observed = self.new.sizes.clone();
        let moved = |key: &&Arc<str>| old.lines.get(*key) != self.new.lines.get(*key);
        let busy = self.others.iter().flat_map(|other| {
            let last = other.last_batch();
            other.lines.iter().filter(move |(_, l)| last > 0 && l.batch == Some(last)).map(|(key, _)| key)
        });
        let waiting = busy.filter(|key| !moved(key)).map(|key| (Arc::clone(key), String::new())).collect();
        let alone = Circumstances { observed, ..Circumstances::default() };
        let unhealthy = self.new.lines.keys().filter(moved).cloned().collect();
        let mut found = vec![
            Circumstances { waiting, ..alone.clone() },
            Circumstances { unhealthy, ..alone.clone() },
            Circumstances { allows_removal: true, ..alone.clone() },
            alone,
        ];
        let mut also = |change: &dyn Fn(&mut Circumstances)| {
            let mut more = found.clone();
            more.iter_mut().for_each(change);
            found.extend(more);
        };
        if old.lines.values().any(|l| l.has_ended(Some(&self.today))) {
            also(&|given| given.today = Some(self.today.clone()));
        }
        // A person has started what the source holds.
        if can_start(self.course, old) && (old.target.is_some() || old.paused.is_some()) {
            also(&|given| (given.starts, given.starts_paused) = (true, true));
        }
        found
    }

    fn is(&self, ledger: &Ledger) -> bool {
        ledger::emit(ledger) == ledger::emit(self.new)
    }

    /// Says what is wrong at the first byte that the planner would not have written.
    fn refuse(&self, live: &Live<'_>, cluster: Option<&str>) -> Diagnostic {
        let written = ledger::emit(self.new);
        let planned = self.old.map(|old| match next_step(self.course, old, &Circumstances::default()) {
            Step::Open(after)
            | Step::Close(after)
            | Step::Resume(after)
            | Step::Batch(Batch { ledger: after, .. }) => after,
            Step::Rest(_) => old.clone(),
        });
        // Nothing might have been meant, or the next step: what is nearer tells more.
        let wanted = [self.old.cloned(), planned].map(|l| l.unwrap_or_else(|| Ledger::new(&self.new.name)));
        let alike = |text: &String| text.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
        let planned = wanted.iter().map(ledger::emit).max_by_key(alike).unwrap_or_default();
        let file = live.configuration.ledger_place(cluster, &self.new.name).unwrap_or_default();
        let what = format!(
            "commit {} changes the ledger of `{}` as no command of pillion does",
            live.head.id.short(),
            self.new.name
        );
        let told = first_difference(&file.into(), &written, &planned, &what)
            .unwrap_or_else(|| Diagnostic::error(Code::LedgerNotPlanned, what));
        if self.is_reverted() { super::refusal::by_hand(told, self.new) } else { told }
    }

    /// The ledger is what it was after an earlier batch of the same rollout: `git revert`.
    fn is_reverted(&self) -> bool {
        let Some((live, old)) = self.history.filter(|(_, old)| is_taken_back(old, self.new)) else {
            return false;
        };
        let past = after_batch(live, self.cluster, old, self.new.last_batch());
        past.ok().flatten().is_some_and(|past| self.is(&past))
    }
}

/// Returns the digest of a batch that lies ahead; None: there will be none of that number.
pub fn digest_of(course: &Course<'_>, ledger: &Ledger, batch: u32, given: &Circumstances) -> Option<String> {
    let unpaused = Ledger { paused: None, ..ledger.clone() };
    let mut before = unpaused.clone();
    for step in steps(course, &unpaused, given, MOST_STEPS) {
        match step {
            Step::Batch(next) if next.number == batch => {
                return Some(digest(course, &before, batch, &next.moves));
            }
            Step::Open(after) | Step::Resume(after) | Step::Batch(Batch { ledger: after, .. }) => {
                before = after
            }
            Step::Close(_) | Step::Rest(_) => break,
        }
    }
    None
}

/// Compares a text with what it should be: a label at the first byte that differs.
fn first_difference(file: &Arc<str>, found: &str, wanted: &str, what: &str) -> Option<Diagnostic> {
    let at = found.bytes().zip(wanted.bytes()).position(|(a, b)| a != b);
    let at = at.or((found.len() != wanted.len()).then(|| found.len().min(wanted.len())))?;
    let start = found[..at_boundary(found, at)].rfind('\n').map_or(0, |n| n + 1);
    let line = |text: &str| text.get(start..).and_then(|t| t.lines().next()).unwrap_or_default().to_owned();
    let source: String = line(found).chars().take(MAX_LINE).collect();
    let column = found[start..at_boundary(found, at)].chars().count() + 1;
    let label = Label {
        file: Arc::clone(file),
        line: found[..start].matches('\n').count() + 1,
        column,
        width: 1,
        source: source.into(),
        text: match line(wanted) {
            planned if planned.is_empty() => "nothing more would stand here".to_owned(),
            planned => {
                format!("here would stand `{}`", planned.trim().chars().take(MAX_LINE).collect::<String>())
            }
        },
    };
    Some(
        Diagnostic::error(Code::LedgerNotPlanned, what)
            .at(label)
            .because(
                "a ledger changes by `pillion stage`, `watch`, `init rollout` and the verbs, never by hand",
            )
            .help("take the change back, and let pillion make it"),
    )
}

fn at_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn removed(commit: &Commit, ledger: &Ledger) -> Diagnostic {
    let message =
        format!("commit {} removes the ledger of `{}`, which is in use", commit.id.short(), ledger.name);
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("without it nobody knows which workloads carry what")
        .help("put it back; a SidecarSet is taken away by deleting its file and releasing that")
}
