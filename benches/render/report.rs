//! Prints the figures.

use crate::measure::Cost;
use std::fmt;

/// The row that ratios are taken against.
pub(crate) const EVENTS: &str = "saphyr events, one core";
/// The row that the goals are about.
pub(crate) const RENDER: &str = "pillion render";
/// The peer.
pub(crate) const KUSTOMIZE: &str = "kustomize build";

/// One step and its cost in the median run.
pub(crate) struct Row {
    name: &'static str,
    cost: Cost,
    runs: usize,
}

impl Row {
    /// Takes the run with the median CPU time, and the highest peak of all.
    pub(crate) fn new(name: &'static str, mut costs: Vec<Cost>) -> Self {
        costs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
        let peak = costs.iter().map(|c| c.peak).fold(0.0, f64::max);
        let failure = costs.iter().find_map(|c| c.failure.clone());
        let cost = Cost { peak, failure, ..costs[(costs.len() - 1) / 2].clone() };
        Self { name, cost, runs: costs.len() }
    }
}

/// The steps of one size.
pub(crate) struct Table {
    pub(crate) workloads: usize,
    pub(crate) facts: String,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    fn cost(&self, name: &str) -> Option<&Cost> {
        self.rows.iter().find(|r| r.name == name).map(|r| &r.cost).filter(|c| c.failure.is_none())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} workloads: {}\n", self.workloads, self.facts)?;
        writeln!(
            f,
            "| step | runs | wall s | CPU s | peak MiB | CPU / {EVENTS} |\n|---|---|---|---|---|---|"
        )?;
        let unit = self.cost(EVENTS).map_or(f64::NAN, |c| c.cpu);
        for Row { name, cost: c, runs } in &self.rows {
            match &c.failure {
                Some(failure) => writeln!(f, "| {name} | {runs} | {failure} | | | |")?,
                None => writeln!(
                    f,
                    "| {name} | {runs} | {:.3} | {:.3} | {:.1} | {:.2} |",
                    c.wall,
                    c.cpu,
                    c.peak,
                    c.cpu / unit
                )?,
            }
        }
        if let (Some(render), Some(kustomize)) = (self.cost(RENDER), self.cost(KUSTOMIZE)) {
            writeln!(f, "\nkustomize takes {:.0} times the CPU of pillion", kustomize.cpu / render.cpu)?;
        }
        Ok(())
    }
}

/// Says how the cost of each step grows from each size to the next: 1.00 is linear.
pub(crate) fn growth(tables: &[Table]) -> String {
    let mut text = String::from("growth of CPU time (exponent, 1.00 is linear)\n");
    for pair in tables.windows(2) {
        let [small, big] = pair else { continue };
        for row in &big.rows {
            let (Some(a), Some(b)) = (small.cost(row.name), big.cost(row.name)) else { continue };
            let exponent = (b.cpu / a.cpu).ln() / (big.workloads as f64 / small.workloads as f64).ln();
            text += &format!("{} -> {}: {} {exponent:.2}\n", small.workloads, big.workloads, row.name);
        }
    }
    text
}
