//! A plan for a comment on a pull request: a table of the batches, warnings and folded details, within its size limit.

use super::phrases;
use super::{ClusterRolloutPlan, PlanView};
use crate::cli::format::costs::{COLUMNS, ClusterCosts, MAX_ROWS};
use crate::diagnostics::{Diagnostic, pluralize};
use crate::rollout::report::workload_title;
use std::fmt::Write as _;

/// A comment of GitHub has at most 65,536 characters, and whoever posts it may add a few.
const MAX_CHARS: usize = 65_000;

/// Batches of the table that are shown.
const MAX_BATCHES: usize = 100;

/// Renders plans, with as many details as fit.
pub(in crate::cli) fn render(shown: &PlanView<'_>) -> String {
    if shown.plans.is_empty() {
        return "No SidecarSet has a ledger or needs one: nothing to plan.\n".to_owned();
    }
    let count = shown.plans.len();
    let mut left = MAX_CHARS;
    let mut text = String::new();
    for (i, plan) in shown.plans.iter().enumerate() {
        // Each plan may take what those before it left of their shares.
        let share = left / (count - i);
        let one = plan_section(plan, share);
        let length = one.chars().count();
        if length > left {
            let _ = writeln!(text, "\n{} more rollouts do not fit in here.", count - i);
            break;
        }
        left -= length;
        text.push_str(&one);
    }
    for cluster in shown.costs.iter().flatten().filter(|cluster| cluster.has_requests()) {
        let one = costs_section(cluster);
        let length = one.chars().count();
        if length <= left {
            left -= length;
            text.push_str(&one);
        }
    }
    text
}

/// What the sidecars of a cluster request, folded.
fn costs_section(costs: &ClusterCosts) -> String {
    let mut text = format!("<details><summary>{}</summary>\n", escape_markdown(&costs.heading()));
    for section in costs.sections(MAX_ROWS) {
        let columns = COLUMNS.join(" | ");
        let _ = write!(text, "\n| {} | {columns} |\n|---|---:|---:|---|---|\n", section.title);
        for row in section.rows {
            let [name, numbers @ ..] = row;
            let numbers = numbers.map(|cell| escape_markdown(&cell)).join(" | ");
            let _ = writeln!(text, "| {} | {numbers} |", code(&name));
        }
    }
    let notes = costs.notes();
    if !notes.is_empty() {
        text.push('\n');
    }
    notes.iter().for_each(|note| text.push_str(&format!("- {}\n", escape_markdown(note))));
    text.push_str("\n</details>\n\n");
    text
}

fn plan_section(plan: &ClusterRolloutPlan<'_>, space: usize) -> String {
    let (name, what) = phrases::heading(plan);
    let report = &plan.report;
    let mut text = format!("### {}: {}\n\n", code(&name), escape_markdown(&what));
    if !report.is_idle() {
        let _ = writeln!(text, "{}\n", escape_markdown(&phrases::limits(plan)));
    }
    table(&mut text, plan);
    for line in phrases::closing_lines(plan) {
        let _ = writeln!(text, "- {}", escape_markdown(&line));
    }
    if !report.warnings.is_empty() {
        let (shown, more) = fit(&report.warnings, space.saturating_sub(char_count(&text)) / 2, warning_item);
        let _ = write!(text, "\n{}", shown.concat());
        if more > 0 {
            let _ = writeln!(text, "- and {more} more");
        }
    }
    details(&mut text, plan, space);
    text.push('\n');
    text
}

fn table(text: &mut String, plan: &ClusterRolloutPlan<'_>) {
    let report = &plan.report;
    if report.batches.is_empty() {
        return;
    }
    text.push_str("| Batch | Workloads | Pods | Updated | Unavailable | Restarted | Requests |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---|\n");
    for batch in report.batches.iter().take(MAX_BATCHES) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            phrases::batch_number(plan, batch),
            phrases::first_workloads(batch, code),
            phrases::moved_pods(batch),
            escape_markdown(&phrases::updated_pods(plan, batch)),
            phrases::or_unknown(batch.max_unavailable),
            phrases::or_unknown(batch.restarted_containers),
            escape_markdown(&phrases::request_delta(batch))
        );
    }
    if let Some(more) = report.batches.len().checked_sub(MAX_BATCHES).filter(|n| *n > 0) {
        let _ = writeln!(text, "| … | and {more} more batches | | | | | |");
    }
    text.push('\n');
}

