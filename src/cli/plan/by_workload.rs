//! `pillion plan`: the whole rollout, batch by batch, over workloads.

use super::sites::{self, Found, Stop};
use super::{Output, PlanArgs, html, json, markdown, text};
use crate::cli::report::Reporter;
use crate::cli::{Common, DONE, ENVIRONMENT, FINDINGS, Format, USAGE, clock, to_stdout};
use crate::diag::Diagnostic;
use crate::plan::observed::{Observed, observed};
use crate::plan::report::{Extent, Report, report};
use crate::plan::{Circumstances, Course, Near};
use crate::read::{Disk, named, text as text_of};
use crate::stage::{Site, selects_nothing};
use crate::write::Failure;

/// One rollout of one cluster, planned.
pub(super) struct Planned<'s> {
    /// What is known of the cluster.
    pub(super) site: &'s Site,
    /// What does not change while it goes on.
    pub(super) course: Course<'s>,
    /// The plan.
    pub(super) report: Report,
}

/// Everything that is shown.
pub(super) struct Shown<'s> {
    /// The commit that everything stands on.
    pub(super) base: Option<String>,
    /// The rollouts, by cluster and name.
    pub(super) plans: Vec<Planned<'s>>,
    /// Only the next step was asked for.
    pub(super) is_next: bool,
    /// Long lists are shown in full.
    pub(super) is_verbose: bool,
}

/// Runs the workload-level form of `pillion plan`.
pub(super) fn run(args: &PlanArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let seen = match &args.observed {
        Some(file) => match look(file) {
            Ok(seen) => seen,
            Err(wrong) => {
                reporter.add([wrong]);
                return Ok(FINDINGS);
            }
        },
        None => Observed::default(),
    };
    let Found { base, sites } = match sites::find(args, common, reporter) {
        Ok(found) => found,
        Err(Stop::Told(code)) => return Ok(code),
        Err(Stop::Usage(why)) => {
            reporter.error(&format!("pillion: {why}"));
            return Ok(USAGE);
        }
        Err(Stop::Failed(failure)) => {
            reporter.failure(&failure);
            return Ok(if failure.is_retryable() { ENVIRONMENT } else { USAGE });
        }
    };
    let mut plans = Vec::new();
    for site in &sites {
        plans.extend(planned(site, &sites, &seen, args, reporter));
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    let shown = Shown { base, plans, is_next: args.next, is_verbose: common.verbose };
    to_stdout(&match args.output {
        Output::Text => text::render(&shown),
        Output::Json => json::render(&shown),
        Output::Markdown => markdown::render(&shown),
        Output::Html => html::render(&shown),
    })?;
    let warnings = || shown.plans.iter().flat_map(|p| &p.report.warnings);
    if common.format != Format::Human {
        reporter.add(warnings().cloned());
    }
    Ok(if warnings().any(Diagnostic::is_error) { FINDINGS } else { DONE })
}

fn look(file: &std::path::PathBuf) -> Result<Observed, Diagnostic> {
    let input = named(std::slice::from_ref(file)).remove(0);
    observed(&input.name, &text_of(&input, &Disk)?)
}

/// Plans every rollout of one cluster.
fn planned<'s>(
    site: &'s Site,
    sites: &[Site],
    seen: &Observed,
    args: &PlanArgs,
    reporter: &mut Reporter,
) -> Vec<Planned<'s>> {
    let today = Some(clock::today());
    let given = Circumstances { observed: seen.pods.clone(), today, ..Circumstances::default() };
    let near: Vec<&Near> = site.surroundings.objects().iter().chain(&seen.near).collect();
    let extent = if args.next { Extent::Next } else { Extent::Whole };
    let all: Vec<&Site> = sites.iter().collect();
    let mut plans = Vec::new();
    for name in site.names().iter().filter(|name| site.prepared.ledgers.contains_key(*name)) {
        let (course, wrong) = site.course(name);
        reporter.add(wrong);
        let mut report = report(&course, &site.ledger(name), &given, &near, extent);
        report.warnings.extend(selects_nothing(site, &all, name));
        plans.push(Planned { site, course, report });
    }
    plans
}
