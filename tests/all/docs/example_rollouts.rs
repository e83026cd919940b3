//! Runs README.md, docs/quickstart.md, docs/migrate.md and the READMEs of the rollout examples from the first command to the last, each
//! in its own folder with a fixed clock.

use crate::support::transcript_runner::{self, copy, example};
use std::fs;
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

/// Writes the YAML blocks of a page that start with a comment, `# PATH`.
fn write_yaml_blocks(page: &Path, folder: &Path) {
    let page = fs::read_to_string(page).unwrap();
    for block in page.split("```yaml\n# ").skip(1).filter_map(|rest| rest.split("```").next()) {
        let (path, text) = block.split_once('\n').unwrap();
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), text).unwrap();
    }
}

/// Plays a page in a repository with the files that these pages describe.
/// `setup` runs in that repository before the page does.
fn check_page(page: &str, with_files_of: &[&str], setup: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sandbox = tempfile::tempdir().unwrap();
    let folder = sandbox.path().join("acme");
    for page in with_files_of {
        write_yaml_blocks(&root.join(page), &folder);
    }
    let setup = format!(
        "set -e; git init --quiet --bare --initial-branch=main ../acme.git
        git init --quiet --initial-branch=main; git remote add origin ../acme.git
        git commit --quiet --allow-empty --message init; git push --quiet --set-upstream origin main; {setup}"
    );
    assert!(shell(&folder).args(["-c", &setup]).status().unwrap().success());
    transcript_runner::check(&root.join(page), || shell(&folder));
}

#[test]
fn readme() {
    let pages = ["docs/quickstart.md", "README.md"];
    check_page("README.md", &pages, "git add .; git commit --quiet --message files; git push --quiet");
}

#[test]
fn quickstart() {
    check_page("docs/quickstart.md", &["docs/quickstart.md"], "");
}

#[test]
fn migrate() {
    let setup = "git add .; git commit --quiet --message files; git push --quiet";
    check_page("docs/migrate.md", &["docs/migrate.md"], setup);
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

/// The action reads the branches from the text that `pillion stage` prints.
#[test]
fn the_action_outputs_the_staged_branches() {
    let sandbox = tempfile::tempdir().unwrap();
    let folder = sandbox.path().join("acme");
    copy(&example("rollout"), &folder);
    let stage = "GITHUB_OUTPUT=../out GITHUB_STEP_SUMMARY=../summary PILLION_COMMAND=stage \
                 PILLION_CLUSTER_STATE=observed.json bash \"$ACTION/action/main.sh\"";
    let script = format!(
        "set -e; git init -q --bare -b main ../acme.git; git init -q -b main; git remote add origin ../acme.git
        git add .; git commit -qm sources; git push -q origin main; pillion init rollout --push -q
        git pull -q origin main; {stage}; {stage}
        sed -i 's/logtail:1.4.2/logtail:1.5.0/' sidecars/log.yaml; git commit -qam new; git push -q origin main; {stage}"
    );
    assert!(shell(&folder).args(["-c", &script]).output().unwrap().status.success());
    let output = fs::read_to_string(sandbox.path().join("out")).unwrap();
    let branches = output.matches("\npillion/main/log\n").count();
    assert_eq!(branches, 3, "created, unchanged, recreated: {output}");
}
