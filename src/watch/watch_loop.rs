//! The loop: fetch, read, evaluate, act; and again when the head moves, pods change or time has passed.

use super::environment::{Environment, WatchError};
use super::evaluation::{Options, OutOfSyncSince, evaluate_rollouts};
use super::report::EvaluationReport;
use super::rollout_set::{RolloutSet, WatchedRollout, plan_rollouts, read_cluster_views};
use crate::diagnostics::Diagnostic;
use crate::git::{Commit, ObjectId};
use crate::rollout::cluster_option;
use crate::stage::{BranchUpdate, RepoContext, StagedBranch, build_stack, foreign_commits, verify};

/// Steps that one turn takes at most before it waits again.
const MAX_STEPS: usize = 1000;

/// What a watcher is to do.
#[derive(Debug, Clone, Default)]
pub struct Watcher {
    /// SidecarSets; empty: all with a ledger.
    pub names: Vec<String>,
    /// Only this cluster.
    pub cluster: Option<String>,
    /// What an evaluation may do.
    pub options: Options,
    /// Where people see commits: the address up to the id, where it is known.
    pub commit_url_prefix: Option<String>,
}

/// What a watcher works with.
pub struct WatchContext<'a> {
    /// The repository.
    pub repo: &'a RepoContext,
    /// Everything outside the program.
    pub environment: &'a mut dyn Environment,
    /// Batches that nobody applies yet.
    pub out_of_sync_since: &'a mut OutOfSyncSince,
    /// A deploy head whose history was judged, and nothing was wrong: what would be found again.
    pub verified_head: &'a mut Option<ObjectId>,
    /// Who hears of it.
    pub events: &'a mut dyn EventSink,
}

/// How a turn ended.
#[derive(Debug)]
pub enum Iteration {
    /// Nothing more can be done now.
    Evaluated(EvaluationReport),
    /// Something in git is wrong: nothing is released before a person has mended it.
    Invalid(Vec<Diagnostic>),
}

/// Somebody who wants to know what is going on.
pub trait EventSink {
    /// Hears of an evaluation; returns whether the loop is to go on waiting for the next one.
    fn on_evaluation(&mut self, report: &EvaluationReport);

    /// Hears of a staged branch that was written anew, and which commits it held on the head of the deploy branch.
    fn on_staged_rewritten(&mut self, branch: &str, overwritten: &[Commit]);

    /// Hears that a staged branch holds commits that pillion did not make, and is left alone: with them, and what a
    /// person types.
    fn on_foreign_commits(&mut self, _wrong: &Diagnostic) {}

    /// Hears that people could not be told of commits: that holds up nothing, and is tried again.
    fn on_notify_failed(&mut self, failure: &WatchError);
}

impl Watcher {
    /// Takes every step that can be taken now, each from the head of the deploy branch of its moment.
    ///
    /// # Errors
    /// When git or a service fails, or the watcher is killed.
    pub fn run_iteration(&self, work: &mut WatchContext<'_>) -> Result<Iteration, WatchError> {
        let mut last = None;
        for _ in 0..MAX_STEPS {
            work.environment.fetch(work.repo)?;
            match self.watch_head(work, &mut |_, _| false)? {
                Iteration::Evaluated(report) if report.head_moved => last = Some(report),
                turn => return Ok(turn),
            }
        }
        last.map(Iteration::Evaluated).ok_or_else(|| WatchError::Service {
            text: "the deploy branch moves faster than it can be read".to_owned(),
            is_retryable: true,
        })
    }

