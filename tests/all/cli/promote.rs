//! `pillion promote`: a person releases the next batch, or several, each as its own commit.

use crate::stage::holds::edit;
use crate::stage::transitions::{changed, half_way, ledger, trailer};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, released};

/// The example with its rollout open and no batch out.
fn open(test_env: &TestEnvironment) -> Repo {
    let repo = released(test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    repo.hold(&newer(example())).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    repo.pillion(&["start", "log"]);
    repo
}

fn head(repo: &Repo) -> String {
    repo.git(&["rev-parse", "main"])
}

/// The images are the same: their versions would say that nothing changes.
#[test]
fn a_status_without_another_image_tells_what_differs() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    let mut texts = example();
    let set = texts.get_mut("sidecars/log.yaml").unwrap();
    let native = "{name: log, annotations: {pillion.dev/sidecar-mode: Native}}";
    *set = set.replacen("{name: log}", native, 1);
    repo.hold(&texts).commit("native");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let status = repo.pillion(&["status", "log"]);
    let held = "; the file holds log-";
    assert!(
        status.contains(held) && status.contains(" (sidecarMode Container -> Native), which is not"),
        "{status}"
    );
    repo.pillion(&["start", "log"]);
    let status = repo.pillion(&["status", "log"]);
    assert!(status.contains("pods have log-") && !status.contains("have logtail"), "{status}");
    assert!(status.contains(" (sidecarMode Container -> Native)\n"), "{status}");
}

/// Nothing is released, and the message says why.
fn refused(repo: &Repo, args: &[&str], words: &str) {
    let before = head(repo);
    let (code, stderr) = repo.refused(&[&["promote"], args].concat());
    let is_usage = words.starts_with("did you mean");
    assert!(code == if is_usage { 2 } else { 1 } && stderr.contains(words), "{args:?}: {stderr}");
    assert_eq!(head(repo), before);
}

#[test]
fn the_next_batch_is_one_commit_of_a_person() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env);
    let base = head(&repo);
    // It is the commit that stage foretells, but for who and when.
    let staged = repo.git(&["log", "-1", "--format=%T%n%P%n%B", "pillion/main/log~4"]);
    let stdout = repo.pillion(&["promote", "log"]);
    let by = "Pillion-By: A Person <a@example.com>\n";
    let made = repo.git(&["log", "-1", "--format=%T%n%P%n%B", "main"]);
    assert!(made.contains(by) && made.replace(by, "") == staged, "{made}\n{staged}");
    assert_eq!(repo.git(&["log", "-1", "--format=%an %cn", "main"]), "A Person pillion");
    assert_eq!(changed(&repo), "ledgers/log.yaml\nrendered/data/events.yaml");
    assert_eq!((ledger(&repo, "main").last_batch(), repo.git(&["rev-parse", "main~1"])), (1, base.clone()));
    // Before the first batch no pod can be unhealthy: no gate is passed over.
    assert!(!stdout.contains("gates"), "{stdout}");
    assert!(
        stdout.ends_with("next: `pillion promote log` releases batch 2 of 4: 1 pod of 1 workload\n")
            || stdout.contains("releases batch 2 of 4"),
        "{stdout}"
    );
    // What a later batch does not wait for stands in its commit.
    let stdout = repo.pillion(&["promote", "log"]);
    let note = "Released by hand, past these gates: health (the pods of batch 1, and their soak of 120s, not checked).";
    let body = repo.git(&["log", "-1", "--format=%b", "main"]);
    assert!(stdout.contains(note) && body.contains(note), "{stdout}{body}");
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["verify", "--base", &base]);
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    repo.hold(&newer(example())).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let before = head(&repo);
    let stdout = repo.pillion(&["start", "log", "--dry-run"]);
    assert!(stdout.contains("would commit log: start") && stdout.contains("+  target: log-"), "{stdout}");
    repo.pillion(&["start", "log"]);
    let started = head(&repo);
    assert_ne!(started, before);
    for args in [
        &["pause", "log", "--reason", "lunch"][..],
        &["rollback", "log"],
        &["hold", "deploy/web"],
        &["promote", "log", "--full"],
    ] {
        let stdout = repo.pillion(&[args, &["--dry-run"]].concat());
        assert!(stdout.contains("would "), "{args:?}: {stdout}");
        assert_eq!(head(&repo), started, "{args:?}");
    }
}

#[test]
fn a_branch_that_is_checked_out_is_not_moved_without_its_files() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.hold(&newer(example())).commit("logtail 1.5.0");
    let (code, stderr) = repo.refused(&["start", "log"]);
    assert!(code == 2 && stderr.contains("`git merge --ff-only refs/pillion/outbox`"), "{stderr}");
    let stdout = repo.pillion(&["start", "log", "--no-push"]);
    assert!(stdout.contains("next: `git merge --ff-only refs/pillion/outbox` releases it"), "{stdout}");
    repo.git(&["merge", "-q", "--ff-only", "refs/pillion/outbox"]);
    assert!(repo.pillion(&["status"]).contains("started, no batch released"));
}

