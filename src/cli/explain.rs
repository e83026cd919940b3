//! `pillion explain KIND/NAME`: which SidecarSets reach a workload, which do not and why, and what each brings.

use super::inputs::{self, InputArgs};
use super::pipeline::{first_pass, renderers, second_pass};
use super::report::Reporter;
use super::{Common, DONE, FINDINGS, USAGE, clock, to_stdout};
use crate::inject::{Carried, Trace, Verdict};
use crate::model::ledger::Line;
use crate::plan::report::carries;
use crate::render::How;
use crate::write::Failure;
use crate::yaml::{Document, Part, Path, Seg};
use clap::Args;

/// Arguments of `pillion explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The workload: `Deployment/web`, `Deployment/shop/web` or `Deployment.apps/shop/web`
    #[arg(value_name = "KIND/NAME")]
    workload: String,
    #[command(flatten)]
    inputs: InputArgs,
}

/// Runs `pillion explain`.
pub(super) fn run(args: &ExplainArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let mut inputs = inputs::find(&args.inputs, common, None);
    reporter.add(std::mem::take(&mut inputs.diagnostics));
    if inputs.is_unusable {
        return Ok(USAGE);
    }
    let Some(wanted) = Wanted::parse(&args.workload) else {
        reporter.error(
            "pillion: a workload is named KIND/NAME or KIND/NAMESPACE/NAME, for example `Deployment/web`",
        );
        return Ok(USAGE);
    };
    inputs.leave_out_other_clusters();
    let mut first = first_pass(&mut inputs, common);
    let (renderers, wrong) = renderers(&inputs, &mut first, None, false, true);
    reporter.add(wrong);
    // What an unread file says could change every answer.
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    let mut text = String::new();
    let (mut known, today) = (Vec::new(), clock::today());
    second_pass(&first.texts, &renderers, How { closely: true }, common, |done| {
        let is_wanted = done.file.workloads.iter().any(|(key, _)| wanted.is(key));
        if is_wanted {
            reporter.add(done.file.diagnostics);
        }
        for (key, outcome) in done.file.workloads {
            if wanted.is(&key) {
                text.push_str(&explanation(&key, &done.input.name, &outcome.trace, &today));
            } else {
                known.push(key);
            }
        }
    });
    if text.is_empty() {
        reporter.error(&not_found(&args.workload, &known));
        return Ok(FINDINGS);
    }
    to_stdout(&text)?;
    Ok(if reporter.has_errors() { FINDINGS } else { DONE })
}

/// One workload: what each set does, then where each injected line comes from.
fn explanation(key: &str, file: &str, trace: &Trace, today: &str) -> String {
    let mut text = format!("{key} in {file}\n");
    for set in &trace.sets {
        let carried = trace.carried.iter().find(|c| *c.set == *set.set).map(|c| standing(c, today));
        let line = match (&set.verdict, carried) {
            (Verdict::Injected(_), Some(carried)) => format!("  {}: injected, {carried}\n", set.set),
            (Verdict::Injected(what), None) => format!("  {}: injected, {what}\n", set.set),
            (Verdict::Passed(why), Some(carried)) => {
                format!("  {}: not injected, {why} ({carried})\n", set.set)
            }
            (Verdict::Passed(why), None) => format!("  {}: not injected, {why}\n", set.set),
        };
        text.push_str(&line);
    }
    // A set of which a workload carries nothing is not looked at.
    for carried in trace.carried.iter().filter(|c| trace.sets.iter().all(|set| *set.set != *c.set)) {
        text.push_str(&format!("  {}: not injected, {}\n", carried.set, standing(carried, today)));
    }
    for origin in &trace.origins {
        let set = origin.set.as_ref().map_or_else(String::new, |s| format!("{s}, "));
        let place = origin.from.as_ref().map_or_else(String::new, |(document, path)| {
            let label = document.label(&in_ledger(document, path), Part::Key, "");
            format!(" ({}:{}:{})", label.file, label.line, label.column)
        });
        text.push_str(&format!("  + {}: {set}{}{place}\n", origin.path, origin.why));
    }
    for (path, why) in &trace.removed {
        text.push_str(&format!("  - {path}: {why}\n"));
    }
    text
}

