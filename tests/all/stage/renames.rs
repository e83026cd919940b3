//! A renamed or split SidecarSet keeps its containers: each workload moves to the new set in one commit.

use crate::support::fleet_fixtures::{FILES, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::watched;

fn log(image: &str) -> String {
    set("log", &[("logtail", image)])
}

/// A repository with `log` released, in which a person renames it to `logger`.
fn renamed(test_env: &TestEnvironment, is_auto: bool, image: &str) -> (Repo, pillion::git::ObjectId) {
    let repo = repository(test_env, "repo", &fleet(&[("log", &log("log:1"))], is_auto));
    let logger = set("logger", &[("logtail", image)]);
    let ledger = empty_ledger("logger");
    let base = repo.change(
        &[("sidecars/logger.yaml", &logger), ("ledgers/logger.yaml", &ledger)],
        &["sidecars/log.yaml"],
    );
    (repo, base)
}

/// The rendered files that list a SidecarSet as injected.
fn listed(repo: &Repo, revision: &str, set: &str) -> usize {
    let list = format!("sidecarset-injected-list: {set}\n");
    FILES.iter().filter(|f| repo.text(revision, &format!("rendered/{f}")).contains(&list)).count()
}

#[test]
fn a_renamed_set_is_one_rollout_without_a_gap() {
    let test_env = TestEnvironment::new();
    let (repo, base) = renamed(&test_env, true, "log:1");
    let (code, plan) = repo.says(&["plan"]);
    assert_eq!(code, 0, "{plan}");
    assert!(plan.contains("logger: renamed from log (- -> logger-"), "{plan}");
    assert!(plan.contains("Plan: 4 workloads updated, 0 added, 0 removed; 8 pods in 3 batches"), "{plan}");
    assert!(plan.contains("log: replaced by logger") && !plan.contains("REMOVED"), "{plan}");
    let (code, output) = repo.says(&["start", "log", "--allow-removal"]);
    assert!(code == 0 && repo.id("main") == base, "the old one is not opened: {output}");
    watched(&repo, 60);
    let mut swapped = Vec::new();
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit} has a gap");
        let (old, new) = (listed(&repo, &commit, "log"), listed(&repo, &commit, "logger"));
        assert_eq!(old + new, 4);
        swapped.push(new);
    }
    assert_eq!(swapped, [0, 1, 2, 4, 4, 4], "Open, three batches, Close, and Close of the old one");
    assert!(
        repo.subjects(base).last().unwrap().contains("log: complete, replaced by logger"),
        "{:?}",
        repo.subjects(base)
    );
    let (old, new) = (repo.ledger("main", "log"), repo.ledger("main", "logger"));
    assert!(!old.is_in_use() && old.target.is_none() && new.released.is_some());
    repo.is_sound_since(&test_env, base);
    // The ledger of the old one may go.
    repo.change(&[], &["ledgers/log.yaml"]);
    repo.is_sound_since(&test_env, base);
    assert!(repo.says(&["plan"]).1.contains("logger: nothing to do"));
}

#[test]
fn only_the_name_changes_in_a_file() {
    let test_env = TestEnvironment::new();
    let (repo, _) = renamed(&test_env, false, "log:1");
    repo.pillion(&["stage", "logger"]);
    let diff = repo.git(&["diff", "-U0", "main", "pillion/main/logger", "--", "rendered/shop/web.yaml"]);
    let is_line = |l: &&str| l.starts_with(['+', '-']) && !l.starts_with("+++") && !l.starts_with("---");
    let lines: Vec<&str> = diff.lines().filter(is_line).map(str::trim_end).collect();
    assert_eq!(lines.len(), 2, "{diff}");
    assert!(lines.iter().all(|l| l.contains("sidecarset-injected-list: log")), "{diff}");
}