#[test]
fn several_batches_are_several_commits_and_one_push() {
    let test_env = TestEnvironment::new();
    let first = released(&test_env, "first");
    first.hold(&newer(example())).commit("logtail 1.5.0");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    let clone = test_env.clone(&origin, "clone", &[]);
    clone.pillion(&["start"]);
    let base = origin.git(&["rev-parse", "main"]);
    let dry = clone.pillion(&["promote", "log", "--full", "--dry-run"]);
    assert!(
        dry.contains("would release log: batch 4/4") && dry.contains("would release log: complete"),
        "{dry}"
    );
    assert_eq!(origin.git(&["rev-parse", "main"]), base);
    clone.pillion(&["promote", "log", "--to", "3"]);
    let numbers = origin.git(&[
        "log",
        "--reverse",
        "--format=%(trailers:key=Pillion-Batch,valueonly)",
        &format!("{base}..main"),
    ]);
    assert_eq!(numbers.split_whitespace().collect::<Vec<_>>(), ["1/4", "2/4", "3/4"]);
    let before = origin.git(&["rev-parse", "main"]);
    let stdout = clone.pillion(&["promote", "log", "--full"]);
    assert!(stdout.contains("log: complete, logtail 1.5.0 is released\npushed to origin/main\n"), "{stdout}");
    assert_eq!(origin.git(&["rev-list", "--count", &format!("{before}..main")]), "2");
    let everybody = origin.git(&[
        "log",
        "--format=%an|%(trailers:key=Pillion-By,valueonly,separator=)",
        &format!("{base}..main"),
    ]);
    assert!(everybody.lines().all(|line| line == "A Person|A Person <a@example.com>"), "{everybody}");
    clone.git(&["pull", "-q"]);
    assert_eq!(ledger(&clone, "main").target, None);
    clone.pillion(&["verify", "--base", &base]);
    refused(&clone, &["log"], "no rollout of `log` is in progress: all workloads are up to date");
}

#[test]
fn what_a_person_does_first_is_named() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    repo.hold(&newer(example())).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    refused(&repo, &["lgo"], "did you mean `log`?");
    let (code, stderr) = repo.refused(&["hold", "deployment/web", "--sidecarset", "lgo"]);
    assert!(code == 2 && stderr.contains("there is no SidecarSet `lgo`: did you mean `log`?"), "{stderr}");
    refused(&repo, &["log"], "no rollout of `log` is in progress: `pillion start log` starts it");
    repo.pillion(&["start", "log"]);
    refused(&repo, &["log", "--to", "9"], "has no batch 9: 4 is the last one; `--full`");
    repo.pillion(&["promote", "log"]);
    refused(&repo, &["log", "--to", "1"], "batch 1 of `log` is already released");
    repo.pillion(&["pause", "log", "--reason", "lunch"]);
    refused(
        &repo,
        &["log"],
        "is paused at batch 1 by A Person <a@example.com>: lunch; `pillion resume log` resumes it",
    );
    repo.pillion(&["resume", "log"]);
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(ledger(&repo, "main").target, None);
}

#[test]
fn a_batch_that_waits_for_an_approval_is_not_released_without() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    edit(&repo, "pillion.yaml", "rollout:\n", "rollout:\n  approve: [3, 4]\n");
    refused(&repo, &["log"], "batch 3 of `log` waits for `pillion approve log 3`");
    repo.pillion(&["approve", "log", "3"]);
    // Of several steps none is released where one of them waits.
    refused(
        &repo,
        &["log", "--full"],
        "waits for `pillion approve log 4`; `--to 3` releases what comes before it",
    );
    let stdout = repo.pillion(&["promote", "log", "--to", "3"]);
    assert!(
        stdout.contains("next: `pillion approve log 4`, then `pillion promote log` releases batch 4 of 4"),
        "{stdout}"
    );
    // What a message says approves nothing.
    let staged = repo.pillion(&["stage"]);
    let batch = staged.lines().find(|l| l.contains("batch 4/4")).unwrap().split_whitespace().next().unwrap();
    let plan = repo.git(&["log", "-1", "--format=%(trailers:key=Pillion-Plan,valueonly)", batch]);
    let approval =
        format!("fine\n\nPillion-Action: Approve\nPillion-Plan: {}\nPillion-SidecarSet: log", plan.trim());
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.commit(&approval);
    repo.git(&["branch", "-f", "main", "HEAD"]);
    refused(&repo, &["log"], "batch 4 of `log` waits for");
    repo.pillion(&["approve", "log", "4"]);
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(ledger(&repo, "main").target, None);
}

#[test]
fn nothing_is_released_over_what_somebody_has_done_by_hand() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["revert", "--no-edit", "HEAD"]);
    repo.git(&["branch", "-f", "main", "HEAD"]);
    refused(&repo, &["log"], "pillion rollback log --to 1");
    let other = TestEnvironment::new();
    let repo = half_way(&other);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let web = String::from_utf8(repo.show("main:rendered/shop/web.yaml")).unwrap();
    repo.put("rendered/shop/web.yaml", web.replace("web:", "evil:")).commit("an edit of what is rendered");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    refused(&repo, &["log"], "deploy-branch-not-rendered");
    let third = TestEnvironment::new();
    let repo = half_way(&third);
    edit(&repo, "pillion.yaml", "sources: [apps]", "sources: [apps/data]");
    refused(&repo, &["log"], "workloads-missing");
}

#[test]
fn the_commits_can_be_left_here() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env);
    let before = head(&repo);
    let stdout = repo.pillion(&["promote", "log", "--to", "2", "--no-push"]);
    assert!(
        stdout.ends_with("next: `git branch --force main refs/pillion/outbox` releases it\n"),
        "{stdout}"
    );
    assert_eq!(head(&repo), before);
    assert_eq!(repo.git(&["rev-list", "--count", "main..refs/pillion/outbox"]), "2");
    assert_eq!(trailer(&repo, "Pillion-Action"), "Start");
}