/// Which revision a workload is at, and why.
fn standing(carried: &Carried, today: &str) -> String {
    let Carried { released, target, line, .. } = carried;
    let at = carries(line.as_ref().map_or(released, |l| &l.revision), line.as_ref());
    let Some(line) = line else {
        return match (released, target) {
            (Some(_), None) => format!("{at}, which is released"),
            (None, None) => "nothing is released".to_owned(),
            (_, Some(target)) if target == released => {
                format!("{at}, which is released and where the rollout goes back to")
            }
            (_, Some(target)) => {
                format!("{at}, which is released; the open rollout goes to {}", carries(target, None))
            }
        };
    };
    let batch = line.batch.map_or_else(String::new, |n| format!(" (batch {n})"));
    match (&line.held, target) {
        (Some(reason), _) => format!("{at}, {}", hold(line, reason, today)),
        (None, Some(target)) if *target == line.revision => {
            let kept = line.partition.map_or_else(String::new, |n| {
                format!("; its partition keeps {n} pods on {}", carries(released, None))
            });
            let what = if target == released { "where the rollout goes back to" } else { "the target" };
            format!("{at}, {what}{batch}{kept}")
        }
        (None, Some(target)) => {
            format!("{at}{batch}; the open rollout goes to {}", carries(target, None))
        }
        (None, None) => format!("{at}{batch}"),
    }
}

/// Who holds a workload, since when and until when.
fn hold(line: &Line, reason: &str, today: &str) -> String {
    let Some(by) = &line.by else { return format!("held: {reason}") };
    if line.has_ended(Some(today)) {
        let until = line.until.as_deref().unwrap_or_default();
        return format!("where it was held by {by} until {until}; a batch moves it on");
    }
    let since = line.since.as_ref().map_or_else(String::new, |day| format!(" since {day}"));
    let until = line.until.as_ref().map_or_else(String::new, |day| format!(" until {day}"));
    format!("held by {by}{since}{until}: {reason}")
}

/// In a ledger the content of a set stands under another key than in a SidecarSet.
fn in_ledger(document: &Document, path: &Path) -> Path {
    if path.find(document.value()).is_some() {
        return path.clone();
    }
    let steps = path.steps().iter().map(|step| match step {
        Seg::Key(key) if key == "spec" => Seg::Key("sidecarSet".into()),
        step => step.clone(),
    });
    let mut steps: Vec<Seg> = steps.collect();
    // The ledger's own `spec` comes first.
    if let Some(first) = steps.iter_mut().find(|step| matches!(step, Seg::Key(key) if key == "sidecarSet")) {
        *first = Seg::Key("spec".into());
    }
    let within = Path::from(steps);
    if within.find(document.value()).is_some() { within } else { path.clone() }
}

fn not_found(wanted: &str, known: &[String]) -> String {
    let near =
        known.iter().min_by_key(|key| strsim::osa_distance(&key.to_lowercase(), &wanted.to_lowercase()));
    let hint = near
        .map_or_else(|| "no workload was found at all".to_owned(), |key| format!("did you mean `{key}`?"));
    format!("pillion: there is no workload `{wanted}` among the inputs: {hint}")
}

/// A workload as a person names it.
struct Wanted<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
}

impl<'a> Wanted<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [kind, name] => Some(Self { kind, namespace: None, name }),
            [kind, namespace, name] => Some(Self { kind, namespace: Some(namespace), name }),
            _ => None,
        }
    }

    /// Tells whether a key (`KIND[.GROUP]/NAMESPACE/NAME`) is meant; kinds in any case, group and namespace
    /// only where they are named.
    fn is(&self, key: &str) -> bool {
        let mut parts = key.splitn(3, '/');
        let (Some(kind), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let plain = kind.split('.').next().unwrap_or(kind);
        (self.kind.eq_ignore_ascii_case(kind) || self.kind.eq_ignore_ascii_case(plain))
            && self.namespace.is_none_or(|n| n == namespace)
            && self.name == name
    }
}
