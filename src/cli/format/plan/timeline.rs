//! The picture of a plan: how far each batch brings the rollout, and which workloads move in it. Plain SVG.

use super::phrases;
use super::{ClusterRolloutPlan, escape_html};
use crate::diagnostics::pluralize;
use crate::rollout::report::{BatchReport, WorkloadReport, workload_title};
use crate::rollout::update_method::UpdateMethod;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Batches that are drawn.
const MAX_BATCHES: usize = 48;
/// Workloads that have a line.
const MAX_ROWS: usize = 24;
/// Characters of a name.
const MAX_NAME_CHARS: usize = 40;

const WIDTH: usize = 1000;
const CHART_LEFT: usize = 270;
const CHART_TOP: usize = 24;
const CHART_HEIGHT: usize = 150;
const ROW_HEIGHT: usize = 24;

/// Draws a plan; nothing where it has no batch.
pub(super) fn draw(plan: &ClusterRolloutPlan<'_>) -> String {
    let report = &plan.report;
    if report.batches.is_empty() {
        return String::new();
    }
    let picture = Timeline::from_plan(plan);
    let mut svg = String::new();
    let height = picture.height();
    let _ = write!(
        svg,
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">\n<title id=\"{0}-t\">{1}</title>\n<desc id=\"{0}-d\">{2}</desc>\n",
        element_id(plan),
        escape_html(&format!("Timeline of the rollout of {}", plan.rollout.name())),
        escape_html(&describe(plan))
    );
    picture.draw_bars(&mut svg);
    picture.draw_rows(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// A name that is unique in the page.
pub(super) fn element_id(plan: &ClusterRolloutPlan<'_>) -> String {
    let cluster = plan.cluster_view.cluster.as_deref().unwrap_or_default();
    let text = format!("{cluster}-{}", plan.rollout.name());
    format!("r{}", text.bytes().map(|b| format!("{b:02x}")).collect::<String>())
}

/// The picture in words, for those who do not see it.
fn describe(plan: &ClusterRolloutPlan<'_>) -> String {
    let each = plan.report.batches.iter().take(MAX_BATCHES);
    let parts: Vec<String> = each
        .map(|b| format!("batch {}: {} of the pods", b.number, phrases::updated_share(plan, b)))
        .collect();
    parts.join(", ")
}

struct Timeline<'p> {
    plan: &'p ClusterRolloutPlan<'p>,
    batches: &'p [BatchReport],
    /// The moves of each workload: the place of the batch, and what moves.
    workloads: Vec<(&'p str, Vec<(usize, &'p WorkloadReport)>)>,
    hidden_workloads: usize,
}

