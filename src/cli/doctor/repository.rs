//! The git repository and pillion.yaml: is the history whole, is HEAD a branch, may things be written?

use super::super::inputs::{Inputs, nearest};
use super::{Check, State};
use crate::diag::Diagnostic;
use crate::git::{Failure, Programs, ask, find};
use crate::read::{Disk, choose};
use crate::stage;
use std::path::{Path, PathBuf};

pub(super) fn check(path: &Path) -> Vec<Check> {
    let mut checks = vec![configuration(path)];
    checks.extend(shared_files(path));
    match find(path) {
        Ok(folder) => checks.extend(history(path, &folder)),
        Err(refused @ Failure::BareRepository { .. }) => {
            checks.push(Check::new(State::Error, "git", refused.to_string()));
        }
        Err(_) => checks.push(
            Check::new(State::Note, "git", "this is no git repository")
                .help("render, kustomize and Argo CD need none; plan, stage and the verbs of rollouts do"),
        ),
    }
    checks
}

fn configuration(path: &Path) -> Check {
    let Some(file) = nearest(path) else {
        return Check::new(State::Note, "pillion.yaml", "there is none here or above")
            .help("without it files are read from the git repository, and there are no ledgers");
    };
    let inputs = Inputs::configured(&Disk, Some(&file));
    let errors = inputs.diagnostics.iter().filter(|d| Diagnostic::is_error(d)).count();
    let name = file.display();
    match errors {
        0 => Check::new(State::Well, "pillion.yaml", format!("`{name}`")),
        n => Check::new(State::Error, "pillion.yaml", format!("`{name}` has {n} errors"))
            .help("`pillion render` shows them"),
    }
}

/// Files that are rendered for two clusters.
fn shared_files(path: &Path) -> Vec<Check> {
    let Some(file) = nearest(path) else { return Vec::new() };
    let mut inputs = Inputs::configured(&Disk, Some(&file));
    let Some(choice) = inputs.choice(Some(&file), None) else { return Vec::new() };
    let paths: Vec<PathBuf> = inputs.layout.sources().into_iter().filter(|path| path.exists()).collect();
    let chosen = choose(&Disk, &paths, &choice).inputs;
    let shared = stage::shared_files(&inputs.repository, &inputs.layout, None, &chosen);
    let told = |wrong: Diagnostic| {
        let check = Check::new(State::Error, "clusters", wrong.message);
        wrong.help.into_iter().fold(check, |check, help| check.help(help))
    };
    shared.into_iter().map(told).collect()
}

/// Asks git; None when there is no git or it says no.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    ask(Some(folder), arguments, &Programs::default())
}

fn history(path: &Path, folder: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let shared = git(folder, &["rev-parse", "--git-common-dir"]).map(PathBuf::from);
    let is_shallow = git(folder, &["rev-parse", "--is-shallow-repository"]).is_some_and(|t| t == "true");
    checks.push(match is_shallow {
        true => Check::new(State::Error, "clone depth", "the clone is shallow: rollouts read the history")
            .help("`git fetch --unshallow`; in GitHub Actions, `fetch-depth: 0` of actions/checkout"),
        false => Check::new(State::Well, "clone depth", "the history is whole"),
    });
    if git(folder, &["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"])
        .is_some()
    {
        checks.push(
            Check::new(
                State::Error,
                "clone",
                "the clone is partial: objects are missing that libgit2 cannot fetch",
            )
            .help("clone without `--filter`"),
        );
    }
    checks.push(match git(folder, &["symbolic-ref", "--quiet", "--short", "HEAD"]) {
        Some(branch) => Check::new(State::Well, "HEAD", format!("branch `{branch}`")),
        None => Check::new(State::Note, "HEAD", "is detached, as in checks of pull requests")
            .help("`pillion plan` reads the working folder; stage and the verbs work on the live branch all the same"),
    });
    let objects = shared.unwrap_or_else(|| folder.to_owned());
    let objects = if objects.is_absolute() { objects } else { path.join(objects) }.join("objects");
    let is_read_only = objects.metadata().is_ok_and(|m| m.permissions().readonly());
    if is_read_only {
        checks.push(
            Check::new(State::Warning, "permissions", format!("`{}` cannot be written", objects.display()))
                .help("stage and the verbs of rollouts write commits there"),
        );
    }
    checks
}
