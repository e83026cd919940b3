//! `pillion promote`: the next steps of an open rollout, released by a person. Pods are not looked at.

use super::author::current_author;
use super::reporter::Reporter;
use super::repository::{self, PushOutcome, RepoContext};
use super::retry::{Attempt, with_retry};
use super::sidecar_set_names::SidecarSetNames;
use super::verbs::{LedgerArgs, release_command, single_cluster};
use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::git::{Identity, ObjectId, ReleaseStamp, Signing};
use crate::model::ledger::Ledger;
use crate::rollout::transitions::TransitionError;
use crate::rollout::{Batch, BlockedReason, ExternalState, RolloutStep, ledger_before, required_approval};
use crate::stage::{
    ClusterView, DeployBranch, Error, RolloutPlan, StagedBranch, StagedCommit, build_stack, check_drift,
    find_batch_revert, reverted_batch, rewritten_branch,
};
use crate::write;
use clap::Args;
use std::fmt::Write as _;

/// Arguments of `pillion promote`.
#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    /// The SidecarSet
    name: String,
    /// Release every batch up to this one, a commit each; without it the next step alone
    #[arg(long = "to", value_name = "BATCH", conflicts_with = "full")]
    batch: Option<u32>,
    /// Release every batch, and close the rollout
    #[arg(long)]
    full: bool,
    /// Print the commits, and release none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion promote`.
pub(super) fn run(
    args: &PromoteArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    let mut said = String::new();
    let result = promote_rollout(args, common, reporter, &mut said);
    let code = repository::to_exit_code(result, reporter)?;
    if code == EXIT_SUCCESS {
        print_text(&said)?;
    }
    Ok(code)
}

fn promote_rollout(
    args: &PromoteArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_for_commit(&args.ledger.repository, common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    // Nobody has to be known for what is only shown.
    let person = if args.dry_run { None } else { Some(current_author(&opened.repository)?) };
    let promotion = PromoteRun { args, opened: &opened, person: person.as_ref() };
    let code = with_retry(&opened, reporter, |reporter| {
        let Some(live) = opened.read_deploy_branch_reporting(reporter)? else {
            return Ok(Attempt::Done(EXIT_FINDINGS));
        };
        let clusters = repository::select_clusters(&live, &args.ledger.repository, reporter);
        let Some(cluster) = clusters.and_then(|clusters| single_cluster(&clusters, reporter)) else {
            return Ok(Attempt::Done(EXIT_USAGE));
        };
        promotion.attempt(&live, cluster, reporter, said)
    })?;
    Ok(code.unwrap_or(EXIT_ENVIRONMENT))
}

/// What every attempt needs.
struct PromoteRun<'a> {
    args: &'a PromoteArgs,
    opened: &'a RepoContext,
    person: Option<&'a Identity>,
}

