//! `pillion promote`: the next steps of an open rollout, released by a person. Pods are not looked at.

use super::known::Known;
use super::person::person;
use super::report::Reporter;
use super::repository::{self, Opened, Put};
use super::retry::{Attempt, with_retry};
use super::verbs::{LedgerArgs, only_one, release_command};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, USAGE, clock, to_stdout};
use crate::diag::{Code, Diagnostic, counted};
use crate::git::{Id, Identity, Release, Signing};
use crate::model::ledger::Ledger;
use crate::plan::{Batch, Circumstances, Rest, Step, awaited_approval};
use crate::stage::verbs::Refused;
use crate::stage::{
    Failure, Live, Rollout, Site, Staged, StagedBranch, check_own_render, reverted, reverted_batch,
    rewritten, stack,
};
use crate::write;
use clap::Args;
use std::fmt::Write as _;

/// Arguments of `pillion promote`.
#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    /// The SidecarSet
    name: String,
    /// Release every batch up to this one, a commit each; without it the next step alone
    #[arg(long = "to", value_name = "BATCH", conflicts_with = "full")]
    batch: Option<u32>,
    /// Release every batch, and close the rollout
    #[arg(long)]
    full: bool,
    /// Print the commits, and release none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion promote`.
pub(super) fn run(
    args: &PromoteArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    let mut said = String::new();
    let result = promoted(args, common, reporter, &mut said);
    let code = repository::settle(result, reporter)?;
    if code == DONE {
        to_stdout(&said)?;
    }
    Ok(code)
}

