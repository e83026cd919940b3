//! `pillion render --branch`: with two branches, the only way by which new sources reach the live one.

use super::report::Reporter;
use super::repository::{self, Opened, RepositoryArgs};
use super::retry::{Attempt, with_retry};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, USAGE};
use crate::git::{Commit, Expected, Id, Repository};
use crate::model::git_settings::OWN;
use crate::stage::{Branches, Failure, Landing, land, no_live_branch};
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
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    let result = landed(branch, options, common, reporter);
    repository::settle(result, reporter)
}

fn landed(branch: &str, options: Options, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let Some(opened) = repository::open_without_fetch(&RepositoryArgs::default(), common, reporter)? else {
        return Ok(USAGE);
    };
    let Some(source) = &opened.branches.source else {
        reporter.error(&one_branch(&opened.branches.live));
        return Ok(USAGE);
    };
    if source == branch {
        reporter.error(&format!("pillion: `{branch}` is the branch of the sources (`git.source` of pillion.yaml); name the live one"));
        return Ok(USAGE);
    }
    if branch == OWN.trim_end_matches('/') || branch.starts_with(OWN) {
        reporter.error(&format!("pillion: `{branch}` is below `{OWN}`, where pillion replaces and removes branches; name the live one"));
        return Ok(USAGE);
    }
    let branches = Branches { live: branch.to_owned(), ..opened.branches.clone() };
    let opened = Opened { branches, ..opened };
    // It need not be the one that pillion.yaml names.
    opened.fetch()?;
    if options.accepts_rewritten {
        repository::accept_rewritten(&opened, options.pushes)?;
    }
    let code = with_retry(&opened, reporter, |reporter| once(&opened, options, reporter))?;
    Ok(code.unwrap_or(ENVIRONMENT))
}

/// Renders once.
fn once(opened: &Opened, options: Options, reporter: &mut Reporter) -> Result<Attempt<u8>, Failure> {
    let Options { creates, pushes, accepts_rewritten } = options;
    let Opened { repository, config, branches, manifests } = opened;
    if let Some(wrong) = opened.rewritten()? {
        reporter.add([wrong]);
        return Ok(Attempt::Done(FINDINGS));
    }
    let head = head(repository, branches)?;
    // Without its ledgers every SidecarSet is rendered into all its workloads: nobody wants that of a branch that was
    // deleted, or not fetched.
    if head.is_none() && !creates {
        return Err(no_live_branch(branches));
    }
    let source = repository.commit(repository.resolve("HEAD")?)?;
    let landing = Landing {
        repository,
        head,
        source,
        branches: branches.clone(),
        config,
        manifests,
        pushes,
        accepts_source: accepts_rewritten,
    };
    let (landed, wrong) = land(&landing, &opened.signing()?)?;
    reporter.add(wrong);
    let Some(landed) = landed.filter(|_| !reporter.has_errors()) else {
        return Ok(Attempt::Done(FINDINGS));
    };
    let (source, branch) = (landing.source.id.short(), &branches.live);
    let tip = landed.commit.or(landing.head.as_ref().map(|(_, head)| head.id));
    let moved = match (tip, pushes) {
        (Some(tip), true) => match opened.push_live(tip)? {
            Some(place) => place,
            None => return Ok(Attempt::Lost(tip)),
        },
        (Some(tip), false) if landed.commit.is_some() => {
            let expected = Expected::read(repository.find_ref(&branches.local()));
            repository.update_ref(&branches.local(), tip, expected, "pillion: render")?;
            format!("on {branch}")
        }
        _ => format!("`{branch}` is as it was"),
    };
    let what = match landed.commit {
        None => format!("`{branch}` is up to date with {source}"),
        Some(commit) => format!("{} is rendered from {source}", commit.short()),
    };
    reporter.done(&format!("{what}, {} files; {moved}", landed.files));
    Ok(Attempt::Done(DONE))
}

/// Where the render lands: the remote's head, or what was already rendered here on top of it.
fn head(repository: &Repository, branches: &Branches) -> Result<Option<(String, Commit)>, Failure> {
    let (tracking, local) = (branches.tracking(), branches.local());
    let found: (Option<Id>, Option<Id>) = (repository.find_ref(&tracking), repository.find_ref(&local));
    let (name, id) = match found {
        (None, None) => return Ok(None),
        (Some(remote), None) => (tracking, remote),
        (None, Some(here)) => (local, here),
        (Some(remote), Some(here)) if repository.is_ancestor(remote, here)? => (local, here),
        (Some(remote), Some(here)) if repository.is_ancestor(here, remote)? => (tracking, remote),
        (Some(_), Some(_)) => {
            let branch = branches.live.clone();
            return Err(Failure::Diverged { branch, remote: branches.remote.clone() });
        }
    };
    Ok(Some((name, repository.commit(id)?)))
}

fn one_branch(live: &str) -> String {
    format!(
        "pillion: pillion.yaml has one branch, `{live}`, for sources and rendered files: run `pillion render --out` and commit what it writes, or name another branch as `git.source`"
    )
}
