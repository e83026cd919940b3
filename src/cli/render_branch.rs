//! `pillion render --branch`: with two branches, the only way by which new sources reach the live one.

use super::report::Reporter;
use super::repository::{self, Opened, RepositoryArgs};
use super::{Common, DONE, FINDINGS, USAGE};
use crate::git::{Commit, Expected, Id, Repository, Signing};
use crate::stage::{Branches, Failure, Landing, land};
use crate::write;

/// Runs `pillion render --branch`.
pub(super) fn run(branch: &str, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    let result = landed(branch, common, reporter);
    repository::settle(result, reporter)
}

fn landed(branch: &str, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let Some(opened) = repository::open(&RepositoryArgs::default(), common, reporter)? else {
        return Ok(USAGE);
    };
    let Opened { repository, config, branches } = &opened;
    let Some(source) = &branches.source else {
        reporter.say(&one_branch(&branches.live));
        return Ok(USAGE);
    };
    if source == branch {
        reporter.say(&format!("pillion: `{branch}` is the branch of the sources (`git.source` of pillion.yaml); name the live one"));
        return Ok(USAGE);
    }
    let branches = Branches { live: branch.to_owned(), ..branches.clone() };
    let head = head(repository, &branches)?;
    let source = repository.commit(repository.resolve("HEAD")?)?;
    let landing = Landing { repository, head, source, branches, config };
    let (landed, wrong) = land(&landing, &Signing::off())?;
    reporter.add(wrong);
    let Some(landed) = landed.filter(|_| !reporter.has_errors()) else { return Ok(FINDINGS) };
    let source = landing.source.id.short();
    match landed.commit {
        None => reporter.done(&format!("`{branch}` is up to date with {source}; {} files", landed.files)),
        Some(commit) => {
            let local = landing.branches.local();
            let expected = Expected::read(repository.find_ref(&local));
            repository.update_ref(&local, commit, expected, "pillion: render")?;
            reporter.done(&format!(
                "`{branch}` is {} now, rendered from {source}; {} files",
                commit.short(),
                landed.files
            ));
        }
    }
    Ok(DONE)
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
