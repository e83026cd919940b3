//! `pillion stage`: the commits of a rollout, to be read before it starts.

use super::report::Reporter;
use super::repository::{self, RepositoryArgs};
use super::{Common, DONE, FINDINGS, USAGE, to_stdout};
use crate::diag::Code;
use crate::git::{Id, Signing};
use crate::plan::Circumstances;
use crate::stage::{
    End, Examined, Failure, Live, Rollout, Site, Stack, StagedBranch, Written, check_own_render, rewritten,
    stack, too_many_batches,
};
use crate::write;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Arguments of `pillion stage`.
#[derive(Debug, Args)]
pub(super) struct StageArgs {
    /// SidecarSets; without any, all that have a ledger
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// Go on although the live branch was rewritten
    #[arg(long)]
    accept_rewritten: bool,
    /// How the commits are told of
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// A document with `apiVersion` and `kind`
    Json,
}

/// What became of one SidecarSet in one cluster.
struct Told {
    sidecar_set: String,
    cluster: Option<String>,
    branch: String,
    base: Id,
    commits: Vec<(Id, String)>,
    end: Value,
    written: Written,
    /// The rollout is not open yet, and its first commit opens it.
    opens: bool,
}

/// Runs `pillion stage`.
pub(super) fn run(args: &StageArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    let mut told = Vec::new();
    let result = staged(args, common, reporter, &mut told);
    let code = repository::settle(result, reporter)?;
    if code == DONE {
        to_stdout(&match args.output {
            Output::Text => told.iter().map(Told::text).collect(),
            Output::Json => json_of(&told),
        })?;
    }
    Ok(code)
}

fn staged(
    args: &StageArgs,
    common: &Common,
    reporter: &mut Reporter,
    told: &mut Vec<Told>,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open(&args.repository, common, reporter)? else { return Ok(USAGE) };
    let Some(live) = opened.live(reporter)? else { return Ok(FINDINGS) };
    let Some(clusters) = repository::clusters(&live, &args.repository, reporter) else { return Ok(USAGE) };
    let Ok(built) = repository::built(&args.repository, reporter) else { return Ok(USAGE) };
    let built = built.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut found = Vec::new();
    for cluster in clusters {
        let (site, wrong) = live.site(cluster, built);
        // What is not staged yet is staged now.
        reporter.add(wrong.into_iter().filter(|d| d.code != Code::NotStagedYet));
        if !reporter.has_errors() {
            reporter.add(check_own_render(&live, &site)?);
        }
        if !reporter.has_errors() {
            found.push(site);
        }
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    let names = |site: &Site| names(args, site);
    if let Some(unknown) = args.names.iter().find(|n| !found.iter().any(|site| names(site).contains(n))) {
        reporter.say(&without_ledger(unknown, &found));
        return Ok(USAGE);
    }
    // Nothing is written before everything is made.
    let mut ready = Vec::new();
    for site in &found {
        for name in names(site) {
            ready.extend(make(args, &live, site, &name, reporter)?);
        }
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    for made in ready {
        told.push(made.write(&live)?);
    }
    Ok(DONE)
}

/// The SidecarSets that are staged: those asked for that have a ledger here.
fn names(args: &StageArgs, site: &Site) -> Vec<String> {
    let known = site.prepared.ledgers.keys().map(ToString::to_string);
    known.filter(|n| args.names.is_empty() || args.names.contains(n)).collect()
}

fn without_ledger(name: &str, sites: &[Site]) -> String {
    let mut known: Vec<&str> = sites.iter().flat_map(|s| s.prepared.ledgers.keys()).map(|n| &**n).collect();
    known.dedup();
    let is_written = sites.iter().flat_map(|s| &s.prepared.sets).any(|s| s.name == name);
    match (is_written, known.is_empty()) {
        (true, _) => {
            format!("pillion: SidecarSet `{name}` has no ledger yet: `pillion init rollout` writes it")
        }
        (false, true) => format!("pillion: there is no SidecarSet `{name}`, and no ledger at all"),
        (false, false) => {
            format!("pillion: there is no SidecarSet `{name}`; ledgers are of {}", known.join(", "))
        }
    }
}

/// The commits of one rollout, before any ref is moved.
struct Made<'s> {
    rollout: Rollout<'s>,
    branch: StagedBranch,
    examined: Examined,
    stack: Stack,
}

fn make<'s>(
    args: &StageArgs,
    live: &Live<'_>,
    site: &'s Site,
    name: &str,
    reporter: &mut Reporter,
) -> Result<Option<Made<'s>>, Failure> {
    let cluster = site.cluster.as_deref();
    let branch = StagedBranch::find(live, cluster, name);
    let examined = branch.examine(live, name)?;
    if !args.accept_rewritten {
        reporter.add(rewritten(live, &branch, &examined));
    }
    let (rollout, wrong) = Rollout::of(site, name, &Circumstances::default());
    reporter.add(wrong);
    reporter.add(too_many_batches(&rollout));
    if reporter.has_errors() {
        return Ok(None);
    }
    let (stack, wrong) = stack(live, &rollout, usize::MAX, &Signing::off())?;
    reporter.add(wrong);
    Ok(stack.map(|stack| Made { rollout, branch, examined, stack }))
}

