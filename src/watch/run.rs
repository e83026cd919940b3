//! The loop: fetch, read, evaluate, act; and again when the head moves, pods change or time has passed.

use super::evaluate::{NotApplied, Options, evaluate};
use super::report::Report;
use super::standing::{Standing, Watched, sites, standing};
use super::world::{Stopped, World};
use crate::diag::Diagnostic;
use crate::git::{Commit, Id};
use crate::plan::cluster_option;
use crate::stage::{Opened, StagedBranch, Written, foreign_commits, stack, verify};

/// Steps that one turn takes at most before it waits again.
const MOST_STEPS: usize = 1000;

/// What a watcher is to do.
#[derive(Debug, Clone, Default)]
pub struct Watching {
    /// SidecarSets; empty: all with a ledger.
    pub names: Vec<String>,
    /// Only this cluster.
    pub cluster: Option<String>,
    /// What an evaluation may do.
    pub options: Options,
    /// Where people see commits: the address up to the id, where it is known.
    pub commits: Option<String>,
}

/// What a watcher works with.
pub struct Work<'a> {
    /// The repository.
    pub opened: &'a Opened,
    /// Everything outside the program.
    pub world: &'a mut dyn World,
    /// Batches that nobody applies yet.
    pub not_applied: &'a mut NotApplied,
    /// A live head whose history was judged, and nothing was wrong: what would be found again.
    pub sound: &'a mut Option<Id>,
    /// Who hears of it.
    pub audience: &'a mut dyn Audience,
}

/// How a turn ended.
#[derive(Debug)]
pub enum Turn {
    /// Nothing more can be done now.
    Settled(Report),
    /// Something in git is wrong: nothing is released before a person has mended it.
    Refused(Vec<Diagnostic>),
}

/// Somebody who wants to know what is going on.
pub trait Audience {
    /// Hears of an evaluation; returns whether the loop is to go on waiting for the next one.
    fn hear(&mut self, report: &Report);

    /// Hears of a staged branch that was written anew, and which commits it held on the live head.
    fn hear_staged(&mut self, branch: &str, overwritten: &[Commit]);

    /// Hears that a staged branch holds commits that pillion did not make, and is left alone: with them, and what a
    /// person types.
    fn hear_foreign(&mut self, _wrong: &Diagnostic) {}

    /// Hears that people could not be told of commits: that holds up nothing, and is tried again.
    fn hear_untold(&mut self, failure: &Stopped);
}

impl Watching {
    /// Takes every step that can be taken now, each from the live head of its moment.
    ///
    /// # Errors
    /// When git or a service fails, or the watcher is killed.
    pub fn turn(&self, work: &mut Work<'_>) -> Result<Turn, Stopped> {
        let mut last = None;
        for _ in 0..MOST_STEPS {
            work.world.fetch(work.opened)?;
            match self.head(work, &mut |_, _| false)? {
                Turn::Settled(report) if report.moved => last = Some(report),
                turn => return Ok(turn),
            }
        }
        last.map(Turn::Settled).ok_or_else(|| Stopped::Service {
            text: "the live branch moves faster than it can be read".to_owned(),
            is_retryable: true,
        })
    }

    /// Reads the live head once, and evaluates it again and again for as long as `goes_on` says: until the head moves,
    /// as the caller knows. Returns what the last evaluation found.
    ///
    /// # Errors
    /// When git or a service fails, or the watcher is killed.
    pub fn head(
        &self,
        work: &mut Work<'_>,
        goes_on: &mut dyn FnMut(&mut dyn World, &Report) -> bool,
    ) -> Result<Turn, Stopped> {
        let opened = work.opened;
        let (live, mut wrong) = opened.read()?;
        let Some(live) = live else { return Ok(Turn::Refused(wrong)) };
        let (sites, found) = sites(&live, self.cluster.as_deref())?;
        wrong.extend(found);
        if wrong.iter().any(Diagnostic::is_error) {
            return Ok(Turn::Refused(wrong));
        }
        let (mut standing, found) = standing(&live, &sites, &self.names)?;
        wrong.extend(found);
        if !wrong.iter().any(Diagnostic::is_error) {
            wrong.extend(verify::recent(&live, *work.sound)?);
        }
        if wrong.iter().any(Diagnostic::is_error) {
            return Ok(Turn::Refused(wrong));
        }
        *work.sound = Some(live.head.id);
        self.try_to_tell(work, &live, true)?;
        let mut kept = None;
        loop {
            // Others write to them too, also while the live head stays.
            if kept.as_ref() != Some(&staged(&standing)) {
                self.keep_staged(work, &standing)?;
                kept = Some(staged(&standing));
            }
            let report = evaluate(opened, &mut standing, work.world, &self.options, work.not_applied)?;
            work.audience.hear(&report);
            // A release never waits for people.
            self.try_to_tell(work, &live, false)?;
            if report.moved || !goes_on(work.world, &report) {
                return Ok(Turn::Settled(report));
            }
        }
    }

    /// Writes the staged branches of open rollouts anew where they hold something else than what is to come.
    fn keep_staged(&self, work: &mut Work<'_>, standing: &Standing<'_, '_>) -> Result<(), Stopped> {
        if self.options.dry_run {
            return Ok(());
        }
        let opened = work.opened;
        for watched in &standing.watched {
            let live = standing.live;
            let branch = StagedBranch::find(live, watched.cluster.as_deref(), watched.name());
            let is_there = branch.local.is_some() || branch.remote.is_some();
            // Before a rollout is open, `stage` writes the branch; where nobody ever staged, nobody reads it.
            if !watched.rollout.is_open() || !is_there {
                continue;
            }
            let signing = opened.signing()?;
            let held = branch.commits(live)?;
            let kept: &[Commit] = if signing.is_on() { &held } else { &[] };
            // Of what is paused people see what `pillion resume` lets follow.
            let resumed = watched.resumed();
            let rollout = resumed.as_ref().unwrap_or(&watched.rollout);
            let (Some(made), _) = stack(live, rollout, usize::MAX, &signing, kept)? else {
                continue;
            };
            let examined = branch.examine(live, watched.name())?;
            let config = live.configuration.layout.root.join("pillion.yaml");
            let names = (branch.short(), watched.name());
            let option = cluster_option(watched.cluster.as_deref());
            if let Some(wrong) = foreign_commits(&config, names, &examined.foreign(), &option) {
                work.audience.hear_foreign(&wrong);
                continue;
            }
            let written = branch.write(live, &made)?;
            if let Some(update) = branch.push(made.new_tip()) {
                work.world.push_staged(opened, update)?;
            }
            if matches!(written, Written::Anew) {
                work.audience.hear_staged(branch.short(), &held);
            }
        }
        Ok(())
    }
}

/// Where the staged branches of all rollouts are, here and on the remote.
fn staged(standing: &Standing<'_, '_>) -> Vec<[Option<Id>; 2]> {
    let find = |w: &Watched<'_>| StagedBranch::find(standing.live, w.cluster.as_deref(), w.name());
    standing.watched.iter().map(find).map(|branch| [branch.local, branch.remote]).collect()
}