fn warning_item(warning: &Diagnostic) -> String {
    let at = warning.spans.first();
    let at = at.map_or_else(String::new, |at| code(&format!("{}:{}", at.file, at.line)) + ": ");
    let help = warning.help.as_ref().map_or_else(String::new, |help| format!(" — {}", escape_markdown(help)));
    format!(
        "- **{}** [{}]: {at}{}{help}\n",
        warning.severity.name(),
        warning.code.name(),
        escape_markdown(&warning.message)
    )
}

/// Every workload with its batch, as far as they fit.
fn details(text: &mut String, plan: &ClusterRolloutPlan<'_>, space: usize) {
    const AROUND: usize = 300;
    let report = &plan.report;
    let workloads = report.batches.iter().flat_map(|b| b.workloads.iter().map(move |w| (b, w)));
    let moved = workloads.map(|(batch, w)| {
        let (number, name) = (phrases::batch_number(plan, batch), code(&workload_title(&w.update.key)));
        format!(
            "| {number} | {name} | {} | {} |\n",
            phrases::pod_count(w),
            escape_markdown(&phrases::update_method(plan, w))
        )
    });
    let held = report.held.iter().map(|h| {
        let name = code(&workload_title(&h.key));
        format!("| {} | {name} | - | {} |\n", h.state_label(), escape_markdown(&h.description()))
    });
    let rows: Vec<String> = moved.chain(held).collect();
    if rows.is_empty() {
        return;
    }
    let left = space.saturating_sub(char_count(text) + AROUND);
    let (shown, more) = fit(&rows, left, Clone::clone);
    let _ = write!(
        text,
        "\n<details><summary>{}</summary>\n\n| Batch | Workload | Pods | How |\n|---|---|---:|---|\n{}",
        pluralize(rows.len() as u64, "move"),
        shown.concat()
    );
    if more > 0 {
        let _ = writeln!(text, "\nand {more} more, which do not fit in here");
    }
    text.push_str("\n</details>\n");
}

/// Renders as many items as fit, and counts the others.
fn fit<T>(items: &[T], space: usize, render: impl Fn(&T) -> String) -> (Vec<String>, usize) {
    let mut left = space;
    let mut shown = Vec::new();
    for item in items {
        let line = render(item);
        let Some(rest) = left.checked_sub(char_count(&line)) else { break };
        left = rest;
        shown.push(line);
    }
    let more = items.len() - shown.len();
    (shown, more)
}

fn char_count(text: &str) -> usize {
    text.chars().count()
}

/// A name as code: in code, `@name` mentions no person, and `#7` links no issue.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escape_markdown(text))
}

/// Text without any markup: everything that Markdown or HTML could act on is written as its number.
fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // A word joiner keeps `@name` and `#1` from being what they look like.
            '@' | '#' => {
                let _ = write!(out, "&#{};&#8288;", u32::from(c));
            }
            '<' | '>' | '&' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '!' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    // A bare address would become a link.
    out.replace("://", ":&#8203;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nothing_but_text() {
        let hostile = "a|b<img src=x onerror=\"1\">`c`@org/team #7 [x](http://y)\n# h";
        let text = escape_markdown(hostile);
        for mark in ["|", "<", ">", "`", "[", "]", "\n", "@org", "#7", "://"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
        assert_eq!(escape_markdown("shop/web 1.5.0 (3 x 2)"), "shop/web 1.5.0 (3 x 2)");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let rows: Vec<String> = (0..10).map(|n| format!("row {n}\n")).collect();
        let (shown, more) = fit(&rows, 15, Clone::clone);
        assert_eq!((shown.len(), more), (2, 8));
    }
}
