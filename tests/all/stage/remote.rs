//! Rollouts with branches on a remote: what is pushed, what is started, and concurrent changes by others.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, released};
use serde_json::{Value, json};

/// A bare remote with the edited example, and two clones of it.
pub(crate) fn shared(test_env: &TestEnvironment) -> (Repo, Repo, Repo) {
    let first = released(test_env, "first");
    first.hold(&newer(example())).commit("log 1.5.0");
    let origin = test_env.clone(&first, "origin", &["--bare"]);
    origin.git(&["remote", "remove", "origin"]);
    let [one, other] = ["one", "other"].map(|name| test_env.clone(&origin, name, &[]));
    (origin, one, other)
}

pub(crate) fn refs(repo: &Repo, below: &str) -> Vec<String> {
    let all = repo.git(&["for-each-ref", "--format=%(refname)", below]);
    all.lines().map(str::to_owned).collect()
}

#[test]
fn staged_branches_are_pushed_for_everybody_to_read() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    let stdout = one.pillion(&["stage", "--push"]);
    assert!(stdout.contains("`pillion/main/log` created and pushed"), "{stdout}");
    let tip = one.id("pillion/main/log");
    assert_eq!(origin.id("pillion/main/log"), tip);
    assert!(one.pillion(&["stage", "--push"]).contains("unchanged\n"));
    other.pillion(&["stage", "--push"]);
    assert_eq!(other.id("refs/heads/pillion/main/log"), tip);
    assert_eq!(other.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_rollout_is_started_on_the_remote_alone() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    let before = one.id("main");
    let stdout = one.pillion(&["start", "-o", "json"]);
    let stdout: Value = serde_json::from_str(&stdout).unwrap();
    let open = stdout["started"][0]["commit"].as_str().unwrap();
    assert_eq!(origin.id("main").to_string(), open);
    assert_eq!(one.id("main"), before, "what is checked out here stays");
    assert_eq!(stdout["items"][0]["base"], json!(open));
    assert_eq!(stdout["items"][0]["commits"].as_array().unwrap().len(), 5);
    // The next one finds it open.
    let stdout = other.pillion(&["start", "--push"]);
    assert!(!stdout.contains("rollout started") && stdout.contains("log: batch 1/4"), "{stdout}");
    assert_eq!(origin.id("pillion/main/log~5"), origin.id("main"));
}

#[test]
fn a_finished_rollout_leaves_no_branch_anywhere() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    other.pillion(&["stage"]);
    origin.git(&["update-ref", "refs/heads/main", "refs/heads/pillion/main/log"]);
    let stdout = one.pillion(&["stage", "--push"]);
    assert!(stdout.contains("removed and pushed"), "{stdout}");
    assert!(refs(&origin, "refs/heads/pillion").is_empty());
    // A clone that knew the branch forgets it.
    other.pillion(&["stage", "--push"]);
    assert!(refs(&other, "refs/remotes/origin/pillion").is_empty());
    assert!(refs(&other, "refs/heads/pillion").is_empty());
}

#[test]
fn what_somebody_put_onto_a_staged_branch_is_told_and_not_taken() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    let tip = one.id("pillion/main/log");
    other.git(&["fetch", "-q"]);
    other.git(&["switch", "-q", "-c", "mine", "origin/pillion/main/log"]);
    other.put("rendered/shop/web.yaml", "mine").commit("my own edit");
    other.git(&["push", "-q", "origin", "mine:pillion/main/log"]);
    let (code, stderr) = one.refused(&["stage", "--push"]);
    assert!(
        code == 1 && stderr.contains("my own edit") && stderr.contains("not created by pillion"),
        "{stderr}"
    );
    assert_eq!(origin.id("pillion/main/log"), other.id("mine"));
    let stdout = one.pillion(&["stage", "--push", "--force"]);
    assert_eq!(origin.id("pillion/main/log"), tip);
    assert!(stdout.contains("my own edit") && stdout.contains("pillion did not make"), "{stdout}");
    // A branch of a person with such a name is not removed.
    let done = example();
    other.git(&["switch", "-q", "main"]);
    other.hold(&done).commit("back to 1.4.2");
    other.git(&["push", "-q", "origin", "main"]);
    other.git(&["commit", "-q", "--allow-empty", "-m", "something else"]);
    other.git(&["push", "-q", "origin", "+main:pillion/main/log"]);
    one.pillion(&["stage", "--push"]);
    assert_eq!(refs(&origin, "refs/heads/pillion"), ["refs/heads/pillion/main/log"]);
}

