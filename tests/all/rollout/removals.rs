//! A sidecar is removed from a workload only where a person has said so.

use crate::support::fleet_fixtures::{FILES, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::in_two_clusters;
use crate::watch::simulation::watched;

const NONE: [&str; 0] = [];

fn log(image: &str) -> String {
    set("log", &[("logtail", image)])
}

/// A repository in which rollouts start by themselves, with `log` released and another set that stays.
fn auto(test_env: &TestEnvironment) -> Repo {
    let proxy = set("proxy", &[("proxy", "proxy:1")]);
    repository(test_env, "repo", &fleet(&[("log", &log("log:1")), ("proxy", &proxy)], true))
}

/// What a watcher says of `log` after a while.
fn watch(repo: &Repo, turns: usize) -> String {
    watched(repo, turns).remove("log").unwrap_or_default()
}

#[test]
fn a_selector_typo_moves_nothing() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    let typo = log("log:2").replace("{log: ", "{lgo: ");
    let head = repo.change(&[("sidecars/log.yaml", &typo)], &[]);
    let (code, plan) = repo.says(&["plan"]);
    assert_eq!(code, 1, "{plan}");
    let heading =
        "log: REMOVED from 4 of 4 workloads (selector changed, sidecars/log.yaml:7:5); logtail 1 -> 2";
    assert!(plan.contains(heading), "{plan}");
    assert!(plan.contains("0 workloads updated, 0 added, 4 removed; 8 pods in 3 batches"), "{plan}");
    let error = "error[selects-nothing]: `matchLabels: {lgo: \"true\"}` of SidecarSet `log` selects none of 4 workloads";
    let meant = "did you mean `log: \"true\"`, which 4 workloads have?";
    assert!(plan.contains(error) && plan.contains(meant), "{plan}");
    for args in [&["validate"][..], &["stage"], &["start", "log"], &["start", "log", "--allow-removal"]] {
        let (code, output) = repo.says(args);
        assert!(code == 1 && output.contains(error) && output.contains(meant), "{args:?}: {output}");
    }
    // The other rollout goes on.
    let proxy = set("proxy", &[("proxy", "proxy:2")]);
    let base = repo.change(&[("sidecars/proxy.yaml", &proxy)], &[]);
    let output = watch(&repo, 40);
    assert!(output.contains("selects none of 4 workloads") && output.contains(meant), "{output}");
    assert!(repo.subjects(base).iter().all(|s| s.starts_with("proxy: ")), "{:?}", repo.subjects(base));
    assert!(repo.subjects(base).last().unwrap().contains("complete"));
    assert_eq!(repo.carriers("main", "logtail"), FILES);
    assert!(repo.ledger("main", "log").target.is_none());
    repo.is_sound_since(&test_env, head);
}

#[test]
fn a_deleted_set_waits_for_a_person() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    let head = repo.change(&[], &["sidecars/log.yaml"]);
    let output = watch(&repo, 10);
    let command = "`pillion start log --allow-removal`";
    assert!(
        output.contains("removes the sidecar from 4 of 4 workloads (deleted)") && output.contains(command),
        "{output}"
    );
    let (code, plan) = repo.says(&["plan"]);
    assert!(code == 0 && plan.contains("log: REMOVED from 4 of 4 workloads (deleted), log-"), "{plan}");
    assert!(plan.contains("recreated, sidecar removed"), "{plan}");
    let (code, output) = repo.says(&["start", "log"]);
    assert!(code == 1 && output.contains("error[sidecar-removal]"), "{output}");
    assert!(
        output.contains("1 workload in namespace data") && output.contains("3 workloads in namespace shop"),
        "{output}"
    );
    let (code, output) = repo.says(&["start"]);
    assert!(code == 1 && output.contains("error[sidecar-removal]"), "{output}");
    assert!(repo.says(&["status"]).1.contains(command));
    assert_eq!(repo.id("main"), head, "nothing has moved");
    repo.pillion(&["start", "log", "--allow-removal"]);
    assert_eq!(repo.ledger("main", "log").scope.unwrap().removals, 4);
    assert!(
        repo.git(&["log", "-1", "--format=%b", "main"]).contains("removed from 4 of 4 workloads (deleted)")
    );
    watch(&repo, 40);
    assert_eq!(repo.carriers("main", "logtail"), NONE);
    assert_eq!(repo.carriers("main", "proxy"), FILES);
    let ledger = repo.ledger("main", "log");
    assert!(!ledger.is_in_use() && ledger.target.is_none() && ledger.scope.is_none());
    assert!(
        repo.git(&["log", "--format=%b", "main"])
            .contains("Deployment shop/web: 2 of 2 pods, recreated, sidecar removed")
    );
    repo.is_sound_since(&test_env, head);
}

