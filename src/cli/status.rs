//! `pillion status`: where every rollout stands, since when, and what it waits for.

use super::known::Known;
use super::report::Reporter;
use super::repository::{self, RepositoryArgs};
use super::{Common, DONE, FINDINGS, Output, USAGE, clock, to_stdout};
use crate::diag::{Code, Diagnostic, counted};
use crate::git::{Commit, Walk};
use crate::model::ledger::{Ledger, Name, name_text};
use crate::model::timestamp::day_of;
use crate::plan::removal::Removal;
use crate::plan::report::{Held, Lasts, holds};
use crate::plan::{Circumstances, Step};
use crate::stage::{End, Failure, Live, Rollout, Site, not_before};
use crate::write;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Arguments of `pillion status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// SidecarSets; without any, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Look at the pods too, and go on looking; where standard output is no terminal, once
    #[cfg(feature = "watch")]
    #[arg(long)]
    watch: bool,
    #[cfg(feature = "watch")]
    #[command(flatten)]
    clusters: super::watch::ClusterArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
    /// How it is told
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Holds that are listed.
const SHOWN: usize = 10;

/// Where one rollout stands.
struct Standing {
    name: String,
    cluster: Option<String>,
    ledger: Ledger,
    /// The commit that changed the ledger last.
    since: Option<Commit>,
    /// Where it stands: Released, NotStaged, Open, RollingBack, Paused, Rejected.
    state: &'static str,
    batches: u32,
    updated: u32,
    pods: u32,
    held: Vec<Held>,
    /// What the file holds, where the rollout goes somewhere else.
    newer: Option<Name>,
    /// What commands need to find it again.
    options: String,
    /// What is next gives it another target: the numbers of pods are about that one.
    opens: bool,
    next: String,
}

/// Runs `pillion status`.
pub(super) fn run(args: &StatusArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    #[cfg(feature = "watch")]
    if args.watch {
        let shown = super::watch::Shown {
            names: &args.names,
            clusters: &args.clusters,
            repository: &args.repository,
            is_json: args.output == Output::Json,
        };
        return super::watch::follow(&shown, common, reporter);
    }
    let mut text = String::new();
    let result = told(args, common, reporter, &mut text);
    let code = repository::settle(result, reporter)?;
    to_stdout(&text)?;
    Ok(code)
}

fn told(
    args: &StatusArgs,
    common: &Common,
    reporter: &mut Reporter,
    text: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open(&args.repository, common, reporter)? else { return Ok(USAGE) };
    let Some(live) = opened.live_to_look_at(reporter)? else { return Ok(FINDINGS) };
    let Some(clusters) = repository::clusters(&live, &args.repository, reporter) else { return Ok(USAGE) };
    let (mut all, mut known) = (Vec::new(), Known::default());
    for cluster in clusters {
        let (site, wrong) = live.site(cluster);
        let is_sound = !wrong.iter().any(Diagnostic::is_error);
        // What is not staged yet is said by the state.
        reporter.add(wrong.into_iter().filter(|d| d.code != Code::NotStagedYet));
        known.add(&site);
        for ledger in site.prepared.ledgers.values() {
            if args.names.is_empty() || args.names.iter().any(|n| **n == *ledger.name) {
                let mut standing = standing(&live, &site, ledger, &args.repository)?;
                if !is_sound {
                    // A plan of what could not be read would be a guess.
                    "not known: something is wrong with what is live".clone_into(&mut standing.next);
                    (standing.updated, standing.pods) = (0, 0);
                }
                all.push(standing);
            }
        }
    }
    // Of a name whose ledger cannot be read it is said why.
    if let Some(wrong) = known.unknown(&args.names).filter(|_| !reporter.has_errors()) {
        reporter.error(&format!("pillion: {wrong}"));
        return Ok(USAGE);
    }
    let behind = behind(&live)?;
    *text = match args.output {
        Output::Text if all.is_empty() && reporter.has_errors() => String::new(),
        Output::Text if all.is_empty() => {
            "no SidecarSet has a ledger: `pillion init rollout` writes them\n".to_owned()
        }
        Output::Text => all.iter().map(Standing::text).chain(behind).collect(),
        Output::Json => {
            let items: Vec<Value> = all.iter().map(Standing::json).collect();
            let head = live.head.id.to_string();
            let document =
                json!({"apiVersion": "pillion.dev/v1alpha1", "kind": "Status", "head": head, "items": items});
            format!("{document}\n")
        }
    };
    Ok(if reporter.has_errors() { FINDINGS } else { DONE })
}

/// Two branches: says that there are sources which the live branch has not been rendered from.
pub(super) fn behind(live: &Live<'_>) -> Result<Option<String>, Failure> {
    let Some(newer) = live.newer_source()? else { return Ok(None) };
    let (branch, source) = (&live.branches.live, live.branches.source.as_deref().unwrap_or_default());
    Ok(Some(format!(
        "`{branch}` is rendered from {}, and `{source}` is at {}: `pillion render --branch {branch} --push` on it brings what is new\n",
        live.source.id.short(),
        newer.short()
    )))
}

fn standing(
    live: &Live<'_>,
    site: &Site,
    ledger: &Ledger,
    args: &RepositoryArgs,
) -> Result<Standing, Failure> {
    let cluster = site.cluster.as_deref();
    let source = site.course(&ledger.name).0.source.map(|r| r.name);
    let not_before = not_before(live, cluster, &ledger.name, &source);
    let today = Some(clock::today());
    let given = Circumstances { not_before, today, ..Circumstances::default() };
    let (rollout, _) = Rollout::resumed(site, &ledger.name, &given);
    let place = live.configuration.ledger_place(cluster, &ledger.name);
    let since = live.repository.log(live.head.id, place.as_deref(), Walk::FirstParent)?.next().transpose()?;
    let state = match (&ledger.target, &ledger.paused) {
        (_, Some(_)) => "Paused",
        (Some(target), None) if *target == ledger.released => "RollingBack",
        (Some(_), None) => "Open",
        (None, None) if source == ledger.released => "Released",
        (None, None) if ledger.rejected.iter().any(|r| **r == *name_text(&source)) => "Rejected",
        (None, None) => "NotStaged",
    };
    let first = rollout.batches().next();
    let (pods, before) = first.map_or((0, 0), |b| (b.matched_pods, b.updated.saturating_sub(b.pods())));
    Ok(Standing {
        name: ledger.name.to_string(),
        cluster: cluster.map(str::to_owned),
        since,
        state,
        batches: rollout.last_batch(),
        updated: before,
        pods,
        held: holds(&rollout.course, ledger, given.today.as_deref()),
        newer: rollout.newer(),
        opens: rollout.opens(),
        next: next(&rollout, &repository::options(args, cluster)),
        options: repository::options(args, cluster),
        ledger: ledger.clone(),
    })
}

fn next(rollout: &Rollout<'_>, options: &str) -> String {
    let (first, resumes) = match &rollout.steps[..] {
        [Step::Resume(_), then, ..] => (Some(then), true),
        steps => (steps.first(), false),
    };
    let next = step(rollout, first, options);
    let name = rollout.name();
    if resumes { format!("`pillion resume {name}{options}`, then {next}") } else { next }
}

fn step(rollout: &Rollout<'_>, first: Option<&Step>, options: &str) -> String {
    if let Some(Step::Open(after)) = first
        && let Some(removal) = Removal::of(&rollout.course, after)
    {
        return format!(
            "opening it removes the sidecar from {} ({}): `pillion stage --start {} --allow-removal{options}`",
            removal.share(),
            removal.reason(&rollout.course),
            rollout.name()
        );
    }
    match first {
        Some(Step::Open(_)) => match rollout.batches().count() {
            0 => "opening it: no workload has to move".to_owned(),
            n => {
                let follow = if n == 1 { "follows" } else { "follow" };
                let batches = counted(n as u64, "batch");
                format!("opening it: `pillion stage --start {}{options}`; {batches} {follow}", rollout.name())
            }
        },
        Some(Step::Batch(batch)) => format!(
            "batch {} of {}: {} of {}",
            batch.number,
            rollout.last_batch(),
            counted(batch.pods().into(), "pod"),
            counted(batch.moves.len() as u64, "workload")
        ),
        Some(Step::Close(_)) => "closing it: every workload carries the target".to_owned(),
        Some(Step::Rest(rest)) => rest.to_string(),
        Some(Step::Resume(_)) => "resuming it".to_owned(),
        None => match rollout.end() {
            End::Rest(rest) => rest.to_string(),
            End::Close | End::TooMany => String::new(),
        },
    }
}

impl Standing {
    fn text(&self) -> String {
        let mut text = String::new();
        let of = self.cluster.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
        let ledger = &self.ledger;
        let released = name_text(&ledger.released);
        let target = ledger.target.as_ref().map(name_text);
        let number = ledger.last_batch();
        let state = match (self.state, target) {
            ("Released", _) => format!("{} is released", ledger.released.as_deref().unwrap_or("nothing")),
            ("NotStaged", _) => format!("{released} is released, and the file holds something else"),
            ("Rejected", _) => format!("{released} is released; what the file holds was rolled back"),
            ("RollingBack", _) => format!("going back to {released}, batch {number} is out"),
            (_, Some(target)) => {
                let paused = if self.state == "Paused" { "paused, " } else { "" };
                format!(
                    "{paused}{released} -> {target}, batch {number} of {} is out",
                    self.batches.max(number)
                )
            }
            (_, None) => format!("{released} is released, paused"),
        };
        let _ = writeln!(text, "{}{of}: {state}", self.name);
        if let Some(since) = &self.since {
            let _ = writeln!(
                text,
                "  since {} ({} {})",
                date(since.time.seconds),
                since.id.short(),
                since.subject()
            );
        }
        if self.pods > 0 && ledger.target.is_some() && !self.opens {
            let _ =
                writeln!(text, "  {} of {} carry the target", self.updated, counted(self.pods.into(), "pod"));
        }
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let _ = writeln!(text, "  paused at batch {}{by}: {}", paused.batch, paused.reason);
        }
        for held in self.held.iter().take(SHOWN) {
            let why = if held.is_by_person() { held.words() } else { held.reason.to_string() };
            let _ = writeln!(text, "  {}: {}, {why}", held.word(), held.key);
        }
        if let Some(more) = self.held.len().checked_sub(SHOWN).filter(|n| *n > 0) {
            let _ = writeln!(text, "  and {more} more that are held");
        }
        let _ = writeln!(text, "  next: {}", self.next);
        if let Some(newer) = &self.newer {
            let _ = writeln!(
                text,
                "  its file holds {}, which waits: `pillion stage --start {}{}` rolls that out in place of this",
                newer.as_deref().unwrap_or("nothing"),
                self.name,
                self.options
            );
        }
        text
    }

    fn json(&self) -> Value {
        let ledger = &self.ledger;
        json!({
            "sidecarSet": self.name,
            "cluster": self.cluster,
            "state": self.state,
            "released": name_text(&ledger.released),
            "target": ledger.target.as_ref().map(name_text),
            "batch": ledger.last_batch(),
            "batches": self.batches,
            "updated": self.updated,
            "pods": self.pods,
            "paused": ledger.paused.as_ref().map(|p| json!({"batch": p.batch, "reason": p.reason, "by": p.by})),
            "held": self.held.iter().filter(|h| h.lasts == Lasts::Yes).count(),
            "holds": self.held.iter().map(Held::json).collect::<Vec<_>>(),
            "newer": self.newer.as_ref().map(name_text),
            "since": self.since.as_ref().map(|c| json!({"commit": c.id.to_string(), "time": date(c.time.seconds)})),
            "next": self.next,
        })
    }
}

/// Returns a time as RFC 3339 writes it, in UTC.
fn date(seconds: i64) -> String {
    let rest = seconds.rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}Z", day_of(seconds), rest / 3600, rest / 60 % 60, rest % 60)
}
