//! Commits of a person on a ledger: what `pause`, `resume`, `approve`, `rollback` and `hold` share.

use super::dry_run::describe_commits;
use super::next_step::describe_after_change;
use super::pull_request::{DeliveryArgs, PullRequestCommit, propose, with_pull_request_hint};
use crate::cli::author::current_author;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::retry::{require_pushed, with_retry};
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::cli::{EXIT_SUCCESS, GlobalArgs, clock, print_text};
use crate::diagnostics::{Code, Diagnostic, escape};
use crate::git::{Identity, ReleaseStamp, Signing};
use crate::model::ledger::Ledger;
use crate::stage::{
    ClusterView, CommitAction, DeployBranch, Error, LedgerCommit, ProposalBranch, commit_ledger,
};
use clap::Args;

/// The repository of the ledger, and the target of the commit.
#[derive(Debug, Args)]
pub(in crate::cli) struct LedgerArgs {
    #[command(flatten)]
    pub(in crate::cli) repository: RepositoryArgs,
    #[command(flatten)]
    pub(in crate::cli) delivery: DeliveryArgs,
    /// Print the commit and its changes without making it
    #[arg(long, conflicts_with_all = ["no_push", "pull_request"])]
    pub(in crate::cli) dry_run: bool,
}

/// The change that a verb makes to a ledger.
pub(in crate::cli) struct LedgerChange {
    pub(in crate::cli) ledger: Ledger,
    pub(in crate::cli) action: CommitAction,
    pub(in crate::cli) subject: String,
    pub(in crate::cli) body: String,
    pub(in crate::cli) trailers: Vec<(&'static str, String)>,
    /// Notes for the person.
    pub(in crate::cli) notes: Vec<String>,
    /// The next command and what it does.
    pub(in crate::cli) next: Option<String>,
    /// The batch or workload that it is about, for the branch of a pull request.
    pub(in crate::cli) about: Option<String>,
}

/// What a verb reads to decide on its change.
pub(in crate::cli) struct LedgerCommandContext<'a> {
    /// The deploy branch.
    pub(in crate::cli) deploy_branch: &'a DeployBranch<'a>,
    /// The cluster.
    pub(in crate::cli) cluster_view: &'a ClusterView,
    /// The author, `NAME <ADDRESS>`.
    pub(in crate::cli) by: &'a str,
    /// The day, `YYYY-MM-DD` in UTC.
    pub(in crate::cli) today: &'a str,
    /// The options of the command line that later commands need too.
    pub(in crate::cli) options: &'a str,
}

impl LedgerCommandContext<'_> {
    /// Returns what follows when the ledger of a rollout has become this one.
    pub(in crate::cli) fn next_after(&self, after: &Ledger) -> String {
        describe_after_change((self.deploy_branch, self.cluster_view), after, self.today, self.options)
    }
}

impl LedgerChange {
    pub(in crate::cli) fn new(after: Ledger, action: CommitAction, subject: String, body: String) -> Self {
        Self {
            ledger: after,
            action,
            subject,
            body,
            trailers: Vec::new(),
            notes: Vec::new(),
            next: None,
            about: None,
        }
    }

    /// Names the batch or workload that it is about.
    pub(in crate::cli) fn about(self, subject: String) -> Self {
        Self { about: Some(subject), ..self }
    }

    /// Adds the next command and what it does.
    pub(in crate::cli) fn with_next(self, next: String) -> Self {
        Self { next: Some(next), ..self }
    }
}

/// Parses the reason of a change, which becomes the end of a commit subject.
pub(in crate::cli) fn parse_reason(reason: &str) -> Result<String, String> {
    match reason.trim() {
        "" => Err("the reason must not be empty".to_owned()),
        words => Ok(words.to_owned()),
    }
}

/// Returns the ledger of a SidecarSet; fails with wrong usage when there is none of this name.
pub(in crate::cli) fn find_ledger(view: &ClusterView, name: &str) -> Result<Ledger, CommandError> {
    SidecarSetNames::from_cluster(view).check([&name.to_owned()])?;
    Ok(view.ledger(name))
}

