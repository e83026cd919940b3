//! Runs the READMEs of the rollout examples from the first command to the last, each in its own folder with a fixed
//! clock.

use crate::support::transcript_runner::{self, copy, example};
use std::path::Path;
use std::process::Command;

/// A shell with pillion on its PATH, and a git that makes the same commits always.
fn shell(folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pillion"));
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .env("HOME", folder.parent().unwrap())
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C.UTF-8")])
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Ada")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "ada@acme.example")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "2026-01-05T09:00:00Z")))
        .env("ACTION", env!("CARGO_MANIFEST_DIR"))
        .env("SOURCE_DATE_EPOCH", "1767605400");
    shell
}

/// Plays the README of an example.
pub(super) fn check(name: &str) {
    let sandbox = tempfile::tempdir().unwrap();
    let folder = sandbox.path().join("acme");
    copy(&example(name), &folder);
    transcript_runner::check(&example(name).join("README.md"), || shell(&folder));
}

#[test]
fn one_branch() {
    check("rollout");
}

#[test]
fn two_branches() {
    check("rollout-two-branches");
}

#[test]
fn ledgers_only() {
    check("rollout-ledger-only");
}
