//! A held workload disappears for a while, through a mistake or a lost label. Its hold lasts, and the rollout does not
//! continue meanwhile.

use crate::stage::holds::file;
use crate::stage::missing_workloads::{commit_change, every_command_refuses, plain};
use crate::stage::transitions::ledger;
use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::newer;
use crate::workspace::builds::{built, refs};

const WEB: &str = "Deployment.apps/shop/web";

/// A repository with content that is released everywhere, and in which a person holds a workload.
fn held(test_env: &TestEnvironment, start: &Texts) -> Repo {
    let repo = test_env.init("repo", &[]);
    repo.hold(start).commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["hold", WEB, "--reason", "team not ready"]);
    repo
}

fn is_held(repo: &Repo) -> bool {
    ledger(repo, "main")
        .entries
        .get(WEB)
        .is_some_and(|line| line.hold_reason.as_deref() == Some("team not ready"))
}

fn newer_is_merged(repo: &Repo, start: &Texts) {
    commit_change(repo, "1.5.0", |repo| {
        let path = "sidecars/log.yaml";
        repo.put(path, newer(start.clone())[path].clone());
    });
}

fn hide(repo: &Repo) {
    commit_change(repo, "put aside", |repo| {
        repo.git(&["mv", "apps/shop/web.yaml", "apps/shop/web.yaml.txt"]);
    });
}

fn unhide(repo: &Repo) {
    commit_change(repo, "back again", |repo| {
        repo.git(&["mv", "apps/shop/web.yaml.txt", "apps/shop/web.yaml"]);
    });
}

fn take_a_step(repo: &Repo) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log~2");
    repo.git(&["switch", "-q", "--detach", "main"]);
}

#[test]
fn a_manifest_that_is_put_aside_does_not_end_the_hold() {
    let test_env = TestEnvironment::new();
    let start = plain();
    let repo = held(&test_env, &start);
    newer_is_merged(&repo, &start);
    hide(&repo);
    repo.git(&["switch", "-q", "--detach", "main"]);
    every_command_refuses(&repo, "workloads-missing");
    unhide(&repo);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["start"]);
    // A rollout that began with the hold does not count the workload; all the same it is missed.
    hide(&repo);
    repo.git(&["switch", "-q", "--detach", "main"]);
    every_command_refuses(&repo, "workloads-missing");
    unhide(&repo);
    take_a_step(&repo);
    assert!(is_held(&repo));
}

#[test]
fn a_build_that_loses_the_workload_does_not_end_the_hold() {
    let test_env = TestEnvironment::new();
    let start = built();
    let repo = held(&test_env, &start);
    newer_is_merged(&repo, &start);
    commit_change(&repo, "a build that loses one", |repo| {
        let build = std::fs::read_to_string(repo.path.join("make.sh")).unwrap();
        repo.put("make.sh", build.replace("apps/shop/web.yaml", ""));
    });
    repo.git(&["switch", "-q", "--detach", "main"]);
    every_command_refuses(&repo, "workloads-missing");
    assert!(is_held(&repo));
}

#[test]
fn a_label_that_is_lost_does_not_end_the_hold() {
    let test_env = TestEnvironment::new();
    let start = plain();
    let repo = held(&test_env, &start);
    newer_is_merged(&repo, &start);
    let path = "apps/shop/web.yaml";
    let text = start[path].clone();
    commit_change(&repo, "a slip in a label", |repo| {
        repo.put(path, text.replace("log: \"true\"", "tail: \"on\""));
    });
    repo.git(&["switch", "-q", "--detach", "main"]);
    assert!(repo.pillion(&["plan"]).contains("no SidecarSet selects it now"), "{}", repo.pillion(&["plan"]));
    repo.pillion(&["start"]);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    assert!(ledger(&repo, "main").target.is_none() && is_held(&repo));
    commit_change(&repo, "the label again", |repo| {
        repo.put(path, text.clone());
    });
    repo.git(&["switch", "-q", "--detach", "main"]);
    let rendered = repo.pillion(&["render", path]);
    assert!(rendered.contains("logtail:1.4.2") && !rendered.contains("logtail:1.5.0"), "{rendered}");
}

#[test]
fn a_person_ends_the_hold_of_a_workload_that_is_gone() {
    let test_env = TestEnvironment::new();
    let start = plain();
    let repo = held(&test_env, &start);
    newer_is_merged(&repo, &start);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["start"]);
    hide(&repo);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let before = refs(&repo);
    let (code, stderr) = repo.refused(&["hold", "Deployment/cart", "--reason", "as well"]);
    assert!(code == 1 && stderr.contains(&format!("pillion hold {WEB} --sidecarset log --off")), "{stderr}");
    assert_eq!(before, refs(&repo));
    repo.pillion(&["hold", WEB, "--sidecarset", "log", "--off"]);
    assert!(!is_held(&repo));
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["verify", "--base", "main~1"]);
    repo.pillion(&["status"]);
    assert!(file(&repo, "ledgers/log.yaml").contains("target: "));
}
