//! `pillion explain KIND/NAME`: which SidecarSets reach a workload, which do not and why, and what each brings.

use super::inputs::{self, InputArgs};
use super::pipeline::{first_pass, renderers, second_pass};
use super::report::Reporter;
use super::{Common, DONE, FINDINGS, USAGE, to_stdout};
use crate::inject::{Trace, Verdict};
use crate::render::How;
use crate::write::Failure;
use crate::yaml::Part;
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
        reporter.say(
            "pillion: a workload is named KIND/NAME or KIND/NAMESPACE/NAME, for example `Deployment/web`",
        );
        return Ok(USAGE);
    };
    inputs.leave_out_other_clusters();
    let mut first = first_pass(&mut inputs, common);
    let (renderers, wrong) = renderers(&inputs, &mut first, None, false, true);
    reporter.add(wrong);
    let mut text = String::new();
    let mut known = Vec::new();
    second_pass(&first.texts, &renderers, How { closely: true }, common, |done| {
        let is_wanted = done.file.workloads.iter().any(|(key, _)| wanted.is(key));
        if is_wanted {
            reporter.add(done.file.diagnostics);
        }
        for (key, outcome) in done.file.workloads {
            if wanted.is(&key) {
                text.push_str(&explanation(&key, &done.input.name, &outcome.trace));
            } else {
                known.push(key);
            }
        }
    });
    if text.is_empty() {
        reporter.say(&not_found(&args.workload, &known));
        return Ok(FINDINGS);
    }
    to_stdout(&text)?;
    Ok(if reporter.has_errors() { FINDINGS } else { DONE })
}

/// One workload: what each set does, then where each injected line comes from.
fn explanation(key: &str, file: &str, trace: &Trace) -> String {
    let mut text = format!("{key} in {file}\n");
    for set in &trace.sets {
        let line = match &set.verdict {
            Verdict::Injected(what) => format!("  {}: injected, {what}\n", set.set),
            Verdict::Passed(why) => format!("  {}: not injected, {why}\n", set.set),
        };
        text.push_str(&line);
    }
    for origin in &trace.origins {
        let set = origin.set.as_ref().map_or_else(String::new, |s| format!("{s}, "));
        let place = origin.from.as_ref().map_or_else(String::new, |(document, path)| {
            let label = document.label(path, Part::Key, "");
            format!(" ({}:{}:{})", label.file, label.line, label.column)
        });
        text.push_str(&format!("  + {}: {set}{}{place}\n", origin.path, origin.why));
    }
    for (path, why) in &trace.removed {
        text.push_str(&format!("  - {path}: {why}\n"));
    }
    text
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
