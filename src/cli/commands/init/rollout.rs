//! `pillion init rollout`: writes the first ledgers, which change no rendered byte.

use super::codeowners;
use crate::cli::author::current_author;
use crate::cli::commands::pull_request::{PullRequestCommit, propose, with_pull_request_hint};
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::retry::{require_pushed, with_retry};
use crate::cli::{EXIT_SUCCESS, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::git::{FileEdit, Identity, NewCommit, ReleaseStamp, Signature, Signing, trailer};
use crate::model::ledger::Ledger;
use crate::read::FileSource as _;
use crate::stage::{
    ClusterView, CommitAction, DeployBranch, Error, InitialLedgers, InitialRevision, ProposalBranch,
    RevisionEvidence, init_edits, init_ledgers, source_trailers_of,
};
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// How first ledgers are published, and what is written beside them.
pub(in crate::cli::commands) struct LedgerPublication<'a> {
    /// The owner to add to CODEOWNERS.
    pub(in crate::cli::commands) owner: Option<&'a str>,
    /// Write a workflow that checks pull requests.
    pub(in crate::cli::commands) workflow: bool,
    /// Push the commit to the deploy branch; else it is written to the outbox.
    pub(in crate::cli::commands) push: bool,
    /// Open a pull request.
    pub(in crate::cli::commands) pull_request: bool,
    pub(in crate::cli::commands) repository: &'a RepositoryArgs,
    /// The command that writes the same ledgers.
    pub(in crate::cli::commands) command: &'a str,
}

/// Chooses what the first ledgers of a cluster release; None: git says it.
type RevisionChoice<'c> =
    dyn Fn(&ClusterView, &mut Reporter) -> Result<Option<InitialRevision>, CommandError> + 'c;

