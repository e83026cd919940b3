//! The watch loop: fetches, reads, evaluates and acts, again when the deploy head moves, pods change or time passes.

use super::environment::{Environment, WatchError};
use super::evaluation::{Options, OutOfSyncSince, evaluate_rollouts};
use super::report::EvaluationReport;
use super::rollout_set::{RolloutSet, WatchedRollout, plan_rollouts, read_cluster_views};
use crate::diagnostics::Diagnostic;
use crate::git::{Commit, ObjectId};
use crate::rollout::cluster_option;
use crate::stage::{BranchUpdate, RepoContext, StagedBranch, build_stack, foreign_commits, verify};

/// Steps of one iteration at most.
const MAX_STEPS: usize = 1000;

/// What a watcher does.
#[derive(Debug, Clone, Default)]
pub struct Watcher {
    /// Names of SidecarSets; empty: all that have a ledger.
    pub names: Vec<String>,
    /// Only this cluster.
    pub cluster: Option<String>,
    /// Options of an evaluation.
    pub options: Options,
    /// Address of a commit up to its id, if it is known.
    pub commit_url_prefix: Option<String>,
}

/// What a watcher works with.
pub struct WatchContext<'a> {
    /// The repository.
    pub repo: &'a RepoContext,
    /// Everything outside the program.
    pub environment: &'a mut dyn Environment,
    /// Since when batches are out of sync.
    pub out_of_sync_since: &'a mut OutOfSyncSince,
    /// The deploy head that passed verification last: it is not verified again.
    pub verified_head: &'a mut Option<ObjectId>,
    /// Receiver of events.
    pub events: &'a mut dyn EventSink,
}

/// The end of an iteration.
#[derive(Debug)]
pub enum Iteration {
    /// No further step is possible now.
    Evaluated(EvaluationReport),
    /// Git holds an error: nothing is released until it is fixed.
    Invalid(Vec<Diagnostic>),
}

/// A receiver of events of the loop.
pub trait EventSink {
    /// An evaluation has ended.
    fn on_evaluation(&mut self, report: &EvaluationReport);

    /// A staged branch was recreated; `overwritten` are the commits that it held.
    fn on_staged_rewritten(&mut self, branch: &str, overwritten: &[Commit]);

    /// A staged branch holds commits that pillion did not make. It stays unchanged.
    fn on_foreign_commits(&mut self, _wrong: &Diagnostic) {}

    /// A notification failed. Releases do not wait for it, and it is retried.
    fn on_notify_failed(&mut self, failure: &WatchError);
}

impl Watcher {
    /// Takes every possible step, each from the current head of the deploy branch.
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
            message: "the deploy branch moves faster than pillion can read it".to_owned(),
            is_retryable: true,
        })
    }

    /// Reads the head of the deploy branch once and evaluates it repeatedly while `goes_on` returns true, which it
    /// does until the head moves. Returns the report of the last evaluation.
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
            // Others write to staged branches, too, while the deploy head stays.
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
            // A release never waits for a receiver.
            self.notify_receivers(work, &live, false)?;
            if report.head_moved || !goes_on(work.environment, &report) {
                return Ok(Iteration::Evaluated(report));
            }
        }
    }

    /// Recreates the staged branches of rollouts in progress that differ from the plan.
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
            // Before Start, `stage` writes the branch. Without a branch there is no reader.
            if !watched.rollout.has_started() || !is_there {
                continue;
            }
            let signing = opened.signing()?;
            let held = branch.commits(live)?;
            let kept: &[Commit] = if signing.is_enabled() { &held } else { &[] };
            // The staged branch of a paused rollout shows what follows after `pillion resume`.
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

/// Returns the tips of the staged branches, local and remote.
fn staged_tips(standing: &RolloutSet<'_, '_>) -> Vec<[Option<ObjectId>; 2]> {
    let find = |w: &WatchedRollout<'_>| StagedBranch::find(standing.deploy, w.cluster.as_deref(), w.name());
    standing.rollouts.iter().map(find).map(|branch| [branch.local, branch.remote]).collect()
}
