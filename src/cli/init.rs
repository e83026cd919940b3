//! `pillion init`: what a repository needs to begin with.

use super::author::current_author;
use super::reporter::Reporter;
use super::repository::{self, PushOutcome, RepoContext, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{
    EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, clock, print_text, templates,
};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::git::{FileEdit, Identity, NewCommit, ReleaseStamp, Signature, Signing, trailer};
use crate::model::ledger::Ledger;
use crate::read::FileSource as _;
use crate::stage::{
    CommitAction, DeployBranch, Error, InitialLedgers, InitialRevision, RevisionEvidence, init_edits,
    init_ledgers, source_trailers_of,
};
use crate::write;
use clap::{Args, Subcommand, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Arguments of `pillion init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    #[command(subcommand)]
    command: InitCommand,
}

#[derive(Debug, Subcommand)]
enum InitCommand {
    /// A ledger for every SidecarSet that has none: released is what every workload carries already, else nothing
    Rollout(InitRolloutArgs),
    #[command(flatten)]
    Integration(templates::InitIntegration),
}

#[derive(Debug, Args)]
struct InitRolloutArgs {
    /// What workloads carry now, where git does not tell; what is rendered has to agree
    #[arg(long, value_enum)]
    released: Option<InitialRevisionArg>,
    /// Write lines into CODEOWNERS, so that this owner reviews changes of ledgers, rendered files, SidecarSets, pillion.yaml and of CODEOWNERS itself
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Write a workflow of GitHub Actions that checks every pull request
    #[arg(long)]
    workflow: bool,
    /// Push the commit to the deploy branch
    #[arg(long, conflicts_with = "no_push")]
    push: bool,
    /// Leave the commit at refs/pillion/outbox (the default)
    #[arg(long)]
    no_push: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InitialRevisionArg {
    /// What the files of the SidecarSets hold
    Current,
    /// Nothing: the first rollout brings it
    Nothing,
}

/// The workflow that `--workflow` writes.
const WORKFLOW: &str = include_str!("init_workflow.yaml");
/// Where it goes.
const WORKFLOW_PATH: &str = ".github/workflows/pillion.yaml";
/// Where CODEOWNERS may be, the usual place first.
const CODEOWNERS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// Runs `pillion init`.
pub(super) fn run(args: &InitArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, write::Error> {
    let args = match &args.command {
        InitCommand::Rollout(args) => args,
        InitCommand::Integration(door) => return templates::init_integration(door, common, reporter),
    };
    let mut said = String::new();
    let result = init_rollout(args, common, reporter, &mut said);
    let code = repository::to_exit_code(result, reporter)?;
    if code == EXIT_SUCCESS {
        print_text(&said)?;
    }
    Ok(code)
}

fn init_rollout(
    args: &InitRolloutArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_for_commit(&args.repository, common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    let person = current_author(&opened.repository)?;
    let code =
        with_retry(&opened, reporter, |reporter| attempt_init(args, &opened, &person, reporter, said))?;
    Ok(code.unwrap_or(EXIT_ENVIRONMENT))
}

fn attempt_init(
    args: &InitRolloutArgs,
    opened: &RepoContext,
    person: &Identity,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<Attempt<u8>, Error> {
    let Some(live) = opened.read_deploy_branch_reporting(reporter)? else {
        return Ok(Attempt::Done(EXIT_FINDINGS));
    };
    let Some(all) = initial_ledgers(args, &live, reporter)? else { return Ok(Attempt::Done(EXIT_FINDINGS)) };
    let mut edits = init_edits(&live, &all)?;
    edits.extend(optional_edits(args, &live));
    if edits.is_empty() {
        *said = "every SidecarSet has a ledger already\n".to_owned();
        return Ok(Attempt::Done(EXIT_SUCCESS));
    }
    reporter.print_note(commit_summary(args, opened, &all, &edits).trim_end());
    let who = Signature::new(&live.branches.identity, live.head.time);
    let message = commit_message(&live, &all);
    let tree = live.repository.write_tree(Some(live.head.tree), &edits)?;
    let new = NewCommit { tree, parents: &[live.head.id], message: &message, author: who, committer: who };
    let made = live.repository.write_commit(&new, &Signing::disabled())?;
    let release = ReleaseStamp { at: clock::now(), by: Some(person) };
    let put = if args.push {
        opened.release(&live, made, &release)?
    } else {
        opened.save_to_outbox(made, &release)?
    };
    Ok(match put {
        PushOutcome::Pushed(id, place) | PushOutcome::Unchanged(id, place) => {
            let subject = message.lines().next().unwrap_or_default();
            *said = format!("{} {subject}\n{place}\n{}", id.short(), next_step(args, opened, &all)?);
            Attempt::Done(EXIT_SUCCESS)
        }
        PushOutcome::NonFastForward(lost) => Attempt::Conflict(lost),
    })
}

/// What each cluster gets; None when something is wrong.
fn initial_ledgers(
    args: &InitRolloutArgs,
    live: &DeployBranch<'_>,
    reporter: &mut Reporter,
) -> Result<Option<Vec<InitialLedgers>>, Error> {
    let Some(clusters) = repository::select_clusters(live, &args.repository, reporter) else {
        return Ok(None);
    };
    let released = args.released.map(|r| match r {
        InitialRevisionArg::Current => InitialRevision::Current,
        InitialRevisionArg::Nothing => InitialRevision::Nothing,
    });
    let mut all = Vec::new();
    for cluster in clusters {
        let (mut site, wrong) = live.cluster_view(cluster);
        // That there is none is why this verb is run.
        let counts = |d: &Diagnostic| d.code != Code::NoLedger && d.code != Code::NotStaged;
        reporter.add(wrong.into_iter().filter(counts));
        if reporter.has_errors() {
            return Ok(None);
        }
        let (initial, wrong) = init_ledgers(live, &mut site, released)?;
        reporter.add(wrong);
        all.push(initial);
    }
    Ok((!reporter.has_errors()).then_some(all))
}

/// Says what is going to be committed, before it is.
fn commit_summary(
    args: &InitRolloutArgs,
    opened: &RepoContext,
    all: &[InitialLedgers],
    edits: &BTreeMap<String, FileEdit>,
) -> String {
    let branch = &opened.branches.deploy;
    let to = if args.push {
        format!("pushing to `{branch}`")
    } else {
        format!("a commit for `{branch}`, not pushed")
    };
    let mut text = format!("pillion: {to}\n");
    for (cluster, ledger) in ledgers_with_cluster(all) {
        let _ = writeln!(text, "  {}", describe_released(cluster, ledger));
    }
    let first: usize = all.iter().map(|initial| initial.files.len()).sum();
    let is_first = |place: &String| all.iter().any(|initial| initial.files.contains_key(place));
    for place in edits.keys().filter(|place| !is_first(place)) {
        let _ = writeln!(text, "  writes {place}");
    }
    let has_released = ledgers_with_cluster(all).any(|(_, ledger)| ledger.released.is_some());
    let _ = match (first, has_released) {
        (0, _) => writeln!(text, "  no rendered file changes"),
        (n, false) => {
            writeln!(text, "  writes the first rendered files, {n} of them: each is its source as it is")
        }
        (n, true) => writeln!(text, "  writes the first rendered files, {n} of them, with what is released"),
    };
    let is_unknown = |initial: &&InitialLedgers| {
        initial.evidence == RevisionEvidence::Manifests
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
fn next_step(args: &InitRolloutArgs, opened: &RepoContext, all: &[InitialLedgers]) -> Result<String, Error> {
    let options = repository::command_options(&args.repository, args.repository.cluster.as_deref());
    let command = opened.push_command()?;
    Ok(match (args.push, command) {
        (false, Some(command)) => format!("next: `{command}` pushes it\n"),
        (false, None) => {
            let live = &opened.branches.deploy;
            format!("next: `pillion init rollout --push{options}` puts it onto `{live}`\n")
        }
        (true, command) => {
            let pull = if command.is_some() { "`git pull`, then " } else { "" };
            match ledgers_with_cluster(all).any(|(_, ledger)| ledger.released.is_none()) {
                true => format!("next: {pull}`pillion plan` shows the first rollout\n"),
                false => format!("next: {pull}`pillion status{options}` shows what is released\n"),
            }
        }
    })
}

/// The new ledgers, each with its cluster.
fn ledgers_with_cluster(all: &[InitialLedgers]) -> impl Iterator<Item = (Option<&str>, &Ledger)> {
    all.iter().flat_map(|initial| initial.ledgers.iter().map(|ledger| (initial.cluster.as_deref(), ledger)))
}

/// What is released of a SidecarSet.
fn describe_released(cluster: Option<&str>, ledger: &Ledger) -> String {
    let of = cluster.map_or_else(String::new, |cluster| format!(" in {cluster}"));
    format!("{}{of}: {} is released", ledger.name, ledger.released.as_deref().unwrap_or("nothing"))
}

/// CODEOWNERS and the workflow, where they are asked for.
fn optional_edits(args: &InitRolloutArgs, live: &DeployBranch<'_>) -> BTreeMap<String, FileEdit> {
    let mut edits = BTreeMap::new();
    let present = |place: &str| live.rendered_files().read_text(Path::new(place), &place.into()).ok();
    if let Some(owner) = &args.owner {
        let place = CODEOWNERS.iter().find(|p| present(p).is_some()).unwrap_or(&CODEOWNERS[0]);
        let old = present(place).unwrap_or_default();
        let configuration = (&live.configuration.repository, live.configuration.layout.root.as_path());
        let further = [*place, WORKFLOW_PATH];
        let new = super::codeowners::add_owner(&old, owner, configuration, live.source_files(), &further);
        if new != old {
            edits.insert((*place).to_owned(), FileEdit::Put(new.into_bytes()));
        }
    }
    if args.workflow && present(WORKFLOW_PATH).as_deref() != Some(WORKFLOW) {
        edits.insert(WORKFLOW_PATH.to_owned(), FileEdit::Put(WORKFLOW.as_bytes().to_owned()));
    }
    edits
}

fn commit_message(live: &DeployBranch<'_>, all: &[InitialLedgers]) -> String {
    let body: Vec<String> =
        ledgers_with_cluster(all).map(|(cluster, ledger)| describe_released(cluster, ledger)).collect();
    let mut trailers = vec![CommitAction::Init.to_trailer()];
    if let [(_, ledger)] = ledgers_with_cluster(all).collect::<Vec<_>>()[..] {
        let released = ledger.released.as_deref().unwrap_or("-").to_owned();
        trailers.push((trailer::SIDECAR_SET, ledger.name.to_string()));
        trailers.extend([(trailer::REVISION, released.clone()), (trailer::FROM, released)]);
    }
    trailers.extend(source_trailers_of(live));
    trailer::format_message(&commit_subject(all), &body.join("\n"), &trailers)
}

/// Which ledgers, and what is released: in one line.
fn commit_subject(all: &[InitialLedgers]) -> String {
    let unique = |names: Vec<String>| -> Vec<String> {
        let mut seen = BTreeSet::new();
        names.into_iter().filter(|name| seen.insert(name.clone())).collect()
    };
    let sets = unique(ledgers_with_cluster(all).map(|(_, ledger)| ledger.name.to_string()).collect());
    let contents = unique(
        ledgers_with_cluster(all).filter_map(|(_, l)| Some(l.released.as_ref()?.to_string())).collect(),
    );
    let ledger = match sets.len() {
        0 => return "pillion: files beside the ledgers".to_owned(),
        1 => "ledger",
        _ => "ledgers",
    };
    let released = if contents.is_empty() { "nothing".to_owned() } else { join_names(&contents, "revision") };
    format!("pillion: {ledger} of {}, {released} released", join_names(&sets, "SidecarSet"))
}

/// `a`, `a and b`, or how many there are.
fn join_names(names: &[String], what: &str) -> String {
    match names {
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        _ => pluralize(names.len() as u64, what),
    }
}
