//! `pillion status`: shows the state of rollouts, since when, and what each waits for.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, OutputFormat, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::git::{Commit, HistoryWalk};
use crate::model::api::PILLION_API_VERSION;
use crate::model::ledger::{Ledger, RevisionName, revision_text};
use crate::model::timestamp::format_day;
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::report::{HeldWorkloadReport, HoldState, ledger_holds};
use crate::rollout::{ExternalState, RolloutState, RolloutStep};
use crate::stage::{ClusterView, DeployBranch, Error, RolloutPlan, wave_block_reason};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;

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
    #[cfg(feature = "watch")]
    #[command(flatten)]
    clusters: super::watch::ClusterArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
}

/// Holds that are listed.
const MAX_HOLDS: usize = 10;

/// The status of one rollout.
struct LedgerStatus {
    name: String,
    cluster: Option<String>,
    ledger: Ledger,
    /// The last commit that changed the ledger.
    since: Option<Commit>,
    state: RolloutState,
    /// Nothing is rolled out but the released revision, to workloads with an expired hold.
    has_expired_hold: bool,
    batches: u32,
    updated: u32,
    pods: u32,
    held: Vec<HeldWorkloadReport>,
    /// The revision of the file, where the rollout has another target.
    newer_revision: Option<RevisionName>,
    /// Further options of the next command.
    command_options: String,
    /// The next step changes the target: the numbers of pods are about the new one.
    starts: bool,
    next: String,
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
            is_json: args.output == OutputFormat::Json,
        };
        return super::watch::watch_status(&view, global, reporter);
    }
    let text = collect_status(args, global, reporter)?;
    print_text(&text)?;
    Ok(if reporter.has_errors() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// Returns the status of the selected rollouts as text or JSON.
fn collect_status(
    args: &StatusArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let context = repository::open(&args.repository, global, reporter)?;
    let deploy_branch = context.read_deploy_branch_for_display(reporter)?;
    let (mut all, mut known) = (Vec::new(), SidecarSetNames::default());
    for cluster in repository::select_clusters(&deploy_branch, &args.repository)? {
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
        // The state says that a SidecarSet is not staged yet.
        reporter.add(diagnostics.into_iter().filter(|d| d.code != Code::NotStaged));
        known.add_cluster(&view);
        for ledger in view.prepared.ledgers.values() {
            if args.names.is_empty() || args.names.iter().any(|n| **n == *ledger.name) {
                let mut status = ledger_status(&deploy_branch, &view, ledger, &args.repository)?;
                if !is_sound {
                    // A plan of what could not be read would be a guess.
                    "unknown: the deploy branch has errors".clone_into(&mut status.next);
                    (status.updated, status.pods) = (0, 0);
                }
                all.push(status);
            }
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
        OutputFormat::Text => all.iter().map(LedgerStatus::to_text).chain(stale_render).collect(),
        OutputFormat::Json => {
            let items: Vec<Value> = all.iter().map(LedgerStatus::to_json).collect();
            let head = deploy_branch.head.id.to_string();
            let document =
                json!({"apiVersion": PILLION_API_VERSION, "kind": "Status", "head": head, "items": items});
            format!("{document}\n")
        }
    })
}

/// Returns the note about newer sources that the deploy branch is not rendered from.
pub(in crate::cli) fn stale_render_note(live: &DeployBranch<'_>) -> Result<Option<String>, Error> {
    let Some(newer) = live.find_newer_source()? else { return Ok(None) };
    let (branch, source) = (&live.branches.deploy, live.branches.source.as_deref().unwrap_or_default());
    Ok(Some(format!(
        "`{branch}` is rendered from {}, and `{source}` is at {}: `pillion render --branch {branch} --push` there renders what is new\n",
        live.source.id.short(),
        newer.short()
    )))
}

fn ledger_status(
    live: &DeployBranch<'_>,
    site: &ClusterView,
    ledger: &Ledger,
    args: &RepositoryArgs,
) -> Result<LedgerStatus, Error> {
    let cluster = site.cluster.as_deref();
    let source = site.rollout_context(&ledger.name).0.source.map(|r| r.name);
    let not_before = wave_block_reason(live, cluster, &ledger.name, &source);
    let today = Some(clock::today());
    let given = ExternalState { wave_reason: not_before, today, ..ExternalState::default() };
    let (rollout, _) = RolloutPlan::plan_resumed(site, &ledger.name, &given);
    let place = live.configuration.ledger_path(cluster, &ledger.name);
    let since =
        live.repository.log(live.head.id, place.as_deref(), HistoryWalk::FirstParent)?.next().transpose()?;
    let first = rollout.batches().next();
    let (pods, before) =
        first.map_or((0, 0), |b| (b.matched_pods, b.updated_pods.saturating_sub(b.moved_pods())));
    Ok(LedgerStatus {
        name: ledger.name.to_string(),
        cluster: cluster.map(str::to_owned),
        since,
        state: rollout.state(),
        has_expired_hold: ledger.target.is_none() && source == ledger.released,
        batches: rollout.last_batch(),
        updated: before,
        pods,
        held: ledger_holds(&rollout.context, ledger, given.today.as_deref()),
        newer_revision: rollout.newer_source(),
        starts: rollout.starts_rollout(),
        next: next_step(&rollout, &repository::command_options(args, cluster)),
        command_options: repository::command_options(args, cluster),
        ledger: ledger.clone(),
    })
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
        Some(RolloutStep::Start(_)) => match rollout.batches().count() {
            0 => "start: no workload has to move".to_owned(),
            n => {
                let follow = if n == 1 { "follows" } else { "follow" };
                let batches = pluralize(n as u64, "batch");
                format!("start it: `pillion start {}{options}`; {batches} {follow}", rollout.name())
            }
        },
        Some(RolloutStep::Batch(batch)) => format!(
            "batch {} of {}: {} of {}",
            batch.number,
            rollout.last_batch(),
            pluralize(batch.moved_pods().into(), "pod"),
            pluralize(batch.updates.len() as u64, "workload")
        ),
        Some(RolloutStep::Complete(_)) => "complete: every workload has the target".to_owned(),
        Some(RolloutStep::Resume(_)) => "resuming it".to_owned(),
        Some(step @ (RolloutStep::Idle | RolloutStep::Blocked(_))) => step.reason().unwrap_or_default(),
        None => String::new(),
    }
}

