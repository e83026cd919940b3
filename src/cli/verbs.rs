//! `pause`, `resume`, `approve`: what a person does to a rollout, each a commit on its ledger; and what all such verbs
//! share.

use super::known::Known;
use super::person::person;
use super::report::Reporter;
use super::repository::{self, Opened, Put, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, USAGE, clock, to_stdout};
use crate::diag::{Code, Diagnostic};
use crate::git::{Identity, Release, Signing, trailer};
use crate::model::ledger::{Ledger, name_text};
use crate::plan::Circumstances;
use crate::stage::verbs::{self, Refused};
use crate::stage::{Change, Failure, Live, Site, commit, verify};
use crate::write;
use clap::Args;

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

/// Where the ledger is, and where its commit goes.
#[derive(Debug, Args)]
pub(super) struct LedgerArgs {
    #[command(flatten)]
    pub(super) repository: RepositoryArgs,
    /// Leave the commit at refs/pillion/outbox instead of pushing it to the live branch
    #[arg(long)]
    pub(super) no_push: bool,
}

/// What a verb wants, once it has seen the ledger.
pub(super) struct Wanted {
    pub(super) after: Ledger,
    pub(super) action: &'static str,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) trailers: Vec<(&'static str, String)>,
    /// What a person has to know besides.
    pub(super) notes: Vec<String>,
    /// What a person does next: a command without its options, and what comes of it.
    pub(super) next: Option<(String, &'static str)>,
}

/// What a verb decides on.
pub(super) struct Seen<'a> {
    /// What is live.
    pub(super) live: &'a Live<'a>,
    /// The cluster.
    pub(super) site: &'a Site,
    /// Who does it, `NAME <ADDRESS>`.
    pub(super) by: &'a str,
    /// The day, `YYYY-MM-DD` in UTC.
    pub(super) today: &'a str,
}

/// Why a verb is not done.
pub(super) enum Stop {
    /// It does not apply.
    Refused(Refused),
    /// Git failed.
    Failed(Failure),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Wanted {
    pub(super) fn new(after: Ledger, action: &'static str, subject: String, body: String) -> Self {
        Self { after, action, subject, body, trailers: Vec::new(), notes: Vec::new(), next: None }
    }

    /// Names the command that a person types next.
    pub(super) fn then(self, command: String, what: &'static str) -> Self {
        Self { next: Some((command, what)), ..self }
    }
}

/// Runs `pillion pause`.
pub(super) fn pause(
    args: &PauseArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |seen| {
        let site = seen.site;
        let before = ledger_of(site, &args.name)?;
        let subject = format!("pause at batch {}, {}", before.last_batch(), args.reason);
        let body = "Nothing more is released until `pillion resume`.".to_owned();
        let after = verbs::pause(&before, &args.reason, Some(seen.by))?;
        let resume = format!("pillion resume {}", args.name);
        Ok(Wanted::new(after, "Pause", subject, body).then(resume, "lets it go on"))
    })
}

/// Runs `pillion resume`.
pub(super) fn resume(
    args: &ResumeArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |seen| {
        let site = seen.site;
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
        let stage = format!("pillion stage {}", args.name);
        Ok(Wanted::new(after, "Resume", subject, body).then(stage, "shows what comes"))
    })
}

