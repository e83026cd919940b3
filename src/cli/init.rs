//! `pillion init`: what a repository needs to begin with.

use super::person::person;
use super::report::Reporter;
use super::repository::{self, Put, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{Common, DONE, FINDINGS, USAGE, clock, doors, to_stdout};
use crate::diag::{Code, Diagnostic};
use crate::git::{Edit, NewCommit, Release, Signature, Signing, trailer};
use crate::model::ledger::name_text;
use crate::read::Files as _;
use crate::stage::{Failure, Initial, Live, Released, init, trailers_of_source};
use crate::write;
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Arguments of `pillion init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A ledger for every SidecarSet that has none, at what is rendered now
    Rollout(RolloutArgs),
    #[command(flatten)]
    Door(doors::InitDoor),
}

#[derive(Debug, Args)]
struct RolloutArgs {
    /// What workloads carry now, where no rendered file tells
    #[arg(long, value_enum)]
    released: Option<ReleasedArg>,
    /// Write lines into CODEOWNERS, so that this owner reviews changes of ledgers, rendered files, SidecarSets, pillion.yaml and of CODEOWNERS itself
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Write a workflow of GitHub Actions that checks every pull request
    #[arg(long)]
    workflow: bool,
    /// Push the commit to the live branch (the default where there is a remote)
    #[arg(long, conflicts_with = "no_push")]
    push: bool,
    /// Leave the commit at refs/pillion/outbox instead
    #[arg(long)]
    no_push: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReleasedArg {
    /// What the files of the SidecarSets hold
    Current,
    /// Nothing: the first rollout brings it
    Nothing,
}

/// The workflow that `--workflow` writes.
const WORKFLOW: &str = include_str!("init_workflow.yaml");
/// Where it goes.
const WORKFLOW_PLACE: &str = ".github/workflows/pillion.yaml";
/// Where CODEOWNERS may be, the usual place first.
const CODEOWNERS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// Runs `pillion init`.
pub(super) fn run(args: &InitArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    let args = match &args.what {
        What::Rollout(args) => args,
        What::Door(door) => return doors::init(door, common, reporter),
    };
    let mut said = String::new();
    let result = rollout(args, common, reporter, &mut said);
    let code = repository::settle(result, reporter)?;
    if code == DONE {
        to_stdout(&said)?;
    }
    Ok(code)
}

/// The cluster, where there are some, and what it gets.
type OfCluster = (Option<String>, Initial);

fn rollout(
    args: &RolloutArgs,
    common: &Common,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open_to_commit(&args.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    let person = person(&opened.repository)?;
    let code = with_retry(&opened, reporter, |reporter| {
        let Some(live) = opened.live(reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
        let Some(all) = all_clusters(args, &live, reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
        let edits = edits(args, &live, &all);
        if edits.is_empty() {
            *said = "every SidecarSet has a ledger already\n".to_owned();
            return Ok(Attempt::Done(DONE));
        }
        let message = message(&live, &all);
        let tree = live.repository.write_tree(Some(live.head.tree), &edits)?;
        let who = Signature::new(&live.branches.identity, live.head.time);
        let new =
            NewCommit { tree, parents: &[live.head.id], message: &message, author: who, committer: who };
        let made = live.repository.write_commit(&new, &Signing::off())?;
        let release = Release { at: clock::now(), by: Some(&person) };
        let put = match args.no_push {
            true => opened.leave(made, &release)?,
            false => opened.release(&live, made, &release)?,
        };
        let lost = match put {
            Put::Moved(lost) => lost,
            Put::At(id, place) | Put::Same(id, place) => {
                let subject = message.lines().next().unwrap_or_default();
                let _ = writeln!(said, "{} {subject}\n{place}", id.short());
                for (_, initial) in &all {
                    for ledger in &initial.ledgers {
                        let _ = writeln!(said, "{}: released {}", ledger.name, name_text(&ledger.released));
                    }
                }
                return Ok(Attempt::Done(DONE));
            }
        };
        Ok(Attempt::Lost(lost))
    })?;
    Ok(code.unwrap_or(super::ENVIRONMENT))
}

/// What each cluster gets; None when something is wrong.
fn all_clusters(
    args: &RolloutArgs,
    live: &Live<'_>,
    reporter: &mut Reporter,
) -> Result<Option<Vec<OfCluster>>, Failure> {
    let Some(clusters) = repository::clusters(live, &args.repository, reporter) else { return Ok(None) };
    let released = args.released.map(|r| match r {
        ReleasedArg::Current => Released::Current,
        ReleasedArg::Nothing => Released::Nothing,
    });
    let mut all = Vec::new();
    for cluster in clusters {
        let (mut site, wrong) = live.site(cluster);
        // That there is none is why this verb is run.
        let counts = |d: &Diagnostic| d.code != Code::NoLedger && d.code != Code::NotStagedYet;
        reporter.add(wrong.into_iter().filter(counts));
        if reporter.has_errors() {
            return Ok(None);
        }
        let (initial, wrong) = init(live, &mut site, released)?;
        reporter.add(wrong);
        all.push((cluster.map(str::to_owned), initial));
    }
    Ok((!reporter.has_errors()).then_some(all))
}

fn edits(args: &RolloutArgs, live: &Live<'_>, all: &[OfCluster]) -> BTreeMap<String, Edit> {
    let mut edits: BTreeMap<String, Edit> = all.iter().flat_map(|(_, i)| i.edits.clone()).collect();
    let present = |place: &str| live.rendered().text(Path::new(place), &place.into()).ok();
    if let Some(owner) = &args.owner {
        let place = CODEOWNERS.iter().find(|p| present(p).is_some()).unwrap_or(&CODEOWNERS[0]);
        let old = present(place).unwrap_or_default();
        let configuration = (&live.configuration.repository, live.configuration.layout.root.as_path());
        let further = [*place, WORKFLOW_PLACE];
        let new = super::owners::with_owner(&old, owner, configuration, live.sources(), &further);
        if new != old {
            edits.insert((*place).to_owned(), Edit::Put(new.into_bytes()));
        }
    }
    if args.workflow && present(WORKFLOW_PLACE).as_deref() != Some(WORKFLOW) {
        edits.insert(WORKFLOW_PLACE.to_owned(), Edit::Put(WORKFLOW.as_bytes().to_owned()));
    }
    edits
}

fn message(live: &Live<'_>, all: &[OfCluster]) -> String {
    let ledgers: Vec<_> =
        all.iter().flat_map(|(cluster, i)| i.ledgers.iter().map(move |l| (cluster, l))).collect();
    let line = |(cluster, ledger): &(&Option<String>, &crate::model::ledger::Ledger)| {
        let of = cluster.as_ref().map_or_else(String::new, |c| format!(" in {c}"));
        format!("{}{of}: {} is released", ledger.name, name_text(&ledger.released))
    };
    let body: Vec<String> = ledgers.iter().map(line).collect();
    let subject = match ledgers.len() {
        1 => "pillion: a ledger at what is rendered now".to_owned(),
        n => format!("pillion: {n} ledgers at what is rendered now"),
    };
    let mut trailers = vec![(trailer::ACTION, "Init".to_owned())];
    if let [(_, ledger)] = &ledgers[..] {
        let released = name_text(&ledger.released).to_owned();
        trailers.push((trailer::SIDECAR_SET, ledger.name.to_string()));
        trailers.extend([(trailer::REVISION, released.clone()), (trailer::FROM, released)]);
    }
    trailers.extend(trailers_of_source(live));
    trailer::message(&subject, &body.join("\n"), &trailers)
}
