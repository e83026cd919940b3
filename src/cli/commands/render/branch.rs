//! `pillion render --branch`: renders new sources onto the deploy branch, where sources have a branch of their own.

use crate::cli::commands::pull_request::{PullRequestCommit, propose};
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::retry::with_retry;
use crate::cli::{EXIT_SUCCESS, GlobalArgs};
use crate::git::{self, Commit, ExpectedRef, ObjectId, Repository};
use crate::model::config::branch_names::BRANCH_PREFIX;
use crate::stage::{BranchConfig, BranchRender, Error, ProposalBranch, no_deploy_branch, render_branch};

/// What becomes of the branch.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Options {
    /// It is made where there is none.
    pub(in crate::cli) creates: bool,
    /// A new branch gets no sidecars.
    pub(in crate::cli) leaves_out_sidecars: bool,
    /// The commit goes to the remote.
    pub(in crate::cli) pushes: bool,
    /// The commit becomes a pull request.
    pub(in crate::cli) opens_pull_request: bool,
    /// It goes on although a branch was rewritten.
    pub(in crate::cli) accepts_rewritten: bool,
}

/// Runs `pillion render --branch`.
pub(in crate::cli) fn run(
    branch: &str,
    options: Options,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let (context, _) = repository::open_without_fetch(&RepositoryArgs::default(), global, reporter)?;
    let Some(source) = &context.branches.source else {
        return Err(single_branch_error(&context.branches.deploy));
    };
    if source == branch {
        return Err(CommandError::usage(format!(
            "`{branch}` is the branch of the sources (`git.source` of pillion.yaml); name the deploy branch"
        )));
    }
    if branch == BRANCH_PREFIX.trim_end_matches('/') || branch.starts_with(BRANCH_PREFIX) {
        return Err(CommandError::usage(format!(
            "`{branch}` is below `{BRANCH_PREFIX}`, where pillion replaces and removes branches; name the deploy branch"
        )));
    }
    let branches = BranchConfig { deploy: branch.to_owned(), ..context.branches.clone() };
    let context = RepoContext { branches, ..context };
    // The named branch may be another one than that of pillion.yaml.
    context.fetch()?;
    if options.accepts_rewritten {
        repository::accept_rewritten(&context, options.pushes)?;
    }
    let text = with_retry(&context, || render_onto_branch(&context, options, reporter))?;
    reporter.set_summary(text);
    Ok(EXIT_SUCCESS)
}

/// Renders onto the branch once; returns what was done.
fn render_onto_branch(
    context: &RepoContext,
    options: Options,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let Options { creates, leaves_out_sidecars, pushes, opens_pull_request, accepts_rewritten } = options;
    let RepoContext { repository, config, branches, manifest_source: manifests } = context;
    reporter.add(context.check_rewritten()?);
    reporter.fail_on_errors()?;
    let head = match opens_pull_request {
        // A pull request has no commits that are only here.
        true => remote_head(repository, branches)?,
        false => render_base(repository, branches)?,
    };
    // Without its ledgers every SidecarSet would be rendered into all its workloads: a branch that was deleted, or not
    // fetched, is not created by accident.
    if head.is_none() && !creates {
        return Err(no_deploy_branch(branches).into());
    }
    let source = repository.commit(repository.resolve("HEAD")?)?;
    let render = BranchRender {
        repository,
        head,
        source,
        branches: branches.clone(),
        config,
        manifests,
        is_pushed: pushes || opens_pull_request,
        accepts_untrusted_source: accepts_rewritten,
        leaves_out_sidecars,
    };
    let (rendered, diagnostics) = render_branch(&render, &context.signing()?)?;
    reporter.add(diagnostics);
    reporter.fail_on_errors()?;
    let rendered = rendered.ok_or_else(|| CommandError::from_diagnostics([]))?;
    let (source, branch) = (render.source.id.short(), &branches.deploy);
    if let (true, Some(commit)) = (opens_pull_request, rendered.commit) {
        let text = propose_render(context, commit, reporter)?;
        return Ok(format!("{source} is rendered, {} files; {}", rendered.files, text.trim_end()));
    }
    let tip = rendered.commit.or(render.head.as_ref().map(|(_, head)| head.id));
    let moved = match (tip, pushes) {
        (Some(tip), true) => {
            let pushed = context.push_deploy_branch(tip).map_err(|error| protected_hint(error, branches))?;
            pushed.ok_or_else(|| CommandError::conflict(branch))?
        }
        (Some(tip), false) if rendered.commit.is_some() => {
            let expected = ExpectedRef::from_found(repository.find_ref(&branches.deploy_ref()));
            repository.update_ref(&branches.deploy_ref(), tip, expected, "pillion: render")?;
            format!("on {branch}")
        }
        _ => format!("`{branch}` is unchanged"),
    };
    let what = match rendered.commit {
        None => format!("`{branch}` is up to date with {source}"),
        Some(commit) => format!("{} is rendered from {source}", commit.short()),
    };
    Ok(format!("{what}, {} files; {moved}", rendered.files))
}

