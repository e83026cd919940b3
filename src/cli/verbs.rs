//! `pause`, `resume`, `approve`, `rollback`, `hold`: what a person does to a rollout, each a commit on its ledger.

use super::report::Reporter;
use super::repository::{self, Opened, Put, RepositoryArgs};
use super::{Common, DONE, FINDINGS, USAGE, clock, to_stdout};
use crate::diag::Code;
use crate::git::trailer;
use crate::model::ledger::{Ledger, name_text};
use crate::plan::fleet::Unit;
use crate::plan::report::title;
use crate::stage::verbs::{self, Refused};
use crate::stage::{Change, Failure, Live, Site, commit, verify};
use crate::write;
use clap::Args;
use std::collections::BTreeMap;

/// Arguments of `pillion pause`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// The SidecarSet
    name: String,
    /// Why, for those who read the commit
    #[arg(long, default_value = "by hand", value_parser = in_words)]
    reason: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Arguments of `pillion resume`.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// The SidecarSet
    name: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Arguments of `pillion approve`.
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The SidecarSet
    name: String,
    /// The number of the batch, as `pillion plan` shows it
    batch: u32,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Arguments of `pillion rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The SidecarSet
    name: String,
    /// Why, for those who read the commit
    #[arg(long, default_value = "by hand", value_parser = in_words)]
    reason: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Arguments of `pillion hold`.
#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// The workload: `KIND/NAME`, `KIND/NAMESPACE/NAME` or its whole key
    workload: String,
    /// Why, for those who read the ledger
    #[arg(long, default_value = "by hand", value_parser = in_words)]
    reason: String,
    /// An emergency image for a container of the SidecarSet; may be given several times
    #[arg(long = "image", value_name = "CONTAINER=IMAGE")]
    images: Vec<String>,
    /// Let rollouts move it again
    #[arg(long, conflicts_with_all = ["images", "reason"])]
    off: bool,
    /// The SidecarSet, where several reach the workload
    #[arg(long = "sidecarset", value_name = "NAME")]
    sidecar_set: Option<String>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Where the ledger is, and where its commit goes.
#[derive(Debug, Args)]
struct LedgerArgs {
    #[command(flatten)]
    repository: RepositoryArgs,
    /// Leave the commit at refs/pillion/outbox instead of pushing it to the live branch
    #[arg(long)]
    no_push: bool,
}

/// What a verb wants, once it has seen the ledger.
struct Wanted {
    after: Ledger,
    action: &'static str,
    subject: String,
    body: String,
    trailers: Vec<(&'static str, String)>,
}

impl Wanted {
    fn new(after: Ledger, action: &'static str, subject: String, body: String) -> Self {
        Self { after, action, subject, body, trailers: Vec::new() }
    }
}

/// Runs `pillion pause`.
pub(super) fn pause(
    args: &PauseArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |site| {
        let before = ledger_of(site, &args.name)?;
        let subject = format!("pause at batch {}, {}", before.last_batch(), args.reason);
        let body = "Nothing more is released until `pillion resume`.".to_owned();
        Ok(Wanted::new(verbs::pause(&before, &args.reason)?, "Pause", subject, body))
    })
}

/// Runs `pillion resume`.
pub(super) fn resume(
    args: &ResumeArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |site| {
        let before = ledger_of(site, &args.name)?;
        let source = site.course(&args.name).0.source.map(|r| r.name);
        let after = verbs::resume(&before, &source)?;
        let (subject, body) = match &before.paused {
            Some(paused) => {
                (format!("resume at batch {}", paused.batch), format!("It was paused: {}", paused.reason))
            }
            None => (
                format!("stage {} again", name_text(&source)),
                "It was rolled back, and may be rolled out again.".to_owned(),
            ),
        };
        Ok(Wanted::new(after, "Resume", subject, body))
    })
}

/// Runs `pillion approve`.
pub(super) fn approve(
    args: &ApproveArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |site| {
        let before = ledger_of(site, &args.name)?;
        let (course, _) = site.course(&args.name);
        let plan = verify::digest_of(&course, &before, args.batch).ok_or_else(|| {
            let why = format!(
                "no batch {} of `{}` lies ahead: `pillion plan` shows those that do",
                args.batch, args.name
            );
            Refused(why)
        })?;
        let after = verbs::approve(&before, args.batch, &plan)?;
        let subject = format!("approve batch {}", args.batch);
        let body = "The approval is for this plan alone: other workloads or sizes need another.".to_owned();
        let trailers = vec![(trailer::PLAN, plan)];
        Ok(Wanted { trailers, ..Wanted::new(after, "Approve", subject, body) })
    })
}

/// Runs `pillion rollback`.
pub(super) fn rollback(
    args: &RollbackArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |site| {
        let before = ledger_of(site, &args.name)?;
        let after = verbs::roll_back(&before)?;
        let target = before.target.as_ref().map_or("-", name_text);
        let subject = format!("roll back to {}, {}", name_text(&before.released), args.reason);
        let body = format!(
            "{target} is not staged again until `pillion resume {}` or another content.\n\
             No rendered file changes with this commit: the batches that follow take the workloads back.",
            args.name
        );
        Ok(Wanted::new(after, "RollBack", subject, body))
    })
}

/// Runs `pillion hold`.
pub(super) fn hold(args: &HoldArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |site| {
        let (name, key) = held(args, site)?;
        let before = ledger_of(site, &name)?;
        let (course, _) = site.course(&name);
        let place = title(&key);
        if args.off {
            let body = "Rollouts move it again; until then it carries what the others do.".to_owned();
            let after = verbs::release(&before, &key)?;
            return Ok(Wanted::new(after, "Hold", format!("no longer hold {place}"), body));
        }
        let unit = course.fleet.find(&key).ok_or_else(|| Refused(format!("there is no `{key}` in git")))?;
        let after = verbs::hold(&before, unit, &args.reason, &images(&args.images)?)?;
        let body = match args.images.is_empty() {
            true => "It keeps what it carries.".to_owned(),
            false => format!("Emergency image: {}", args.images.join(", ")),
        };
        Ok(Wanted::new(after, "Hold", format!("hold {place}, {}", args.reason), body))
    })
}

/// The SidecarSet and the key of the workload that is meant.
fn held(args: &HoldArgs, site: &Site) -> Result<(String, String), Refused> {
    let sets: Vec<_> = site.prepared.ledgers.keys().map(ToString::to_string).collect();
    let sets: Vec<String> =
        sets.into_iter().filter(|n| args.sidecar_set.as_ref().is_none_or(|wanted| wanted == n)).collect();
    let mut found = Vec::new();
    for name in sets {
        let (course, _) = site.course(&name);
        let ledger = site.ledger(&name);
        let reaches = |unit: &Unit| {
            let is_line = ledger.lines.contains_key(unit.key());
            is_line || !course.fleet.change(unit, &None, &ledger.released).difference.is_empty()
        };
        let units = course.fleet.units().iter().filter(|u| is_meant(u, &args.workload) && reaches(u));
        found.extend(units.map(|unit| (name.clone(), unit.key().to_string())));
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Refused(format!(
            "no SidecarSet with a ledger reaches a workload `{}`: `pillion explain {0}` says why",
            args.workload
        ))),
        _ => {
            let all: Vec<String> =
                found.iter().map(|(name, key)| format!("{key} (SidecarSet {name})")).collect();
            Err(Refused(format!(
                "`{}` may be {}: write the whole key, and `--sidecarset NAME`",
                args.workload,
                all.join(" or ")
            )))
        }
    }
}

fn is_meant(unit: &Unit, words: &str) -> bool {
    let located = &unit.located;
    let (kind, namespace, name) = (&located.kind.kind, &located.namespace, &located.name);
    let is_kind = |word: &str| word.eq_ignore_ascii_case(kind);
    match words.split('/').collect::<Vec<_>>()[..] {
        _ if words == &**unit.key() => true,
        [k, n] => is_kind(k) && *n == **name,
        [k, ns, n] => is_kind(k) && *ns == **namespace && *n == **name,
        _ => false,
    }
}

fn images(written: &[String]) -> Result<BTreeMap<String, String>, Refused> {
    let pair = |text: &String| match text.split_once('=') {
        Some((_, image)) if image.contains(char::is_whitespace) => {
            Err(Refused(format!("`--image {text}`: an image has no blanks")))
        }
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok((container.to_owned(), image.to_owned()))
        }
        _ => Err(Refused(format!("`--image {text}` is not `CONTAINER=IMAGE`"))),
    };
    written.iter().map(pair).collect()
}

/// A reason is read in the subject of a commit: blank ones would leave it without an end.
fn in_words(reason: &str) -> Result<String, String> {
    match reason.trim() {
        "" => Err("say why in a word or more, or leave the option out".to_owned()),
        words => Ok(words.to_owned()),
    }
}

fn ledger_of(site: &Site, name: &str) -> Result<Ledger, Refused> {
    site.prepared.ledgers.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = site.prepared.ledgers.keys().map(|n| &**n).collect();
        Refused(match known.is_empty() {
            true => {
                format!("`{name}` has no ledger, and neither has another: `pillion init rollout` writes them")
            }
            false => format!("`{name}` has no ledger; there are ledgers of {}", known.join(", ")),
        })
    })
}

/// Reads what is live, lets the verb decide, commits and lands the commit. Somebody else's commit in between is no
/// failure: the verb decides anew.
fn change(
    args: &LedgerArgs,
    common: &Common,
    reporter: &mut Reporter,
    decide: impl Fn(&Site) -> Result<Wanted, Refused>,
) -> Result<u8, write::Failure> {
    let mut said = String::new();
    let result = try_change(args, common, reporter, &decide, &mut said);
    let code = repository::settle(result, reporter)?;
    if code == DONE {
        to_stdout(&said)?;
    }
    Ok(code)
}

fn try_change(
    args: &LedgerArgs,
    common: &Common,
    reporter: &mut Reporter,
    decide: &impl Fn(&Site) -> Result<Wanted, Refused>,
    said: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open(&args.repository, common, reporter)? else { return Ok(USAGE) };
    for _ in 0..repository::ATTEMPTS {
        let Some(live) = opened.live(reporter)? else { return Ok(FINDINGS) };
        let Some(clusters) = repository::clusters(&live, &args.repository, reporter) else {
            return Ok(USAGE);
        };
        let [cluster] = clusters[..] else {
            let known: Vec<_> = clusters.iter().flatten().copied().collect();
            reporter.say(&format!("pillion: say which cluster with `--cluster`: {}", known.join(", ")));
            return Ok(USAGE);
        };
        match once(args, &opened, &live, cluster, reporter, decide)? {
            Once::Done(text) => {
                *said = text;
                return Ok(DONE);
            }
            Once::Again => opened.fetch()?,
            Once::Stopped(code) => return Ok(code),
        }
    }
    reporter.say("pillion: the live branch moves faster than this commit can be made: try again");
    Ok(super::ENVIRONMENT)
}

/// What became of one attempt.
enum Once {
    Done(String),
    Again,
    Stopped(u8),
}

fn once(
    args: &LedgerArgs,
    opened: &Opened,
    live: &Live<'_>,
    cluster: Option<&str>,
    reporter: &mut Reporter,
    decide: &impl Fn(&Site) -> Result<Wanted, Refused>,
) -> Result<Once, Failure> {
    let (site, wrong) = live.site(cluster);
    // What is not staged yet has nothing to do with what a person says here.
    reporter.add(wrong.into_iter().filter(|d| d.code != Code::NotStagedYet));
    if reporter.has_errors() {
        return Ok(Once::Stopped(FINDINGS));
    }
    let wanted = match decide(&site) {
        Ok(wanted) => wanted,
        Err(refused) => {
            reporter.failure(&refused);
            return Ok(Once::Stopped(FINDINGS));
        }
    };
    let change = Change {
        after: &wanted.after,
        action: wanted.action,
        subject: wanted.subject,
        body: wanted.body,
        trailers: wanted.trailers,
        time: clock::now(),
    };
    let (made, wrong) = commit(live, &site, &change, &opened.signing()?)?;
    reporter.add(wrong);
    let Some(made) = made else { return Ok(Once::Stopped(FINDINGS)) };
    Ok(match opened.land(live, made.id, args.no_push)? {
        Put::At(place) | Put::Same(place) => {
            let subject = made.message.lines().next().unwrap_or_default();
            Once::Done(format!("{} {subject}\n{place}\n", made.id.short()))
        }
        Put::Moved => Once::Again,
    })
}