/// Reads the deploy branch, lets the verb decide on its change, and releases the commit in the name of its author. After
/// another push the verb decides again.
pub(in crate::cli) fn commit_change(
    args: &LedgerArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
    decide: impl Fn(&LedgerCommandContext<'_>) -> Result<LedgerChange, CommandError>,
) -> Result<u8, CommandError> {
    commit_change_despite(args, global, reporter, |_, _| false, decide)
}

/// As [`commit_change`], for a verb that resolves some errors: they do not stop it.
pub(in crate::cli) fn commit_change_despite(
    args: &LedgerArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
    resolves: impl Fn(&ClusterView, &Diagnostic) -> bool,
    decide: impl Fn(&LedgerCommandContext<'_>) -> Result<LedgerChange, CommandError>,
) -> Result<u8, CommandError> {
    let context = repository::open_for_commit(&args.repository, global, reporter)?;
    let author = author_of(&context, args.dry_run)?;
    let text = with_retry(&context, || {
        let deploy_branch = context.read_deploy_branch_reporting(reporter)?;
        let cluster = single_cluster(&deploy_branch, &args.repository)?;
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        // A SidecarSet that is not staged yet does not stop a change of its ledger.
        let counts = |d: &Diagnostic| d.code != Code::NotStagedYet && !resolves(&view, d);
        reporter.add(diagnostics.into_iter().filter(counts));
        reporter.fail_on_errors()?;
        let (by, today) = (author.to_string(), clock::today());
        let options = repository::command_options(&args.repository, view.cluster.as_deref());
        let change = decide(&LedgerCommandContext {
            deploy_branch: &deploy_branch,
            cluster_view: &view,
            by: &by,
            today: &today,
            options: &options,
        })?;
        release_change(args, (&context, &deploy_branch, &view), &author, change, reporter)
    })?;
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

/// Returns the person who commits; a dry run needs none.
pub(in crate::cli) fn author_of(context: &RepoContext, is_dry: bool) -> Result<Identity, CommandError> {
    match current_author(&context.repository) {
        Err(Error::NoIdentity) if is_dry => Ok(context.branches.identity.clone()),
        author => Ok(author?),
    }
}

/// Makes the commit and pushes it; returns what was done, where it is now, and the next command.
fn release_change(
    args: &LedgerArgs,
    (context, deploy_branch, view): (&RepoContext, &DeployBranch<'_>, &ClusterView),
    author: &Identity,
    change: LedgerChange,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let LedgerChange { ledger, action, subject, body, trailers, notes, next, about } = change;
    let commit = LedgerCommit { after: &ledger, action, subject, body, trailers };
    let (commit, diagnostics) = commit_ledger(deploy_branch, view, &commit, &Signing::disabled())?;
    reporter.add(diagnostics);
    let commit = commit.ok_or_else(|| CommandError::from_diagnostics([]))?;
    if args.dry_run {
        let text = describe_commits(&context.repository, deploy_branch.head.tree, &[commit])?;
        return Ok(format!(
            "{text}nothing was committed; without `--dry-run`, it is {}\n",
            context.push_place()?
        ));
    }
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    if args.delivery.pull_request {
        let about = (action, about.as_deref());
        let cluster = view.cluster.as_deref();
        let branch = ProposalBranch::decision(&context.branches.deploy, cluster, &ledger.name, about);
        let made =
            PullRequestCommit { commit: commit.id, author: Some(author), branch, rollout: None, note: None };
        let proposed = propose(context, deploy_branch, &made)?;
        return Ok(format!("{} {}\n{}{notes}", proposed.commit.short(), commit.subject(), proposed.text));
    }
    let release = ReleaseStamp { at: clock::now(), by: Some(author), note: None };
    let outcome = match args.delivery.no_push {
        true => context.save_to_outbox(commit.id, &release)?,
        false => context.release(deploy_branch, commit.id, &release).map_err(with_pull_request_hint)?,
    };
    let (id, place) = require_pushed(outcome, context)?;
    let next = match args.delivery.no_push {
        true => Some(format!("`{}` releases it", release_command(context)?)),
        false => next,
    };
    let next = next.map_or_else(String::new, |next| format!("next: {next}\n"));
    Ok(format!("{} {}\n{place}\n{notes}{next}", id.short(), commit.subject()))
}

/// Returns the one cluster that a verb is for.
pub(in crate::cli) fn single_cluster<'l>(
    deploy_branch: &'l DeployBranch<'_>,
    args: &RepositoryArgs,
) -> Result<Option<&'l str>, CommandError> {
    let clusters = repository::select_clusters(deploy_branch, args)?;
    if let [cluster] = clusters[..] {
        return Ok(cluster);
    }
    let known: Vec<&str> = clusters.into_iter().flatten().collect();
    Err(CommandError::usage(format!("name the cluster with `--cluster`: {}", known.join(", "))))
}

/// Returns the command that releases what is at the outbox.
pub(in crate::cli) fn release_command(context: &RepoContext) -> Result<String, Error> {
    if let Some(command) = context.push_command()? {
        return Ok(command);
    }
    // A branch that is checked out moves with its files.
    Ok(match context.repository.checked_out_at(&context.branches.deploy_ref()) {
        Some(_) => "git merge --ff-only refs/pillion/outbox".to_owned(),
        None => {
            let branch = escape::shell_word(&context.branches.deploy);
            format!("git branch --force {branch} refs/pillion/outbox")
        }
    })
}
