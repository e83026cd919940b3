//! `pillion start`: puts the first commit of a rollout onto the deploy branch.

use super::dry_run::describe_commits;
use super::ledger_change::release_command;
use super::next_step::describe_next_step;
use super::pull_request::{PullRequestCommit, propose, with_pull_request_hint};
use super::stage::{BuiltStack, StageArgs, StageRun, StartOptions, run_stage};
use crate::cli::error::CommandError;
use crate::cli::format::stage::StartedRollout;
use crate::cli::reporter::Reporter;
use crate::cli::repository;
use crate::cli::retry::{require_pushed, with_retry};
use crate::cli::{GlobalArgs, clock};
use crate::diagnostics::pluralize;
use crate::git::{Identity, ReleaseStamp, Signing};
use crate::model::ledger::Ledger;
use crate::rollout::{RolloutPlan, with_current_scope};
use crate::stage::{
    ClusterView, CommitAction, DeployBranch, Error, LedgerCommit, ProposalBranch, StagedCommit,
    commit_ledger, sidecar_removal,
};
use clap::Args;
use std::collections::BTreeSet;

/// Arguments of `pillion start`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StartArgs {
    #[command(flatten)]
    stage: StageArgs,
    /// Start rollouts that remove a sidecar from workloads: its SidecarSet is deleted, or selects fewer of them
    #[arg(long)]
    allow_removal: bool,
    /// Recount the workloads of rollouts in progress and continue without the missing ones
    #[arg(long, requires = "names")]
    accept_missing: bool,
    /// Write the commit to refs/pillion/outbox instead of pushing it to the deploy branch
    #[arg(long, requires = "names")]
    no_push: bool,
    /// Print the commits and their changes without making them
    #[arg(long, conflicts_with_all = ["no_push", "pull_request"])]
    dry_run: bool,
    /// Open a pull request for each rollout instead of pushing to the deploy branch: merging it starts the rollout
    #[arg(long, conflicts_with = "no_push")]
    pull_request: bool,
}

/// The commits of a start, the SidecarSet, and the cluster.
type StartCommits = (Vec<StagedCommit>, String, Option<String>);

/// Runs `pillion start`.
pub(in crate::cli) fn run(
    args: &StartArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let start = StartOptions {
        allows_removal: args.allow_removal,
        accepts_missing: args.accept_missing,
        keeps_local: args.no_push,
        is_dry: args.dry_run,
        opens_pull_requests: args.pull_request,
    };
    run_stage(&args.stage, Some(start), global, reporter)
}

/// The cluster and the SidecarSet of a rollout.
type RolloutKey = (Option<String>, String);

fn is_proposed(proposed: &BTreeSet<RolloutKey>, view: &ClusterView, name: &str) -> bool {
    proposed.contains(&(view.cluster.as_ref().map(ToString::to_string), name.to_owned()))
}

