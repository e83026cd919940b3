//! The loop: fetch, read, evaluate, act, tell; and again when the head moves, pods change or time has passed.

use super::evaluate::{NotApplied, Options, evaluate};
use super::notify::{Form, Notice};
use super::report::Report;
use super::standing::{Standing, sites, standing};
use super::world::{Stopped, World};
use crate::diag::Diagnostic;
use crate::git::{Commit, Walk, trailer};
use crate::stage::{Live, Opened, StagedBranch, Written, stack};
use jiff::SignedDuration;

/// Steps that one turn takes at most before it waits again.
const MOST_STEPS: usize = 1000;

/// How long after a failure people are told again, in the API server's time.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// Commits that are told of at once, after a long silence.
const MOST_TOLD: usize = 50;

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

    /// Hears of a staged branch that was written anew.
    fn hear_staged(&mut self, branch: &str, overwritten: &[Commit]);

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
        if wrong.iter().any(Diagnostic::is_error) {
            return Ok(Turn::Refused(wrong));
        }
        let mut told = self.try_to_tell(work, &live)?;
        let mut tried_at = None;
        self.keep_staged(work, &standing)?;
        loop {
            let report = evaluate(opened, &mut standing, work.world, &self.options, work.not_applied)?;
            work.audience.hear(&report);
            if !told && let Some(now) = report.now {
                let last = *tried_at.get_or_insert(now);
                if now.duration_since(last) >= AGAIN {
                    told = self.try_to_tell(work, &live)?;
                    tried_at = Some(now);
                }
            }
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
        let signing = opened.signing()?;
        for watched in &standing.watched {
            let live = standing.live;
            let branch = StagedBranch::find(live, watched.cluster.as_deref(), watched.name());
            let is_there = branch.local.is_some() || branch.remote.is_some();
            // Before a rollout is open, `stage` writes the branch; where nobody ever staged, nobody reads it.
            if !watched.rollout.is_open() || !is_there {
                continue;
            }
            let kept = branch.commits(live)?;
            let kept = if signing.is_on() { kept } else { Vec::new() };
            let (Some(made), _) = stack(live, &watched.rollout, usize::MAX, &signing, &kept)? else {
                continue;
            };
            let tip = (!made.commits.is_empty()).then(|| made.tip());
            let examined = branch.examine(live, watched.name())?;
            let written = branch.write(live, tip)?;
            if let Some(update) = branch.push(tip) {
                work.world.push_staged(opened, update)?;
            }
            if matches!(written, Written::Anew) {
                work.audience.hear_staged(branch.short(), &examined.foreign);
            }
        }
        Ok(())
    }

    /// Tells people what they were not told yet; false when somebody could not be reached. A release never waits for
    /// that.
    fn try_to_tell(&self, work: &mut Work<'_>, live: &Live<'_>) -> Result<bool, Stopped> {
        let mut is_told = true;
        for receiver in work.world.receivers() {
            match self.tell(work.opened, live, work.world, receiver) {
                Ok(()) => {}
                Err(killed @ Stopped::Killed(_)) => return Err(killed),
                Err(failure) => {
                    work.audience.hear_untold(&failure);
                    is_told = false;
                }
            }
        }
        Ok(is_told)
    }

    /// Tells a receiver of the live commits of rollouts that it was not told of, oldest first.
    fn tell(
        &self,
        opened: &Opened,
        live: &Live<'_>,
        world: &mut dyn World,
        receiver: Form,
    ) -> Result<(), Stopped> {
        if self.options.dry_run {
            return Ok(());
        }
        let told = world.told(opened, receiver)?;
        if told == Some(live.head.id) {
            return Ok(());
        }
        let Some(last) = told else { return world.remember_told(opened, receiver, None, live.head.id) };
        let mut untold = Vec::new();
        for commit in live.repository.log(live.head.id, None, Walk::FirstParent)?.take(MOST_TOLD) {
            let commit = commit?;
            if commit.id == last {
                break;
            }
            untold.push(commit);
        }
        let mut arrived = last;
        for commit in untold.iter().rev().filter(|c| c.trailer(trailer::ACTION).is_some()) {
            match world.tell(receiver, &self.notice(live, commit)?) {
                Ok(()) => arrived = commit.id,
                Err(failure) => {
                    // What has arrived is not told again when the rest is.
                    if arrived != last && !matches!(failure, Stopped::Killed(_)) {
                        world.remember_told(opened, receiver, Some(last), arrived)?;
                    }
                    return Err(failure);
                }
            }
        }
        world.remember_told(opened, receiver, Some(last), live.head.id)
    }

    /// What people are told of a commit.
    fn notice(&self, live: &Live<'_>, commit: &Commit) -> Result<Notice, Stopped> {
        let value = |key| commit.trailer(key).unwrap_or_default();
        Ok(Notice {
            commit: commit.id.to_string(),
            action: value(trailer::ACTION),
            sidecar_set: value(trailer::SIDECAR_SET),
            subject: commit.subject().to_owned(),
            body: body(&commit.message),
            cluster: live.cluster_of(commit)?,
            time: jiff::Timestamp::from_second(commit.time.seconds).unwrap_or_default(),
            url: self.commits.as_ref().map(|commits| format!("{commits}{}", commit.id)),
        })
    }
}

/// A message without its subject and its trailers.
fn body(message: &str) -> String {
    let mut paragraphs: Vec<&str> = message.trim_end().split("\n\n").skip(1).collect();
    if paragraphs.last().is_some_and(|p| p.contains("Pillion-")) {
        paragraphs.pop();
    }
    paragraphs.join("\n\n")
}
