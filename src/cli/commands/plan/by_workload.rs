//! `pillion plan`: the whole rollout, batch by batch, over workloads.

use super::plan_inputs::{self, PlanInputs};
use super::{PlanArgs, PlanOutput};
#[cfg(feature = "watch")]
use crate::cli::commands::live_replicas::count_live_replicas;
use crate::cli::error::CommandError;
use crate::cli::format::costs::ClusterCosts;
use crate::cli::format::plan::{ClusterRolloutPlan, PlanView, html, json, markdown, text};
use crate::cli::inputs::read_cluster_state_file;
use crate::cli::paint::ReportKind;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, MessageFormat, OutputFormat, clock, print_text};
use crate::diagnostics::Diagnostic;
use crate::model::ledger::RevisionName;
use crate::rollout::cluster_state::ClusterState;
use crate::rollout::report::PlanReport;
use crate::rollout::sidecar_costs::SidecarCost;
use crate::rollout::{ExternalState, PlanExtent, RelatedObject, RolloutContext, RolloutPlan};
use crate::stage::{ClusterView, unmatched_selector, unreached_overrides};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Runs the workload-level form of `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let seen = match &args.cluster_state {
        Some(file) => read_cluster_state_file(file)?,
        None => ClusterState::default(),
    };
    let PlanInputs { base, cluster_views: views } = plan_inputs::read_plan_inputs(args, common, reporter)?;
    check_names(&args.names, &views)?;
    #[cfg(feature = "watch")]
    let seen = match &args.context {
        Some(context) => {
            let replicas = count_live_replicas(context, &views, reporter)?;
            ClusterState { replicas, ..seen }
        }
        None => seen,
    };
    let mut plans = Vec::new();
    let total = views.iter().map(|view| selected_names(view, args).len()).sum();
    let progress = Progress::new("Planning", "rollouts", total, common);
    for view in &views {
        plans.extend(plan_rollouts(view, &views, &seen, args, (reporter, &progress)));
    }
    drop(progress);
    reporter.fail_on_errors()?;
    let costs = (args.costs || args.output != PlanOutput::Text).then(|| costs_of(&views, &plans));
    let shown = PlanView { base, plans, is_next: args.next, costs, is_verbose: common.verbose };
    match args.output {
        PlanOutput::Text => print_report(&text::render(&shown), ReportKind::Plan, common)?,
        PlanOutput::Json => print_text(&json::render(&shown))?,
        PlanOutput::Yaml => print_text(&OutputFormat::Yaml.convert(json::render(&shown)))?,
        PlanOutput::Markdown => print_text(&markdown::render(&shown))?,
        PlanOutput::Html => print_text(&html::render(&shown))?,
    }
    let warnings = || shown.plans.iter().flat_map(|p| &p.report.warnings);
    if common.format != MessageFormat::Human {
        reporter.add(warnings().cloned());
    }
    let code = if warnings().any(Diagnostic::is_error) { EXIT_FINDINGS } else { EXIT_SUCCESS };
    // The process ends, and freeing every document takes a tenth of the time.
    std::mem::forget(shown);
    std::mem::forget(views);
    Ok(code)
}

/// Returns what the planned sidecars request in each cluster.
fn costs_of(views: &[ClusterView], plans: &[ClusterRolloutPlan<'_>]) -> Vec<ClusterCosts> {
    let of_view = |view: &ClusterView| {
        let plans = plans.iter().filter(|plan| std::ptr::eq(plan.cluster_view, view));
        let costs: Vec<SidecarCost> =
            plans.flat_map(|plan| view.sidecar_costs_of_plan(&plan.rollout)).collect();
        ClusterCosts::of(view, &costs)
    };
    views.iter().map(of_view).collect()
}

/// Returns what keeps workloads from getting a revision: they are in no batch, or hold the rollout up.
fn injection_errors(context: &RolloutContext<'_>, target: &RevisionName) -> Vec<Diagnostic> {
    let workloads = context.workloads.as_slice().iter();
    workloads.filter_map(|workload| context.workloads.injection_error(workload, target)).collect()
}

/// Fails when a name is not that of a SidecarSet with a ledger.
fn check_names(names: &[String], views: &[ClusterView]) -> Result<(), CommandError> {
    let mut known = SidecarSetNames::default();
    views.iter().for_each(|view| known.add_cluster(view));
    match names.iter().find(|name| !known.contains(name) && Path::new(name).exists()) {
        Some(path) => Err(CommandError::usage(format!(
            "`{path}` is a path, not the name of a SidecarSet: `pillion plan -f {path}` reads it"
        ))),
        None => known.check(names),
    }
}

/// Returns the SidecarSets of a cluster that have a ledger and are asked for.
fn selected_names(view: &ClusterView, args: &PlanArgs) -> BTreeSet<Arc<str>> {
    let is_asked_for = |name: &str| args.names.is_empty() || args.names.iter().any(|n| n == name);
    let mut names = view.sidecar_set_names();
    names.retain(|name| view.prepared.ledgers.contains_key(name) && is_asked_for(name));
    names
}

/// Plans every rollout of one cluster that is asked for.
fn plan_rollouts<'s>(
    view: &'s ClusterView,
    views: &[ClusterView],
    seen: &ClusterState,
    args: &PlanArgs,
    (reporter, progress): (&mut Reporter, &Progress),
) -> Vec<ClusterRolloutPlan<'s>> {
    let today = Some(clock::today());
    let external =
        ExternalState { observed_replicas: seen.replicas.clone(), today, ..ExternalState::default() };
    let near: Vec<&RelatedObject> =
        view.related_objects.objects().iter().chain(&seen.related_objects).collect();
    let extent = if args.next { PlanExtent::NextStep } else { PlanExtent::Whole };
    let all: Vec<&ClusterView> = views.iter().collect();
    let mut plans = Vec::new();
    for name in &selected_names(view, args) {
        let (context, diagnostics) = view.rollout_context(name);
        reporter.add(diagnostics);
        let mut ledger = view.ledger(name);
        let paused = ledger.paused.take();
        let rollout = RolloutPlan::new(context, ledger, external.clone(), extent);
        let mut report = PlanReport::of(&rollout, paused, &near, extent);
        report.warnings.extend(unmatched_selector(view, &all, name));
        report.warnings.extend(unreached_overrides(view, &all, Some(name)));
        report.warnings.extend(injection_errors(&rollout.context, &report.to));
        report.warnings = reporter.apply_lint_levels(report.warnings);
        plans.push(ClusterRolloutPlan { cluster_view: view, rollout, report });
        progress.step();
    }
    plans
}
