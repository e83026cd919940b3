//! `pillion stage`: writes the commits of rollouts to staged branches, for review.

use super::ledger_change::author_of;
#[cfg(feature = "watch")]
use super::live_replicas::count_live_replicas;
use crate::cli::error::CommandError;
use crate::cli::format::stage::{StageOutcome, StagedBranchReport};
use crate::cli::inputs::read_cluster_state_file;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::git::{ObjectId, RefUpdate, Signing, Upstream};
use crate::model::ledger::revision_text;
use crate::rollout::{ExternalState, RolloutPlan, start_command};
use crate::stage::{
    BranchContents, BranchUpdate, ClusterView, CommitStack, DeployBranch, Error, RefContents, StagedBranch,
    StagedBranchNames, build_stack, check_drift, foreign_commits, rewritten_branch, unmatched_selector,
    wave_block_reason,
};
use clap::Args;
#[cfg(feature = "watch")]
use std::cell::OnceCell;
#[cfg(feature = "watch")]
use std::collections::BTreeMap;
use std::path::PathBuf;
#[cfg(feature = "watch")]
use std::sync::Arc;

/// Arguments of `pillion stage`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StageArgs {
    /// SidecarSets [default: all with a ledger]
    #[arg(value_name = "NAME")]
    pub(in crate::cli) names: Vec<String>,
    /// Push the staged branches
    #[arg(long)]
    push: bool,
    /// Pods of the cluster, from `kubectl get pods -A -o json`: replica counts where git has none; `-` for standard
    /// input
    #[arg(long, value_name = "FILE")]
    cluster_state: Option<PathBuf>,
    /// Context of the kubeconfig: count the pods of its cluster, with requests that only read
    #[cfg(feature = "watch")]
    #[arg(long, value_name = "NAME", conflicts_with = "cluster_state")]
    context: Option<String>,
    /// Continue although the deploy branch was rewritten; with `--push` every clone accepts it
    #[arg(long)]
    accept_rewritten: bool,
    /// Replace staged branches even when they have commits that pillion did not make
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(in crate::cli) repository: RepositoryArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
}

/// What a person allows a start to do.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct StartOptions {
    /// Sidecars may be removed from workloads.
    pub(in crate::cli) allows_removal: bool,
    /// Rollouts in progress continue without workloads that are no longer there.
    pub(in crate::cli) accepts_missing: bool,
    /// The commit is saved in this repository and not pushed.
    pub(in crate::cli) keeps_local: bool,
    /// Nothing is committed.
    pub(in crate::cli) is_dry: bool,
    /// Each commit becomes a pull request.
    pub(in crate::cli) opens_pull_requests: bool,
}

/// Runs `pillion stage`.
pub(in crate::cli) fn run(
    args: &StageArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    run_stage(args, None, global, reporter)
}

