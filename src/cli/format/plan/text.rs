//! A plan for people, on a terminal.

use super::phrases;
use super::{ClusterRolloutPlan, PlanView};
use crate::cli::format::{costs, push_row};
use crate::diagnostics::grouping::{DiagnosticGroup, group_by_cause, split_by_limit, summarize, ungrouped};
use crate::diagnostics::{Diagnostic, pluralize};
use crate::rollout::report::{BatchReport, HeldWorkloadReport, workload_title};
use std::fmt::Write as _;

/// Workloads of a batch that are listed; `-v` lists all.
const MAX_WORKLOADS: usize = 40;

/// Groups of warnings that are shown; `-v` shows all warnings.
const MAX_WARNINGS: usize = 20;

const HEADER: [&str; 8] =
    ["BATCH", "WORKLOAD", "PODS", "HOW", "UPDATED", "UNAVAILABLE", "RESTARTED", "REQUESTS"];

/// The widths that the columns have at least.
const MIN_WIDTHS: [usize; 8] = [5, 8, 4, 10, 7, 11, 10, 0];

/// Renders plans.
pub(in crate::cli) fn render(shown: &PlanView<'_>) -> String {
    if shown.plans.is_empty() {
        return "no SidecarSet has a ledger or needs one: nothing to plan\n".to_owned();
    }
    let plans: Vec<String> = shown.plans.iter().map(|plan| plan_text(plan, shown.is_verbose)).collect();
    let costs = shown.costs.as_deref().unwrap_or_default();
    plans.join("\n") + &costs::to_text(costs, shown.is_verbose)
}

fn plan_text(plan: &ClusterRolloutPlan<'_>, is_verbose: bool) -> String {
    let (name, what) = phrases::heading(plan);
    let mut text = format!("{name}: {what}\n");
    let report = &plan.report;
    if !report.is_idle() {
        let _ = writeln!(text, "{}", phrases::limits(plan));
    }
    let rows = rows(plan, is_verbose);
    if !rows.is_empty() {
        text.push('\n');
        table(&mut text, &rows);
    }
    let ending = phrases::closing_lines(plan);
    if !ending.is_empty() || !report.warnings.is_empty() {
        text.push('\n');
    }
    for line in ending {
        let _ = writeln!(text, "{line}");
    }
    warnings(&mut text, &report.warnings, is_verbose);
    text
}

fn rows(plan: &ClusterRolloutPlan<'_>, is_verbose: bool) -> Vec<[String; 8]> {
    let report = &plan.report;
    let mut rows = Vec::new();
    for batch in &report.batches {
        rows.extend(batch_rows(plan, batch, is_verbose));
    }
    let hidden = plan.rollout.last_batch().saturating_sub(report.batches.last().map_or(0, |b| b.number));
    if hidden > 0 && !report.batches.is_empty() {
        rows.push(row(["...", &format!("and {} more", pluralize(hidden.into(), "batch"))]));
    }
    let most = if is_verbose { usize::MAX } else { MAX_WORKLOADS };
    rows.extend(report.held.iter().take(most).map(held_row));
    if let Some(more) = report.held.len().checked_sub(most).filter(|n| *n > 0) {
        rows.push(row(["", &format!("and {more} more (-v shows them)")]));
    }
    rows
}

fn batch_rows(plan: &ClusterRolloutPlan<'_>, batch: &BatchReport, is_verbose: bool) -> Vec<[String; 8]> {
    let most = if is_verbose { usize::MAX } else { MAX_WORKLOADS };
    let digits = plan.report.matched_pods.to_string().len();
    let updated = phrases::updated_pods(plan, batch);
    let missing = digits.saturating_sub(batch.updated_pods.to_string().len());
    let mut rows: Vec<[String; 8]> = Vec::new();
    for workload in batch.workloads.iter().take(most) {
        let name = workload_title(&workload.update.key);
        let how = phrases::update_method(plan, workload);
        rows.push(match rows.is_empty() {
            true => [
                phrases::batch_number(plan, batch),
                name,
                phrases::pod_count(workload),
                how,
                format!("{}{updated}", " ".repeat(missing)),
                phrases::or_unknown(batch.max_unavailable),
                phrases::or_unknown(batch.restarted_containers),
                phrases::request_delta(batch),
            ],
            false => row(["", &name, &phrases::pod_count(workload), &how]),
        });
    }
    if let Some(more) = batch.workloads.len().checked_sub(most).filter(|n| *n > 0) {
        rows.push(row(["", &format!("and {more} more (-v shows them)")]));
    }
    rows
}

fn held_row(held: &HeldWorkloadReport) -> [String; 8] {
    row([held.state_label(), &workload_title(&held.key), "-", &held.description()])
}

fn row<const N: usize>(cells: [&str; N]) -> [String; 8] {
    let mut row: [String; 8] = Default::default();
    for (place, cell) in row.iter_mut().zip(cells) {
        cell.clone_into(place);
    }
    row
}

fn table(text: &mut String, rows: &[[String; 8]]) {
    let mut widths = MIN_WIDTHS;
    for row in rows {
        for (i, width) in widths.iter_mut().enumerate() {
            // The last cell of a row may stand out.
            if row[i + 1..].iter().any(|cell| !cell.is_empty()) {
                *width = (*width).max(row[i].chars().count());
            }
        }
    }
    let head = HEADER.map(str::to_owned);
    std::iter::once(&head).chain(rows).for_each(|row| push_row(text, row, widths));
}

/// Warnings in short, grouped by cause: the message, where it is, and what to do.
fn warnings(text: &mut String, warnings: &[Diagnostic], is_verbose: bool) {
    let (groups, limit) = match is_verbose {
        true => (ungrouped(warnings), usize::MAX),
        false => (group_by_cause(warnings), MAX_WARNINGS),
    };
    let (printed, left_out) = split_by_limit(groups, limit);
    for warning in printed.iter().map(DiagnosticGroup::to_diagnostic) {
        let _ = writeln!(text, "{}[{}]: {}", warning.severity.name(), warning.code.name(), warning.message);
        if let Some(at) = warning.spans.first() {
            let _ = writeln!(text, "  --> {at}");
        }
        for note in &warning.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        if let Some(help) = &warning.help {
            let _ = writeln!(text, "  help: {help}");
        }
    }
    if !left_out.is_empty() {
        let _ = writeln!(text, "not shown: {}; `-v` shows all", summarize(&left_out));
    }
}
