//! `pillion start`: puts the first commit of a rollout onto the deploy branch.

use super::reporter::Reporter;
use super::repository::PushOutcome;
use super::retry::{Attempt, with_retry};
use super::stage::{BuiltStack, StageArgs, StageRun, run_stage};
use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, clock};
use crate::diagnostics::pluralize;
use crate::git::{Identity, ObjectId, ReleaseStamp, Signing};
use crate::model::ledger::Ledger;
use crate::rollout::transitions::TransitionError;
use crate::rollout::with_current_scope;
use crate::stage::{
    ClusterView, CommitAction, DeployBranch, Error, LedgerCommit, RolloutPlan, commit_ledger, sidecar_removal,
};
use crate::write;
use clap::Args;

/// Arguments of `pillion start`.
#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    stage: StageArgs,
    /// Start rollouts that remove a sidecar from workloads: its SidecarSet is deleted, or selects fewer of them
    #[arg(long)]
    allow_removal: bool,
    /// Recount the workloads of rollouts in progress and continue without the missing ones
    #[arg(long, requires = "names")]
    accept_missing: bool,
}

/// What a person allows a start to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StartOptions {
    /// Sidecars may be removed from workloads.
    pub(super) allows_removal: bool,
    /// Rollouts in progress continue without workloads that are no longer there.
    pub(super) accepts_missing: bool,
}

/// A rollout that was started.
pub(super) struct StartedRollout {
    pub(super) sidecar_set: String,
    pub(super) cluster: Option<String>,
    pub(super) commit: ObjectId,
    pub(super) location: String,
}

/// Runs `pillion start`.
pub(super) fn run(
    args: &StartArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    let start = StartOptions { allows_removal: args.allow_removal, accepts_missing: args.accept_missing };
    run_stage(&args.stage, Some(start), common, reporter)
}

impl StageRun<'_> {
    /// Opens every rollout that is to be opened, each on top of the one before, in the name of a person.
    pub(super) fn start_rollouts(
        &self,
        person: &Identity,
        reporter: &mut Reporter,
        started: &mut Vec<StartedRollout>,
    ) -> Result<u8, Error> {
        loop {
            let next =
                with_retry(self.opened, reporter, |reporter| self.start_next_rollout(person, reporter))?;
            match next {
                Some(Ok(one)) => started.push(one),
                Some(Err(code)) => return Ok(code),
                None => return Ok(EXIT_ENVIRONMENT),
            }
        }
    }

    /// Opens the first rollout that is to be opened; an exit code where there is none any more, or it must not be.
    fn start_next_rollout(
        &self,
        person: &Identity,
        reporter: &mut Reporter,
    ) -> Result<Attempt<Result<StartedRollout, u8>>, Error> {
        let Some(live) = self.opened.read_deploy_branch_reporting(reporter)? else {
            return Ok(Attempt::Done(Err(EXIT_FINDINGS)));
        };
        let sites = match self.read_clusters(&live, reporter)? {
            Ok(sites) => sites,
            Err(code) => return Ok(Attempt::Done(Err(code))),
        };
        let (commit, sidecar_set, cluster) = match self.recount_next(&live, &sites, reporter)? {
            Some(counted) => counted,
            None => {
                let next = match self.prepare_next_start(&live, &sites, reporter)? {
                    Ok(next) => next,
                    Err(code) => return Ok(Attempt::Done(Err(code))),
                };
                if reporter.has_errors() {
                    return Ok(Attempt::Done(Err(EXIT_FINDINGS)));
                }
                let Some(made) = next else { return Ok(Attempt::Done(Err(EXIT_SUCCESS))) };
                let (sidecar_set, cluster) = made.sidecar_set_and_cluster();
                (made.stack.tip_or_base(), sidecar_set, cluster)
            }
        };
        let release = ReleaseStamp { at: clock::now(), by: Some(person) };
        Ok(match self.opened.release(&live, commit, &release)? {
            PushOutcome::Pushed(commit, place) | PushOutcome::Unchanged(commit, place) => {
                Attempt::Done(Ok(StartedRollout { sidecar_set, cluster, commit, location: place }))
            }
            PushOutcome::NonFastForward(lost) => Attempt::Conflict(lost),
        })
    }

    /// Finds the first open rollout whose workloads are to be counted anew, and makes that one commit.
    fn recount_next(
        &self,
        live: &DeployBranch<'_>,
        sites: &[ClusterView],
        reporter: &mut Reporter,
    ) -> Result<Option<(ObjectId, String, Option<String>)>, Error> {
        let is_wanted = |site: &ClusterView, name: &String| {
            let ledger = site.ledger(name);
            let course = site.rollout_context(name).0;
            let after = with_current_scope(&course, &ledger);
            (ledger.scope.is_some() && ledger.target.is_some() && after.scope != ledger.scope)
                .then_some((ledger, after))
        };
        for site in sites.iter().filter(|_| self.start.accepts_missing) {
            for name in self.selected_names(site) {
                let Some((before, after)) = is_wanted(site, &name) else { continue };
                let count = |ledger: &Ledger| ledger.scope.as_ref().map_or(0, |s| s.workloads);
                let change = LedgerCommit {
                    after: &after,
                    action: CommitAction::Start,
                    subject: format!("go on with {}", pluralize(count(&after).into(), "workload")),
                    body: format!(
                        "The rollout counted {}; those that are missing are gone on purpose.\nNo rendered file changes with this commit.",
                        pluralize(count(&before).into(), "workload")
                    ),
                    trailers: Vec::new(),
                };
                let (made, wrong) = commit_ledger(live, site, &change, &Signing::disabled())?;
                reporter.add(wrong);
                let cluster = site.cluster.as_ref().map(ToString::to_string);
                return Ok(made.map(|made| (made.id, name, cluster)));
            }
        }
        Ok(None)
    }

    /// Finds the first rollout that waits to be opened, and makes that one commit.
    fn prepare_next_start<'s>(
        &self,
        live: &DeployBranch<'_>,
        sites: &'s [ClusterView],
        reporter: &mut Reporter,
    ) -> Result<Result<Option<BuiltStack<'s>>, u8>, Error> {
        let mut first = None;
        for site in sites {
            for name in self.selected_names(site) {
                let Some(planned) = self.plan_rollout(live, (sites, site), &name, true, reporter)? else {
                    continue;
                };
                if let Some(refused) = self.paused_refusal(&planned.rollout) {
                    reporter.print_failure(&refused);
                    return Ok(Err(EXIT_FINDINGS));
                }
                if planned.rollout.starts_rollout() && planned.blocking_wave(live).is_none() {
                    reporter.add(sidecar_removal(&planned.rollout).filter(|_| !self.start.allows_removal));
                    first.get_or_insert(planned);
                }
            }
        }
        // Where one of them is refused, none is opened.
        match first.filter(|_| !reporter.has_errors()) {
            Some(planned) => Ok(Ok(planned.build_commits(live, 1, &Signing::disabled(), reporter)?)),
            None => Ok(Ok(None)),
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        self.args.names.iter().any(|named| named == name)
    }

    /// A rollout that is paused is not started by its name unless its file holds something newer.
    fn paused_refusal(&self, rollout: &RolloutPlan<'_>) -> Option<TransitionError> {
        let name = rollout.name();
        let paused =
            rollout.ledger.paused.as_ref().filter(|_| self.is_named(name) && !rollout.starts_rollout())?;
        Some(TransitionError(format!(
            "`{name}` is paused at batch {}: {}; its file holds nothing newer to be started: `pillion resume {}` lets it go on",
            paused.batch,
            paused.reason,
            rollout.context.command_arguments()
        )))
    }
}