#[test]
fn a_rename_that_goes_back_gives_the_old_one_back() {
    let test_env = TestEnvironment::new();
    let (repo, base) = renamed(&test_env, false, "log:2");
    repo.pillion(&["start", "logger"]);
    watched(&repo, 2);
    let taken = listed(&repo, "main", "logger");
    assert!((1..4).contains(&taken), "{taken}");
    assert_eq!(repo.ledger("main", "logger").replaces, ["log".into()]);
    repo.pillion(&["rollback", "logger"]);
    watched(&repo, 20);
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit} has a gap");
    }
    assert_eq!(listed(&repo, "main", "log"), 4);
    assert!(!repo.text("main", "rendered/shop/web.yaml").contains("log:2"));
    let ledger = repo.ledger("main", "logger");
    assert!(ledger.target.is_none() && !ledger.is_in_use() && ledger.replaces.is_empty());
    repo.is_sound_since(&test_env, base);
    // The old one is not removed either, as long as a set would take its place.
    let head = repo.id("main");
    let (code, output) = repo.says(&["start", "log", "--allow-removal"]);
    assert!(code == 0 && repo.id("main") == head, "{output}");
}

#[test]
fn a_set_is_split_into_two() {
    let test_env = TestEnvironment::new();
    let log = set("log", &[("logtail", "log:1"), ("agent", "agent:1")]);
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log)], true));
    let (tail, agent) = (set("tail", &[("logtail", "log:1")]), set("agent", &[("agent", "agent:2")]));
    let base = repo.change(
        &[
            ("sidecars/tail.yaml", &tail),
            ("sidecars/agent.yaml", &agent),
            ("ledgers/tail.yaml", &empty_ledger("tail")),
            ("ledgers/agent.yaml", &empty_ledger("agent")),
        ],
        &["sidecars/log.yaml"],
    );
    let (_, plan) = repo.says(&["plan"]);
    assert!(plan.contains("tail: split from log") && plan.contains("agent: split from log"), "{plan}");
    assert!(
        !plan.contains("REMOVED") && plan.matches("4 workloads updated, 0 added, 0 removed").count() == 2,
        "{plan}"
    );
    watched(&repo, 120);
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit}");
        assert_eq!(repo.carriers(&commit, "agent"), FILES, "{commit}");
    }
    assert!(FILES.iter().all(|f| repo.text("main", &format!("rendered/{f}")).contains("agent:2")));
    for name in ["tail", "agent"] {
        assert!(repo.ledger("main", name).released.is_some(), "{name}");
    }
    assert!(!repo.ledger("main", "log").is_in_use());
    repo.is_sound_since(&test_env, base);
}

#[test]
fn what_the_new_name_does_not_reach_is_a_removal() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], true));
    let narrow = set("logger", &[("logtail", "log:1")])
        .replace("  containers:", "  namespaceSelector:\n    matchLabels: {team: shop}\n  containers:");
    let base = repo.change(
        &[("sidecars/logger.yaml", &narrow), ("ledgers/logger.yaml", &empty_ledger("logger"))],
        &["sidecars/log.yaml"],
    );
    let output = watched(&repo, 60);
    assert_eq!(repo.carriers("main", "logtail"), FILES);
    assert!(output["log"].contains("removes the sidecar from 1 of"), "{output:?}");
    repo.pillion(&["start", "log", "--allow-removal"]);
    watched(&repo, 20);
    assert_eq!(repo.carriers("main", "logtail"), FILES[1..]);
    assert!(!repo.ledger("main", "log").is_in_use());
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_workload_that_is_held_does_not_change_hands() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], true));
    repo.pillion(&["hold", "deployment/web", "--reason", "not now"]);
    let base = repo.change(
        &[
            ("sidecars/logger.yaml", &set("logger", &[("logtail", "log:2")])),
            ("ledgers/logger.yaml", &empty_ledger("logger")),
        ],
        &["sidecars/log.yaml"],
    );
    watched(&repo, 60);
    assert!(repo.text("main", "rendered/shop/web.yaml").contains("image: log:1"));
    assert_eq!(listed(&repo, "main", "logger"), 3);
    assert_eq!(repo.carriers("main", "logtail"), FILES);
    repo.is_sound_since(&test_env, base);
}

