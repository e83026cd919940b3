//! `pause`, `resume`, `approve`: what a person does to a rollout, each a commit on its ledger; and what all such verbs
//! share.

use super::author::current_author;
use super::reporter::Reporter;
use super::repository::{self, PushOutcome, RepoContext, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::sidecar_set_names::SidecarSetNames;
use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::{Identity, ReleaseStamp, Signing, trailer};
use crate::model::ledger::{Ledger, revision_text};
use crate::rollout::ExternalState;
use crate::rollout::transitions::{self, TransitionError};
use crate::stage::{ClusterView, CommitAction, DeployBranch, Error, LedgerCommit, commit_ledger, verify};
use crate::write;
use clap::Args;

/// Arguments of `pillion pause`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// The SidecarSet
    name: String,
    /// Why, for those who read the commit
    #[arg(long, default_value = "by hand", value_parser = parse_reason)]
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
    /// Leave the commit at refs/pillion/outbox instead of pushing it to the deploy branch
    #[arg(long)]
    pub(super) no_push: bool,
}

/// What a verb wants, once it has seen the ledger.
pub(super) struct LedgerChange {
    pub(super) ledger: Ledger,
    pub(super) action: CommitAction,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) trailers: Vec<(&'static str, String)>,
    /// What a person has to know besides.
    pub(super) notes: Vec<String>,
    /// What a person does next: a command without its options, and what comes of it.
    pub(super) next_command: Option<(String, &'static str)>,
}

/// What a verb decides on.
pub(super) struct VerbContext<'a> {
    /// What is live.
    pub(super) deploy_branch: &'a DeployBranch<'a>,
    /// The cluster.
    pub(super) cluster_view: &'a ClusterView,
    /// Who does it, `NAME <ADDRESS>`.
    pub(super) by: &'a str,
    /// The day, `YYYY-MM-DD` in UTC.
    pub(super) today: &'a str,
}

/// Why a verb is not done.
pub(super) enum VerbError {
    /// It does not apply.
    NotApplicable(TransitionError),
    /// Git failed.
    Git(Error),
}

impl From<TransitionError> for VerbError {
    fn from(refused: TransitionError) -> Self {
        Self::NotApplicable(refused)
    }
}

impl From<Error> for VerbError {
    fn from(failure: Error) -> Self {
        Self::Git(failure)
    }
}

impl LedgerChange {
    pub(super) fn new(after: Ledger, action: CommitAction, subject: String, body: String) -> Self {
        Self {
            ledger: after,
            action,
            subject,
            body,
            trailers: Vec::new(),
            notes: Vec::new(),
            next_command: None,
        }
    }

    /// Names the command that a person types next.
    pub(super) fn with_next_command(self, command: String, what: &'static str) -> Self {
        Self { next_command: Some((command, what)), ..self }
    }
}

/// Runs `pillion pause`.
pub(super) fn pause(
    args: &PauseArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    commit_change(&args.ledger, common, reporter, |seen| {
        let site = seen.cluster_view;
        let before = find_ledger(site, &args.name)?;
        let subject = format!("pause at batch {}, {}", before.last_batch(), args.reason);
        let body = "Nothing more is released until `pillion resume`.".to_owned();
        let after = transitions::pause(&before, &args.reason, Some(seen.by))?;
        let resume = format!("pillion resume {}", args.name);
        Ok(LedgerChange::new(after, CommitAction::Pause, subject, body)
            .with_next_command(resume, "lets it go on"))
    })
}

/// Runs `pillion resume`.
pub(super) fn resume(
    args: &ResumeArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    commit_change(&args.ledger, common, reporter, |seen| {
        let site = seen.cluster_view;
        let before = find_ledger(site, &args.name)?;
        let source = site.rollout_context(&args.name).0.source.map(|r| r.name);
        let after = transitions::resume(&before, &source)?;
        let (subject, body) = match &before.paused {
            Some(paused) => {
                (format!("resume at batch {}", paused.batch), format!("It was paused: {}", paused.reason))
            }
            None => (
                format!("stage {} again", revision_text(&source)),
                "It was rolled back, and may be rolled out again.".to_owned(),
            ),
        };
        let stage = format!("pillion stage {}", args.name);
        Ok(LedgerChange::new(after, CommitAction::Resume, subject, body)
            .with_next_command(stage, "shows what comes"))
    })
}

