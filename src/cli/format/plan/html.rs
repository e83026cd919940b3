//! A plan as one HTML file without scripts or other files, in a light and a dark theme and for print.

use super::{ClusterRolloutPlan, PlanView, escape_html};
use super::{phrases, timeline};
use crate::cli::format::costs::{COLUMNS, ClusterCosts};
use crate::diagnostics::Diagnostic;
use crate::rollout::report::workload_title;
use std::fmt::Write as _;

/// Workloads that are listed.
const MAX_WORKLOADS: usize = 2000;

const STYLE: &str = include_str!("plan.css");

/// Renders plans.
pub(in crate::cli) fn render(shown: &PlanView<'_>) -> String {
    let names: Vec<String> = shown.plans.iter().map(|plan| phrases::heading(plan).0).collect();
    let title = if names.is_empty() { "nothing to plan".to_owned() } else { names.join(", ") };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Rollout plan: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Rollout plan</h1>\n",
        escape_html(&title)
    );
    if let Some(base) = &shown.base {
        let _ = writeln!(page, "<p class=\"base\">based on commit <code>{}</code></p>", escape_html(base));
    }
    if shown.plans.is_empty() {
        page.push_str("<p>No SidecarSet has a ledger or needs one.</p>\n");
    }
    shown.plans.iter().for_each(|plan| section(&mut page, plan));
    let costs = shown.costs.iter().flatten().filter(|cluster| cluster.has_requests());
    costs.for_each(|cluster| costs_section(&mut page, cluster));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn section(page: &mut String, plan: &ClusterRolloutPlan<'_>) {
    let (name, what) = phrases::heading(plan);
    let report = &plan.report;
    let id = timeline::element_id(plan);
    let _ = writeln!(
        page,
        "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{} <small>{}</small></h2>",
        escape_html(&name),
        escape_html(&what)
    );
    if !report.is_idle() {
        let _ = writeln!(page, "<p>{}</p>", escape_html(&phrases::limits(plan)));
        tiles(page, plan);
    }
    page.push_str(&timeline::draw(plan));
    if !report.batches.is_empty() {
        page.push_str("<p class=\"legend\"><span class=\"inplace\">in place</span> <span class=\"recreate\">recreated</span> <span class=\"later\">with the pods made next</span></p>\n");
        batches(page, plan);
    }
    let ending = phrases::closing_lines(plan);
    if !ending.is_empty() {
        let lines: Vec<String> =
            ending.iter().map(|line| format!("<li>{}</li>", escape_html(line))).collect();
        let _ = writeln!(page, "<ul>{}</ul>", lines.join(""));
    }
    warnings(page, &report.warnings);
    workloads(page, plan);
    page.push_str("</section>\n");
}

/// What the sidecars of a cluster request.
fn costs_section(page: &mut String, costs: &ClusterCosts) {
    let _ = writeln!(page, "<section>\n<h2>Costs <small>{}</small></h2>", escape_html(&costs.heading()));
    for section in costs.sections(MAX_WORKLOADS) {
        let heads: String = COLUMNS.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
        let _ = writeln!(
            page,
            "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">{}</th>{heads}</tr></thead>\n<tbody>",
            section.title
        );
        for [name, numbers @ ..] in section.rows {
            let cells: String =
                numbers.iter().map(|cell| format!("<td>{}</td>", escape_html(cell))).collect();
            let _ = writeln!(page, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escape_html(&name));
        }
        page.push_str("</tbody>\n</table></div>\n");
    }
    for note in costs.notes() {
        let _ = writeln!(page, "<p>{}</p>", escape_html(&note));
    }
    page.push_str("</section>\n");
}

fn tiles(page: &mut String, plan: &ClusterRolloutPlan<'_>) {
    let report = &plan.report;
    let unavailable = report.batches.iter().map(|b| b.max_unavailable).max_by_key(|n| n.unwrap_or(u64::MAX));
    let tiles = [
        ("workloads", report.matched_workloads.to_string()),
        ("pods", report.matched_pods.to_string()),
        ("batches", report.batch_count().to_string()),
        ("most unavailable", phrases::or_unknown(unavailable.unwrap_or(Some(0)))),
    ];
    page.push_str("<dl class=\"tiles\">");
    for (name, value) in tiles {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>\n");
}

fn batches(page: &mut String, plan: &ClusterRolloutPlan<'_>) {
    page.push_str("<div class=\"wide\"><table class=\"batches\">\n<caption>Batches</caption>\n<thead><tr><th scope=\"col\">Batch</th><th scope=\"col\">Workloads</th><th scope=\"col\">Pods</th><th scope=\"col\">Updated</th><th scope=\"col\">Unavailable</th><th scope=\"col\">Restarted</th><th scope=\"col\">Requests</th></tr></thead>\n<tbody>\n");
    for batch in &plan.report.batches {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            phrases::batch_number(plan, batch),
            escape_html(&phrases::first_workloads(batch, str::to_owned)),
            phrases::moved_pods(batch),
            escape_html(&phrases::updated_pods(plan, batch)),
            phrases::or_unknown(batch.max_unavailable),
            phrases::or_unknown(batch.restarted_containers),
            escape_html(&phrases::request_delta(batch))
        );
    }
    page.push_str("</tbody>\n</table></div>\n");
}

fn warnings(page: &mut String, warnings: &[Diagnostic]) {
    if warnings.is_empty() {
        return;
    }
    page.push_str("<h3>Warnings</h3>\n<ul class=\"warnings\">\n");
    for warning in warnings {
        let at = warning.spans.first();
        let at =
            at.map_or_else(String::new, |at| format!(" <code>{}:{}</code>", escape_html(&at.file), at.line));
        let help =
            warning.help.as_ref().map_or_else(String::new, |help| format!("<br>{}", escape_html(help)));
        let _ = writeln!(
            page,
            "<li class=\"{0}\"><strong>{0}</strong> [{1}]: {2}{at}{help}</li>",
            warning.severity.name(),
            warning.code.name(),
            escape_html(&warning.message)
        );
    }
    page.push_str("</ul>\n");
}

/// Every workload with its batch.
fn workloads(page: &mut String, plan: &ClusterRolloutPlan<'_>) {
    let report = &plan.report;
    let all = report.batches.iter().flat_map(|b| b.workloads.iter().map(move |w| (b, w)));
    let count = all.clone().count();
    if count + report.held.len() == 0 {
        return;
    }
    page.push_str("<div class=\"wide\"><table>\n<caption>Workloads</caption>\n<thead><tr><th scope=\"col\">Batch</th><th scope=\"col\">Workload</th><th scope=\"col\">Pods</th><th scope=\"col\">How</th></tr></thead>\n<tbody>\n");
    for (batch, workload) in all.take(MAX_WORKLOADS) {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            phrases::batch_number(plan, batch),
            escape_html(&workload_title(&workload.update.key)),
            phrases::pod_count(workload),
            escape_html(&phrases::update_method(plan, workload))
        );
    }
    for held in report.held.iter().take(MAX_WORKLOADS) {
        let (word, name, why) =
            (held.state_label(), escape_html(&workload_title(&held.key)), escape_html(&held.description()));
        let _ =
            writeln!(page, "<tr><td>{word}</td><th scope=\"row\">{name}</th><td>-</td><td>{why}</td></tr>");
    }
    page.push_str("</tbody>\n</table></div>\n");
    let more = count.saturating_sub(MAX_WORKLOADS) + report.held.len().saturating_sub(MAX_WORKLOADS);
    if more > 0 {
        let _ = writeln!(page, "<p>and {more} more</p>");
    }
}