impl StageRun<'_> {
    /// Starts every selected rollout, each on top of the one before, in the name of the author.
    pub(in crate::cli) fn start_rollouts(
        &self,
        author: &Identity,
        reporter: &mut Reporter,
        started: &mut Vec<StartedRollout>,
    ) -> Result<(), CommandError> {
        // A pull request leaves the deploy branch as it is: the next look finds the same rollouts.
        let mut proposed = BTreeSet::new();
        while let Some(rollout) =
            with_retry(self.context, || self.start_next_rollout(author, &proposed, reporter))?
        {
            if self.start.opens_pull_requests {
                proposed.insert((rollout.cluster.clone(), rollout.sidecar_set.clone()));
            }
            started.push(rollout);
            // The deploy branch has not moved: the next one would be the same.
            if self.start.keeps_local || self.start.is_dry {
                break;
            }
        }
        Ok(())
    }

    /// Starts the first selected rollout that has not started and is not proposed; None when all are.
    fn start_next_rollout(
        &self,
        author: &Identity,
        proposed: &BTreeSet<RolloutKey>,
        reporter: &mut Reporter,
    ) -> Result<Option<StartedRollout>, CommandError> {
        let deploy_branch = self.context.read_deploy_branch_reporting(reporter)?;
        let views = self.read_clusters(&deploy_branch, reporter)?;
        let recounted = self.recount_next(&deploy_branch, (&views, proposed), reporter)?;
        let (commits, sidecar_set, cluster, planned) = match recounted {
            Some((commits, sidecar_set, cluster)) => (commits, sidecar_set, cluster, None),
            None => {
                let next = self.prepare_next_start(&deploy_branch, (&views, proposed), reporter)?;
                reporter.fail_on_errors()?;
                let Some(stack) = next else { return Ok(None) };
                let (sidecar_set, cluster) = stack.sidecar_set_and_cluster();
                (stack.stack.commits.clone(), sidecar_set, cluster, Some(stack))
            }
        };
        let Some(commit) = commits.last().map(|commit| commit.id) else { return Ok(None) };
        let started = StartedRollout {
            sidecar_set,
            cluster,
            commit,
            location: String::new(),
            preview: None,
            is_local: false,
            is_proposed: false,
            next: String::new(),
        };
        if self.start.is_dry {
            let tree = deploy_branch.head.tree;
            let preview = Some(describe_commits(&self.context.repository, tree, &commits)?);
            let location = format!("it would be {}", self.context.push_place()?);
            return Ok(Some(StartedRollout { location, preview, is_local: true, ..started }));
        }
        if self.start.opens_pull_requests {
            let deploy = &self.context.branches.deploy;
            let branch = ProposalBranch::next_step(deploy, started.cluster.as_deref(), &started.sidecar_set);
            let rollout = planned.as_ref().map(BuiltStack::rollout);
            let made = PullRequestCommit { commit, author: Some(author), branch, rollout, note: None };
            let proposed = propose(self.context, &deploy_branch, &made)?;
            let (commit, location) = (proposed.commit, proposed.text);
            return Ok(Some(StartedRollout { commit, location, is_proposed: true, ..started }));
        }
        let rollout = planned.as_ref().map(BuiltStack::rollout);
        self.release_start(&deploy_branch, author, (started, rollout)).map(Some)
    }

    /// Pushes the commit of a started rollout, or keeps it in the outbox.
    fn release_start(
        &self,
        deploy_branch: &DeployBranch<'_>,
        author: &Identity,
        (started, rollout): (StartedRollout, Option<&RolloutPlan<'_>>),
    ) -> Result<StartedRollout, CommandError> {
        let (is_local, commit) = (self.start.keeps_local, started.commit);
        let release = ReleaseStamp { at: clock::now(), by: Some(author), note: None };
        let outcome = match is_local {
            true => self.context.save_to_outbox(commit, &release)?,
            false => self.context.release(deploy_branch, commit, &release).map_err(with_pull_request_hint)?,
        };
        let (commit, location) = require_pushed(outcome, self.context)?;
        let next = match is_local {
            true => format!("`{}` releases it", release_command(self.context)?),
            false => {
                let options = repository::command_options(&self.args.repository, started.cluster.as_deref());
                match rollout {
                    Some(rollout) => {
                        let next = describe_next_step(rollout, 1, &options);
                        format!("{next}; `pillion watch` releases batches while their pods stay healthy")
                    }
                    None => format!("`pillion status {}{options}` shows what follows", started.sidecar_set),
                }
            }
        };
        Ok(StartedRollout { commit, location, is_local, next, ..started })
    }

    /// Finds the first rollout in progress with missing workloads, and makes the commit that counts without them.
    fn recount_next(
        &self,
        deploy_branch: &DeployBranch<'_>,
        (views, proposed): (&[ClusterView], &BTreeSet<RolloutKey>),
        reporter: &mut Reporter,
    ) -> Result<Option<StartCommits>, Error> {
        let recounted = |view: &ClusterView, name: &String| {
            let ledger = view.ledger(name);
            let context = view.rollout_context(name).0;
            let after = with_current_scope(&context, &ledger);
            (ledger.scope.is_some() && ledger.target.is_some() && after.scope != ledger.scope)
                .then_some((ledger, after))
        };
        for view in views.iter().filter(|_| self.start.accepts_missing) {
            for name in self.selected_names(view) {
                if is_proposed(proposed, view, &name) {
                    continue;
                }
                let Some((before, after)) = recounted(view, &name) else { continue };
                let count = |ledger: &Ledger| ledger.scope.as_ref().map_or(0, |s| s.workloads);
                let change = LedgerCommit {
                    after: &after,
                    action: CommitAction::Start,
                    subject: format!("continue with {}", pluralize(count(&after).into(), "workload")),
                    body: format!(
                        "The rollout counted {}; those that are missing are missing on purpose.\nNo rendered file changes with this commit.",
                        pluralize(count(&before).into(), "workload")
                    ),
                    trailers: Vec::new(),
                };
                let (commit, diagnostics) =
                    commit_ledger(deploy_branch, view, &change, &Signing::disabled())?;
                reporter.add(diagnostics);
                let cluster = view.cluster.as_ref().map(ToString::to_string);
                return Ok(commit.map(|commit| (vec![commit], name, cluster)));
            }
        }
        Ok(None)
    }

    /// Finds the first selected rollout that has not started, and makes its first commit.
    fn prepare_next_start<'s>(
        &self,
        deploy_branch: &DeployBranch<'_>,
        (views, proposed): (&'s [ClusterView], &BTreeSet<RolloutKey>),
        reporter: &mut Reporter,
    ) -> Result<Option<BuiltStack<'s>>, CommandError> {
        let mut first = None;
        for view in views {
            for name in self.selected_names(view) {
                if is_proposed(proposed, view, &name) {
                    continue;
                }
                let Some(planned) = self.plan_rollout(deploy_branch, (views, view), &name, true, reporter)?
                else {
                    continue;
                };
                self.refuse_paused(&planned.rollout)?;
                if planned.rollout.starts_rollout() && planned.blocking_wave(deploy_branch).is_none() {
                    reporter
                        .add(sidecar_removal(view, &planned.rollout).filter(|_| !self.start.allows_removal));
                    first.get_or_insert(planned);
                }
            }
        }
        // Where one of them is refused, none is started.
        match first.filter(|_| !reporter.has_errors()) {
            Some(planned) => {
                Ok(planned.build_commits(deploy_branch, 1, (&Signing::disabled(), self.global), reporter)?)
            }
            None => Ok(None),
        }
    }

    pub(in crate::cli) fn is_named(&self, name: &str) -> bool {
        self.args.names.iter().any(|named| named == name)
    }

    /// Fails where a paused rollout is named and its file has nothing newer.
    fn refuse_paused(&self, rollout: &RolloutPlan<'_>) -> Result<(), CommandError> {
        let name = rollout.name();
        match &rollout.ledger.paused {
            Some(paused) if self.is_named(name) && !rollout.starts_rollout() => {
                Err(CommandError::findings(format!(
                    "`{name}` is paused at batch {}: {}; its file has nothing newer to start: `pillion resume {}` resumes it",
                    paused.batch,
                    paused.reason,
                    rollout.context.command_arguments()
                )))
            }
            _ => Ok(()),
        }
    }
}
