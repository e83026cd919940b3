//! `pillion status`: shows the state of rollouts, since when, and what each waits for.

use super::next_step::rejected_hint;
use crate::cli::error::CommandError;
use crate::cli::format::status::{LedgerStatus, StatusDetails, StatusSummary, to_json};
use crate::cli::paint::ReportKind;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::git::HistoryWalk;
use crate::model::ledger::{Ledger, Revision, RevisionName};
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::report::{describe_changes, ledger_holds};
use crate::rollout::{
    BlockedReason, ExternalState, GateClock, RolloutPlan, RolloutStep, gates_from_git, piggybacked_text,
    piggybacked_workloads, waiting_workloads,
};
use crate::stage::{
    ClusterView, DeployBranch, Error, change_text, rollout_start_time, versions_text, wave_block_reason,
};
use clap::Args;

/// Arguments of `pillion status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    /// SidecarSets [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show pods as well, and keep the view up to date; without a terminal, print it once
    #[cfg(feature = "watch")]
    #[arg(long)]
    watch: bool,
    /// Print what the sidecars request, by SidecarSet, namespace and team
    #[cfg_attr(feature = "watch", arg(long, conflicts_with = "watch"))]
    #[cfg_attr(not(feature = "watch"), arg(long))]
    costs: bool,
    /// List the workloads with the revision and the images of their sidecars
    #[cfg_attr(feature = "watch", arg(long, conflicts_with = "watch"))]
    #[cfg_attr(not(feature = "watch"), arg(long))]
    workloads: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    clusters: super::watch::ClusterArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
}

