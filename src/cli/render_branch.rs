//! `pillion render --branch`: with two branches, the only way by which new sources reach the deploy branch.

use super::reporter::Reporter;
use super::repository::{self, RepoContext, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs};
use crate::git::{Commit, ExpectedRef, ObjectId, Repository};
use crate::model::config::branch_names::BRANCH_PREFIX;
use crate::stage::{BranchConfig, BranchRender, Error, no_deploy_branch, render_branch};
use crate::write;

/// What becomes of the branch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// It is made where there is none.
    pub(super) creates: bool,
    /// The commit goes to the remote.
    pub(super) pushes: bool,
    /// It goes on although a branch was rewritten.
    pub(super) accepts_rewritten: bool,
}

/// Runs `pillion render --branch`.
pub(super) fn run(
    branch: &str,
    options: Options,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    let result = render_onto_branch(branch, options, common, reporter);
    repository::to_exit_code(result, reporter)
}

fn render_onto_branch(
    branch: &str,
    options: Options,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_without_fetch(&RepositoryArgs::default(), common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    let Some(source) = &opened.branches.source else {
        reporter.print_error(&single_branch_message(&opened.branches.deploy));
        return Ok(EXIT_USAGE);
    };
    if source == branch {
        reporter.print_error(&format!("pillion: `{branch}` is the branch of the sources (`git.source` of pillion.yaml); name the deploy branch"));
        return Ok(EXIT_USAGE);
    }
    if branch == BRANCH_PREFIX.trim_end_matches('/') || branch.starts_with(BRANCH_PREFIX) {
        reporter.print_error(&format!("pillion: `{branch}` is below `{BRANCH_PREFIX}`, where pillion replaces and removes branches; name the deploy branch"));
        return Ok(EXIT_USAGE);
    }
    let branches = BranchConfig { deploy: branch.to_owned(), ..opened.branches.clone() };
    let opened = RepoContext { branches, ..opened };
    // It need not be the one that pillion.yaml names.
    opened.fetch()?;
    if options.accepts_rewritten {
        repository::accept_rewritten(&opened, options.pushes)?;
    }
    let code = with_retry(&opened, reporter, |reporter| attempt_render(&opened, options, reporter))?;
    Ok(code.unwrap_or(EXIT_ENVIRONMENT))
}

/// Renders once.
fn attempt_render(
    opened: &RepoContext,
    options: Options,
    reporter: &mut Reporter,
) -> Result<Attempt<u8>, Error> {
    let Options { creates, pushes, accepts_rewritten } = options;
    let RepoContext { repository, config, branches, manifest_source: manifests } = opened;
    if let Some(wrong) = opened.check_rewritten()? {
        reporter.add([wrong]);
        return Ok(Attempt::Done(EXIT_FINDINGS));
    }
    let head = render_base(repository, branches)?;
    // Without its ledgers every SidecarSet is rendered into all its workloads: nobody wants that of a branch that was
    // deleted, or not fetched.
    if head.is_none() && !creates {
        return Err(no_deploy_branch(branches));
    }
    let source = repository.commit(repository.resolve("HEAD")?)?;
    let landing = BranchRender {
        repository,
        head,
        source,
        branches: branches.clone(),
        config,
        manifests,
        is_pushed: pushes,
        accepts_untrusted_source: accepts_rewritten,
    };
    let (landed, wrong) = render_branch(&landing, &opened.signing()?)?;
    reporter.add(wrong);
    let Some(landed) = landed.filter(|_| !reporter.has_errors()) else {
        return Ok(Attempt::Done(EXIT_FINDINGS));
    };
    let (source, branch) = (landing.source.id.short(), &branches.deploy);
    let tip = landed.commit.or(landing.head.as_ref().map(|(_, head)| head.id));
    let moved = match (tip, pushes) {
        (Some(tip), true) => match opened.push_deploy_branch(tip)? {
            Some(place) => place,
            None => return Ok(Attempt::Conflict(tip)),
        },
        (Some(tip), false) if landed.commit.is_some() => {
            let expected = ExpectedRef::from_found(repository.find_ref(&branches.deploy_ref()));
            repository.update_ref(&branches.deploy_ref(), tip, expected, "pillion: render")?;
            format!("on {branch}")
        }
        _ => format!("`{branch}` is as it was"),
    };
    let what = match landed.commit {
        None => format!("`{branch}` is up to date with {source}"),
        Some(commit) => format!("{} is rendered from {source}", commit.short()),
    };
    reporter.print_verbose(&format!("{what}, {} files; {moved}", landed.files));
    Ok(Attempt::Done(EXIT_SUCCESS))
}

/// Where the render lands: the remote's head, or what was already rendered here on top of it.
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

fn single_branch_message(live: &str) -> String {
    format!(
        "pillion: pillion.yaml has one branch, `{live}`, for sources and rendered files: run `pillion render --out` and commit what it writes, or name another branch as `git.source`"
    )
}