impl<'p> Timeline<'p> {
    fn from_plan(plan: &'p ClusterRolloutPlan<'p>) -> Self {
        let batches = &plan.report.batches[..plan.report.batches.len().min(MAX_BATCHES)];
        let mut workloads: Vec<(&str, Vec<(usize, &WorkloadReport)>)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, batch) in batches.iter().enumerate() {
            for workload in &batch.workloads {
                let place = *places.entry(&workload.update.key).or_insert_with(|| {
                    workloads.push((&workload.update.key, Vec::new()));
                    workloads.len() - 1
                });
                workloads[place].1.push((i, workload));
            }
        }
        let more = workloads.len().saturating_sub(MAX_ROWS);
        workloads.truncate(MAX_ROWS);
        Self { plan, batches, workloads, hidden_workloads: more }
    }

    fn height(&self) -> usize {
        CHART_TOP
            + CHART_HEIGHT
            + 40
            + (self.workloads.len() + usize::from(self.hidden_workloads > 0)) * ROW_HEIGHT
            + 16
    }

    /// The left edge of what stands in a column, and its width.
    fn column_position(&self, column: usize) -> (usize, usize) {
        let edge = |column: usize| CHART_LEFT + column * (WIDTH - CHART_LEFT) / self.batches.len().max(1);
        let space = edge(column + 1) - edge(column);
        let width = space.saturating_sub(3).clamp(3, 160);
        (edge(column) + (space - width) / 2, width)
    }

    /// Numbers do not fit into narrow columns.
    fn has_labels(&self) -> bool {
        self.batches.len() <= 16
    }

    /// Bars that rise to what is updated, what each batch adds on top.
    fn draw_bars(&self, svg: &mut String) {
        let bottom = CHART_TOP + CHART_HEIGHT;
        for share in [0, 50, 100] {
            let y = bottom - CHART_HEIGHT * share / 100;
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{CHART_LEFT}\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/><text class=\"axis\" x=\"{}\" y=\"{}\">{share}%</text>",
                CHART_LEFT - 8,
                y + 4
            );
        }
        let report = &self.plan.report;
        let has_unknown_pods_only = report.matched_pods == 0 && report.unknown_replicas > 0;
        let mut before = 0;
        for (i, batch) in self.batches.iter().enumerate() {
            let share = match has_unknown_pods_only {
                true => 0,
                false => phrases::percent(batch.updated_pods, report.matched_pods) as usize,
            };
            let label = phrases::updated_share(self.plan, batch);
            let (x, width) = self.column_position(i);
            let (height, old) = (CHART_HEIGHT * share / 100, CHART_HEIGHT * before / 100);
            let _ = writeln!(
                svg,
                "<rect class=\"done\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{old}\"/><rect class=\"now\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{}\"><title>{}</title></rect>",
                bottom - old,
                bottom - height,
                height.saturating_sub(old),
                escape_html(&batch_title(batch, &label))
            );
            let center = x + width / 2;
            if self.has_labels() {
                let _ = writeln!(
                    svg,
                    "<text class=\"mid\" x=\"{center}\" y=\"{}\">{}</text>",
                    bottom - height - 6,
                    escape_html(&label)
                );
            }
            if self.has_labels() || i % 8 == 0 {
                let _ = writeln!(
                    svg,
                    "<text class=\"mid\" x=\"{center}\" y=\"{}\">{}</text>",
                    bottom + 20,
                    batch.number
                );
            }
            before = share;
        }
        let _ =
            writeln!(svg, "<text class=\"axis\" x=\"{}\" y=\"{}\">batch</text>", CHART_LEFT - 8, bottom + 20);
    }

    /// One line a workload, with a mark in each batch that moves it.
    fn draw_rows(&self, svg: &mut String) {
        let top = CHART_TOP + CHART_HEIGHT + 40;
        for (row, (key, moves)) in self.workloads.iter().enumerate() {
            let y = top + row * ROW_HEIGHT;
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{CHART_LEFT}\" y1=\"{0}\" x2=\"{WIDTH}\" y2=\"{0}\"/><text class=\"name\" x=\"{1}\" y=\"{2}\">{3}<title>{4}</title></text>",
                y + 8,
                CHART_LEFT - 8,
                y + 12,
                escape_html(&shorten_name(&workload_title(key))),
                escape_html(key)
            );
            for (column, workload) in moves {
                self.draw_mark(svg, *column, y, workload);
            }
        }
        if self.hidden_workloads > 0 {
            let y = top + self.workloads.len() * ROW_HEIGHT + 12;
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{y}\">and {} more</text>",
                CHART_LEFT - 8,
                self.hidden_workloads
            );
        }
    }

    fn draw_mark(&self, svg: &mut String, column: usize, y: usize, workload: &WorkloadReport) {
        let class = match workload.update.behavior.method {
            UpdateMethod::InPlace => "inplace",
            UpdateMethod::Recreate => "recreate",
            UpdateMethod::NextRun | UpdateMethod::Never => "later",
        };
        let ((x, width), pods) = (self.column_position(column), phrases::pod_count(workload));
        let title = format!(
            "{}: {pods}, {}",
            workload_title(&workload.update.key),
            phrases::update_method(self.plan, workload)
        );
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"16\" rx=\"3\"><title>{}</title></rect>",
            escape_html(&title)
        );
        if self.has_labels() {
            let _ = writeln!(
                svg,
                "<text class=\"on\" x=\"{}\" y=\"{}\">{}</text>",
                x + width / 2,
                y + 12,
                escape_html(&pods)
            );
        }
    }
}

fn batch_title(batch: &BatchReport, share: &str) -> String {
    let (pods, verb) = match phrases::has_unknown_pods(batch) {
        true => ("an unknown number of pods".to_owned(), "moves"),
        false if batch.changed_pods == 1 => ("1 pod".to_owned(), "moves"),
        false => (pluralize(batch.changed_pods.into(), "pod"), "move"),
    };
    format!(
        "batch {}: {pods} {verb}, {share} updated, at most {} unavailable",
        batch.number,
        phrases::or_unknown(batch.max_unavailable)
    )
}

/// The end of a long name tells more than its middle.
fn shorten_name(name: &str) -> String {
    let length = name.chars().count();
    if length <= MAX_NAME_CHARS {
        return name.to_owned();
    }
    let front: String = name.chars().take(MAX_NAME_CHARS / 2 - 1).collect();
    let back: String = name.chars().skip(length - MAX_NAME_CHARS / 2).collect();
    format!("{front}…{back}")
}
