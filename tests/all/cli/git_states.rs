//! Commands in states of git that a day of work brings: an empty repository, a folder below the root, a shallow clone, a
//! clone that is behind, edits that are not committed. Each answer says what to type, and that works.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, ledger_at, newer, released};
use std::process::Output;

/// A clone of a remote that has a newer SidecarSet, and the remote.
fn shared(test_env: &TestEnvironment) -> (Repo, Repo) {
    let first = released(test_env, "first");
    first.hold(&newer(example())).commit("log 1.5.0");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    (test_env.clone(&origin, "clone", &[]), origin)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_repository_without_a_commit_is_answered_with_the_way_in() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    for args in [&["status"][..], &["stage"], &["init", "rollout"], &["promote", "log"], &["verify"]] {
        let (code, said) = repo.refused(args);
        assert!(
            code == 2 && said.contains("there is no commit yet") && said.contains("pillion init"),
            "{said}"
        );
    }
    let (code, said) = repo.refused(&["plan"]);
    assert!(code == 2 && said.contains("run `pillion init`, which writes it"), "{said}");
    repo.put("a.txt", "").commit("first");
    let (code, said) = repo.refused(&["init", "rollout"]);
    assert!(code == 2 && said.contains("`pillion init` writes one; commit and push it"), "{said}");
}

#[test]
fn a_path_typed_below_the_root_has_the_namespace_of_its_place() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    let render = |folder: &str, path: &str| {
        let output = repo.try_pillion(&["-C", folder, "render", "--quiet", path]);
        assert!(output.status.success(), "{folder} {path}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let whole = render(".", "apps/shop/web.yaml");
    assert!(whole.contains("name: logtail"), "{whole}");
    let absolute = repo.path.join("apps/shop/web.yaml");
    for (folder, path) in [
        ("apps/shop", "web.yaml"),
        ("apps", "shop/web.yaml"),
        ("sidecars", "../apps/shop/web.yaml"),
        (".", absolute.to_str().unwrap()),
    ] {
        assert_eq!(render(folder, path), whole, "{folder} {path}");
    }
}

#[test]
fn a_shallow_clone_says_nothing_of_times_before_it() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    assert!(clone.pillion(&["status", "log"]).contains("\n  since "));
    let url = format!("file://{}", origin.path.display());
    let status =
        test_env.repo(".").command("git").args(["clone", "-q", "--depth", "1", &url, "shallow"]).status();
    assert!(status.unwrap().success());
    let shallow = test_env.repo("shallow");
    let said = shallow.pillion(&["status", "log"]);
    assert!(said.starts_with("log: ") && !said.contains("since"), "{said}");
}

#[test]
fn a_plan_of_a_clone_that_is_behind_does_not_advise_to_write_a_ledger_again() {
    let test_env = TestEnvironment::new();
    let (clone, _) = shared(&test_env);
    let head = clone.id("HEAD").to_string();
    clone.git(&["rm", "-q", "-r", "--cached", "ledgers"]);
    clone.git(&["commit", "-q", "-m", "no ledgers here"]);
    clone.git(&["clean", "-f", "-d", "-q", "ledgers"]);
    let output = clone.try_pillion(&["plan"]);
    let said = stderr(&output);
    assert!(said.contains("your folder does not have this ledger: `git pull`"), "{said}");
    assert!(!said.contains("no-ledger"), "{said}");
    // Without such a branch the note says what writes it.
    clone.git(&["update-ref", "-d", "refs/remotes/origin/main", &head]);
    let said = stderr(&clone.try_pillion(&["plan"]));
    assert!(said.contains("no-ledger") && said.contains("pillion init rollout"), "{said}");
}