/// Starts rollouts where that is asked for, then writes the staged branches.
pub(in crate::cli) fn run_stage(
    args: &StageArgs,
    start: Option<StartOptions>,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let mut done = StageOutcome::default();
    let result = try_stage(args, start, global, reporter, &mut done);
    // What was started or written is printed even when something failed after it.
    if result.is_ok() || !done.started.is_empty() || !done.staged.is_empty() {
        print_text(&match args.output {
            OutputFormat::Text => done.to_text(),
            OutputFormat::Json | OutputFormat::Yaml => args.output.convert(done.to_json()),
        })?;
    }
    // Who asked for a rollout of an edit did not get it.
    result.map(|()| if done.misses_an_edit() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// What every step of the run needs.
pub(in crate::cli) struct StageRun<'a> {
    pub(in crate::cli) args: &'a StageArgs,
    pub(in crate::cli) start: StartOptions,
    pub(in crate::cli) context: &'a RepoContext,
    external_state: ExternalState,
    /// The pods that `--context` counts, once they are counted.
    #[cfg(feature = "watch")]
    counted_pods: OnceCell<BTreeMap<Arc<str>, u32>>,
    signing: Signing<'a>,
    pub(in crate::cli) global: &'a GlobalArgs,
}

fn try_stage(
    args: &StageArgs,
    start: Option<StartOptions>,
    global: &GlobalArgs,
    reporter: &mut Reporter,
    done: &mut StageOutcome,
) -> Result<(), CommandError> {
    let (context, edits) = repository::open_for_stage(&args.repository, global, reporter)?;
    done.unpublished = edits;
    if args.accept_rewritten {
        repository::accept_rewritten(&context, args.push)?;
    }
    let starts = start.is_some();
    let start = start.unwrap_or_default();
    let external_state = read_external_state(args, start)?;
    let run = StageRun {
        args,
        start,
        context: &context,
        external_state,
        #[cfg(feature = "watch")]
        counted_pods: OnceCell::new(),
        signing: context.signing()?,
        global,
    };
    if starts {
        context.require_deploy_branch()?;
        run.start_rollouts(&author_of(&context, start.is_dry)?, reporter, &mut done.started)?;
        if !done.started.is_empty() && (start.is_dry || start.keeps_local) {
            // The staged branches follow the deploy branch, which has not moved.
            return Ok(());
        }
    }
    run.write_staged_branches(reporter, done)
}

/// Reads what was observed of the cluster.
fn read_external_state(args: &StageArgs, start: StartOptions) -> Result<ExternalState, CommandError> {
    let (allows_removal, today) = (start.allows_removal, Some(clock::today()));
    let mut external_state = ExternalState { allows_removal, today, ..ExternalState::default() };
    if let Some(file) = &args.cluster_state {
        external_state.observed_replicas = read_cluster_state_file(file)?.replicas;
    }
    Ok(external_state)
}

impl StageRun<'_> {
    /// Reads every selected cluster.
    pub(in crate::cli) fn read_clusters(
        &self,
        deploy_branch: &DeployBranch<'_>,
        reporter: &mut Reporter,
    ) -> Result<Vec<ClusterView>, CommandError> {
        let mut views = Vec::new();
        let clusters = repository::select_clusters(deploy_branch, &self.args.repository)?;
        let progress = Progress::new("Reading", "clusters", clusters.len(), self.global);
        for cluster in clusters {
            let (view, diagnostics) = deploy_branch.cluster_view(cluster);
            // A SidecarSet that is not staged yet is staged now.
            let is_of_missing =
                |d: &Diagnostic| matches!(d.code, Code::WorkloadsMissing | Code::LedgerWorkloadUnknown);
            let accepts = |d: &Diagnostic| self.start.accepts_missing && is_of_missing(d);
            let counts = |d: &Diagnostic| d.code != Code::NotStagedYet && !accepts(d);
            reporter.add(diagnostics.into_iter().filter(counts));
            if !reporter.has_errors() {
                reporter.add(check_drift(deploy_branch, &view)?);
            }
            views.push(view);
            progress.step();
        }
        drop(progress);
        reporter.fail_on_errors()?;
        let mut known = SidecarSetNames::default();
        views.iter().for_each(|view| known.add_cluster(view));
        known.check(&self.args.names)?;
        Ok(views)
    }

    /// The SidecarSets of a cluster that count: those asked for that have a ledger.
    pub(in crate::cli) fn selected_names(&self, view: &ClusterView) -> Vec<String> {
        let known = view.prepared.ledgers.keys().map(ToString::to_string);
        known.filter(|n| self.args.names.is_empty() || self.args.names.contains(n)).collect()
    }

    /// Writes every staged branch, once the commits of all are made.
    fn write_staged_branches(
        &self,
        reporter: &mut Reporter,
        done: &mut StageOutcome,
    ) -> Result<(), CommandError> {
        let deploy_branch = self.context.read_deploy_branch_reporting(reporter)?;
        done.stale_render = super::status::stale_render_note(&deploy_branch)?;
        let views = self.read_clusters(&deploy_branch, reporter)?;
        let (mut stacks, mut later) = (Vec::new(), Vec::new());
        let staged_names = StagedBranchNames::of(&deploy_branch, &views);
        for view in &views {
            for name in self.selected_names(view) {
                if let Some(error) = staged_names.name_error(view.cluster.as_deref(), &name) {
                    later.push(error);
                    continue;
                }
                let planned = self.plan_rollout(&deploy_branch, (&views, view), &name, false, reporter)?;
                if let Some(planned) = planned {
                    stacks.extend(planned.build_commits(
                        &deploy_branch,
                        usize::MAX,
                        (&self.signing, self.global),
                        reporter,
                    )?);
                }
            }
        }
        reporter.fail_on_errors()?;
        // Commits of others on one staged branch do not stop the others.
        stacks.retain(|stack| {
            let foreign = stack.foreign_commits_error(&deploy_branch, self.args);
            let is_refused = foreign.as_ref().is_some_and(Diagnostic::is_error);
            later.extend(foreign);
            !is_refused
        });
        let updates: Vec<Option<RefUpdate>> = stacks.iter().map(|s| s.push_update(self.args)).collect();
        for stack in stacks {
            done.staged.push(stack.write_branch(&deploy_branch, self.args)?);
        }
        reporter.add(later);
        if self.args.push {
            self.push_staged_branches(updates, &mut done.staged, reporter)?;
        }
        reporter.fail_on_errors()
    }

    fn push_staged_branches(
        &self,
        updates: Vec<Option<RefUpdate>>,
        staged: &mut [StagedBranchReport],
        reporter: &Reporter,
    ) -> Result<(), CommandError> {
        let repository = &self.context.repository;
        let upstream = repository.upstream(&self.context.branches.remote)?;
        if upstream == Upstream::Local {
            reporter.print_note(
                "pillion: there is no remote to push to: the staged branches are in this repository",
            );
            return Ok(());
        }
        let (indices, updates): (Vec<usize>, Vec<RefUpdate>) =
            updates.into_iter().enumerate().filter_map(|(i, update)| Some((i, update?))).unzip();
        if updates.is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        for (i, outcome) in indices.into_iter().zip(repository.push(&upstream, &updates)?) {
            match outcome {
                Ok(_) => staged[i].pushed = true,
                Err(error) => result = Err(error.into()),
            }
        }
        result
    }

    /// Returns what was observed; with `--context`, the pods of the cluster are counted once.
    #[cfg(feature = "watch")]
    fn observed_state(
        &self,
        views: &[ClusterView],
        reporter: &Reporter,
    ) -> Result<ExternalState, CommandError> {
        let Some(context) = &self.args.context else { return Ok(self.external_state.clone()) };
        let counted = match self.counted_pods.get() {
            Some(counted) => counted,
            None => {
                let counted = count_live_replicas(context, views, reporter)?;
                self.counted_pods.get_or_init(|| counted)
            }
        };
        Ok(ExternalState { observed_replicas: counted.clone(), ..self.external_state.clone() })
    }

    /// Returns what was observed.
    #[cfg(not(feature = "watch"))]
    #[expect(clippy::unnecessary_wraps, reason = "a build with `watch` asks a cluster")]
    fn observed_state(&self, _: &[ClusterView], _: &Reporter) -> Result<ExternalState, CommandError> {
        Ok(self.external_state.clone())
    }

    /// Plans one rollout; None where the reporter knows why there is none.
    pub(in crate::cli) fn plan_rollout<'s>(
        &self,
        deploy_branch: &DeployBranch<'_>,
        (views, view): (&[ClusterView], &'s ClusterView),
        name: &str,
        starts: bool,
        reporter: &mut Reporter,
    ) -> Result<Option<PlannedStack<'s>>, CommandError> {
        let observed = self.observed_state(views, reporter)?;
        let branch = StagedBranch::find(deploy_branch, view.cluster.as_deref(), name);
        let examined = branch.examine_refs(deploy_branch, name)?;
        let (rollout, mut problems) = match starts {
            true => {
                let starts_paused = self.is_named(name);
                let external =
                    ExternalState { is_start_requested: starts, replaces_paused: starts_paused, ..observed };
                view.plan_rollout(name, external)
            }
            false => view.plan_resumed_rollout(name, observed),
        };
        problems.extend(rollout.too_many_batches().filter(|_| !rollout.has_started()));
        problems.extend(unmatched_selector(view, &views.iter().collect::<Vec<_>>(), name));
        if !self.args.accept_rewritten {
            problems.extend(rewritten_branch(deploy_branch, &branch, &examined));
        }
        let is_refused = problems.iter().any(crate::diagnostics::Diagnostic::is_error);
        reporter.add(problems);
        Ok((!is_refused).then_some(PlannedStack { view, rollout, branch, inspection: examined }))
    }
}

