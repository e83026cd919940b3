//! The watch loop: fetches, reads, evaluates and acts, again when the deploy head moves, pods change or time passes.

use super::environment::{Environment, WatchError};
use super::evaluation::{Options, OutOfSyncSince, evaluate_rollouts};
use super::events::EventSink;
use super::report::EvaluationReport;
use super::rollout_set::{RolloutSet, WatchedRollout, plan_rollouts, read_cluster_views};
use super::state_notifications::{StateNotifications, state_notifications_of};
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
    /// The notifications of present states; the threads that send them read it.
    pub state_notifications: StateNotifications,
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

impl Watcher {
    /// Takes every possible step, each from the current head of the deploy branch.
    ///
    /// # Errors
    /// When git or a service fails, or the watcher is killed.
    pub fn run_iteration(&self, context: &mut WatchContext<'_>) -> Result<Iteration, WatchError> {
        let mut last = None;
        for _ in 0..MAX_STEPS {
            context.environment.fetch(context.repo)?;
            match self.watch_head(context, &mut |_, _| false)? {
                Iteration::Evaluated(report) if report.head_moved => last = Some(report),
                iteration => return Ok(iteration),
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
        context: &mut WatchContext<'_>,
        goes_on: &mut dyn FnMut(&mut dyn Environment, &EvaluationReport) -> bool,
    ) -> Result<Iteration, WatchError> {
        let iteration = self.watch_sound_head(context, goes_on)?;
        if let Iteration::Invalid(diagnostics) = &iteration {
            self.notify_errors(context, diagnostics);
        }
        Ok(iteration)
    }

    fn watch_sound_head(
        &self,
        context: &mut WatchContext<'_>,
        goes_on: &mut dyn FnMut(&mut dyn Environment, &EvaluationReport) -> bool,
    ) -> Result<Iteration, WatchError> {
        let repo = context.repo;
        let (deploy, mut diagnostics) = repo.read_deploy_branch()?;
        let Some(deploy) = deploy else { return Ok(Iteration::Invalid(diagnostics)) };
        let (views, found) = read_cluster_views(&deploy, self.cluster.as_deref())?;
        diagnostics.extend(found);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Ok(Iteration::Invalid(diagnostics));
        }
        let (mut rollout_set, found) = plan_rollouts(&deploy, &views, &self.names)?;
        diagnostics.extend(found);
        if !diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.extend(verify::check_recent(&deploy, *context.verified_head)?);
        }
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Ok(Iteration::Invalid(diagnostics));
        }
        *context.verified_head = Some(deploy.head.id);
        self.notify_receivers(context, &deploy, true)?;
        let mut kept = None;
        loop {
            // Others write to staged branches, too, while the deploy head stays.
            if kept.as_ref() != Some(&staged_tips(&rollout_set)) {
                self.update_staged_branches(context, &rollout_set)?;
                kept = Some(staged_tips(&rollout_set));
            }
            let report = evaluate_rollouts(
                repo,
                &mut rollout_set,
                context.environment,
                &self.options,
                context.out_of_sync_since,
            )?;
            self.state_notifications.set(state_notifications_of(&report));
            context.events.on_evaluation(&report);
            // A release never waits for a receiver.
            self.notify_receivers(context, &deploy, false)?;
            if report.head_moved || !goes_on(context.environment, &report) {
                return Ok(Iteration::Evaluated(report));
            }
        }
    }

    /// Recreates the staged branches of rollouts in progress that differ from the plan.
    fn update_staged_branches(
        &self,
        context: &mut WatchContext<'_>,
        rollout_set: &RolloutSet<'_, '_>,
    ) -> Result<(), WatchError> {
        if self.options.dry_run {
            return Ok(());
        }
        let repo = context.repo;
        for watched in &rollout_set.rollouts {
            let deploy = rollout_set.deploy;
            let branch = StagedBranch::find(deploy, watched.cluster.as_deref(), watched.name());
            let is_there = branch.local.is_some() || branch.remote.is_some();
            // Before Start, `stage` writes the branch. Without a branch there is no reader.
            if !watched.rollout.has_started() || !is_there {
                continue;
            }
            let signing = repo.signing()?;
            let held = branch.commits(deploy)?;
            let kept: &[Commit] = if signing.is_enabled() { &held } else { &[] };
            // The staged branch of a paused rollout shows what follows after `pillion resume`.
            let resumed = watched.plan_resumed();
            let rollout = resumed.as_ref().unwrap_or(&watched.rollout);
            let (Some(made), _) =
                build_stack((deploy, watched.view), rollout, usize::MAX, &signing, kept, || ())?
            else {
                continue;
            };
            let examined = branch.examine_refs(deploy, watched.name())?;
            let names = (branch.short_name(), watched.name());
            let option = cluster_option(watched.cluster.as_deref());
            if let Some(foreign) = foreign_commits(&deploy.config, names, &examined.foreign(), &option) {
                context.events.on_foreign_commits(&foreign);
                continue;
            }
            let written = branch.update_ref(deploy, &made)?;
            if let Some(update) = branch.push_update(made.tip()) {
                context.environment.push_staged(repo, update)?;
            }
            if matches!(written, BranchUpdate::Replaced) {
                context.events.on_staged_rewritten(branch.short_name(), &held);
            }
        }
        Ok(())
    }
}

/// Returns the tips of the staged branches, local and remote.
fn staged_tips(rollout_set: &RolloutSet<'_, '_>) -> Vec<[Option<ObjectId>; 2]> {
    let find =
        |w: &WatchedRollout<'_>| StagedBranch::find(rollout_set.deploy, w.cluster.as_deref(), w.name());
    rollout_set.rollouts.iter().map(find).map(|branch| [branch.local, branch.remote]).collect()
}