fn promoted(
    args: &PromoteArgs,
    common: &Common,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open_to_commit(&args.ledger.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    // Nobody has to be known for what is only shown.
    let person = if args.dry_run { None } else { Some(person(&opened.repository)?) };
    let promotion = Promotion { args, opened: &opened, person: person.as_ref() };
    let code = with_retry(&opened, reporter, |reporter| {
        let Some(live) = opened.live(reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
        let clusters = repository::clusters(&live, &args.ledger.repository, reporter);
        let Some(cluster) = clusters.and_then(|clusters| only_one(&clusters, reporter)) else {
            return Ok(Attempt::Done(USAGE));
        };
        promotion.once(&live, cluster, reporter, said)
    })?;
    Ok(code.unwrap_or(ENVIRONMENT))
}

/// What every attempt needs.
struct Promotion<'a> {
    args: &'a PromoteArgs,
    opened: &'a Opened,
    person: Option<&'a Identity>,
}

impl Promotion<'_> {
    fn once(
        &self,
        live: &Live<'_>,
        cluster: Option<&str>,
        reporter: &mut Reporter,
        said: &mut String,
    ) -> Result<Attempt<u8>, Failure> {
        let (site, wrong) = live.site(cluster);
        reporter.add(wrong.into_iter().filter(|d| d.code != Code::NotStagedYet));
        if !reporter.has_errors() {
            reporter.add(check_own_render(live, &site)?);
        }
        if reporter.has_errors() {
            return Ok(Attempt::Done(FINDINGS));
        }
        let name = &self.args.name;
        if let Some(wrong) = Known::of(&site).unknown([name]) {
            reporter.failure(&Refused(wrong));
            return Ok(Attempt::Done(FINDINGS));
        }
        let given = Circumstances { today: Some(clock::today()), ..Circumstances::default() };
        let (rollout, wrong) = Rollout::of(&site, name, &given);
        reporter.add(wrong);
        reporter.add(self.moved_by_hand(live, &rollout)?);
        if reporter.has_errors() {
            return Ok(Attempt::Done(FINDINGS));
        }
        let number = match self.steps(&rollout) {
            Ok(number) => number,
            Err(refused) => {
                reporter.failure(&refused);
                return Ok(Attempt::Done(FINDINGS));
            }
        };
        let (made, wrong) = stack(live, &rollout, number, &Signing::off(), &[])?;
        reporter.add(wrong);
        let Some(made) = made else { return Ok(Attempt::Done(FINDINGS)) };
        if self.args.dry_run {
            *said = self.foretold(&site, &rollout, &made.commits);
            return Ok(Attempt::Done(DONE));
        }
        let ids: Vec<Id> = made.commits.iter().map(|commit| commit.id).collect();
        let release = Release { at: clock::now(), by: self.person };
        let (released, put) = match self.args.ledger.no_push {
            true => self.opened.leave_all(&ids, &release)?,
            false => self.opened.release_all(live, &ids, &release)?,
        };
        Ok(match put {
            Put::At(_, place) | Put::Same(_, place) => {
                *said = self.told(&site, &rollout, (&released, &made.commits), &place)?;
                Attempt::Done(DONE)
            }
            Put::Moved(lost) => Attempt::Lost(lost),
        })
    }

    /// What a person has to look at before anything more is released.
    fn moved_by_hand(&self, live: &Live<'_>, rollout: &Rollout<'_>) -> Result<Vec<Diagnostic>, Failure> {
        let cluster = rollout.site.cluster.as_deref();
        let branch = StagedBranch::find(live, cluster, rollout.name());
        let examined = branch.examine(live, rollout.name())?;
        let reverted = reverted(live, cluster, &rollout.ledger)?;
        let reverted = reverted.map(|found| reverted_batch(live, cluster, &rollout.ledger, &found));
        Ok(rewritten(live, &branch, &examined).into_iter().chain(reverted).collect())
    }

    /// Counts the steps that are released; why there are none.
    fn steps(&self, rollout: &Rollout<'_>) -> Result<usize, Refused> {
        if let Some(refused) = self.out_of_reach(rollout) {
            return Err(refused);
        }
        let number = match (self.args.batch, self.args.full) {
            (Some(wanted), _) => {
                let is_before = |step: &&Step| matches!(step, Step::Batch(batch) if batch.number <= wanted);
                rollout.steps.iter().take_while(is_before).count()
            }
            (None, true) => {
                let is_own = |step: &&Step| matches!(step, Step::Batch(_) | Step::Close(_));
                rollout.steps.iter().take_while(is_own).count()
            }
            (None, false) => 1,
        };
        self.unapproved(rollout, number).map_or(Ok(number), Err)
    }

    /// Says why the next step, or the batch that is meant, cannot be released by hand.
    fn out_of_reach(&self, rollout: &Rollout<'_>) -> Option<Refused> {
        let (name, ledger) = (rollout.name(), &rollout.ledger);
        let options = self.options(rollout.site);
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            return Some(Refused(format!(
                "`{name}` is paused at batch {}{by}: {}; `pillion resume {name}{options}` lets it go on",
                paused.batch, paused.reason
            )));
        }
        let (last, wanted) = (rollout.last_batch(), self.args.batch);
        let why = match rollout.steps.first() {
            Some(Step::Rest(rest)) if ledger.target.is_none() && !matches!(rest, Rest::EarlierWave(_)) => {
                format!("no rollout of `{name}` is open: {rest}")
            }
            Some(Step::Rest(rest)) => format!("no batch of `{name}` can be released: {rest}"),
            Some(Step::Open(_)) if ledger.target.is_some() => format!(
                "the file of `{name}` holds something newer, which takes the place of what is rolled out: `pillion stage --start {name}{options}` starts it"
            ),
            Some(Step::Open(_)) => {
                format!("no rollout of `{name}` is open: `pillion stage --start {name}{options}` opens it")
            }
            _ if wanted.is_some_and(|batch| batch <= ledger.last_batch()) => format!(
                "batch {} of `{name}` is out already: {} is the last one that is",
                wanted.unwrap_or_default(),
                ledger.last_batch()
            ),
            _ if wanted.is_some_and(|batch| batch > last) => format!(
                "the rollout of `{name}` has no batch {}: {last} is the last one; `--full` releases that, and closes the rollout",
                wanted.unwrap_or_default()
            ),
            _ => return None,
        };
        Some(Refused(why))
    }

    /// Says which of the first steps waits for an approval.
    fn unapproved(&self, rollout: &Rollout<'_>, number: usize) -> Option<Refused> {
        let mut before = &rollout.ledger;
        for step in rollout.steps.iter().take(number) {
            let Step::Batch(batch) = step else { break };
            if is_unapproved(rollout, before, batch) {
                return Some(self.waits(rollout, batch));
            }
            before = &batch.ledger;
        }
        None
    }

    fn waits(&self, rollout: &Rollout<'_>, batch: &Batch) -> Refused {
        let (name, number, options) = (rollout.name(), batch.number, self.options(rollout.site));
        let before = number - 1;
        let nearer = if before > rollout.ledger.last_batch() {
            format!("; `--to {before}` releases what comes before it")
        } else {
            String::new()
        };
        Refused(format!(
            "batch {number} of `{name}` waits for `pillion approve {name} {number}{options}`{nearer}"
        ))
    }

    fn options(&self, site: &Site) -> String {
        repository::options(&self.args.ledger.repository, site.cluster.as_deref())
    }

    /// What `--dry-run` says.
    fn foretold(&self, site: &Site, rollout: &Rollout<'_>, commits: &[Staged]) -> String {
        let mut text = String::new();
        for commit in commits {
            let _ = writeln!(text, "would release {}", commit.subject());
        }
        let following = self.following(site, rollout, commits.len());
        let _ = writeln!(text, "nothing was released; then {following}");
        text
    }

    /// What was released, where it is, and what comes next.
    fn told(
        &self,
        site: &Site,
        rollout: &Rollout<'_>,
        (released, made): (&[Id], &[Staged]),
        place: &str,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        for (id, commit) in released.iter().zip(made) {
            let _ = writeln!(text, "{} {}", id.short(), commit.subject());
        }
        let _ = writeln!(text, "{place}");
        if self.args.ledger.no_push {
            let _ = writeln!(text, "next: `{}` releases it", release_command(self.opened)?);
            return Ok(text);
        }
        let _ = writeln!(text, "released by hand: pillion looked at no pod and waited for no soak");
        let _ = writeln!(text, "next: {}", self.following(site, rollout, released.len()));
        Ok(text)
    }

    /// What follows after the first steps, and the command for it.
    fn following(&self, site: &Site, rollout: &Rollout<'_>, number: usize) -> String {
        let (name, options) = (rollout.name(), self.options(site));
        let promote = format!("`pillion promote {name}{options}`");
        match rollout.steps.get(number) {
            Some(Step::Batch(batch)) => {
                let (pods, moves) = (batch.pods(), batch.moves.len() as u64);
                let before = ledger_before(rollout, number);
                let approve = match is_unapproved(rollout, before, batch) {
                    true => format!("`pillion approve {name} {}{options}`, then ", batch.number),
                    false => String::new(),
                };
                format!(
                    "{approve}{promote} releases batch {} of {}: {} of {}",
                    batch.number,
                    rollout.last_batch(),
                    counted(pods.into(), "pod"),
                    counted(moves, "workload")
                )
            }
            Some(Step::Close(_)) => {
                format!("{promote} closes the rollout: every workload carries the target")
            }
            Some(Step::Rest(rest)) => rest.to_string(),
            _ => format!("`pillion status {name}{options}` shows where it stands"),
        }
    }
}

/// Returns whether a batch waits for a person, and the ledger before it has no approval of its plan.
fn is_unapproved(rollout: &Rollout<'_>, before: &Ledger, batch: &Batch) -> bool {
    let awaited = awaited_approval(&rollout.course, before, batch);
    awaited.is_some_and(|plan| !before.approved.iter().any(|a| a.plan == plan))
}

/// Returns the ledger that a step follows.
fn ledger_before<'r>(rollout: &'r Rollout<'_>, number: usize) -> &'r Ledger {
    match number.checked_sub(1).map(|before| &rollout.steps[before]) {
        Some(Step::Batch(Batch { ledger, .. }) | Step::Open(ledger) | Step::Close(ledger)) => ledger,
        _ => &rollout.ledger,
    }
}
