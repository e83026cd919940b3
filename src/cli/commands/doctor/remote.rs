//! Checks the remote: that it answers, has the branches of pillion.yaml and accepts pushes, and that this clone is up to
//! date.

use super::{CheckState, DoctorCheck};
use crate::git::{ObjectId, Repository, Upstream, mask_credentials};
use crate::model::defaults::REMOTE;
use crate::stage::BranchConfig;
use crate::workspace::Configuration;
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn check(path: &Path, configuration: Option<&Configuration>) -> Vec<DoctorCheck> {
    let Ok(repository) = Repository::discover(path) else { return Vec::new() };
    let branches = configuration.and_then(|c| BranchConfig::from_repository(&c.repository).ok());
    let name = branches.as_ref().map_or(REMOTE, |branches| &branches.remote);
    match repository.upstream(name) {
        Ok(Upstream::Remote(_)) => {}
        Ok(Upstream::Local) => {
            return vec![
                DoctorCheck::new(
                    CheckState::Note,
                    "remote",
                    "there is none: rollouts stay in this repository",
                )
                .help(format!("`git remote add {name} URL` and a push share them")),
            ];
        }
        Err(error) => return vec![DoctorCheck::new(CheckState::Error, "remote", error.to_string())],
    }
    let url = mask_credentials(&repository.remote_url(name).unwrap_or_default());
    let heads = match repository.remote_heads(name) {
        Ok(heads) => heads,
        Err(error) => {
            return vec![
                DoctorCheck::new(
                    CheckState::Error,
                    "remote",
                    format!("`{name}` ({url}) does not answer: {error}"),
                )
                .help(format!("`git fetch {name}` shows the same; check network and credentials")),
            ];
        }
    };
    let mut checks = vec![DoctorCheck::new(CheckState::Ok, "remote", format!("`{name}` ({url}) answers"))];
    checks.push(check_push(&repository, name, &heads));
    if let Some(branches) = &branches {
        checks.extend(check_branches(&repository, branches, &heads));
    }
    checks
}

/// Tries a push without sending anything.
fn check_push(repository: &Repository, remote: &str, heads: &BTreeMap<String, ObjectId>) -> DoctorCheck {
    let known = heads.values().copied().find(|id| repository.commit(*id).is_ok());
    let Some(commit) = repository.resolve("HEAD").ok().or(known) else {
        return DoctorCheck::new(CheckState::Note, "push", "there is no commit to try a push with");
    };
    match repository.try_push(remote, commit) {
        Ok(()) => DoctorCheck::new(CheckState::Ok, "push", "this user may push")
            .help("protection of branches shows only at a real push"),
        Err(error) => {
            DoctorCheck::new(CheckState::Warning, "push", format!("this user may not push: {error}"))
                .help("commands that only read work; `--no-push` leaves commits in this repository")
        }
    }
}

/// Compares the branches of pillion.yaml with those of the remote.
fn check_branches(
    repository: &Repository,
    branches: &BranchConfig,
    heads: &BTreeMap<String, ObjectId>,
) -> Vec<DoctorCheck> {
    let mut names = vec![branches.deploy.clone()];
    names.extend(branches.source.clone());
    names.iter().map(|name| check_branch(repository, branches, name, heads.get(name).copied())).collect()
}

fn check_branch(
    repository: &Repository,
    branches: &BranchConfig,
    name: &str,
    head: Option<ObjectId>,
) -> DoctorCheck {
    let remote = &branches.remote;
    let Some(head) = head else {
        let how = match &branches.source {
            Some(_) if *name == branches.deploy => format!("pillion render --branch {name} --create --push"),
            _ => branches.create_command(repository, name),
        };
        return DoctorCheck::new(CheckState::Error, "branch", format!("`{remote}` has no branch `{name}`"))
            .help(format!(
                "`{how}` creates it; if another branch is meant, name it below `git:` of pillion.yaml"
            ));
    };
    let here = repository.find_ref(&format!("refs/heads/{name}"));
    if repository.commit(head).is_err() {
        return DoctorCheck::new(
            CheckState::Note,
            "branch",
            format!("`{remote}/{name}` has commits that this clone has not fetched"),
        )
        .help(format!("`git pull {remote} {name}`; commands of rollouts fetch by themselves"));
    }
    let Some(here) = here.filter(|here| *here != head) else {
        return DoctorCheck::new(
            CheckState::Ok,
            "branch",
            format!("`{remote}/{name}` is at {}", head.short()),
        );
    };
    let Ok((ahead, behind)) = repository.count_ahead_behind(here, head) else {
        return DoctorCheck::new(
            CheckState::Note,
            "branch",
            format!("`{name}` cannot be compared with `{remote}/{name}`"),
        );
    };
    let check = DoctorCheck::new(
        CheckState::Note,
        "branch",
        format!("your `{name}` is {ahead} ahead of `{remote}/{name}` and {behind} behind"),
    );
    check.help(match (ahead, behind) {
        (0, _) => format!("`git pull {remote} {name}`"),
        (_, 0) => format!("`git push {remote} {name}`: rollouts read the branch of the remote"),
        _ => format!("`git pull --rebase {remote} {name}`, then `git push {remote} {name}`"),
    })
}
