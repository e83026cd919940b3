//! Do the READMEs of rollouts show what happens? Each is played from its first command to its last, in a folder of
//! its own, with a fixed clock. `UPDATE_GOLDEN=1` writes down what came out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Plays the console blocks of a README; returns it with what the commands print now.
fn played(readme: &Path, folder: &Path) -> String {
    let text = fs::read_to_string(readme).unwrap();
    let mut new = String::new();
    let mut lines = text.lines().peekable();
    let mut in_block = false;
    while let Some(line) = lines.next() {
        new.push_str(line);
        new.push('\n');
        in_block = if line.starts_with("```") { !in_block && line == "```console" } else { in_block };
        if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            while lines.peek().is_some_and(|l| !l.starts_with("$ ") && !l.starts_with("```")) {
                lines.next();
            }
            new.push_str(&run(command, folder));
        }
    }
    new
}

/// Runs one command line, and returns what it prints, and its exit code where that is not 0.
fn run(command: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_pillion"));
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
        .env("HOME", folder.parent().unwrap())
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C.UTF-8")])
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Ada")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "ada@acme.example")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "2026-01-05T09:00:00Z")))
        .env("ACTION", env!("CARGO_MANIFEST_DIR"))
        .env("SOURCE_DATE_EPOCH", "1767605400")
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    match output.status.code() {
        Some(0) => text,
        code => format!("{text}? {}\n", code.unwrap_or(-1)),
    }
}

/// Plays the README of an example.
pub(super) fn check(example: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let readme = source.join("README.md");
    let sandbox = tempfile::tempdir().unwrap();
    let folder = sandbox.path().join("acme");
    copy(&source, &folder);
    let new = played(&readme, &folder);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&readme, new).unwrap();
    } else {
        assert_eq!(fs::read_to_string(&readme).unwrap(), new);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false if path.ends_with("README.md") => {}
            false => drop(fs::copy(&path, target).unwrap()),
        }
    }
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
