//! `pillion init`: what a repository needs to begin with.

use super::person::person;
use super::report::Reporter;
use super::repository::{self, Opened, Put, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, USAGE, clock, doors, to_stdout};
use crate::diag::{Code, Diagnostic, counted};
use crate::git::{Edit, Identity, NewCommit, Release, Signature, Signing, trailer};
use crate::model::ledger::Ledger;
use crate::read::Files as _;
use crate::stage::{Evidence, Failure, Initial, Live, Released, edits_of, init, trailers_of_source};
use crate::write;
use clap::{Args, Subcommand, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
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
    /// A ledger for every SidecarSet that has none: released is what every workload carries already, else nothing
    Rollout(RolloutArgs),
    #[command(flatten)]
    Door(doors::InitDoor),
}

#[derive(Debug, Args)]
struct RolloutArgs {
    /// What workloads carry now, where git does not tell; what is rendered has to agree
    #[arg(long, value_enum)]
    released: Option<ReleasedArg>,
    /// Write lines into CODEOWNERS, so that this owner reviews changes of ledgers, rendered files, SidecarSets, pillion.yaml and of CODEOWNERS itself
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Write a workflow of GitHub Actions that checks every pull request
    #[arg(long)]
    workflow: bool,
    /// Push the commit to the live branch
    #[arg(long, conflicts_with = "no_push")]
    push: bool,
    /// Leave the commit at refs/pillion/outbox (the default)
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
    let code = with_retry(&opened, reporter, |reporter| once(args, &opened, &person, reporter, said))?;
    Ok(code.unwrap_or(ENVIRONMENT))
}