/// Runs `pillion approve`.
pub(super) fn approve(
    args: &ApproveArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    commit_change(&args.ledger, common, reporter, |seen| {
        let site = seen.cluster_view;
        let before = find_ledger(site, &args.name)?;
        let (course, _) = site.rollout_context(&args.name);
        let given = ExternalState { today: Some(seen.today.to_owned()), ..ExternalState::default() };
        let plan = verify::upcoming_batch_digest(&course, &before, args.batch, &given).ok_or_else(|| {
            let why = format!(
                "no batch {} of `{}` lies ahead: `pillion plan` shows those that do",
                args.batch, args.name
            );
            TransitionError(why)
        })?;
        let after = transitions::approve(&before, args.batch, &plan)?;
        let subject = format!("approve batch {}", args.batch);
        let body = "The approval is for this plan alone: other workloads or sizes need another.".to_owned();
        let trailers = vec![(trailer::PLAN, plan)];
        let wanted =
            LedgerChange { trailers, ..LedgerChange::new(after, CommitAction::Approve, subject, body) };
        Ok(wanted
            .with_next_command(format!("pillion status {}", args.name), "shows what the rollout waits for"))
    })
}

/// A reason is read in the subject of a commit: blank ones would leave it without an end.
pub(super) fn parse_reason(reason: &str) -> Result<String, String> {
    match reason.trim() {
        "" => Err("say why in a word or more, or leave the option out".to_owned()),
        words => Ok(words.to_owned()),
    }
}

pub(super) fn find_ledger(site: &ClusterView, name: &str) -> Result<Ledger, TransitionError> {
    let unknown = || {
        TransitionError(
            SidecarSetNames::from_cluster(site).unknown_name_message([&name.to_owned()]).unwrap_or_default(),
        )
    };
    site.prepared.ledgers.get(name).cloned().ok_or_else(unknown)
}