impl LedgerStatus {
    fn to_text(&self) -> String {
        let mut text = String::new();
        let of = self.cluster.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
        let ledger = &self.ledger;
        let released = revision_text(&ledger.released);
        let target = ledger.target.as_ref().map(revision_text);
        let number = ledger.last_batch();
        let state = match (self.state, target) {
            (RolloutState::Idle, _) => {
                format!("{} is released", ledger.released.as_deref().unwrap_or("nothing"))
            }
            (RolloutState::Pending | RolloutState::Blocked, None) if self.has_expired_hold => {
                format!("{released} is released, and holds have expired")
            }
            (RolloutState::Pending | RolloutState::Blocked, None) => {
                format!("{released} is released, and the file holds something else")
            }
            (RolloutState::Rejected, _) => {
                format!("{released} is released; what the file holds was rolled back")
            }
            (RolloutState::RollingBack, _) => format!("going back to {released}, batch {number} is out"),
            (_, Some(target)) => {
                let paused = if self.state == RolloutState::Paused { "paused, " } else { "" };
                format!(
                    "{paused}{released} -> {target}, batch {number} of {} is out",
                    self.batches.max(number)
                )
            }
            (_, None) => format!("{released} is released, paused"),
        };
        let _ = writeln!(text, "{}{of}: {state}", self.name);
        if let Some(since) = &self.since {
            let _ = writeln!(
                text,
                "  since {} ({} {})",
                format_rfc3339(since.time.seconds),
                since.id.short(),
                since.subject()
            );
        }
        if self.pods > 0 && ledger.target.is_some() && !self.starts {
            let _ = writeln!(
                text,
                "  {} of {} have the target",
                self.updated,
                pluralize(self.pods.into(), "pod")
            );
        }
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let _ = writeln!(text, "  paused at batch {}{by}: {}", paused.batch, paused.reason);
        }
        for held in self.held.iter().take(MAX_HOLDS) {
            let why = if held.is_held_by_person() { held.description() } else { held.reason.to_string() };
            let _ = writeln!(text, "  {}: {}, {why}", held.state_label(), held.key);
        }
        if let Some(more) = self.held.len().checked_sub(MAX_HOLDS).filter(|n| *n > 0) {
            let _ = writeln!(text, "  and {more} more holds");
        }
        let _ = writeln!(text, "  next: {}", self.next);
        if let Some(newer) = &self.newer_revision {
            let _ = writeln!(
                text,
                "  its file holds {}, which waits: `pillion start {}{}` makes it the target",
                newer.as_deref().unwrap_or("nothing"),
                self.name,
                self.command_options
            );
        }
        text
    }

    fn to_json(&self) -> Value {
        let ledger = &self.ledger;
        json!({
            "sidecarSet": self.name,
            "cluster": self.cluster,
            "state": self.state.to_string(),
            "released": revision_text(&ledger.released),
            "target": ledger.target.as_ref().map(revision_text),
            "batch": ledger.last_batch(),
            "batches": self.batches,
            "updated": self.updated,
            "pods": self.pods,
            "paused": ledger.paused.as_ref().map(|p| json!({"batch": p.batch, "reason": p.reason, "by": p.by})),
            "held": self.held.iter().filter(|h| h.hold_state == HoldState::Active).count(),
            "holds": self.held.iter().map(HeldWorkloadReport::to_json).collect::<Vec<_>>(),
            "newer": self.newer_revision.as_ref().map(revision_text),
            "since": self.since.as_ref().map(|c| json!({"commit": c.id.to_string(), "time": format_rfc3339(c.time.seconds)})),
            "next": self.next,
        })
    }
}

/// Returns a time as RFC 3339 writes it, in UTC.
fn format_rfc3339(seconds: i64) -> String {
    let rest = seconds.rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}Z", format_day(seconds), rest / 3600, rest / 60 % 60, rest % 60)
}
