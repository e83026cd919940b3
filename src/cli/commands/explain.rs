//! `pillion explain WORKLOAD`: explains which SidecarSets reach a workload, which do not, and what each adds.

use crate::cli::error::CommandError;
use crate::cli::inputs::{InputArgs, collect_inputs};
use crate::cli::paint::ReportKind;
use crate::cli::progress::Progress;
use crate::cli::reporter::Reporter;
use crate::cli::terminal::print_report;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, explain_code};
use crate::inject::{InjectionTrace, InjectionVerdict, LedgerTrace};
use crate::model::ledger::{LedgerEntry, PIGGYBACK_BATCH};
use crate::model::sidecar_override::OverrideHold;
use crate::model::suggestion::closest_match;
use crate::model::workload::{WorkloadQuery, WorkloadQueryError};
use crate::render::FileRenderOptions;
use crate::rollout::report::revision_with_images;
use crate::workspace::WorkspaceRenderOptions;
use crate::yaml::{Document, EntryPart, FieldPath, PathSegment};
use clap::Args;

/// Arguments of `pillion explain`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// Workload (`web`, `deploy/web`, `shop/web`, `deploy/shop/web` or its whole key), or the code of a message
    /// (`transfer-env-missing`)
    #[arg(value_name = "WORKLOAD|CODE")]
    workload: String,
    #[command(flatten)]
    inputs: InputArgs,
}

/// Runs `pillion explain`.
pub(in crate::cli) fn run(
    args: &ExplainArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let name = written_code(&args.workload);
    if let Some(code) = Code::from_name(name) {
        print_text(&explain_code(code))?;
        return Ok(EXIT_SUCCESS);
    }
    let codes = Code::ALL.iter().map(|code| code.name());
    let near = closest_match(name, codes).filter(|_| args.inputs.paths.is_empty());
    explain_named_workload(args, common, reporter).map_err(|error| match near {
        Some(code) => {
            error.hint(format!("did you mean the code `{code}`? `pillion explain {code}` explains it"))
        }
        None => error,
    })
}

/// Returns the code of a message, as a person copies it: `error[transfer-env-missing]:` too.
fn written_code(text: &str) -> &str {
    let text = text.trim().trim_end_matches(':');
    text.strip_suffix(']').and_then(|text| text.rsplit_once('[')).map_or(text, |(_, code)| code)
}