    /// Reads the head of the deploy branch once, and evaluates it again and again for as long as `goes_on` says: until the head moves,
    /// as the caller knows. Returns what the last evaluation found.
    ///
    /// # Errors
    /// When git or a service fails, or the watcher is killed.
    pub fn watch_head(
        &self,
        work: &mut WatchContext<'_>,
        goes_on: &mut dyn FnMut(&mut dyn Environment, &EvaluationReport) -> bool,
    ) -> Result<Iteration, WatchError> {
        let opened = work.repo;
        let (live, mut wrong) = opened.read_deploy_branch()?;
        let Some(live) = live else { return Ok(Iteration::Invalid(wrong)) };
        let (sites, found) = read_cluster_views(&live, self.cluster.as_deref())?;
        wrong.extend(found);
        if wrong.iter().any(Diagnostic::is_error) {
            return Ok(Iteration::Invalid(wrong));
        }
        let (mut standing, found) = plan_rollouts(&live, &sites, &self.names)?;
        wrong.extend(found);
        if !wrong.iter().any(Diagnostic::is_error) {
            wrong.extend(verify::check_recent(&live, *work.verified_head)?);
        }
        if wrong.iter().any(Diagnostic::is_error) {
            return Ok(Iteration::Invalid(wrong));
        }
        *work.verified_head = Some(live.head.id);
        self.notify_receivers(work, &live, true)?;
        let mut kept = None;
        loop {
            // Others write to them too, also while the head of the deploy branch stays.
            if kept.as_ref() != Some(&staged_tips(&standing)) {
                self.update_staged_branches(work, &standing)?;
                kept = Some(staged_tips(&standing));
            }
            let report = evaluate_rollouts(
                opened,
                &mut standing,
                work.environment,
                &self.options,
                work.out_of_sync_since,
            )?;
            work.events.on_evaluation(&report);
            // A release never waits for people.
            self.notify_receivers(work, &live, false)?;
            if report.head_moved || !goes_on(work.environment, &report) {
                return Ok(Iteration::Evaluated(report));
            }
        }
    }

    /// Writes the staged branches of open rollouts anew where they hold something else than what is to come.
    fn update_staged_branches(
        &self,
        work: &mut WatchContext<'_>,
        standing: &RolloutSet<'_, '_>,
    ) -> Result<(), WatchError> {
        if self.options.dry_run {
            return Ok(());
        }
        let opened = work.repo;
        for watched in &standing.rollouts {
            let live = standing.deploy;
            let branch = StagedBranch::find(live, watched.cluster.as_deref(), watched.name());
            let is_there = branch.local.is_some() || branch.remote.is_some();
            // Before a rollout is open, `stage` writes the branch; where nobody ever staged, nobody reads it.
            if !watched.rollout.has_started() || !is_there {
                continue;
            }
            let signing = opened.signing()?;
            let held = branch.commits(live)?;
            let kept: &[Commit] = if signing.is_enabled() { &held } else { &[] };
            // Of what is paused people see what `pillion resume` lets follow.
            let resumed = watched.plan_resumed();
            let rollout = resumed.as_ref().unwrap_or(&watched.rollout);
            let (Some(made), _) = build_stack(live, rollout, usize::MAX, &signing, kept)? else {
                continue;
            };
            let examined = branch.examine_refs(live, watched.name())?;
            let config = live.configuration.layout.root.join("pillion.yaml");
            let names = (branch.short_name(), watched.name());
            let option = cluster_option(watched.cluster.as_deref());
            if let Some(wrong) = foreign_commits(&config, names, &examined.foreign(), &option) {
                work.events.on_foreign_commits(&wrong);
                continue;
            }
            let written = branch.update_ref(live, &made)?;
            if let Some(update) = branch.push_update(made.tip()) {
                work.environment.push_staged(opened, update)?;
            }
            if matches!(written, BranchUpdate::Replaced) {
                work.events.on_staged_rewritten(branch.short_name(), &held);
            }
        }
        Ok(())
    }
}

/// Where the staged branches of all rollouts are, here and on the remote.
fn staged_tips(standing: &RolloutSet<'_, '_>) -> Vec<[Option<ObjectId>; 2]> {
    let find = |w: &WatchedRollout<'_>| StagedBranch::find(standing.deploy, w.cluster.as_deref(), w.name());
    standing.rollouts.iter().map(find).map(|branch| [branch.local, branch.remote]).collect()
}