#[test]
fn verify_names_what_is_not_committed_and_says_what_it_checked() {
    let test_env = TestEnvironment::new();
    let (clone, _) = shared(&test_env);
    let output = clone.try_pillion(&["verify"]);
    assert!(output.status.success() && stderr(&output).contains("is what pillion makes; checked 1 ledger"));
    let ledger = String::from_utf8(clone.show("HEAD:ledgers/log.yaml")).unwrap();
    clone.put("ledgers/log.yaml", ledger.replace("1.4.2", "1.4.3"));
    let said = stderr(&clone.try_pillion(&["verify"]));
    assert!(said.contains("(not committed: ledgers/log.yaml)"), "{said}");
    // Committed, the file is there and cannot be read: it was not removed.
    clone.commit("by hand");
    let said = stderr(&clone.try_pillion(&["verify", "--base", "HEAD~1"]));
    assert!(said.contains("leaves a ledger of `log` that cannot be read"), "{said}");
    assert!(said.contains("ledger-broken") && !said.contains("removes the ledger"), "{said}");
}

#[test]
fn a_deploy_branch_that_exists_nowhere_is_created_by_the_command_that_is_told() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    let config = String::from_utf8(clone.show("HEAD:pillion.yaml")).unwrap();
    clone.put("pillion.yaml", config.replace("  deploy: main\n  source: main\n", "  deploy: prod\n"));
    let (code, said) = clone.refused(&["promote", "log"]);
    let command = "git push origin HEAD:refs/heads/prod";
    assert!(code == 2 && said.contains(command), "{said}");
    clone.git(&["push", "-q", "origin", "HEAD:refs/heads/prod"]);
    assert_eq!(origin.id("refs/heads/prod"), clone.id("HEAD"));
}

/// A repository with two SidecarSets for the same workloads, released, and a newer image of the first one.
fn two_sets(test_env: &TestEnvironment) -> Repo {
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    let set = texts["sidecars/log.yaml"].clone();
    let other = set.replace("{name: log}", "{name: metrics}").replace("logtail", "metricd");
    let other = other.replace("name: logs", "name: metrics").replace("/var/log/app", "/var/metrics");
    texts.insert("ledgers/metrics.yaml".to_owned(), ledger_at(&other));
    texts.insert("sidecars/metrics.yaml".to_owned(), other);
    repo.hold(&texts).render().commit("two sets");
    repo.hold(&newer(texts)).commit("log 1.5.0");
    repo.git(&["switch", "-q", "--detach"]);
    repo
}

#[test]
fn notes_on_the_order_of_sets_do_not_hide_the_answer_of_stage() {
    let test_env = TestEnvironment::new();
    let repo = two_sets(&test_env);
    let rendered = stderr(&repo.try_pillion(&["render", "--check"]));
    assert!(rendered.contains("set-order-matters"), "{rendered}");
    let staged = repo.try_pillion(&["stage"]);
    assert!(staged.status.success(), "{}", stderr(&staged));
    assert!(!stderr(&staged).contains("set-order-matters"), "{}", stderr(&staged));
}

#[test]
fn a_status_says_which_workload_the_other_rollout_keeps() {
    let test_env = TestEnvironment::new();
    let repo = two_sets(&test_env);
    repo.git(&["switch", "-q", "main"]);
    let set = String::from_utf8(repo.show("HEAD:sidecars/metrics.yaml")).unwrap();
    repo.put("sidecars/metrics.yaml", set.replace("1.4.2", "1.6.0")).commit("metrics 1.6.0");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["start"]);
    repo.pillion(&["promote", "log"]);
    let said = repo.pillion(&["status", "metrics"]);
    let reason = "StatefulSet.apps/data/events: the rollout of `log` has split it and must complete first";
    assert!(said.contains("  next: batch ") && said.contains(&format!("  then blocked: {reason}")), "{said}");
    assert!(!repo.pillion(&["status", "log"]).contains("then blocked"));
    let dry = repo.pillion(&["promote", "log", "--dry-run"]);
    assert!(dry.contains("\nIt would be released by hand, past these gates: health"), "{dry}");
}

#[cfg(feature = "watch")]
#[test]
fn a_status_of_git_does_not_ignore_the_cluster_that_a_person_names() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    for args in [["status", "--context", "prod"], ["status", "-n", "shop"]] {
        let (code, said) = repo.refused(&args);
        assert!(code == 2 && said.contains("hint: add `--watch`"), "{said}");
    }
}