impl Made<'_> {
    fn write(self, live: &Live<'_>) -> Result<Told, Failure> {
        let has_commits = !self.stack.commits.is_empty();
        let is_ours = self.examined.is_own && self.examined.foreign.is_empty();
        let written = match has_commits || is_ours {
            true => self.branch.write(live, has_commits.then(|| self.stack.tip()))?,
            false => Written::Nothing,
        };
        let subject = |message: &str| message.lines().next().unwrap_or_default().to_owned();
        Ok(Told {
            sidecar_set: self.rollout.name().to_owned(),
            cluster: self.rollout.site.cluster.as_ref().map(ToString::to_string),
            branch: self.branch.short().to_owned(),
            base: self.stack.base,
            commits: self.stack.commits.iter().map(|c| (c.id, subject(&c.message))).collect(),
            end: end(&self.rollout),
            written,
            opens: self.rollout.opens(),
        })
    }
}

fn end(rollout: &Rollout<'_>) -> Value {
    match rollout.end() {
        End::Close => json!({"kind": "Close"}),
        End::Rest(rest) => json!({"kind": rest.kind(), "reason": rest.to_string()}),
        End::TooMany => json!({"kind": "More", "reason": "more batches follow"}),
    }
}

impl Told {
    fn text(&self) -> String {
        let mut text = String::new();
        let what = match self.written {
            Written::Same => "is as it was",
            Written::Made => "is made",
            Written::Anew => "is made anew",
            Written::Removed => "is removed",
            Written::Nothing => "is not needed",
        };
        let _ = writeln!(text, "{}: `{}` {what}", self.sidecar_set, self.branch);
        for (id, subject) in &self.commits {
            let _ = writeln!(text, "  {} {subject}", id.short());
        }
        if let Some(reason) = self.end["reason"].as_str() {
            let then = if self.commits.is_empty() { "nothing to stage" } else { "then" };
            let _ = writeln!(text, "  {then}: {reason}");
        }
        if self.opens {
            let _ = writeln!(
                text,
                "  nothing has started: `pillion stage --start {}` opens the rollout",
                self.sidecar_set
            );
        }
        text
    }

    fn json(&self) -> Value {
        let commits: Vec<_> = self
            .commits
            .iter()
            .map(|(id, subject)| json!({"id": id.to_string(), "subject": subject}))
            .collect();
        let written = match self.written {
            Written::Same => "Same",
            Written::Made => "Made",
            Written::Anew => "Anew",
            Written::Removed => "Removed",
            Written::Nothing => "Nothing",
        };
        json!({
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "branch": self.branch,
            "base": self.base.to_string(),
            "written": written,
            "commits": commits,
            "end": self.end,
        })
    }
}

fn json_of(told: &[Told]) -> String {
    let items: Vec<_> = told.iter().map(Told::json).collect();
    let document = json!({"apiVersion": "pillion.dev/v1alpha1", "kind": "Stage", "items": items});
    format!("{document}\n")
}
