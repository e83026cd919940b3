//! Prints the figures, and compares them with the goals.

use crate::measure::Cost;
use std::collections::BTreeMap;
use std::fmt;

/// The yardstick: one parse of the same files into events.
pub(crate) const EVENTS: &str = "saphyr events, one core";
pub(crate) const RENDER: &str = "render";
pub(crate) const OUT: &str = "render --out, unchanged";
pub(crate) const FUNCTION: &str = "KRM function";
pub(crate) const CMP: &str = "cmp generate";
pub(crate) const APPLICATION: &str = "cmp generate, 10 workloads";
pub(crate) const KUSTOMIZE: &str = "kustomize build";
pub(crate) const PLAN: &str = "plan";
pub(crate) const STAGE: &str = "stage";

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Measured {
    pub(crate) workloads: usize,
    pub(crate) name: &'static str,
    /// By the other pillion.
    pub(crate) is_other: bool,
}

/// The costs of every run.
#[derive(Default)]
pub(crate) struct Report {
    costs: BTreeMap<Measured, Vec<Cost>>,
}

impl Report {
    pub(crate) fn add(&mut self, what: Measured, cost: Cost) {
        self.costs.entry(what).or_default().push(cost);
    }

    /// Returns the run with the median CPU time, with the highest peak of all; `None` where a run failed.
    fn median(&self, what: Measured) -> Option<Cost> {
        let mut costs = self.costs.get(&what)?.clone();
        if costs.iter().any(|cost| cost.failure.is_some()) {
            return None;
        }
        costs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
        let peak = costs.iter().map(|cost| cost.peak).fold(0.0, f64::max);
        Some(Cost { peak, ..costs[(costs.len() - 1) / 2].clone() })
    }

    /// Returns the table of goals: `sizes` are those of the integrations, of render, plan and stage, of the large plan
    /// and of the large render.
    pub(crate) fn goals(&self, sizes: [usize; 4]) -> String {
        let [small, middle, plan, large] = sizes;
        let mut text = String::from("| goal | limit | this | other |\n|---|---|---|---|\n");
        let mut row = |what: String, limit: &str, digits: usize, value: &dyn Fn(bool) -> Option<f64>| {
            let shown = |is_other| value(is_other).map_or(String::new(), |value| format!("{value:.digits$}"));
            text += &format!("| {what} | {limit} | {} | {} |\n", shown(false), shown(true));
        };
        let get = |name, workloads, is_other| {
            // The yardstick and kustomize are not measured twice.
            let is_other = is_other && ![EVENTS, KUSTOMIZE].contains(&name);
            self.median(Measured { workloads, name, is_other })
        };
        let ratio = |a: Option<Cost>, b: Option<Cost>| Some(a?.cpu / b?.cpu);
        row(format!("render {middle}: CPU / yardstick"), "0.75", 2, &|other| {
            ratio(get(RENDER, middle, other), get(EVENTS, middle, other))
        });
        row(format!("render {middle}: wall s"), "0.45", 2, &|other| Some(get(RENDER, middle, other)?.wall));
        row(format!("kustomize / render {small}: CPU"), "at least 600", 0, &|other| {
            ratio(get(KUSTOMIZE, small, other), get(RENDER, small, other))
        });
        row(format!("render {middle}, --out, unchanged / render: CPU"), "0.9", 2, &|other| {
            ratio(get(OUT, middle, other), get(RENDER, middle, other))
        });
        row(format!("render {large}: wall s"), "12", 1, &|other| Some(get(RENDER, large, other)?.wall));
        row(format!("render {large}: MiB"), "200", 0, &|other| Some(get(RENDER, large, other)?.peak));
        row(format!("render {middle} to {large}: exponent of CPU"), "1.02", 2, &|other| {
            let growth = ratio(get(RENDER, large, other), get(RENDER, middle, other))?;
            Some(growth.ln() / (large as f64 / middle as f64).ln()).filter(|exponent| exponent.is_finite())
        });
        for (name, workloads, seconds, peak) in
            [(PLAN, middle, "0.6", "200"), (PLAN, plan, "4", "512"), (STAGE, middle, "1.5", "300")]
        {
            row(format!("{name} {workloads}: wall s"), seconds, 2, &|other| {
                Some(get(name, workloads, other)?.wall)
            });
            row(format!("{name} {workloads}: MiB"), peak, 0, &|other| {
                Some(get(name, workloads, other)?.peak)
            });
        }
        for (name, limit) in [(FUNCTION, "0.05"), (CMP, ""), (APPLICATION, "0.02")] {
            row(format!("{name} ({small}): wall s"), limit, 3, &|other| Some(get(name, small, other)?.wall));
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n| workloads | command | pillion | runs | wall s | CPU s | peak MiB |\n|---|---|---|---|---|---|---|"
        )?;
        for (what, costs) in &self.costs {
            let Measured { workloads, name, is_other } = *what;
            let (pillion, runs) = (if is_other { "other" } else { "this" }, costs.len());
            let figures = match (self.median(*what), costs.iter().find_map(|cost| cost.failure.as_ref())) {
                (Some(Cost { wall, cpu, peak, .. }), _) => format!("{wall:.3} | {cpu:.3} | {peak:.0}"),
                (None, failure) => format!("{} | | ", failure.map_or("", String::as_str)),
            };
            writeln!(f, "| {workloads} | {name} | {pillion} | {runs} | {figures} |")?;
        }
        Ok(())
    }
}