#[test]
fn a_set_that_is_deleted_and_restored_has_never_moved() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    repo.change(&[], &["sidecars/log.yaml"]);
    watch(&repo, 3);
    let head = repo.change(&[("sidecars/log.yaml", &log("log:1"))], &[]);
    watch(&repo, 5);
    assert_eq!((repo.id("main"), repo.carriers("main", "logtail")), (head, FILES.to_vec()));
}

#[test]
fn a_set_that_is_deleted_in_its_own_rollout_is_not_removed() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    repo.change(&[("sidecars/log.yaml", &log("log:2"))], &[]);
    repo.pillion(&["start", "log"]);
    repo.pillion(&["stage", "log"]);
    repo.release("pillion/main/log~3");
    assert_eq!(repo.ledger("main", "log").last_batch(), 1);
    let head = repo.change(&[], &["sidecars/log.yaml"]);
    watch(&repo, 20);
    assert_eq!(repo.carriers("main", "logtail"), FILES);
    assert!(repo.subjects(head).iter().all(|s| !s.contains("nothing")), "{:?}", repo.subjects(head));
    // Restored, it goes on as if nothing had been.
    repo.change(&[("sidecars/log.yaml", &log("log:2"))], &[]);
    watch(&repo, 30);
    assert_eq!(repo.ledger("main", "log").target, None);
    assert!(repo.text("main", "rendered/shop/web.yaml").contains("log:2"));
    repo.is_sound_since(&test_env, head);
}

#[test]
fn fewer_namespaces_are_a_removal() {
    let test_env = TestEnvironment::new();
    let wide = log("log:1").replace(
        "  containers:",
        "  namespaceSelector:\n    matchExpressions: [{key: team, operator: In, values: [shop, data]}]\n  containers:",
    );
    let repo = repository(&test_env, "repo", &fleet(&[("log", &wide)], true));
    let narrow = wide.replace("[shop, data]", "[shop]");
    let head = repo.change(&[("sidecars/log.yaml", &narrow)], &[]);
    let (code, plan) = repo.says(&["plan"]);
    let heading = "REMOVED from 1 of 4 workloads (namespaceSelector changed, sidecars/log.yaml:9:5)";
    assert!(code == 0 && plan.contains(heading), "{plan}");
    watch(&repo, 10);
    assert_eq!(repo.id("main"), head);
    assert!(repo.refused(&["start", "log"]).1.contains("removes its sidecar from 1 of 4 workloads"));
    repo.pillion(&["start", "log", "--allow-removal"]);
    watch(&repo, 20);
    assert_eq!(repo.carriers("main", "logtail"), FILES[1..]);
    repo.is_sound_since(&test_env, head);
    // A namespace that is misspelt is kept apart from labels of pods.
    repo.change(&[("sidecars/log.yaml", &narrow.replace("[shop]", "[shpo]"))], &[]);
    let (code, output) = repo.says(&["validate"]);
    assert!(
        code == 1 && output.contains("did you mean `team: \"shop\"`, which 1 namespace has?"),
        "{output}"
    );
}

#[test]
fn a_batch_removes_nothing_that_start_did_not_name() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], false));
    let by_team = log("log:2").replace(
        "  containers:",
        "  namespaceSelector:\n    matchExpressions: [{key: team, operator: Exists}]\n  containers:",
    );
    let base = repo.change(&[("sidecars/log.yaml", &by_team)], &[]);
    repo.pillion(&["start", "log"]);
    assert!(!repo.ledger("main", "log").allows_removal());
    let settings = repo.text("main", "pillion.yaml").replace("{team: data}", "{tier: data}");
    repo.change(&[("pillion.yaml", &settings)], &[]);
    let (_, plan) = repo.says(&["plan"]);
    assert!(plan.contains("Deployment.apps/data/db: the sidecar would be removed"), "{plan}");
    repo.pillion(&["stage", "log"]);
    let tip = repo.git(&["rev-parse", "pillion/main/log"]);
    assert_eq!(repo.carriers(&tip, "logtail"), FILES, "the others are moved, and this one waits");
    assert_eq!(repo.ledger(&tip, "log").target, repo.ledger("main", "log").target, "it is not closed");
    repo.pillion(&["start", "log", "--allow-removal"]);
    assert_eq!(repo.ledger("main", "log").scope.unwrap().removals, 1);
    repo.pillion(&["stage", "log"]);
    repo.release("pillion/main/log");
    assert_eq!(repo.carriers("main", "logtail"), FILES[1..]);
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_set_in_another_file_is_the_same_set() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], true));
    repo.change(&[("sidecars/logging/agent.yaml", &log("log:1"))], &["sidecars/log.yaml"]);
    assert!(repo.says(&["plan"]).1.contains("log: nothing to do"));
    assert!(repo.says(&["stage"]).1.contains("nothing to stage"));
}