/// A rollout, before its commits are made.
pub(in crate::cli) struct PlannedStack<'s> {
    view: &'s ClusterView,
    pub(in crate::cli) rollout: RolloutPlan<'s>,
    branch: StagedBranch,
    inspection: BranchContents,
}

impl<'s> PlannedStack<'s> {
    /// Says which cluster of an earlier wave comes first.
    pub(in crate::cli) fn blocking_wave(&self, deploy_branch: &DeployBranch<'_>) -> Option<String> {
        let source = self.rollout.context.source.as_ref().map(|r| r.name.clone());
        wave_block_reason(deploy_branch, self.view.cluster.as_deref(), self.rollout.name(), &source)
    }

    pub(in crate::cli) fn build_commits(
        self,
        deploy_branch: &DeployBranch<'_>,
        limit: usize,
        (signing, global): (&Signing<'_>, &GlobalArgs),
        reporter: &mut Reporter,
    ) -> Result<Option<BuiltStack<'s>>, Error> {
        let total = self.rollout.steps.iter().take(limit).filter(|step| step.ledger().is_some()).count();
        let progress = Progress::new("Staging", "commits", total, global);
        let kept = if signing.is_enabled() { self.branch.commits(deploy_branch)? } else { Vec::new() };
        let (stack, diagnostics) =
            build_stack((deploy_branch, self.view), &self.rollout, limit, signing, &kept, || {
                progress.step()
            })?;
        drop(progress);
        reporter.add(diagnostics);
        let waits = self.blocking_wave(deploy_branch).filter(|_| self.rollout.starts_rollout());
        Ok(stack.map(|stack| BuiltStack { planned: self, stack, blocked_by: waits }))
    }
}