/// Opens or updates the pull request of a render; returns where it is, and what merging it does.
fn propose_render(
    context: &RepoContext,
    commit: ObjectId,
    reporter: &mut Reporter,
) -> Result<String, CommandError> {
    let deploy_branch = context.read_deploy_branch_reporting(reporter)?;
    let branch = ProposalBranch::render(&context.branches.deploy);
    let made = PullRequestCommit { commit, author: None, branch, rollout: None, note: None };
    let proposed = propose(context, &deploy_branch, &made)?;
    Ok(format!("{} is its commit; {}", proposed.commit.short(), proposed.text))
}

/// Returns the head of the deploy branch on the remote.
fn remote_head(repository: &Repository, branches: &BranchConfig) -> Result<Option<(String, Commit)>, Error> {
    let tracking = branches.tracking_ref();
    let found = repository.find_ref(&tracking);
    Ok(found.map(|id| repository.commit(id)).transpose()?.map(|commit| (tracking, commit)))
}

/// Adds what to type where the deploy branch is protected.
fn protected_hint(error: Error, branches: &BranchConfig) -> CommandError {
    let is_protected = matches!(&error, Error::Git(git::Error::Protected { .. }));
    let error = CommandError::from(error);
    if !is_protected {
        return error;
    }
    error.hint(format!(
        "run the same command with `--pull-request` in place of `--push`: it opens a pull request into `{0}`, and merging that deploys the render; or allow the user of this command to push to `{0}`",
        branches.deploy
    ))
}

/// Returns the parent of the render: the head of the remote, or what was already rendered locally on top of it.
fn render_base(repository: &Repository, branches: &BranchConfig) -> Result<Option<(String, Commit)>, Error> {
    let (tracking, local) = (branches.tracking_ref(), branches.deploy_ref());
    let found: (Option<ObjectId>, Option<ObjectId>) =
        (repository.find_ref(&tracking), repository.find_ref(&local));
    let (name, id) = match found {
        (None, None) => return Ok(None),
        (Some(remote), None) => (tracking, remote),
        (None, Some(here)) => (local, here),
        (Some(remote), Some(here)) if repository.is_ancestor(remote, here)? => (local, here),
        (Some(remote), Some(here)) if repository.is_ancestor(here, remote)? => (tracking, remote),
        (Some(_), Some(_)) => {
            let branch = branches.deploy.clone();
            return Err(Error::Diverged { branch, remote: branches.remote.clone() });
        }
    };
    Ok(Some((name, repository.commit(id)?)))
}

fn single_branch_error(branch: &str) -> CommandError {
    CommandError::usage(format!(
        "pillion.yaml has one branch, `{branch}`, for sources and rendered files: run `pillion render --write` and commit what it writes, or name another branch as `git.source`"
    ))
}