#[test]
fn two_sets_that_swap_names_lose_nothing() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    let swapped = [
        ("sidecars/log.yaml", set("proxy", &[("logtail", "log:1")])),
        ("sidecars/proxy.yaml", set("log", &[("proxy", "proxy:1")])),
    ];
    let head = repo.change(&swapped.each_ref().map(|(path, text)| (*path, text.as_str())), &[]);
    let (_, plan) = repo.says(&["plan"]);
    assert!(plan.contains("both have a container"), "{plan}");
    watch(&repo, 20);
    for container in ["logtail", "proxy"] {
        assert_eq!(repo.carriers("main", container), FILES);
    }
    repo.is_sound_since(&test_env, head);
}

#[test]
fn what_a_rollout_has_brought_goes_back_without_a_question() {
    let test_env = TestEnvironment::new();
    let repo = auto(&test_env);
    let agent = set("agent", &[("agent", "agent:1")]);
    let new = [("sidecars/agent.yaml", agent.as_str()), ("ledgers/agent.yaml", &empty_ledger("agent"))];
    let head = repo.change(&new, &[]);
    let (_, plan) = repo.says(&["plan"]);
    assert!(plan.contains("Plan: 0 workloads updated, 4 added, 0 removed; 8 pods in 3 batches"), "{plan}");
    assert!(!plan.contains("sidecar added"), "all are added: {plan}");
    repo.pillion(&["start", "agent"]);
    watch(&repo, 2);
    let some = repo.carriers("main", "agent").len();
    assert!((1..4).contains(&some), "{some}");
    repo.pillion(&["rollback", "agent"]);
    watch(&repo, 20);
    assert_eq!(repo.carriers("main", "agent"), NONE);
    assert_eq!(repo.ledger("main", "agent").target, None);
    repo.is_sound_since(&test_env, head);
}

#[test]
fn a_new_set_that_selects_nothing_is_named() {
    let test_env = TestEnvironment::new();
    let mut texts = fleet(&[("log", &log("log:1"))], true);
    let agent = set("agent", &[("agent", "agent:1")]).replace("log: \"true\"", "log: \"ture\"");
    texts.insert("sidecars/agent.yaml".into(), agent.clone());
    texts.insert("ledgers/agent.yaml".into(), empty_ledger("agent"));
    let repo = repository(&test_env, "repo", &texts);
    for args in [&["plan"][..], &["validate"], &["start", "agent"]] {
        let (code, output) = repo.says(args);
        assert!(
            code == 1 && output.contains("did you mean `log: \"true\"`, which 4 workloads have?"),
            "{args:?}: {output}"
        );
    }
    // In one of several clusters it may select nothing.
    let mut texts = in_two_clusters(texts, ["eu", "us"]);
    let agent = agent.replace("log: \"ture\"", "app: web");
    texts.insert("sidecars/agent.yaml".into(), agent);
    let two = repository(&test_env, "two", &texts);
    for args in [&["plan"][..], &["validate"], &["stage"]] {
        let (code, output) = two.says(args);
        assert!(code == 0 && !output.contains("selects-nothing"), "{args:?}: {output}");
    }
    // Where no workload has such a label in any of them, it may not.
    let nowhere = texts["sidecars/agent.yaml"].replace("app: web", "app: wbe");
    two.change(&[("sidecars/agent.yaml", &nowhere)], &[]);
    let (code, output) = two.says(&["validate"]);
    assert!(code == 1 && output.contains("did you mean `app: \"web\"`, which 1 workload has?"), "{output}");
}