/// The commits of one rollout, before any ref is moved.
pub(in crate::cli) struct BuiltStack<'s> {
    planned: PlannedStack<'s>,
    pub(in crate::cli) stack: CommitStack,
    blocked_by: Option<String>,
}

impl<'s> BuiltStack<'s> {
    pub(in crate::cli) fn rollout(&self) -> &RolloutPlan<'s> {
        &self.planned.rollout
    }

    pub(in crate::cli) fn sidecar_set_and_cluster(&self) -> (String, Option<String>) {
        let rollout = &self.planned.rollout;
        (rollout.name().to_owned(), rollout.context.cluster.as_ref().map(ToString::to_string))
    }

    /// Says which commits of others the branch holds: an error where it would have to be replaced.
    fn foreign_commits_error(
        &self,
        deploy_branch: &DeployBranch<'_>,
        args: &StageArgs,
    ) -> Option<Diagnostic> {
        let PlannedStack { branch, inspection: examined, rollout, .. } = &self.planned;
        if args.force {
            return None;
        }
        let options = repository::command_options(&args.repository, rollout.context.cluster.as_deref());
        let names = (branch.short_name(), rollout.name());
        let mut diagnostic = foreign_commits(&deploy_branch.config, names, &examined.foreign(), &options)?;
        let is_other =
            |side: &RefContents, at: Option<ObjectId>| !side.foreign.is_empty() && at != self.stack.tip();
        let is_refused = is_other(&examined.local, branch.local)
            || (args.push && is_other(&examined.remote, branch.remote));
        // Where nothing is to come, it is only not removed.
        if !is_refused || self.stack.tip().is_none() {
            diagnostic.severity = Severity::Warning;
        }
        Some(diagnostic)
    }

    /// What a push has to do; a branch is removed only where all of it is pillion's own.
    fn push_update(&self, args: &StageArgs) -> Option<RefUpdate> {
        let (tip, there) = (self.stack.tip(), &self.planned.inspection.remote);
        let may_write =
            args.force || if tip.is_some() { there.foreign.is_empty() } else { there.is_removable() };
        self.planned.branch.push_update(tip).filter(|_| may_write)
    }

    fn write_branch(
        self,
        deploy_branch: &DeployBranch<'_>,
        args: &StageArgs,
    ) -> Result<StagedBranchReport, Error> {
        let written = match self.stack.tip().is_some() || self.planned.inspection.local.is_removable() {
            true => self.planned.branch.update_ref(deploy_branch, &self.stack)?,
            false => BranchUpdate::Absent,
        };
        let (sidecar_set, cluster) = self.sidecar_set_and_cluster();
        let Self {
            planned: PlannedStack { rollout, branch, inspection: examined, .. },
            stack,
            blocked_by: waits,
        } = self;
        let options = repository::command_options(&args.repository, cluster.as_deref());
        Ok(StagedBranchReport {
            start_command: start_command(&rollout.context, rollout.started_ledger(), &options),
            newer_hint: rollout
                .newer_source()
                .map(|_| rollout.newer_source_hint(&options))
                .unwrap_or_default(),
            command_options: options,
            sidecar_set,
            cluster,
            branch: branch.short_name().to_owned(),
            base: stack.base,
            commits: stack.commits.iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            end: rollout.end().to_json(),
            written,
            pushed: false,
            overwritten_commits: examined.foreign().iter().map(|c| (c.id, c.subject().to_owned())).collect(),
            blocked_by: waits,
            starts: rollout.starts_rollout(),
            paused: rollout.ledger.paused.as_ref().map(|p| format!("at batch {}: {}", p.batch, p.reason)),
            newer_revision: rollout.newer_source().map(|name| revision_text(&name).to_owned()),
        })
    }
}