#[test]
fn two_living_sets_with_one_container_are_an_error() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], false));
    let logger = set("logger", &[("logtail", "log:2")]);
    repo.change(&[("sidecars/logger.yaml", &logger), ("ledgers/logger.yaml", &empty_ledger("logger"))], &[]);
    let (code, plan) = repo.says(&["plan"]);
    assert!(code == 1 && plan.contains("`logger` and `log` both define the container `logtail`"), "{plan}");
    // With the old file gone it is a rename.
    let base = repo.change(&[], &["sidecars/log.yaml"]);
    repo.pillion(&["start", "logger"]);
    assert_eq!(repo.ledger("main", "logger").replaces, ["log".into()]);
    repo.pillion(&["stage", "logger"]);
    repo.release("pillion/main/logger");
    assert_eq!(listed(&repo, "main", "logger"), 4);
    repo.is_sound_since(&test_env, base);
}

#[test]
fn an_old_name_that_comes_back_takes_its_workloads_back() {
    let test_env = TestEnvironment::new();
    let (repo, base) = renamed(&test_env, false, "log:2");
    repo.pillion(&["start", "logger"]);
    repo.pillion(&["stage", "logger"]);
    repo.release("pillion/main/logger~3");
    repo.is_sound_since(&test_env, base);
    let base = repo.change(&[("sidecars/log.yaml", &log("log:1"))], &["sidecars/logger.yaml"]);
    let (_, plan) = repo.says(&["plan"]);
    assert!(
        !plan.contains("REMOVED") && plan.contains("the file of `logger` holds nothing, which waits"),
        "{plan}"
    );
    repo.pillion(&["start", "logger"]);
    repo.pillion(&["stage", "logger"]);
    repo.release("pillion/main/logger");
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit}");
    }
    assert_eq!(listed(&repo, "main", "log"), 4);
    let ledger = repo.ledger("main", "logger");
    assert!(!ledger.is_in_use() && ledger.replaces.is_empty() && ledger.target.is_none());
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_set_gives_some_of_its_workloads_to_another() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], true));
    let of_team = |text: String, team: &str| {
        text.replace(
            "  containers:",
            &format!("  namespaceSelector:\n    matchLabels: {{team: {team}}}\n  containers:"),
        )
    };
    let (shop, data) =
        (of_team(log("log:1"), "shop"), of_team(set("data-log", &[("logtail", "log:1")]), "data"));
    let base = repo.change(
        &[
            ("sidecars/log.yaml", &shop),
            ("sidecars/data-log.yaml", &data),
            ("ledgers/data-log.yaml", &empty_ledger("data-log")),
        ],
        &[],
    );
    let (_, plan) = repo.says(&["plan"]);
    assert!(plan.contains("data-log: split from log") && !plan.contains("REMOVED"), "{plan}");
    watched(&repo, 60);
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit} has a gap");
    }
    assert_eq!((listed(&repo, "main", "log"), listed(&repo, "main", "data-log")), (3, 1));
    assert_eq!(repo.ledger("main", "log").target, None);
    assert!(repo.says(&["plan"]).1.contains("log: nothing to do"));
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_set_is_renamed_back() {
    let test_env = TestEnvironment::new();
    let (repo, base) = renamed(&test_env, true, "log:1");
    watched(&repo, 60);
    assert_eq!(listed(&repo, "main", "logger"), 4);
    repo.change(&[("sidecars/log.yaml", &log("log:2"))], &["sidecars/logger.yaml"]);
    assert!(repo.says(&["plan"]).1.contains("log: renamed from logger"));
    watched(&repo, 60);
    for commit in repo.since(base) {
        assert_eq!(repo.carriers(&commit, "logtail"), FILES, "{commit} has a gap");
    }
    assert_eq!(listed(&repo, "main", "log"), 4);
    assert!(!repo.ledger("main", "logger").is_in_use());
    repo.is_sound_since(&test_env, base);
}