impl PromoteRun<'_> {
    fn attempt(
        &self,
        live: &DeployBranch<'_>,
        cluster: Option<&str>,
        reporter: &mut Reporter,
        said: &mut String,
    ) -> Result<Attempt<u8>, Error> {
        let (site, wrong) = live.cluster_view(cluster);
        reporter.add(wrong.into_iter().filter(|d| d.code != Code::NotStaged));
        if !reporter.has_errors() {
            reporter.add(check_drift(live, &site)?);
        }
        if reporter.has_errors() {
            return Ok(Attempt::Done(EXIT_FINDINGS));
        }
        let name = &self.args.name;
        if let Some(wrong) = SidecarSetNames::from_cluster(&site).unknown_name_message([name]) {
            reporter.print_failure(&TransitionError(wrong));
            return Ok(Attempt::Done(EXIT_FINDINGS));
        }
        let given = ExternalState { today: Some(clock::today()), ..ExternalState::default() };
        let (rollout, wrong) = RolloutPlan::plan(&site, name, &given);
        reporter.add(wrong);
        reporter.add(self.manual_changes(live, &rollout)?);
        if reporter.has_errors() {
            return Ok(Attempt::Done(EXIT_FINDINGS));
        }
        let number = match self.count_steps(&rollout) {
            Ok(number) => number,
            Err(refused) => {
                reporter.print_failure(&refused);
                return Ok(Attempt::Done(EXIT_FINDINGS));
            }
        };
        let (made, wrong) = build_stack(live, &rollout, number, &Signing::disabled(), &[])?;
        reporter.add(wrong);
        let Some(made) = made else { return Ok(Attempt::Done(EXIT_FINDINGS)) };
        if self.args.dry_run {
            *said = self.dry_run_text(&site, &rollout, &made.commits);
            return Ok(Attempt::Done(EXIT_SUCCESS));
        }
        let ids: Vec<ObjectId> = made.commits.iter().map(|commit| commit.id).collect();
        let release = ReleaseStamp { at: clock::now(), by: self.person };
        let (released, put) = match self.args.ledger.no_push {
            true => self.opened.save_all_to_outbox(&ids, &release)?,
            false => self.opened.release_all(live, &ids, &release)?,
        };
        Ok(match put {
            PushOutcome::Pushed(_, place) | PushOutcome::Unchanged(_, place) => {
                *said = self.release_text(&site, &rollout, (&released, &made.commits), &place)?;
                Attempt::Done(EXIT_SUCCESS)
            }
            PushOutcome::NonFastForward(lost) => Attempt::Conflict(lost),
        })
    }

    /// What a person has to look at before anything more is released.
    fn manual_changes(
        &self,
        live: &DeployBranch<'_>,
        rollout: &RolloutPlan<'_>,
    ) -> Result<Vec<Diagnostic>, Error> {
        let cluster = rollout.view.cluster.as_deref();
        let branch = StagedBranch::find(live, cluster, rollout.name());
        let examined = branch.examine_refs(live, rollout.name())?;
        let reverted = find_batch_revert(live, cluster, &rollout.ledger)?;
        let reverted = reverted.map(|found| reverted_batch(live, cluster, &rollout.ledger, &found));
        Ok(rewritten_branch(live, &branch, &examined).into_iter().chain(reverted).collect())
    }

    /// Counts the steps that are released; why there are none.
    fn count_steps(&self, rollout: &RolloutPlan<'_>) -> Result<usize, TransitionError> {
        if let Some(refused) = self.blocking_reason(rollout) {
            return Err(refused);
        }
        let number = match (self.args.batch, self.args.full) {
            (Some(wanted), _) => {
                let is_before =
                    |step: &&RolloutStep| matches!(step, RolloutStep::Batch(batch) if batch.number <= wanted);
                rollout.steps.iter().take_while(is_before).count()
            }
            (None, true) => {
                let is_own =
                    |step: &&RolloutStep| matches!(step, RolloutStep::Batch(_) | RolloutStep::Complete(_));
                rollout.steps.iter().take_while(is_own).count()
            }
            (None, false) => 1,
        };
        self.unapproved_batch(rollout, number).map_or(Ok(number), Err)
    }

    /// Says why the next step, or the batch that is meant, cannot be released by hand.
    fn blocking_reason(&self, rollout: &RolloutPlan<'_>) -> Option<TransitionError> {
        let (name, ledger) = (rollout.name(), &rollout.ledger);
        let options = self.options(rollout.view);
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            return Some(TransitionError(format!(
                "`{name}` is paused at batch {}{by}: {}; `pillion resume {name}{options}` lets it go on",
                paused.batch, paused.reason
            )));
        }
        let (last, wanted) = (rollout.last_batch(), self.args.batch);
        let why = match rollout.steps.first() {
            Some(step @ RolloutStep::Idle) => {
                format!("no rollout of `{name}` is open: {}", step.reason().unwrap_or_default())
            }
            Some(RolloutStep::Blocked(rest))
                if ledger.target.is_none() && !matches!(rest, BlockedReason::EarlierWave(_)) =>
            {
                format!("no rollout of `{name}` is open: {rest}")
            }
            Some(RolloutStep::Blocked(rest)) => format!("no batch of `{name}` can be released: {rest}"),
            Some(RolloutStep::Start(_)) if ledger.target.is_some() => format!(
                "the file of `{name}` holds something newer, which takes the place of what is rolled out: `pillion start {name}{options}` starts it"
            ),
            Some(RolloutStep::Start(_)) => {
                format!("no rollout of `{name}` is open: `pillion start {name}{options}` opens it")
            }
            _ if wanted.is_some_and(|batch| batch <= ledger.last_batch()) => format!(
                "batch {} of `{name}` is out already: {} is the last one that is",
                wanted.unwrap_or_default(),
                ledger.last_batch()
            ),
            _ if wanted.is_some_and(|batch| batch > last) => format!(
                "the rollout of `{name}` has no batch {}: {last} is the last one; `--full` releases that, and closes the rollout",
                wanted.unwrap_or_default()
            ),
            _ => return None,
        };
        Some(TransitionError(why))
    }

    /// Says which of the first steps waits for an approval.
    fn unapproved_batch(&self, rollout: &RolloutPlan<'_>, number: usize) -> Option<TransitionError> {
        let mut before = &rollout.ledger;
        for step in rollout.steps.iter().take(number) {
            let RolloutStep::Batch(batch) = step else { break };
            if is_unapproved(rollout, before, batch) {
                return Some(self.approval_required(rollout, batch));
            }
            before = &batch.ledger;
        }
        None
    }

    fn approval_required(&self, rollout: &RolloutPlan<'_>, batch: &Batch) -> TransitionError {
        let (name, number, options) = (rollout.name(), batch.number, self.options(rollout.view));
        let before = number - 1;
        let nearer = if before > rollout.ledger.last_batch() {
            format!("; `--to {before}` releases what comes before it")
        } else {
            String::new()
        };
        TransitionError(format!(
            "batch {number} of `{name}` waits for `pillion approve {name} {number}{options}`{nearer}"
        ))
    }

    fn options(&self, site: &ClusterView) -> String {
        repository::command_options(&self.args.ledger.repository, site.cluster.as_deref())
    }

    /// What `--dry-run` says.
    fn dry_run_text(
        &self,
        site: &ClusterView,
        rollout: &RolloutPlan<'_>,
        commits: &[StagedCommit],
    ) -> String {
        let mut text = String::new();
        for commit in commits {
            let _ = writeln!(text, "would release {}", commit.subject());
        }
        let following = self.next_step(site, rollout, commits.len());
        let _ = writeln!(text, "nothing was released; then {following}");
        text
    }

    /// What was released, where it is, and what comes next.
    fn release_text(
        &self,
        site: &ClusterView,
        rollout: &RolloutPlan<'_>,
        (released, made): (&[ObjectId], &[StagedCommit]),
        place: &str,
    ) -> Result<String, Error> {
        let mut text = String::new();
        for (id, commit) in released.iter().zip(made) {
            let _ = writeln!(text, "{} {}", id.short(), commit.subject());
        }
        let _ = writeln!(text, "{place}");
        if self.args.ledger.no_push {
            let _ = writeln!(text, "next: `{}` releases it", release_command(self.opened)?);
            return Ok(text);
        }
        let _ = writeln!(text, "released by hand: pillion looked at no pod and waited for no soak");
        let _ = writeln!(text, "next: {}", self.next_step(site, rollout, released.len()));
        Ok(text)
    }

    /// What follows after the first steps, and the command for it.
    fn next_step(&self, site: &ClusterView, rollout: &RolloutPlan<'_>, number: usize) -> String {
        let (name, options) = (rollout.name(), self.options(site));
        let promote = format!("`pillion promote {name}{options}`");
        match rollout.steps.get(number) {
            Some(RolloutStep::Batch(batch)) => {
                let (pods, moves) = (batch.moved_pods(), batch.updates.len() as u64);
                let before = ledger_before(&rollout.steps, &rollout.ledger, number);
                let approve = match is_unapproved(rollout, before, batch) {
                    true => format!("`pillion approve {name} {}{options}`, then ", batch.number),
                    false => String::new(),
                };
                format!(
                    "{approve}{promote} releases batch {} of {}: {} of {}",
                    batch.number,
                    rollout.last_batch(),
                    pluralize(pods.into(), "pod"),
                    pluralize(moves, "workload")
                )
            }
            Some(RolloutStep::Complete(_)) => {
                format!("{promote} closes the rollout: every workload carries the target")
            }
            Some(step @ (RolloutStep::Idle | RolloutStep::Blocked(_))) => step.reason().unwrap_or_default(),
            _ => format!("`pillion status {name}{options}` shows where it stands"),
        }
    }
}

/// Returns whether a batch waits for a person, and the ledger before it has no approval of its plan.
fn is_unapproved(rollout: &RolloutPlan<'_>, before: &Ledger, batch: &Batch) -> bool {
    let awaited = required_approval(&rollout.context, before, batch);
    awaited.is_some_and(|plan| !before.approvals.iter().any(|a| a.plan == plan))
}
