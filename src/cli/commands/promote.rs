//! `pillion promote`: releases the next steps of a rollout by hand, without a look at pods.

use super::ledger_change::{LedgerArgs, author_of, release_command, single_cluster};
use super::next_step::{describe_next_step, is_unapproved};
use super::pull_request::{PullRequestCommit, propose, with_pull_request_hint};
use crate::cli::error::CommandError;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext};
use crate::cli::retry::{require_pushed, with_retry};
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::{EXIT_SUCCESS, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::{Identity, ObjectId, ReleaseStamp, Signing};
use crate::rollout::transitions::TransitionError;
use crate::rollout::{
    Batch, BlockedReason, ExternalState, Gate, GateClock, GateState, GateStatus, HotUpgradeHalf, RolloutPlan,
    RolloutStep, gates_from_git, start_command,
};
use crate::stage::{
    DeployBranch, Error, ProposalBranch, StagedBranch, StagedCommit, build_stack, check_drift,
    find_batch_revert, reverted_batch, rewritten_branch, rollout_start_time,
};
use clap::Args;
use std::fmt::Write as _;

/// Arguments of `pillion promote`.
#[derive(Debug, Args)]
pub(in crate::cli) struct PromoteArgs {
    /// SidecarSet to promote
    name: String,
    /// Last batch to release, a commit each [default: the next step]
    #[arg(long = "to", value_name = "BATCH", conflicts_with = "full")]
    batch: Option<u32>,
    /// Release every batch, and complete the rollout
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion promote`.
pub(in crate::cli) fn run(
    args: &PromoteArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let context = repository::open_for_commit(&args.ledger.repository, global, reporter)?;
    let author = author_of(&context, args.ledger.dry_run)?;
    let promotion = PromoteRun { args, context: &context, author: &author, global };
    let text = with_retry(&context, || promotion.release_steps(reporter))?;
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

/// What every attempt needs.
struct PromoteRun<'a> {
    args: &'a PromoteArgs,
    context: &'a RepoContext,
    author: &'a Identity,
    global: &'a GlobalArgs,
}

impl PromoteRun<'_> {
    /// Makes and pushes the commits of the next steps; returns what was released.
    fn release_steps(&self, reporter: &mut Reporter) -> Result<String, CommandError> {
        let deploy_branch = &self.context.read_deploy_branch_reporting(reporter)?;
        let cluster = single_cluster(deploy_branch, &self.args.ledger.repository)?;
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        reporter.add(diagnostics.into_iter().filter(|d| d.code != Code::NotStagedYet));
        reporter.fail_on_errors()?;
        reporter.add(check_drift(deploy_branch, &view)?);
        reporter.fail_on_errors()?;
        let name = &self.args.name;
        SidecarSetNames::from_cluster(&view).check([name])?;
        let external_state = ExternalState { today: Some(clock::today()), ..ExternalState::default() };
        let (rollout, diagnostics) = view.plan_rollout(name, external_state);
        reporter.add(diagnostics);
        reporter.add(self.manual_changes(deploy_branch, &rollout)?);
        reporter.fail_on_errors()?;
        let number = self.count_steps(&rollout)?;
        let progress = Progress::new("Making", "commits", number, self.global);
        let (stack, diagnostics) =
            build_stack((deploy_branch, &view), &rollout, number, &Signing::disabled(), &[], || {
                progress.step()
            })?;
        drop(progress);
        reporter.add(diagnostics);
        let stack = stack.ok_or_else(|| CommandError::from_diagnostics([]))?;
        let settings = view.rollout_settings(name).0;
        let gates = gates_from_git(
            &rollout.context,
            &rollout.ledger,
            rollout.steps.first(),
            &settings,
            GateClock {
                started: rollout_start_time(deploy_branch, &rollout.context, &rollout.ledger)?,
                now: clock::now().seconds,
            },
        );
        let passed = describe_passed_gates(&gates, number, &rollout.context.settings.soak);
        if self.args.ledger.dry_run {
            return Ok(self.dry_run_text(&rollout, &stack.commits, passed.as_deref()));
        }
        let note = passed.map(|passed| format!("Released by hand, {passed}."));
        if self.args.ledger.delivery.pull_request {
            return self.propose_step(deploy_branch, &rollout, &stack.commits, note.as_deref());
        }
        let ids: Vec<ObjectId> = stack.commits.iter().map(|commit| commit.id).collect();
        let release = ReleaseStamp { at: clock::now(), by: Some(self.author), note: note.as_deref() };
        let (released, outcome) = match self.args.ledger.delivery.no_push {
            true => self.context.save_all_to_outbox(&ids, &release)?,
            false => {
                self.context.release_all(deploy_branch, &ids, &release).map_err(with_pull_request_hint)?
            }
        };
        let (_, place) = require_pushed(outcome, self.context)?;
        Ok(self.release_text(&rollout, (&released, &stack.commits), (&place, note.as_deref()))?)
    }

    /// Opens the pull request of one step. Several in one would be released at once when it is merged.
    fn propose_step(
        &self,
        deploy_branch: &DeployBranch<'_>,
        rollout: &RolloutPlan<'_>,
        commits: &[StagedCommit],
        note: Option<&str>,
    ) -> Result<String, CommandError> {
        let [step] = commits else {
            return Err(CommandError::usage(format!(
                "a pull request holds one step, and these are {}: merging them together would release them at once; run `pillion promote {} --pull-request` for the next one",
                commits.len(),
                rollout.context.command_arguments()
            )));
        };
        let (deploy, cluster) = (&self.context.branches.deploy, rollout.context.cluster.as_deref());
        let branch = ProposalBranch::next_step(deploy, cluster, rollout.name());
        let made = PullRequestCommit {
            commit: step.id,
            author: Some(self.author),
            branch,
            rollout: Some(rollout),
            note,
        };
        let proposed = propose(self.context, deploy_branch, &made)?;
        let note = note.map_or_else(String::new, |note| format!("{note}\n"));
        Ok(format!("{} {}\n{}{note}", proposed.commit.short(), step.subject(), proposed.text))
    }

    /// Commits by hand that stop a release until a person has looked at them.
    fn manual_changes(
        &self,
        deploy_branch: &DeployBranch<'_>,
        rollout: &RolloutPlan<'_>,
    ) -> Result<Vec<Diagnostic>, Error> {
        let cluster = rollout.context.cluster.as_deref();
        let branch = StagedBranch::find(deploy_branch, cluster, rollout.name());
        let examined = branch.examine_refs(deploy_branch, rollout.name())?;
        let reverted = find_batch_revert(deploy_branch, cluster, &rollout.ledger)?;
        let reverted = reverted.map(|found| reverted_batch(deploy_branch, cluster, &rollout.ledger, &found));
        Ok(rewritten_branch(deploy_branch, &branch, &examined).into_iter().chain(reverted).collect())
    }

    /// Counts the steps to release.
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
        if let Some(refused) = self.skipped_half(rollout, number) {
            return Err(refused);
        }
        self.unapproved_batch(rollout, number).map_or(Ok(number), Err)
    }

    /// Returns why the next step, or the batch of `--to`, cannot be released by hand.
    fn blocking_reason(&self, rollout: &RolloutPlan<'_>) -> Option<TransitionError> {
        let (name, ledger) = (rollout.name(), &rollout.ledger);
        let options = self.options(rollout);
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            return Some(TransitionError(format!(
                "`{name}` is paused at batch {}{by}: {}; `pillion resume {name}{options}` resumes it",
                paused.batch, paused.reason
            )));
        }
        let (last, wanted) = (rollout.last_batch(), self.args.batch);
        let why = match rollout.steps.first() {
            Some(step @ RolloutStep::Idle) => {
                format!("no rollout of `{name}` is in progress: {}", step.reason().unwrap_or_default())
            }
            Some(RolloutStep::Blocked(rest))
                if ledger.target.is_none() && !matches!(rest, BlockedReason::EarlierWave(_)) =>
            {
                format!("no rollout of `{name}` is in progress: {rest}")
            }
            Some(RolloutStep::Blocked(rest)) => format!("no batch of `{name}` can be released: {rest}"),
            Some(RolloutStep::Start(started)) => {
                let start = start_command(&rollout.context, started, &options);
                match ledger.target.is_some() {
                    true => {
                        format!("the file of `{name}` has a newer revision: `{start}` makes it the target")
                    }
                    false => format!("no rollout of `{name}` is in progress: `{start}` starts it"),
                }
            }
            Some(RolloutStep::Batch(batch)) if wanted == Some(batch.number) => return None,
            _ if wanted.is_some_and(|batch| batch <= ledger.last_batch()) => format!(
                "batch {} of `{name}` is already released: {} is the last one that is",
                wanted.unwrap_or_default(),
                ledger.last_batch()
            ),
            _ if wanted.is_some_and(|batch| batch > last) => format!(
                "the rollout of `{name}` has no batch {}: {last} is the last one; `--full` releases that, and completes the rollout",
                wanted.unwrap_or_default()
            ),
            _ => return None,
        };
        Some(TransitionError(why))
    }

    /// Returns why the second half of a hot upgrade cannot be released with its first one: the cluster would see the end
    /// only, and restart the container that works.
    fn skipped_half(&self, rollout: &RolloutPlan<'_>, number: usize) -> Option<TransitionError> {
        let is_second = |batch: &&Batch| batch.half() == Some(HotUpgradeHalf::Second);
        let mut later = rollout.steps.iter().take(number).skip(1).filter_map(RolloutStep::batch);
        let batch = later.find(is_second)?;
        let (name, options) = (rollout.name(), self.options(rollout));
        Some(TransitionError(format!(
            "{} of `{name}` empties the containers that work until the first half runs in all its pods, and several steps at once would skip that: `pillion promote {name}{options}` releases one half",
            batch.title()
        )))
    }

    /// Returns the first of the steps that waits for an approval.
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
        let (name, number, options) = (rollout.name(), batch.number, self.options(rollout));
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

    fn options(&self, rollout: &RolloutPlan<'_>) -> String {
        repository::command_options(&self.args.ledger.repository, rollout.context.cluster.as_deref())
    }

    /// Returns the text of `--dry-run`.
    fn dry_run_text(
        &self,
        rollout: &RolloutPlan<'_>,
        commits: &[StagedCommit],
        passed_gates: Option<&str>,
    ) -> String {
        let mut text = String::new();
        for commit in commits {
            let _ = writeln!(text, "would release {}", commit.subject());
        }
        if let Some(passed) = passed_gates {
            let _ = writeln!(text, "It would be released by hand, {passed}.");
        }
        let following = self.next_step(rollout, commits.len());
        let _ = writeln!(text, "nothing was released; then {following}");
        text
    }

    /// Returns what was released, where it is, and what comes next.
    fn release_text(
        &self,
        rollout: &RolloutPlan<'_>,
        (released, made): (&[ObjectId], &[StagedCommit]),
        (place, note): (&str, Option<&str>),
    ) -> Result<String, Error> {
        let mut text = String::new();
        for (id, commit) in released.iter().zip(made) {
            let _ = writeln!(text, "{} {}", id.short(), commit.subject());
        }
        let _ = writeln!(text, "{place}");
        if self.args.ledger.delivery.no_push {
            let _ = writeln!(text, "next: `{}` releases it", release_command(self.context)?);
            return Ok(text);
        }
        if let Some(note) = note {
            let _ = writeln!(text, "{note}");
        }
        let _ = writeln!(text, "next: {}", self.next_step(rollout, released.len()));
        Ok(text)
    }

    /// Returns what follows after the first steps, and the command for it.
    fn next_step(&self, rollout: &RolloutPlan<'_>, number: usize) -> String {
        describe_next_step(rollout, number, &self.options(rollout))
    }
}

/// Returns what a release by hand does not wait for, as a part of a sentence. None: there is nothing to wait for.
fn describe_passed_gates(gates: &[GateStatus], steps: usize, soak: &str) -> Option<String> {
    let mut passed: Vec<String> = gates
        .iter()
        .filter(|gate| gate.state != GateState::Open)
        .map(|gate| match gate.state {
            GateState::Waiting => format!("{} ({})", gate.gate, gate.reason),
            GateState::Open | GateState::NotChecked => {
                format!("{} ({}, not checked)", gate.gate, gate.reason)
            }
        })
        .collect();
    if passed.is_empty() && steps > 1 {
        passed.push(format!(
            "{} (the pods of each batch, and their soak of {soak}, not checked)",
            Gate::Health
        ));
    }
    let passed = passed.join(", ");
    (!passed.is_empty()).then(|| format!("past these gates: {passed}"))
}
