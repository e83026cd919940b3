//! Checks pillion.yaml and the git repository: the depth of the history, HEAD and permissions.

use super::{CheckState, DoctorCheck};
use crate::diagnostics::Diagnostic;
use crate::git::{Error, GitCommand, find_git_dir, query_git};
use crate::read::Disk;
use crate::workspace::{Configuration, find_config, select_inputs, shared_files};
use std::path::{Path, PathBuf};

pub(super) fn check(path: &Path) -> Vec<DoctorCheck> {
    let mut checks = vec![check_config(path)];
    checks.extend(check_shared_files(path));
    match find_git_dir(path) {
        Ok(folder) => checks.extend(check_git(path, &folder)),
        Err(refused @ Error::BareRepository { .. }) => {
            checks.push(DoctorCheck::new(CheckState::Error, "git", refused.to_string()));
        }
        Err(_) => checks
            .push(DoctorCheck::new(CheckState::Note, "git", "this is not a git repository").help(
                "render, kustomize and Argo CD need none; plan, stage and the commands of rollouts do",
            )),
    }
    checks
}

fn check_config(path: &Path) -> DoctorCheck {
    let Some(file) = find_config(path) else {
        return DoctorCheck::new(CheckState::Note, "pillion.yaml", "there is none here or above")
            .help("without it files are read from the git repository, and there are no ledgers");
    };
    let (_, diagnostics) = Configuration::read(&Disk, &file);
    let errors = diagnostics.iter().filter(|d| Diagnostic::is_error(d)).count();
    let name = file.display();
    match errors {
        0 => DoctorCheck::new(CheckState::Ok, "pillion.yaml", format!("`{name}`")),
        n => DoctorCheck::new(CheckState::Error, "pillion.yaml", format!("`{name}` has {n} errors"))
            .help("`pillion render` shows them"),
    }
}

/// Files that are rendered for two clusters.
fn check_shared_files(path: &Path) -> Vec<DoctorCheck> {
    let Some(configuration) = find_config(path).and_then(|file| Configuration::read(&Disk, &file).0) else {
        return Vec::new();
    };
    let Ok(choice) = configuration.input_options(None) else { return Vec::new() };
    let paths: Vec<PathBuf> =
        configuration.layout.source_paths().into_iter().filter(|path| path.exists()).collect();
    let chosen = select_inputs(&Disk, &paths, &choice).inputs;
    let shared = shared_files(&configuration, None, &chosen);
    let to_check = |diagnostic: Diagnostic| {
        let check = DoctorCheck::new(CheckState::Error, "clusters", diagnostic.message);
        diagnostic.help.into_iter().fold(check, |check, help| check.help(help))
    };
    shared.into_iter().map(to_check).collect()
}

/// Asks git; None when there is no git or it says no.
fn ask_git(folder: &Path, arguments: &[&str]) -> Option<String> {
    query_git(Some(folder), arguments, &GitCommand::default())
}

fn check_git(path: &Path, folder: &Path) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    let shared = ask_git(folder, &["rev-parse", "--git-common-dir"]).map(PathBuf::from);
    let is_shallow = ask_git(folder, &["rev-parse", "--is-shallow-repository"]).is_some_and(|t| t == "true");
    checks.push(match is_shallow {
        true => DoctorCheck::new(
            CheckState::Error,
            "clone depth",
            "the clone is shallow: rollouts read the history",
        )
        .help("`git fetch --unshallow`; in GitHub Actions, `fetch-depth: 0` of actions/checkout"),
        false => DoctorCheck::new(CheckState::Ok, "clone depth", "the history is whole"),
    });
    if ask_git(folder, &["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"])
        .is_some()
    {
        checks.push(
            DoctorCheck::new(
                CheckState::Error,
                "clone",
                "the clone is partial: objects are missing that libgit2 cannot fetch",
            )
            .help("clone without `--filter`"),
        );
    }
    checks.push(match ask_git(folder, &["symbolic-ref", "--quiet", "--short", "HEAD"]) {
        Some(branch) => DoctorCheck::new(CheckState::Ok, "HEAD", format!("branch `{branch}`")),
        None => DoctorCheck::new(CheckState::Note, "HEAD", "is detached, as in checks of pull requests")
            .help("`pillion plan` reads the working folder; stage and the commands of rollouts use the deploy branch"),
    });
    let objects = shared.unwrap_or_else(|| folder.to_owned());
    let objects = if objects.is_absolute() { objects } else { path.join(objects) }.join("objects");
    let is_read_only = objects.metadata().is_ok_and(|m| m.permissions().readonly());
    if is_read_only {
        checks.push(
            DoctorCheck::new(
                CheckState::Warning,
                "permissions",
                format!("`{}` cannot be written", objects.display()),
            )
            .help("stage and the commands of rollouts write commits there"),
        );
    }
    checks
}
