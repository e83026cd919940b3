//! What sidecars request: the text, and the rows that the other formats share.

use super::{column_widths, push_row};
use crate::diagnostics::{escape, pluralize};
use crate::rollout::pod_resources::PodResources;
use crate::rollout::sidecar_costs::{CostExtent, CostPrecision, CostRow, CostTable, SidecarCost};
use crate::stage::ClusterView;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// The maximum number of rows of a table in a text; `-v` shows all.
pub(super) const MAX_ROWS: usize = 10;

/// The columns after the name.
pub(super) const COLUMNS: [&str; 4] = ["Workloads", "Pods", "CPU", "Memory"];

/// What the sidecars of one cluster request.
pub(in crate::cli) struct ClusterCosts {
    /// The cluster, where pillion.yaml names clusters.
    cluster: Option<Arc<str>>,
    /// The label that names the team of a workload.
    team_label: String,
    /// The sums.
    table: CostTable,
}

/// The sums of one grouping.
pub(super) struct CostSection {
    /// The name of its first column.
    pub(super) title: &'static str,
    /// The cells of its rows: name, workloads, pods, CPU, memory.
    pub(super) rows: Vec<[String; 5]>,
}

impl ClusterCosts {
    /// Sums up the costs of a cluster.
    pub(in crate::cli) fn of(view: &ClusterView, costs: &[SidecarCost]) -> Self {
        Self {
            cluster: view.cluster.clone(),
            team_label: view.team_label().to_owned(),
            table: CostTable::of(costs),
        }
    }

    /// Returns the sentence above the tables: `in eu, sidecars request cpu 1500m -> 2 (+500m), memory 2Gi`.
    pub(super) fn heading(&self) -> String {
        let cluster = self.cluster.as_ref().map_or_else(String::new, |cluster| format!("in {cluster}, "));
        match self.table.total.workload_count() {
            0 => format!("{cluster}no workload has sidecars"),
            n if self.table.total.requests_nothing() => {
                let workloads = pluralize(n as u64, "workload");
                format!("{cluster}the sidecars of {workloads} request no cpu and no memory")
            }
            _ => {
                let [.., cpu, memory] = cells(String::new(), &self.table.total);
                format!("{cluster}sidecars request cpu {cpu}, memory {memory}")
            }
        }
    }

    /// Returns the tables with at most so many rows each.
    pub(super) fn sections(&self, max_rows: usize) -> Vec<CostSection> {
        let table = &self.table;
        let mut sections = Vec::new();
        let mut add = |title, rows: &[CostRow], unnamed: &str| {
            let cells_of = |row: &CostRow| {
                let name = row.name.as_deref().map_or_else(|| unnamed.into(), escape::line);
                cells(name.into_owned(), row)
            };
            // A line that stands for one row is as long as the row.
            let shown = if rows.len() == max_rows.saturating_add(1) { rows.len() } else { max_rows };
            let (first, rest) = rows.split_at(shown.min(rows.len()));
            let mut cells: Vec<[String; 5]> = first.iter().map(cells_of).collect();
            if !rest.is_empty() {
                cells.push(self::cells(format!("and {} more", rest.len()), &CostRow::merged(rest)));
            }
            sections.push(CostSection { title, rows: cells });
        };
        if self.has_requests() {
            add("SidecarSet", &table.sets, "");
            add("Namespace", &table.namespaces, "");
            if table.teams.iter().any(|row| row.name.is_some()) {
                add("Team", &table.teams, "(no team)");
            }
        }
        sections
    }

    /// Returns whether there is something to sum up.
    pub(super) fn has_requests(&self) -> bool {
        !self.table.total.requests_nothing()
    }

    /// Returns what the tables do not have, one sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let table = &self.table;
        let mut notes = Vec::new();
        if !self.has_requests() {
            return notes;
        }
        if !table.teams.is_empty() && table.teams.iter().all(|row| row.name.is_none()) {
            notes.push(format!(
                "no workload or namespace has the label `{}`: `teamLabel` of pillion.yaml names the label of teams",
                self.team_label
            ));
        }
        let unknown = table.total.unknown_replicas();
        if table.total.precision() != CostPrecision::Exact {
            let subject = if unknown == 1 { "its sidecars are" } else { "their sidecars are" };
            let workloads = pluralize(unknown as u64, "workload");
            notes.push(format!("number of pods unknown for {workloads}: {subject} not in the sums"));
        }
        notes
    }

    fn to_json(&self, extent: CostExtent) -> Value {
        let mut value = json!({"teamLabel": self.team_label});
        if let Some(cluster) = &self.cluster {
            value["cluster"] = json!(&**cluster);
        }
        if let (Some(value), Value::Object(table)) = (value.as_object_mut(), self.table.to_json(extent)) {
            value.extend(table);
        }
        value
    }
}

/// Returns costs as data.
pub(super) fn to_json(costs: &[ClusterCosts], extent: CostExtent) -> Value {
    costs.iter().map(|cluster| cluster.to_json(extent)).collect()
}

/// Returns costs as text, with an empty line before each cluster.
pub(in crate::cli) fn to_text(costs: &[ClusterCosts], is_verbose: bool) -> String {
    let mut text = String::new();
    for cluster in costs {
        let _ = writeln!(text, "\n{}", cluster.heading());
        let sections = cluster.sections(if is_verbose { usize::MAX } else { MAX_ROWS });
        // The tables of a text have the same columns.
        let heads: Vec<[String; 5]> = sections.iter().map(|section| head(section.title)).collect();
        let widths = column_widths(heads.iter().chain(sections.iter().flat_map(|section| &section.rows)));
        for section in sections {
            text.push('\n');
            for row in std::iter::once(&head(section.title)).chain(&section.rows) {
                push_row(&mut text, row, widths);
            }
        }
        let notes = cluster.notes();
        if !notes.is_empty() {
            text.push('\n');
        }
        notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    }
    text
}

fn head(title: &str) -> [String; 5] {
    let [workloads, pods, cpu, memory] = COLUMNS;
    [title, workloads, pods, cpu, memory].map(str::to_uppercase)
}

/// Returns the cells of a row.
fn cells(name: String, row: &CostRow) -> [String; 5] {
    let pods = match (row.pods(), row.unknown_replicas()) {
        (None, _) => "?".to_owned(),
        (Some(pods), 0) => pods.to_string(),
        (Some(pods), _) => format!(">={pods}"),
    };
    let cpu = amount(row, PodResources::cpu_text);
    let memory = amount(row, |requests| requests.memory.humanize());
    [name, row.workload_count().to_string(), pods, cpu, memory]
}

/// Returns an amount before and after a rollout: `1500m`, `1500m -> 2 (+500m)`, `>=1500m`, `?`.
fn amount(row: &CostRow, write: impl Fn(&PodResources) -> String) -> String {
    let [before, after] = row.requests.each_ref().map(&write);
    let mark = match row.precision() {
        CostPrecision::Exact => "",
        CostPrecision::AtLeast => ">=",
        CostPrecision::Unknown => return "?".to_owned(),
    };
    if before == after {
        return format!("{mark}{before}");
    }
    let [old, new] = &row.requests;
    let change = write(&new.minus(old));
    let plus = if change.starts_with('-') { "" } else { "+" };
    let change = if mark.is_empty() { format!(" ({plus}{change})") } else { String::new() };
    format!("{mark}{before} -> {mark}{after}{change}")
}