fn explain_named_workload(
    args: &ExplainArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let workspace = args.inputs.sources.open_workspace(&args.inputs.paths, common, None, reporter);
    let mut workspace = workspace.ok_or_else(|| CommandError::invalid_config([]))?;
    let wanted = WorkloadQuery::new(&args.workload);
    workspace.retain_selected_cluster();
    let mut inputs = collect_inputs(&mut workspace, common);
    let options = WorkspaceRenderOptions { trace: true, ..WorkspaceRenderOptions::default() };
    let (renderers, diagnostics) = workspace.build_renderers(&mut inputs, options);
    let (errors, remarks): (Vec<_>, Vec<_>) = diagnostics.into_iter().partition(Diagnostic::is_error);
    reporter.add(errors);
    // What an unread file says could change every answer.
    reporter.fail_on_errors()?;
    let (mut found, mut known, today) = (Vec::new(), Vec::new(), clock::today());
    let progress = Progress::new("Rendering", "files", inputs.texts.len(), common);
    let how = FileRenderOptions { explains: true, ..FileRenderOptions::default() };
    renderers.render_inputs(&inputs.texts, how, std::convert::identity, |done| {
        progress.step();
        let is_wanted = done.rendered.workloads.iter().any(|(key, _)| wanted.matches(key));
        if is_wanted {
            // Warnings about the other workloads of the file would hide the answer.
            reporter.add(done.rendered.diagnostics.into_iter().filter(Diagnostic::is_error));
        }
        for (key, outcome) in done.rendered.workloads {
            if wanted.matches(&key) {
                reporter.add(outcome.diagnostics);
                let text = explain_workload(&key, &done.input.name, &outcome.trace, &today);
                found.push((key, text));
            } else {
                known.push(key);
            }
        }
    });
    let known: Vec<&str> = known.iter().map(|key| &**key).collect();
    if found.is_empty() {
        return Err(match wanted.unknown(&known) {
            error @ WorkloadQueryError::Invalid(_) => CommandError::usage(error.to_string()),
            error => CommandError::findings(error.to_string()),
        });
    }
    // They say nothing about a workload that does not exist.
    reporter.add(remarks);
    // The same key in several clusters is one name.
    let key = wanted.find(found.iter().map(|(key, _)| &**key)).map(str::to_owned);
    let key = key.map_err(|error| CommandError::findings(error.to_string()))?;
    let text: String =
        found.iter().filter(|(found, _)| **found == *key).map(|(_, text)| text.as_str()).collect();
    print_report(&text, ReportKind::Explanation, common)?;
    Ok(if reporter.has_errors() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// One workload: what each set does, then where each injected line comes from.
fn explain_workload(key: &str, file: &str, trace: &InjectionTrace, today: &str) -> String {
    let mut text = format!("{key} in {file}\n");
    for set in &trace.sets {
        let revision = trace.ledgers.iter().find(|c| *c.set == *set.set).map(|c| describe_revision(c, today));
        let line = match (&set.verdict, revision) {
            (InjectionVerdict::Injected(_), Some(revision)) => {
                format!("  {}: injected, {revision}\n", set.set)
            }
            (InjectionVerdict::Injected(what), None) => format!("  {}: injected, {what}\n", set.set),
            (InjectionVerdict::Skipped(why), Some(revision)) => {
                format!("  {}: not injected, {why} ({revision})\n", set.set)
            }
            (InjectionVerdict::Skipped(why), None) => format!("  {}: not injected, {why}\n", set.set),
        };
        text.push_str(&line);
    }
    // A set of which a workload has nothing is not considered.
    for ledger in trace.ledgers.iter().filter(|c| trace.sets.iter().all(|set| *set.set != *c.set)) {
        text.push_str(&format!("  {}: not injected, {}\n", ledger.set, describe_revision(ledger, today)));
    }
    for origin in &trace.origins {
        let set = origin.set.as_ref().map_or_else(String::new, |s| format!("{s}, "));
        let place = origin.from.as_ref().map_or_else(String::new, |(document, path)| {
            let label = document.label(&path_in_ledger(document, path), EntryPart::Key, "");
            format!(" ({label})")
        });
        text.push_str(&format!("  + {}: {set}{}{place}\n", origin.path, origin.reason));
    }
    for (path, why) in &trace.removed {
        text.push_str(&format!("  - {path}: {why}\n"));
    }
    text
}

/// Which revision a workload is at, and why.
fn describe_revision(ledger: &LedgerTrace, today: &str) -> String {
    let LedgerTrace { released, target, entry, override_hold, .. } = ledger;
    let override_hold = override_hold.as_ref().filter(|hold| *hold.until >= *today);
    let at = revision_with_images(entry.as_ref().map_or(released, |e| &e.revision), entry.as_ref());
    let Some(entry) = entry.as_ref().filter(|entry| !entry.is_settled(released)) else {
        let held =
            override_hold.map_or_else(String::new, |hold| format!("; {}", describe_override_hold(hold)));
        let revision = match (released, target) {
            (Some(_), None) => format!("{at}, which is released"),
            (None, None) => "nothing is released".to_owned(),
            (_, Some(target)) if target == released => {
                format!("{at}, which is released and where the rollout goes back to")
            }
            (_, Some(target)) => {
                format!(
                    "{at}, which is released; the open rollout goes to {}",
                    revision_with_images(target, None)
                )
            }
        };
        return format!("{revision}{held}");
    };
    let batch = match entry.batch {
        Some(PIGGYBACK_BATCH) => " (with its own change)".to_owned(),
        Some(n) => format!(" (batch {n})"),
        None => String::new(),
    };
    let held = override_hold.filter(|_| entry.hold_reason.is_none());
    let held = held.map_or_else(String::new, |hold| format!("; {}", describe_override_hold(hold)));
    let revision = match (&entry.hold_reason, target) {
        (Some(reason), _) => format!("{at}, {}", describe_hold(entry, reason, today, override_hold)),
        (None, Some(target)) if *target == entry.revision => {
            let kept = entry.partition.map_or_else(String::new, |n| {
                format!("; its partition keeps {n} pods on {}", revision_with_images(released, None))
            });
            let what = if target == released { "where the rollout goes back to" } else { "the target" };
            let half = match &entry.hot_upgrades.from {
                Some(from) => {
                    format!("; the containers of {from} work until the second half of its hot upgrade")
                }
                None => String::new(),
            };
            format!("{at}, {what}{batch}{kept}{half}")
        }
        (None, Some(_)) if entry.piggyback.is_some() => {
            let next = revision_with_images(&entry.piggyback, None);
            format!("{at}{batch}; with its own next change it takes {next}")
        }
        (None, Some(target)) => {
            format!("{at}{batch}; the open rollout goes to {}", revision_with_images(target, None))
        }
        (None, None) => format!("{at}{batch}"),
    };
    format!("{revision}{held}")
}

/// Who holds a workload, since when and until when.
fn describe_hold(
    entry: &LedgerEntry,
    reason: &str,
    today: &str,
    override_hold: Option<&OverrideHold>,
) -> String {
    let Some(by) = &entry.held_by else { return format!("held: {reason}") };
    match (entry.is_held_by_override(), override_hold) {
        (true, Some(hold)) => return describe_override_hold(hold),
        (true, None) => return format!("where it was held by {by}; a batch moves it on"),
        (false, _) => {}
    }
    if entry.is_hold_expired(Some(today)) {
        let until = entry.held_until.as_deref().unwrap_or_default();
        return format!("where it was held by {by} until {until}; a batch moves it on");
    }
    let since = entry.held_since.as_ref().map_or_else(String::new, |day| format!(" since {day}"));
    let until = entry.held_until.as_ref().map_or_else(String::new, |day| format!(" until {day}"));
    format!("held by {by}{since}{until}: {reason}")
}

fn describe_override_hold(hold: &OverrideHold) -> String {
    format!("held by {} until {}: {} ({})", hold.by, hold.until, hold.reason, hold.place)
}

/// In a ledger the content of a set stands under another key than in a SidecarSet.
fn path_in_ledger(document: &Document, path: &FieldPath) -> FieldPath {
    if path.find(document.value()).is_some() {
        return path.clone();
    }
    let steps = path.segments().iter().map(|step| match step {
        PathSegment::Key(key) if key == "spec" => PathSegment::Key("sidecarSet".into()),
        step => step.clone(),
    });
    let mut steps: Vec<PathSegment> = steps.collect();
    // The ledger's own `spec` comes first.
    if let Some(first) =
        steps.iter_mut().find(|step| matches!(step, PathSegment::Key(key) if key == "sidecarSet"))
    {
        *first = PathSegment::Key("spec".into());
    }
    let within = FieldPath::from(steps);
    if within.find(document.value()).is_some() { within } else { path.clone() }
}