#[test]
fn a_rewritten_remote_stops_everything() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    other.git(&["commit", "-q", "--amend", "-m", "log 1.5.0, in other words"]);
    other.git(&["push", "-q", "--force", "origin", "main"]);
    let before = origin.id("pillion/main/log");
    let (code, stderr) = one.refused(&["start", "--push"]);
    assert!(code == 1 && stderr.contains("deploy-branch-rewritten"), "{stderr}");
    assert_eq!(origin.id("pillion/main/log"), before);
    one.pillion(&["stage", "--push", "--accept-rewritten"]);
    assert_eq!(origin.id("pillion/main/log~6"), origin.id("main"));
}

#[test]
fn without_a_remote_nobody_is_moved_under_their_feet() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.hold(&newer(example())).commit("log 1.5.0");
    let (code, stderr) = repo.refused(&["start"]);
    assert!(code == 2 && stderr.contains("is checked out in"), "{stderr}");
    repo.git(&["switch", "-q", "--detach"]);
    let stdout = repo.pillion(&["start", "--push"]);
    assert!(stdout.contains("log: rollout started"), "{stdout}");
    assert_eq!(
        repo.git(&["show", "-s", "--format=%(trailers:key=Pillion-Action,valueonly)", "main"]),
        "Start"
    );
}

#[test]
fn what_was_observed_is_written_down_by_open() {
    let test_env = TestEnvironment::new();
    let (_, one, _) = shared(&test_env);
    let pod = |n: u32| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("web-{n}"), "namespace": "shop",
            "labels": {"pod-template-hash": "a1"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-a1", "controller": true}]}})
    };
    let pods = json!({"apiVersion": "v1", "kind": "List", "items": (0..10).map(pod).collect::<Vec<_>>()});
    std::fs::write(test_env.path("pods.json"), pods.to_string()).unwrap();
    one.pillion(&["stage", "--cluster-state", &test_env.path("pods.json").display().to_string()]);
    let subjects = one.git(&["log", "--reverse", "--format=%s", "origin/main..pillion/main/log"]);
    assert_eq!(
        subjects.lines().collect::<Vec<_>>(),
        [
            "log: start, logtail 1.4.2 -> 1.5.0",
            "log: batch 1/3, logtail 1.5.0 for 1 pod of StatefulSet data/events",
            "log: batch 2/3, logtail 1.5.0 for 5 pods of 2 workloads",
            "log: batch 3/3, logtail 1.5.0 for 15 pods of 2 workloads",
            "log: complete, logtail 1.5.0 is released",
        ]
    );
    let body = one.git(&["show", "-s", "--format=%b", "pillion/main/log~2"]);
    assert_eq!(
        body.lines().take(3).collect::<Vec<_>>(),
        [
            "StatefulSet data/events: 3 of 3 pods, recreated",
            "CloneSet shop/cart: 3 of 8 pods, in place",
            "6 of 21 pods carry 1.5.0 after this commit; at most 3 are unavailable at once.",
        ]
    );
    assert!(
        one.git(&["show", "pillion/main/log~4:ledgers/log.yaml"])
            .contains("Deployment.apps/shop/web, pods: 10")
    );
}

#[test]
fn signed_commits_are_kept_while_they_say_the_same() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    let plain = {
        one.pillion(&["stage"]);
        one.id("pillion/main/log")
    };
    for (repo, name) in [(&one, "key-one"), (&other, "key-other")] {
        let key = test_env.path(name).display().to_string();
        let made = repo.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).output();
        assert!(made.unwrap().status.success());
        for (name, value) in [("commit.gpgsign", "true"), ("gpg.format", "ssh"), ("user.signingkey", &*key)] {
            repo.git(&["config", name, value]);
        }
    }
    one.pillion(&["stage", "--push"]);
    let signed = one.id("pillion/main/log");
    assert_ne!(signed, plain);
    assert!(one.git(&["cat-file", "-p", "pillion/main/log"]).contains("gpgsig"));
    assert!(one.pillion(&["stage", "--push"]).contains("unchanged"));
    // Another key would be another signature, and is not needed.
    other.pillion(&["stage", "--push"]);
    assert_eq!(origin.id("pillion/main/log"), signed);
}