/// Reads what is live, lets the verb decide, and releases the commit in the name of the person who does it. Somebody
/// else's commit in between is no failure: the verb decides anew.
pub(super) fn commit_change(
    args: &LedgerArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    decide: impl Fn(&VerbContext<'_>) -> Result<LedgerChange, VerbError>,
) -> Result<u8, write::Error> {
    commit_change_despite(args, common, reporter, |_, _| false, decide)
}

/// The same for a verb that is the answer to some errors: those that it `answers` do not stop it.
pub(super) fn commit_change_despite(
    args: &LedgerArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    answers: impl Fn(&ClusterView, &Diagnostic) -> bool,
    decide: impl Fn(&VerbContext<'_>) -> Result<LedgerChange, VerbError>,
) -> Result<u8, write::Error> {
    let mut said = String::new();
    let result = try_commit_change(args, common, reporter, (&answers, &decide), &mut said);
    let code = repository::to_exit_code(result, reporter)?;
    if code == EXIT_SUCCESS {
        print_text(&said)?;
    }
    Ok(code)
}

fn try_commit_change(
    args: &LedgerArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    (answers, decide): (
        &impl Fn(&ClusterView, &Diagnostic) -> bool,
        &impl Fn(&VerbContext<'_>) -> Result<LedgerChange, VerbError>,
    ),
    said: &mut String,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_for_commit(&args.repository, common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    let person = current_author(&opened.repository)?;
    let verb = VerbRun { args, opened: &opened, person: &person };
    let code = with_retry(&opened, reporter, |reporter| {
        let Some(live) = opened.read_deploy_branch_reporting(reporter)? else {
            return Ok(Attempt::Done(EXIT_FINDINGS));
        };
        let Some(clusters) = repository::select_clusters(&live, &args.repository, reporter) else {
            return Ok(Attempt::Done(EXIT_USAGE));
        };
        let Some(cluster) = single_cluster(&clusters, reporter) else { return Ok(Attempt::Done(EXIT_USAGE)) };
        verb.attempt(&live, cluster, reporter, (answers, decide), said)
    })?;
    Ok(code.unwrap_or(EXIT_ENVIRONMENT))
}

/// Returns the one cluster that a verb is for; None: there are several, and the reporter says so.
pub(super) fn single_cluster<'c>(
    clusters: &[Option<&'c str>],
    reporter: &Reporter,
) -> Option<Option<&'c str>> {
    if let [cluster] = clusters {
        return Some(*cluster);
    }
    let known: Vec<_> = clusters.iter().flatten().copied().collect();
    reporter.print_error(&format!("pillion: say which cluster with `--cluster`: {}", known.join(", ")));
    None
}

/// Returns the command that releases what was left at the outbox.
pub(super) fn release_command(opened: &RepoContext) -> Result<String, Error> {
    let here = format!("git branch --force {} refs/pillion/outbox", opened.branches.deploy);
    Ok(opened.push_command()?.unwrap_or(here))
}

/// What every attempt of a verb needs.
struct VerbRun<'a> {
    args: &'a LedgerArgs,
    opened: &'a RepoContext,
    person: &'a Identity,
}

impl VerbRun<'_> {
    fn attempt(
        &self,
        live: &DeployBranch<'_>,
        cluster: Option<&str>,
        reporter: &mut Reporter,
        (answers, decide): (
            &impl Fn(&ClusterView, &Diagnostic) -> bool,
            &impl Fn(&VerbContext<'_>) -> Result<LedgerChange, VerbError>,
        ),
        said: &mut String,
    ) -> Result<Attempt<u8>, Error> {
        let (site, wrong) = live.cluster_view(cluster);
        // What is not staged yet has nothing to do with what a person says here.
        let counts = |d: &Diagnostic| d.code != Code::NotStaged && !answers(&site, d);
        reporter.add(wrong.into_iter().filter(counts));
        if reporter.has_errors() {
            return Ok(Attempt::Done(EXIT_FINDINGS));
        }
        let (by, today) = (self.person.to_string(), clock::today());
        let wanted =
            match decide(&VerbContext { deploy_branch: live, cluster_view: &site, by: &by, today: &today }) {
                Ok(wanted) => wanted,
                Err(VerbError::NotApplicable(refused)) => {
                    reporter.print_failure(&refused);
                    return Ok(Attempt::Done(EXIT_FINDINGS));
                }
                Err(VerbError::Git(failure)) => return Err(failure),
            };
        let LedgerChange { ledger: after, action, subject, body, trailers, notes, next_command: next } =
            wanted;
        let change = LedgerCommit { after: &after, action, subject, body, trailers };
        let (made, wrong) = commit_ledger(live, &site, &change, &Signing::disabled())?;
        reporter.add(wrong);
        let Some(made) = made else { return Ok(Attempt::Done(EXIT_FINDINGS)) };
        let release = ReleaseStamp { at: clock::now(), by: Some(self.person) };
        let put = match self.args.no_push {
            true => self.opened.save_to_outbox(made.id, &release)?,
            false => self.opened.release(live, made.id, &release)?,
        };
        Ok(match put {
            PushOutcome::Pushed(id, place) | PushOutcome::Unchanged(id, place) => {
                let next = next.map(|(command, what)| {
                    (
                        format!("{command}{}", repository::command_options(&self.args.repository, cluster)),
                        what,
                    )
                });
                let notes: String = notes.iter().map(|note| format!("\n{note}")).collect();
                let what = format!("{} {}", id.short(), made.subject());
                *said = self.success_text(&what, &format!("{place}{notes}"), next)?;
                Attempt::Done(EXIT_SUCCESS)
            }
            PushOutcome::NonFastForward(lost) => Attempt::Conflict(lost),
        })
    }

    /// Says what was done, where it is now, and what a person types next.
    fn success_text(&self, what: &str, place: &str, next: Option<(String, &str)>) -> Result<String, Error> {
        let next = match (self.args.no_push, next) {
            (true, _) => Some((release_command(self.opened)?, "releases it")),
            (false, next) => next,
        };
        let next = next.map_or_else(String::new, |(command, what)| format!("next: `{command}` {what}\n"));
        Ok(format!("{what}\n{place}\n{next}"))
    }
}