/// Arguments of `pillion init rollout`.
#[derive(Debug, Args)]
pub(super) struct InitRolloutArgs {
    /// Revision that workloads have now, where git does not say; rendered files must agree
    #[arg(long, value_enum)]
    released: Option<InitialRevisionArg>,
    /// Owner to add to CODEOWNERS for ledgers, rendered files, SidecarSets, pillion.yaml and CODEOWNERS itself
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// Write a GitHub Actions workflow that checks every pull request
    #[arg(long)]
    workflow: bool,
    /// Push the commit to the deploy branch
    #[arg(long, conflicts_with = "no_push")]
    push: bool,
    /// Write the commit to refs/pillion/outbox (the default)
    #[arg(long)]
    no_push: bool,
    /// Open a pull request: merging it puts the commit onto the deploy branch
    #[arg(long, conflicts_with_all = ["push", "no_push"])]
    pull_request: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InitialRevisionArg {
    /// The content of the SidecarSets' files
    Current,
    /// Nothing: the first rollout injects it
    Nothing,
}

/// The workflow that `--workflow` writes.
const WORKFLOW: &str = include_str!("workflow.yaml");
/// Where it goes.
const WORKFLOW_PATH: &str = ".github/workflows/pillion.yaml";
/// Where CODEOWNERS may be, the usual place first.
const CODEOWNERS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// Runs `pillion init rollout`.
pub(super) fn run(
    args: &InitRolloutArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let context = repository::open_for_commit(&args.repository, global, reporter)?;
    let author = current_author(&context.repository)?;
    let publication = LedgerPublication {
        owner: args.owner.as_deref(),
        workflow: args.workflow,
        push: args.push,
        pull_request: args.pull_request,
        repository: &args.repository,
        command: "init rollout",
    };
    let released = args.released.map(|released| match released {
        InitialRevisionArg::Current => InitialRevision::Current,
        InitialRevisionArg::Nothing => InitialRevision::Nothing,
    });
    let choose = |_: &ClusterView, _: &mut Reporter| Ok(released.clone());
    let text =
        with_retry(&context, || write_first_ledgers(&publication, &choose, &context, &author, reporter))?;
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

/// Makes and pushes the commit with the first ledgers; returns what was done.
///
/// # Errors
/// When a ledger is refused, or git fails.
pub(in crate::cli::commands) fn write_first_ledgers(
    args: &LedgerPublication<'_>,
    choose: &RevisionChoice<'_>,
    context: &RepoContext,
    author: &Identity,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let deploy_branch = context.read_deploy_branch_reporting(reporter)?;
    let (all, is_chosen) = initial_ledgers(args, choose, &deploy_branch, reporter)?;
    let mut edits = init_edits(&deploy_branch, &all)?;
    edits.extend(optional_edits(args, &deploy_branch)?);
    if edits.is_empty() {
        return Ok("every SidecarSet has a ledger already\n".to_owned());
    }
    reporter.print_note(commit_summary(args, context, (&all, is_chosen), &edits).trim_end());
    let head = &deploy_branch.head;
    let identity = Signature::new(&deploy_branch.branches.identity, head.time);
    let message = commit_message(&deploy_branch, &all);
    let tree = context.repository.write_tree(Some(head.tree), &edits)?;
    let commit =
        NewCommit { tree, parents: &[head.id], message: &message, author: identity, committer: identity };
    let commit = context.repository.write_commit(&commit, &Signing::disabled())?;
    let subject = message.lines().next().unwrap_or_default();
    if args.pull_request {
        let branch =
            ProposalBranch::first_ledgers(&context.branches.deploy, args.repository.cluster.as_deref());
        let made = PullRequestCommit { commit, author: Some(author), branch, rollout: None, note: None };
        let proposed = propose(context, &deploy_branch, &made)?;
        return Ok(format!("{} {subject}\n{}", proposed.commit.short(), proposed.text));
    }
    let release = ReleaseStamp { at: clock::now(), by: Some(author), note: None };
    let outcome = if args.push {
        context.release(&deploy_branch, commit, &release).map_err(with_pull_request_hint)?
    } else {
        context.save_to_outbox(commit, &release)?
    };
    let (id, place) = require_pushed(outcome, context)?;
    Ok(format!("{} {subject}\n{place}\n{}", id.short(), next_step(args, context, &all)?))
}

/// Returns the first ledgers of each cluster, and whether it was chosen what they release.
fn initial_ledgers(
    args: &LedgerPublication<'_>,
    choose: &RevisionChoice<'_>,
    deploy_branch: &DeployBranch<'_>,
    reporter: &mut Reporter,
) -> Result<(Vec<InitialLedgers>, bool), CommandError> {
    let mut is_chosen = false;
    let mut all = Vec::new();
    for cluster in repository::select_clusters(deploy_branch, args.repository)? {
        let (mut view, diagnostics) = deploy_branch.cluster_view(cluster);
        // A missing ledger is the reason to run this verb.
        let counts = |d: &Diagnostic| d.code != Code::NoLedger && d.code != Code::NotStagedYet;
        reporter.add(diagnostics.into_iter().filter(counts));
        reporter.fail_on_errors()?;
        let released = choose(&view, reporter)?;
        is_chosen |= released.is_some();
        let (initial, diagnostics) = init_ledgers(deploy_branch, &mut view, released.as_ref())?;
        reporter.add(diagnostics);
        all.push(initial);
    }
    reporter.fail_on_errors()?;
    Ok((all, is_chosen))
}

/// Returns the summary that is printed before the commit is pushed.
fn commit_summary(
    args: &LedgerPublication<'_>,
    context: &RepoContext,
    (all, is_chosen): (&[InitialLedgers], bool),
    edits: &BTreeMap<String, FileEdit>,
) -> String {
    let branch = &context.branches.deploy;
    let to = if args.push {
        format!("pushing to `{branch}`")
    } else if args.pull_request {
        format!("a pull request for `{branch}`")
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
    if !is_chosen && all.iter().any(|initial| is_unknown(&initial)) {
        text.push_str(
            "  git does not say what the cluster runs: nothing is released; where a plugin already injects, use `--released current`\n",
        );
    }
    text
}

/// Returns the next command.
fn next_step(
    args: &LedgerPublication<'_>,
    context: &RepoContext,
    all: &[InitialLedgers],
) -> Result<String, Error> {
    let options = repository::command_options(args.repository, args.repository.cluster.as_deref());
    let command = context.push_command()?;
    Ok(match (args.push, command) {
        (false, Some(command)) => format!("next: `{command}` pushes it\n"),
        (false, None) => {
            let branch = &context.branches.deploy;
            format!("next: `pillion {} --push{options}` puts it onto `{branch}`\n", args.command)
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
fn optional_edits(
    args: &LedgerPublication<'_>,
    deploy_branch: &DeployBranch<'_>,
) -> Result<BTreeMap<String, FileEdit>, CommandError> {
    let mut edits = BTreeMap::new();
    let present =
        |place: &str| deploy_branch.rendered_files().read_text(Path::new(place), &place.into()).ok();
    if let Some(owner) = args.owner {
        let place = CODEOWNERS.iter().find(|p| present(p).is_some()).unwrap_or(&CODEOWNERS[0]);
        let old = present(place).unwrap_or_default();
        let configuration =
            (&deploy_branch.configuration.repository, deploy_branch.configuration.layout.root.as_path());
        let further = [*place, WORKFLOW_PATH];
        let new = codeowners::add_owner(&old, owner, configuration, deploy_branch.source_files(), &further);
        if new != old {
            edits.insert((*place).to_owned(), FileEdit::Put(new.into_bytes()));
        }
    }
    match present(WORKFLOW_PATH) {
        _ if !args.workflow => {}
        Some(text) if text == WORKFLOW => {}
        // That of `pillion init github` has the same name.
        Some(_) => return Err(workflow_exists(deploy_branch)),
        None => {
            edits.insert(WORKFLOW_PATH.to_owned(), FileEdit::Put(WORKFLOW.as_bytes().to_owned()));
        }
    }
    Ok(edits)
}

fn workflow_exists(deploy_branch: &DeployBranch<'_>) -> CommandError {
    CommandError::findings(format!(
        "`{WORKFLOW_PATH}` already exists on `{}` with different content; nothing was written",
        deploy_branch.branches.deploy
    ))
    .hint("leave out `--workflow` if `pillion init` or `pillion init github` wrote the file, because it checks pull requests too; else rename the file")
}

fn commit_message(deploy_branch: &DeployBranch<'_>, all: &[InitialLedgers]) -> String {
    let body: Vec<String> =
        ledgers_with_cluster(all).map(|(cluster, ledger)| describe_released(cluster, ledger)).collect();
    let mut trailers = vec![CommitAction::Init.to_trailer()];
    if let [(_, ledger)] = ledgers_with_cluster(all).collect::<Vec<_>>()[..] {
        let released = ledger.released.as_deref().unwrap_or("-").to_owned();
        trailers.push((trailer::SIDECAR_SET, ledger.name.to_string()));
        trailers.extend([(trailer::REVISION, released.clone()), (trailer::FROM, released)]);
    }
    trailers.extend(source_trailers_of(deploy_branch));
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
