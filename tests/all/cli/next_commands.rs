//! The command that a command names as the next one applies in the state that it leaves behind.

use crate::support::fleet_fixtures::{fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};

/// A change of `main` before commands run.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Another image.
    NewImage,
    /// The SidecarSet is deleted.
    Deleted,
    /// Another image, and a batch that waits for an approval.
    NewImageApproved(u32),
    /// Nothing.
    Nothing,
}

/// A state, and the next command in it.
struct NextCase {
    change: Change,
    /// The commands that lead to the state; the last one names the next command.
    commands: &'static [&'static str],
    /// The start of what follows.
    next: &'static str,
}

const fn case(change: Change, commands: &'static [&'static str], next: &'static str) -> NextCase {
    NextCase { change, commands, next }
}

const CASES: &[NextCase] = &[
    case(Change::NewImage, &["pause log"], "`pillion resume log` resumes it"),
    case(Change::NewImage, &["pause log", "resume log"], "`pillion start log` starts its rollout"),
    case(
        Change::Deleted,
        &["pause log", "resume log"],
        "`pillion start log --allow-removal` starts its rollout, which removes the sidecar from 4 of 4 workloads",
    ),
    case(Change::Nothing, &["pause log", "resume log"], "all workloads are up to date"),
    case(Change::NewImage, &["start log"], "`pillion promote log` releases batch 1 of 3"),
    case(
        Change::NewImageApproved(1),
        &["start log"],
        "`pillion approve log 1`, then `pillion promote log` releases batch 1 of 3",
    ),
    case(Change::NewImageApproved(1), &["start log", "approve log 1"], "`pillion status log` shows what"),
    case(
        Change::NewImage,
        &["start log", "promote log", "pause log", "resume log"],
        "`pillion promote log` releases batch 2 of 3",
    ),
    case(
        Change::NewImageApproved(2),
        &["start log", "promote log", "pause log", "resume log"],
        "`pillion approve log 2`, then `pillion promote log` releases batch 2 of 3",
    ),
    case(
        Change::NewImage,
        &["start log", "promote log --to 3", "pause log", "resume log"],
        "`pillion promote log` completes the rollout",
    ),
    case(Change::NewImage, &["start log", "promote log --full"], "`pillion status log` shows its status"),
    case(
        Change::NewImage,
        &["start log", "promote log", "rollback log"],
        "`pillion promote log` rolls back 2 pods of 1 workload (batch 1 of 1)",
    ),
    case(Change::NewImage, &["start log", "rollback log"], "`pillion promote log` completes the rollout"),
    case(
        Change::NewImage,
        &["start log", "promote log", "rollback log --to 0"],
        "`pillion resume log` resumes it",
    ),
    case(
        Change::NewImage,
        &["start log", "rollback log", "promote log", "status log"],
        "`pillion resume log` allows `log-",
    ),
    case(
        Change::NewImage,
        &["start log", "rollback log", "promote log", "resume log"],
        "`pillion start log` starts its rollout",
    ),
    case(
        Change::NewImage,
        &["start log", "promote log", "hold shop/web"],
        "`pillion hold Deployment.apps/shop/web --sidecarset log --off` lets",
    ),
    case(
        Change::Deleted,
        &["start log --allow-removal", "pause log", "resume log"],
        "`pillion promote log` releases batch 1 of 3",
    ),
];

fn apply(repo: &Repo, change: Change) {
    let newer = set("log", &[("logtail", "logtail:2")]);
    match change {
        Change::NewImage => drop(repo.change(&[("sidecars/log.yaml", &newer)], &[])),
        Change::NewImageApproved(batch) => {
            let settings = format!("{}  approve: [{batch}]\n", repo.text("main", "pillion.yaml"));
            repo.change(&[("sidecars/log.yaml", &newer), ("pillion.yaml", &settings)], &[]);
        }
        Change::Deleted => drop(repo.change(&[], &["sidecars/log.yaml"])),
        Change::Nothing => {}
    }
}

/// Returns what the line `next:` of a command says.
fn next_of(output: &str) -> &str {
    output
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("next: "))
        .unwrap_or_else(|| panic!("{output}"))
}

#[test]
fn every_next_command_applies() {
    let test_env = TestEnvironment::new();
    for (number, NextCase { change, commands, next }) in CASES.iter().enumerate() {
        let texts = fleet(&[("log", &set("log", &[("logtail", "logtail:1")]))], false);
        let repo = repository(&test_env, &format!("repo-{number}"), &texts);
        apply(&repo, *change);
        let mut output = String::new();
        for command in *commands {
            let arguments: Vec<&str> = command.split(' ').collect();
            output = repo.pillion(&arguments);
        }
        let found = next_of(&output);
        assert!(found.starts_with(next), "{change:?} {commands:?}: {found}");
        // The first command that it names is not refused.
        let Some(command) = found.strip_prefix("`pillion ").and_then(|rest| rest.split_once('`')) else {
            continue;
        };
        let mut arguments: Vec<&str> = command.0.split(' ').collect();
        if arguments[0] != "status" {
            arguments.push("--dry-run");
        }
        repo.pillion(&arguments);
    }
}

/// Where commands are refused, the command that they name instead applies too.
#[test]
fn a_refused_promote_names_the_start_that_applies() {
    let test_env = TestEnvironment::new();
    let texts = fleet(&[("log", &set("log", &[("logtail", "logtail:1")]))], false);
    let repo = repository(&test_env, "repo", &texts);
    apply(&repo, Change::Deleted);
    let (code, stderr) = repo.refused(&["promote", "log"]);
    let start = "`pillion start log --allow-removal` starts it";
    assert!(code == 1 && stderr.contains(start), "{stderr}");
    let staged = repo.pillion(&["stage", "log"]);
    assert!(
        staged.contains("not started: `pillion start log --allow-removal` starts the rollout"),
        "{staged}"
    );
    repo.change(&[("sidecars/log.yaml", &set("log", &[("logtail", "logtail:2")]))], &[]);
    repo.pillion(&["start", "log"]);
    apply(&repo, Change::Deleted);
    let newer = "which waits: `pillion start log --allow-removal` makes it the target";
    for command in ["status", "stage", "plan"] {
        let output = repo.pillion(&[command, "log"]);
        assert!(output.contains(newer), "{command}: {output}");
    }
}
