//! The picture of a plan: how far each batch brings the rollout, and which workloads move in it. Plain SVG.

use super::by_workload::Planned;
use super::html::escaped;
use super::words;
use crate::diag::counted;
use crate::plan::how::How;
use crate::plan::report::{Batch, Workload};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Batches that are drawn.
const BATCHES: usize = 48;
/// Workloads that have a line.
const LINES: usize = 24;
/// Characters of a name.
const NAME: usize = 40;

const WIDTH: usize = 1000;
const LEFT: usize = 270;
const TOP: usize = 24;
const CURVE: usize = 150;
const LINE: usize = 24;

/// Draws a plan; nothing where it has no batch.
pub(super) fn draw(plan: &Planned<'_>) -> String {
    let report = &plan.report;
    if report.batches.is_empty() {
        return String::new();
    }
    let picture = Picture::of(plan);
    let mut svg = String::new();
    let height = picture.height();
    let _ = write!(
        svg,
        "<svg class=\"timeline\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{0}-t {0}-d\">\n<title id=\"{0}-t\">{1}</title>\n<desc id=\"{0}-d\">{2}</desc>\n",
        id(plan),
        escaped(&format!("Timeline of the rollout of {}", report.set)),
        escaped(&described(plan))
    );
    picture.curve(&mut svg);
    picture.lines(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// A name that is unique in the page.
pub(super) fn id(plan: &Planned<'_>) -> String {
    let cluster = plan.site.cluster.as_deref().unwrap_or_default();
    let text = format!("{cluster}-{}", plan.report.set);
    format!("r{}", text.bytes().map(|b| format!("{b:02x}")).collect::<String>())
}

/// The picture in words, for those who do not see it.
fn described(plan: &Planned<'_>) -> String {
    let pods = plan.report.matched_pods;
    let each = plan.report.batches.iter().take(BATCHES);
    let parts: Vec<String> = each
        .map(|b| format!("batch {}: {}% of the pods", b.number, words::percent(b.updated, pods)))
        .collect();
    parts.join(", ")
}

struct Picture<'p> {
    plan: &'p Planned<'p>,
    batches: &'p [Batch],
    /// The moves of each workload: the place of the batch, and what moves.
    workloads: Vec<(&'p str, Vec<(usize, &'p Workload)>)>,
    more: usize,
}

impl<'p> Picture<'p> {
    fn of(plan: &'p Planned<'p>) -> Self {
        let batches = &plan.report.batches[..plan.report.batches.len().min(BATCHES)];
        let mut workloads: Vec<(&str, Vec<(usize, &Workload)>)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, batch) in batches.iter().enumerate() {
            for workload in &batch.workloads {
                let place = *places.entry(&workload.moved.key).or_insert_with(|| {
                    workloads.push((&workload.moved.key, Vec::new()));
                    workloads.len() - 1
                });
                workloads[place].1.push((i, workload));
            }
        }
        let more = workloads.len().saturating_sub(LINES);
        workloads.truncate(LINES);
        Self { plan, batches, workloads, more }
    }

    fn height(&self) -> usize {
        TOP + CURVE + 40 + (self.workloads.len() + usize::from(self.more > 0)) * LINE + 16
    }

    /// The left edge of what stands in a column, and its width.
    fn place(&self, column: usize) -> (usize, usize) {
        let edge = |column: usize| LEFT + column * (WIDTH - LEFT) / self.batches.len().max(1);
        let room = edge(column + 1) - edge(column);
        let width = room.saturating_sub(3).clamp(3, 160);
        (edge(column) + (room - width) / 2, width)
    }

    /// Numbers have no room in narrow columns.
    fn has_room(&self) -> bool {
        self.batches.len() <= 16
    }

    /// Bars that rise to what is updated, what each batch adds on top.
    fn curve(&self, svg: &mut String) {
        let bottom = TOP + CURVE;
        for share in [0, 50, 100] {
            let y = bottom - CURVE * share / 100;
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/><text class=\"axis\" x=\"{}\" y=\"{}\">{share}%</text>",
                LEFT - 8,
                y + 4
            );
        }
        let pods = self.plan.report.matched_pods;
        let mut before = 0;
        for (i, batch) in self.batches.iter().enumerate() {
            let share = words::percent(batch.updated, pods) as usize;
            let (x, width) = self.place(i);
            let (height, old) = (CURVE * share / 100, CURVE * before / 100);
            let _ = writeln!(
                svg,
                "<rect class=\"done\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{old}\"/><rect class=\"now\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{}\"><title>{}</title></rect>",
                bottom - old,
                bottom - height,
                height.saturating_sub(old),
                escaped(&said(batch, share))
            );
            let center = x + width / 2;
            if self.has_room() {
                let _ = writeln!(
                    svg,
                    "<text class=\"mid\" x=\"{center}\" y=\"{}\">{share}%</text>",
                    bottom - height - 6
                );
            }
            if self.has_room() || i % 8 == 0 {
                let _ = writeln!(
                    svg,
                    "<text class=\"mid\" x=\"{center}\" y=\"{}\">{}</text>",
                    bottom + 20,
                    batch.number
                );
            }
            before = share;
        }
        let _ = writeln!(svg, "<text class=\"axis\" x=\"{}\" y=\"{}\">batch</text>", LEFT - 8, bottom + 20);
    }

    /// One line a workload, with a mark in each batch that moves it.
    fn lines(&self, svg: &mut String) {
        let top = TOP + CURVE + 40;
        for (row, (key, moves)) in self.workloads.iter().enumerate() {
            let y = top + row * LINE;
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{0}\" x2=\"{WIDTH}\" y2=\"{0}\"/><text class=\"name\" x=\"{1}\" y=\"{2}\">{3}<title>{4}</title></text>",
                y + 8,
                LEFT - 8,
                y + 12,
                escaped(&cut(&words::name(key))),
                escaped(key)
            );
            for (column, workload) in moves {
                self.mark(svg, *column, y, workload);
            }
        }
        if self.more > 0 {
            let y = top + self.workloads.len() * LINE + 12;
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{y}\">and {} more</text>",
                LEFT - 8,
                self.more
            );
        }
    }

    fn mark(&self, svg: &mut String, column: usize, y: usize, workload: &Workload) {
        let class = match workload.moved.taking.how {
            How::InPlace => "inplace",
            How::Recreate => "recreate",
            How::NextRun | How::Never => "later",
        };
        let ((x, width), pods) = (self.place(column), words::pods(workload));
        let title =
            format!("{}: {pods}, {}", words::name(&workload.moved.key), words::how(self.plan, workload));
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"16\" rx=\"3\"><title>{}</title></rect>",
            escaped(&title)
        );
        if self.has_room() {
            let _ = writeln!(
                svg,
                "<text class=\"on\" x=\"{}\" y=\"{}\">{}</text>",
                x + width / 2,
                y + 12,
                escaped(&pods)
            );
        }
    }
}

fn said(batch: &Batch, share: usize) -> String {
    let verb = if batch.pods == 1 { "moves" } else { "move" };
    format!(
        "batch {}: {} {verb}, {share}% updated, at most {} unavailable",
        batch.number,
        counted(batch.pods.into(), "pod"),
        words::known(batch.unavailable)
    )
}

/// The end of a long name tells more than its middle.
fn cut(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let front: String = name.chars().take(NAME / 2 - 1).collect();
    let back: String = name.chars().skip(length - NAME / 2).collect();
    format!("{front}…{back}")
}