/// Runs `pillion status`.
pub(in crate::cli) fn run(
    args: &StatusArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    #[cfg(feature = "watch")]
    if args.watch {
        let view = super::watch::StatusWatch {
            names: &args.names,
            clusters: &args.clusters,
            repository: &args.repository,
            output: args.output,
        };
        return super::watch::watch_status(&view, global, reporter);
    }
    #[cfg(feature = "watch")]
    if args.clusters.are_chosen() {
        let message = "`--context` and `--namespace` choose the pods that `pillion status --watch` shows";
        return Err(
            CommandError::usage(message).hint("add `--watch`; without a terminal, it prints the pods once")
        );
    }
    let text = collect_status(args, global, reporter)?;
    match args.output {
        OutputFormat::Text => print_report(&text, ReportKind::Status, global)?,
        OutputFormat::Json | OutputFormat::Yaml => print_text(&text)?,
    }
    Ok(if reporter.has_errors() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// Returns the status of the selected rollouts as text or JSON.
fn collect_status(
    args: &StatusArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let context = repository::open_reporting(&args.repository, global, reporter)?;
    let deploy_branch = context.read_deploy_branch_for_display(reporter)?;
    let (mut all, mut known) = (Vec::new(), SidecarSetNames::default());
    let mut details =
        StatusDetails { costs: args.costs.then(Vec::new), inventory: args.workloads.then(Vec::new) };
    for cluster in repository::select_clusters(&deploy_branch, &args.repository)? {
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
        // The state says that a SidecarSet is not staged yet.
        reporter.add(diagnostics.into_iter().filter(|d| d.code != Code::NotStagedYet));
        known.add_cluster(&view);
        let is_selected =
            |ledger: &&Ledger| args.names.is_empty() || args.names.iter().any(|n| **n == *ledger.name);
        let selected: Vec<&Ledger> = view.prepared.ledgers.values().filter(is_selected).collect();
        for ledger in &selected {
            let mut status = ledger_status(&deploy_branch, &view, ledger, &args.repository)?;
            if !is_sound {
                // A plan of what could not be read would be a guess.
                "unknown: the deploy branch has errors".clone_into(&mut status.next);
                (status.updated, status.pods) = (0, 0);
            }
            all.push(status);
        }
        if is_sound {
            details.add_cluster(&view, &selected);
        }
    }
    // Where a ledger cannot be read, its diagnostic explains an unknown name.
    if !reporter.has_errors() {
        known.check(&args.names)?;
    }
    let stale_render = stale_render_note(&deploy_branch)?;
    Ok(match args.output {
        OutputFormat::Text if all.is_empty() && reporter.has_errors() => String::new(),
        OutputFormat::Text if all.is_empty() => {
            "no SidecarSet has a ledger: `pillion init rollout` writes them\n".to_owned()
        }
        OutputFormat::Text => {
            let details = details.to_text(global.verbose);
            all.iter().map(LedgerStatus::to_text).chain(stale_render).chain([details]).collect()
        }
        OutputFormat::Json | OutputFormat::Yaml => {
            args.output.convert(to_json(deploy_branch.head.id, &all, &details))
        }
    })
}

/// Returns the note about newer sources that the deploy branch is not rendered from.
pub(in crate::cli) fn stale_render_note(deploy_branch: &DeployBranch<'_>) -> Result<Option<String>, Error> {
    let Some(newer) = deploy_branch.find_newer_source()? else { return Ok(None) };
    let (branch, source) =
        (&deploy_branch.branches.deploy, deploy_branch.branches.source.as_deref().unwrap_or_default());
    Ok(Some(format!(
        "`{branch}` is rendered from {}, and `{source}` is at {}: `pillion render --branch {branch} --push` there renders what is new\n",
        deploy_branch.source.id.short(),
        newer.short()
    )))
}

fn ledger_status(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    ledger: &Ledger,
    args: &RepositoryArgs,
) -> Result<LedgerStatus, Error> {
    let cluster = view.cluster.as_deref();
    let source = view.rollout_context(&ledger.name).0.source.map(|r| r.name);
    let not_before = wave_block_reason(deploy_branch, cluster, &ledger.name, &source);
    let today = Some(clock::today());
    let external = ExternalState { wave_reason: not_before, today, ..ExternalState::default() };
    let (rollout, _) = view.plan_resumed_rollout(&ledger.name, external);
    let place = deploy_branch.configuration.ledger_path(cluster, &ledger.name);
    let since = deploy_branch
        .repository
        .log(deploy_branch.head.id, place.as_deref(), HistoryWalk::FirstParent)?
        .next()
        .transpose()?
        // The oldest commit of a shallow clone seems to have brought every file.
        .filter(|commit| !commit.parents.is_empty() || !deploy_branch.repository.is_shallow());
    let (pods, updated) = pods_before_next_batch(&rollout);
    let options = repository::command_options(args, cluster);
    let first_step = rollout.steps.iter().find(|step| !matches!(step, RolloutStep::Resume(_)));
    let settings = view.rollout_settings(&ledger.name).0;
    let started = rollout_start_time(deploy_branch, &rollout.context, ledger)?;
    let now = GateClock { started, now: clock::now().seconds };
    let gates = gates_from_git(&rollout.context, ledger, first_step, &settings, now);
    Ok(LedgerStatus {
        name: ledger.name.to_string(),
        summary: StatusSummary {
            change: ledger.target.as_ref().map(|_| change_text(ledger)),
            released: versions_text(ledger, &ledger.released),
            target: ledger.target.as_ref().map(|target| target_text(ledger, target)),
            source: rollout.context.source.as_ref().map(|source| unreleased_text(ledger, source)),
        },
        gates,
        cluster: cluster.map(str::to_owned),
        since,
        state: rollout.state(),
        has_expired_hold: ledger.target.is_none() && source == ledger.released,
        batches: rollout.last_batch(),
        updated,
        pods,
        piggybacked: piggybacked_text(&rollout.context, ledger),
        piggyback_counts: [
            piggybacked_workloads(&rollout.context, ledger),
            waiting_workloads(&rollout.context, ledger),
        ],
        held: ledger_holds(&rollout.context, ledger, rollout.external.today.as_deref()),
        newer_revision: rollout.newer_source(),
        starts: rollout.starts_rollout(),
        next: next_step(&rollout, &options),
        then_blocked: match &rollout.steps[..] {
            [_, .., RolloutStep::Blocked(reason)] => Some(reason.to_string()),
            _ => None,
        },
        newer_hint: rollout.newer_source().map(|_| rollout.newer_source_hint(&options)).unwrap_or_default(),
        ledger: ledger.clone(),
    })
}

/// Returns the pods that count in a rollout, and those that have the target; 0 where no batch follows.
fn pods_before_next_batch(rollout: &RolloutPlan<'_>) -> (u32, u32) {
    let next = rollout.batches().next();
    next.map_or((0, 0), |batch| (batch.matched_pods, batch.updated_pods.saturating_sub(batch.moved_pods())))
}

fn target_text(ledger: &Ledger, target: &RevisionName) -> String {
    match target.as_ref().and_then(|name| ledger.revision(name)) {
        Some(revision) => unreleased_text(ledger, revision),
        None => versions_text(ledger, target),
    }
}

/// Returns the versions of a revision; where they are those of the released one, its name and what differs.
fn unreleased_text(ledger: &Ledger, revision: &Revision) -> String {
    let versions = revision.versions_text();
    let released = ledger.released.as_ref().and_then(|name| ledger.revision(name));
    match released.filter(|released| released.name != revision.name && released.versions_text() == versions) {
        Some(released) => {
            format!("{} ({})", revision.name, describe_changes(&released.set, &revision.set).join(", "))
        }
        None => versions,
    }
}

fn next_step(rollout: &RolloutPlan<'_>, options: &str) -> String {
    let (first, resumes) = match &rollout.steps[..] {
        [RolloutStep::Resume(_), then, ..] => (Some(then), true),
        steps => (steps.first(), false),
    };
    let next = describe_step(rollout, first, options);
    let name = rollout.name();
    if resumes { format!("`pillion resume {name}{options}`, then {next}") } else { next }
}

fn describe_step(rollout: &RolloutPlan<'_>, first: Option<&RolloutStep>, options: &str) -> String {
    if let Some(RolloutStep::Start(after)) = first
        && let Some(removal) = SidecarRemoval::of(&rollout.context, after)
    {
        return format!(
            "starting it removes the sidecar from {} ({}): `pillion start {} --allow-removal{options}`",
            removal.share(),
            removal.cause_text(&rollout.context),
            rollout.name()
        );
    }
    match first {
        Some(RolloutStep::Start(_)) => match rollout.batch_count() {
            0 => "start: no workload has to move".to_owned(),
            n => {
                let follow = if n == 1 { "follows" } else { "follow" };
                let batches = pluralize(n as u64, "batch");
                format!("start it: `pillion start {}{options}`; {batches} {follow}", rollout.name())
            }
        },
        Some(RolloutStep::Batch(batch)) => format!(
            "{} of {}: {} of {}",
            batch.title(),
            rollout.last_batch(),
            pluralize(batch.changed_pods().into(), "pod"),
            pluralize(batch.updates.len() as u64, "workload")
        ),
        Some(RolloutStep::Complete(_)) => "complete: every workload has the target".to_owned(),
        Some(RolloutStep::Resume(_)) => "resuming it".to_owned(),
        Some(RolloutStep::Blocked(BlockedReason::Rejected(revision))) => {
            rejected_hint(rollout.name(), revision, options)
        }
        Some(step @ (RolloutStep::Idle | RolloutStep::Blocked(_))) => step.reason().unwrap_or_default(),
        None => String::new(),
    }
}