/// Runs `pillion approve`.
pub(super) fn approve(
    args: &ApproveArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |seen| {
        let site = seen.site;
        let before = ledger_of(site, &args.name)?;
        let (course, _) = site.course(&args.name);
        let given = Circumstances { today: Some(seen.today.to_owned()), ..Circumstances::default() };
        let plan = verify::digest_of(&course, &before, args.batch, &given).ok_or_else(|| {
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
        let wanted = Wanted { trailers, ..Wanted::new(after, "Approve", subject, body) };
        Ok(wanted.then(format!("pillion status {}", args.name), "shows what the rollout waits for"))
    })
}

/// A reason is read in the subject of a commit: blank ones would leave it without an end.
pub(super) fn in_words(reason: &str) -> Result<String, String> {
    match reason.trim() {
        "" => Err("say why in a word or more, or leave the option out".to_owned()),
        words => Ok(words.to_owned()),
    }
}

pub(super) fn ledger_of(site: &Site, name: &str) -> Result<Ledger, Refused> {
    let unknown = || Refused(Known::of(site).unknown([&name.to_owned()]).unwrap_or_default());
    site.prepared.ledgers.get(name).cloned().ok_or_else(unknown)
}

/// Reads what is live, lets the verb decide, and releases the commit in the name of the person who does it. Somebody
/// else's commit in between is no failure: the verb decides anew.
pub(super) fn change(
    args: &LedgerArgs,
    common: &Common,
    reporter: &mut Reporter,
    decide: impl Fn(&Seen<'_>) -> Result<Wanted, Stop>,
) -> Result<u8, write::Failure> {
    change_despite(args, common, reporter, |_, _| false, decide)
}

/// The same for a verb that is the answer to some errors: those that it `answers` do not stop it.
pub(super) fn change_despite(
    args: &LedgerArgs,
    common: &Common,
    reporter: &mut Reporter,
    answers: impl Fn(&Site, &Diagnostic) -> bool,
    decide: impl Fn(&Seen<'_>) -> Result<Wanted, Stop>,
) -> Result<u8, write::Failure> {
    let mut said = String::new();
    let result = try_change(args, common, reporter, (&answers, &decide), &mut said);
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
    (answers, decide): (&impl Fn(&Site, &Diagnostic) -> bool, &impl Fn(&Seen<'_>) -> Result<Wanted, Stop>),
    said: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open_to_commit(&args.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    let person = person(&opened.repository)?;
    let verb = Verb { args, opened: &opened, person: &person };
    let code = with_retry(&opened, reporter, |reporter| {
        let Some(live) = opened.live(reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
        let Some(clusters) = repository::clusters(&live, &args.repository, reporter) else {
            return Ok(Attempt::Done(USAGE));
        };
        let Some(cluster) = only_one(&clusters, reporter) else { return Ok(Attempt::Done(USAGE)) };
        verb.once(&live, cluster, reporter, (answers, decide), said)
    })?;
    Ok(code.unwrap_or(ENVIRONMENT))
}

/// Returns the one cluster that a verb is for; None: there are several, and the reporter says so.
pub(super) fn only_one<'c>(clusters: &[Option<&'c str>], reporter: &Reporter) -> Option<Option<&'c str>> {
    if let [cluster] = clusters {
        return Some(*cluster);
    }
    let known: Vec<_> = clusters.iter().flatten().copied().collect();
    reporter.error(&format!("pillion: say which cluster with `--cluster`: {}", known.join(", ")));
    None
}

/// Returns the command that releases what was left at the outbox.
pub(super) fn release_command(opened: &Opened) -> Result<String, Failure> {
    let here = format!("git branch --force {} refs/pillion/outbox", opened.branches.live);
    Ok(opened.push_command()?.unwrap_or(here))
}

/// What every attempt of a verb needs.
struct Verb<'a> {
    args: &'a LedgerArgs,
    opened: &'a Opened,
    person: &'a Identity,
}

impl Verb<'_> {
    fn once(
        &self,
        live: &Live<'_>,
        cluster: Option<&str>,
        reporter: &mut Reporter,
        (answers, decide): (
            &impl Fn(&Site, &Diagnostic) -> bool,
            &impl Fn(&Seen<'_>) -> Result<Wanted, Stop>,
        ),
        said: &mut String,
    ) -> Result<Attempt<u8>, Failure> {
        let (site, wrong) = live.site(cluster);
        // What is not staged yet has nothing to do with what a person says here.
        let counts = |d: &Diagnostic| d.code != Code::NotStagedYet && !answers(&site, d);
        reporter.add(wrong.into_iter().filter(counts));
        if reporter.has_errors() {
            return Ok(Attempt::Done(FINDINGS));
        }
        let (by, today) = (self.person.to_string(), clock::today());
        let wanted = match decide(&Seen { live, site: &site, by: &by, today: &today }) {
            Ok(wanted) => wanted,
            Err(Stop::Refused(refused)) => {
                reporter.failure(&refused);
                return Ok(Attempt::Done(FINDINGS));
            }
            Err(Stop::Failed(failure)) => return Err(failure),
        };
        let Wanted { after, action, subject, body, trailers, notes, next } = wanted;
        let change = Change { after: &after, action, subject, body, trailers };
        let (made, wrong) = commit(live, &site, &change, &Signing::off())?;
        reporter.add(wrong);
        let Some(made) = made else { return Ok(Attempt::Done(FINDINGS)) };
        let release = Release { at: clock::now(), by: Some(self.person) };
        let put = match self.args.no_push {
            true => self.opened.leave(made.id, &release)?,
            false => self.opened.release(live, made.id, &release)?,
        };
        Ok(match put {
            Put::At(id, place) | Put::Same(id, place) => {
                let next = next.map(|(command, what)| {
                    (format!("{command}{}", repository::options(&self.args.repository, cluster)), what)
                });
                let notes: String = notes.iter().map(|note| format!("\n{note}")).collect();
                let what = format!("{} {}", id.short(), made.subject());
                *said = self.done(&what, &format!("{place}{notes}"), next)?;
                Attempt::Done(DONE)
            }
            Put::Moved(lost) => Attempt::Lost(lost),
        })
    }

    /// Says what was done, where it is now, and what a person types next.
    fn done(&self, what: &str, place: &str, next: Option<(String, &str)>) -> Result<String, Failure> {
        let next = match (self.args.no_push, next) {
            (true, _) => Some((release_command(self.opened)?, "releases it")),
            (false, next) => next,
        };
        let next = next.map_or_else(String::new, |(command, what)| format!("next: `{command}` {what}\n"));
        Ok(format!("{what}\n{place}\n{next}"))
    }
}