fn once(
    args: &RolloutArgs,
    opened: &Opened,
    person: &Identity,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<Attempt<u8>, Failure> {
    let Some(live) = opened.live(reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
    let Some(all) = all_clusters(args, &live, reporter)? else { return Ok(Attempt::Done(FINDINGS)) };
    let mut edits = edits_of(&live, &all)?;
    edits.extend(further_edits(args, &live));
    if edits.is_empty() {
        *said = "every SidecarSet has a ledger already\n".to_owned();
        return Ok(Attempt::Done(DONE));
    }
    reporter.say(announcement(args, opened, &all, &edits).trim_end());
    let who = Signature::new(&live.branches.identity, live.head.time);
    let message = message(&live, &all);
    let tree = live.repository.write_tree(Some(live.head.tree), &edits)?;
    let new = NewCommit { tree, parents: &[live.head.id], message: &message, author: who, committer: who };
    let made = live.repository.write_commit(&new, &Signing::off())?;
    let release = Release { at: clock::now(), by: Some(person) };
    let put =
        if args.push { opened.release(&live, made, &release)? } else { opened.leave(made, &release)? };
    Ok(match put {
        Put::At(id, place) | Put::Same(id, place) => {
            let subject = message.lines().next().unwrap_or_default();
            *said = format!("{} {subject}\n{place}\n{}", id.short(), next(args, opened, &all)?);
            Attempt::Done(DONE)
        }
        Put::Moved(lost) => Attempt::Lost(lost),
    })
}

/// What each cluster gets; None when something is wrong.
fn all_clusters(
    args: &RolloutArgs,
    live: &Live<'_>,
    reporter: &mut Reporter,
) -> Result<Option<Vec<Initial>>, Failure> {
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
        all.push(initial);
    }
    Ok((!reporter.has_errors()).then_some(all))
}

/// Says what is going to be committed, before it is.
fn announcement(
    args: &RolloutArgs,
    opened: &Opened,
    all: &[Initial],
    edits: &BTreeMap<String, Edit>,
) -> String {
    let branch = &opened.branches.live;
    let to = if args.push {
        format!("pushing to `{branch}`")
    } else {
        format!("a commit for `{branch}`, not pushed")
    };
    let mut text = format!("pillion: {to}\n");
    for (cluster, ledger) in ledgers(all) {
        let _ = writeln!(text, "  {}", released(cluster, ledger));
    }
    let first: usize = all.iter().map(|initial| initial.files.len()).sum();
    let is_first = |place: &String| all.iter().any(|initial| initial.files.contains_key(place));
    for place in edits.keys().filter(|place| !is_first(place)) {
        let _ = writeln!(text, "  writes {place}");
    }
    let has_released = ledgers(all).any(|(_, ledger)| ledger.released.is_some());
    let _ = match (first, has_released) {
        (0, _) => writeln!(text, "  no rendered file changes"),
        (n, false) => {
            writeln!(text, "  writes the first rendered files, {n} of them: each is its source as it is")
        }
        (n, true) => writeln!(text, "  writes the first rendered files, {n} of them, with what is released"),
    };
    let is_unknown = |initial: &&Initial| {
        initial.evidence == Evidence::Manifests
            && initial.ledgers.iter().any(|ledger| ledger.released.is_none())
    };
    if args.released.is_none() && all.iter().any(|initial| is_unknown(&initial)) {
        text.push_str(
            "  git does not tell what the cluster runs: nothing is released; where a plugin already injects, use `--released current`\n",
        );
    }
    text
}

/// What a person types next.
fn next(args: &RolloutArgs, opened: &Opened, all: &[Initial]) -> Result<String, Failure> {
    let options = repository::options(&args.repository, args.repository.cluster.as_deref());
    let command = opened.push_command()?;
    Ok(match (args.push, command) {
        (false, Some(command)) => format!("next: `{command}` pushes it\n"),
        (false, None) => {
            let live = &opened.branches.live;
            format!("next: `pillion init rollout --push{options}` puts it onto `{live}`\n")
        }
        (true, command) => {
            let pull = if command.is_some() { "`git pull`, then " } else { "" };
            match ledgers(all).any(|(_, ledger)| ledger.released.is_none()) {
                true => format!("next: {pull}`pillion plan` shows the first rollout\n"),
                false => format!("next: {pull}`pillion status{options}` shows what is released\n"),
            }
        }
    })
}

/// The new ledgers, each with its cluster.
fn ledgers(all: &[Initial]) -> impl Iterator<Item = (Option<&str>, &Ledger)> {
    all.iter().flat_map(|initial| initial.ledgers.iter().map(|ledger| (initial.cluster.as_deref(), ledger)))
}

/// What is released of a SidecarSet.
fn released(cluster: Option<&str>, ledger: &Ledger) -> String {
    let of = cluster.map_or_else(String::new, |cluster| format!(" in {cluster}"));
    format!("{}{of}: {} is released", ledger.name, ledger.released.as_deref().unwrap_or("nothing"))
}

/// CODEOWNERS and the workflow, where they are asked for.
fn further_edits(args: &RolloutArgs, live: &Live<'_>) -> BTreeMap<String, Edit> {
    let mut edits = BTreeMap::new();
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

fn message(live: &Live<'_>, all: &[Initial]) -> String {
    let body: Vec<String> = ledgers(all).map(|(cluster, ledger)| released(cluster, ledger)).collect();
    let mut trailers = vec![(trailer::ACTION, "Init".to_owned())];
    if let [(_, ledger)] = ledgers(all).collect::<Vec<_>>()[..] {
        let released = ledger.released.as_deref().unwrap_or("-").to_owned();
        trailers.push((trailer::SIDECAR_SET, ledger.name.to_string()));
        trailers.extend([(trailer::REVISION, released.clone()), (trailer::FROM, released)]);
    }
    trailers.extend(trailers_of_source(live));
    trailer::message(&subject(all), &body.join("\n"), &trailers)
}

/// Which ledgers, and what is released: in one line.
fn subject(all: &[Initial]) -> String {
    let unique = |names: Vec<String>| -> Vec<String> {
        let mut seen = BTreeSet::new();
        names.into_iter().filter(|name| seen.insert(name.clone())).collect()
    };
    let sets = unique(ledgers(all).map(|(_, ledger)| ledger.name.to_string()).collect());
    let contents = unique(ledgers(all).filter_map(|(_, l)| Some(l.released.as_ref()?.to_string())).collect());
    let ledger = match sets.len() {
        0 => return "pillion: files beside the ledgers".to_owned(),
        1 => "ledger",
        _ => "ledgers",
    };
    let released = if contents.is_empty() { "nothing".to_owned() } else { listed(&contents, "revision") };
    format!("pillion: {ledger} of {}, {released} released", listed(&sets, "SidecarSet"))
}

/// `a`, `a and b`, or how many there are.
fn listed(names: &[String], what: &str) -> String {
    match names {
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        _ => counted(names.len() as u64, what),
    }
}
