//! `verify --base` over invalid histories: ledgers that are reset, batches that are pushed at once, and commits with
//! unrelated changes. Both `verify` and `watch` check each of them.

use crate::support::fleet_fixtures::{SETTINGS, deployment, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::ledger_at;
use indoc::formatdoc;
use std::fs;

const LOG: &str = "sidecars/log.yaml";

fn log(image: &str) -> String {
    set("log", &[("logtail", image)])
}

/// A fleet with a log agent that is released as `log:1`, and an open rollout to `log:2`; the settings end with more.
fn open(test_env: &TestEnvironment, settings: &str) -> (Repo, String) {
    let mut texts = fleet(&[("log", &log("log:1"))], false);
    texts.get_mut("pillion.yaml").unwrap().push_str(settings);
    let repo = repository(test_env, "repo", &texts);
    repo.change(&[(LOG, &log("log:2"))], &[]);
    let base = head(&repo);
    repo.pillion(&["start", "log"]);
    (repo, base)
}

fn head(repo: &Repo) -> String {
    repo.git(&["rev-parse", "main"])
}

/// The commits that are staged on `main`, oldest first.
fn staged(repo: &Repo) -> Vec<String> {
    repo.pillion(&["stage"]);
    let ids = repo.git(&["rev-list", "--reverse", "main..pillion/main/log"]);
    ids.lines().map(str::to_owned).collect()
}

fn move_to(repo: &Repo, commit: &str) {
    repo.git(&["switch", "-q", "--detach", commit]);
    repo.git(&["branch", "-f", "main", commit]);
}

/// A commit of a person with the tree of another one, and these parents; `main` is moved to it.
fn commit_tree(repo: &Repo, tree: &str, parents: &[&str], message: &str) -> String {
    let tree = format!("{tree}^{{tree}}");
    let parents: Vec<&str> = parents.iter().flat_map(|parent| ["-p", parent]).collect();
    let made = repo.git(&[&["commit-tree", &tree, "-m", message], &parents[..]].concat());
    move_to(repo, &made);
    made
}

/// What `verify` says of `main` since a commit: its exit code, and both streams.
fn verify(repo: &Repo, base: &str) -> (i32, String) {
    repo.says(&["verify", "--base", base])
}

#[track_caller]
fn is_fine(repo: &Repo, base: &str) -> String {
    let (code, output) = verify(repo, base);
    assert_eq!(code, 0, "{output}");
    output
}

#[track_caller]
fn is_refused(repo: &Repo, base: &str, code: &str) -> String {
    let (exit, output) = verify(repo, base);
    assert!(exit == 1 && output.contains(&format!("error[{code}]")), "{output}");
    output
}

/// A watcher says the same, and releases nothing.
#[track_caller]
fn watch_stops(repo: &Repo, code: &str) {
    let before = head(repo);
    let (exit, output) = repo.watches();
    assert!(exit == 1 && output.contains(&format!("error[{code}]")), "{output}");
    assert_eq!(head(repo), before);
}

/// A watcher has nothing against what git holds.
#[track_caller]
fn watch_goes_on(repo: &Repo) {
    let (exit, output) = repo.watches();
    assert!(exit != 1 && !output.contains("error["), "{exit}: {output}");
}

#[test]
fn the_tip_of_a_staged_branch_is_not_pushed_at_once() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let commits = staged(&repo);
    move_to(&repo, commits.last().unwrap());
    assert_eq!(repo.ledger("main", "log").target, None);
    let stderr = is_refused(&repo, &base, "batches-at-once");
    assert!(
        stderr.contains("steps of `log` at once: batch 1 to complete") && stderr.contains("--to 1"),
        "{stderr}"
    );
    watch_stops(&repo, "batches-at-once");
    // What is there is the word of a person after the next command.
    repo.pillion(&["pause", "log", "--reason", "who was that"]);
    watch_goes_on(&repo);
    repo.pillion(&["resume", "log"]);
    watch_goes_on(&repo);
    is_refused(&repo, &base, "batches-at-once");
}

#[test]
fn one_staged_commit_at_a_time_may_be_pushed() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let commits = staged(&repo);
    move_to(&repo, &commits[0]);
    watch_goes_on(&repo);
    repo.pillion(&["promote", "log"]);
    move_to(&repo, &staged(&repo)[0]);
    is_fine(&repo, &base);
    watch_goes_on(&repo);
}

#[test]
fn staged_commits_that_are_rebased_are_still_pushed_at_once() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let commits = staged(&repo);
    repo.git(&["switch", "-q", "--detach", "main"]);
    for commit in &commits[..2] {
        let mut command = repo.command("git");
        command.env_remove("GIT_COMMITTER_DATE").args(["cherry-pick", commit]);
        assert!(command.output().unwrap().status.success());
    }
    move_to(&repo, "HEAD");
    is_refused(&repo, &base, "batches-at-once");
    watch_stops(&repo, "batches-at-once");
}

#[test]
fn one_commit_holds_one_batch() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let before = head(&repo);
    let commits = staged(&repo);
    // A squash, and a merge as a git provider makes it.
    for (tree, parents) in [(&commits[1], vec![&*before]), (&commits[2], vec![&*before, &*commits[2]])] {
        commit_tree(&repo, tree, &parents, "all of it");
        let stderr = is_refused(&repo, &base, "batches-at-once");
        assert!(stderr.contains("at once: batch 1 to batch"), "{stderr}");
        watch_stops(&repo, "batches-at-once");
    }
    for parents in [vec![&*before], vec![&*before, &*commits[0]]] {
        commit_tree(&repo, &commits[0], &parents, "the first batch");
        assert!(is_fine(&repo, &base).contains("log: batch 1, by A Person <a@example.com>"));
        // What is staged stands on the other one.
        repo.try_git(&["branch", "-D", "pillion/main/log"]);
        watch_goes_on(&repo);
    }
    // The last batch and Close are two steps, too.
    move_to(&repo, &before);
    repo.pillion(&["promote", "log", "--to", "2"]);
    let (before, commits) = (head(&repo), staged(&repo));
    commit_tree(&repo, commits.last().unwrap(), &[&before], "the rest");
    assert!(is_refused(&repo, &base, "batches-at-once").contains("batch 3 to complete"));
}

#[test]
fn what_promote_releases_is_fine() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    repo.pillion(&["promote", "log", "--to", "2"]);
    repo.pillion(&["promote", "log", "--full"]);
    let output = is_fine(&repo, &base);
    let words = "log: batch 2 of 3, by A Person <a@example.com>";
    assert!(output.contains(words) && output.contains("log: complete, log-"), "{output}");
    watch_goes_on(&repo);
}

#[test]
fn a_batch_that_nobody_has_approved_is_reported() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "  approve: [1]\n");
    let (before, commits) = (head(&repo), staged(&repo));
    for made in [commits[0].clone(), commit_tree(&repo, &commits[0], &[&before], "batch 1")] {
        move_to(&repo, &made);
        let stderr = is_refused(&repo, &base, "batch-not-approved");
        assert!(stderr.contains("batch 1 of `log`, which is not approved"), "{stderr}");
        assert!(stderr.contains("pillion rollback log --to 0"), "{stderr}");
        watch_stops(&repo, "batch-not-approved");
    }
    move_to(&repo, &before);
    repo.pillion(&["approve", "log", "1"]);
    repo.pillion(&["promote", "log"]);
    let stderr = is_fine(&repo, &base);
    assert!(stderr.contains("log: approve batch 1, by A Person <a@example.com>"), "{stderr}");
    assert!(
        stderr.contains("log: batch 1 of 3, approved by A Person <a@example.com>, by A Person"),
        "{stderr}"
    );
    watch_goes_on(&repo);
}

#[test]
fn an_approval_is_not_spared_by_a_change_of_the_settings_before_it() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "  approve: [1]\n");
    let base = head(&repo);
    repo.change(&[("pillion.yaml", SETTINGS)], &[]);
    repo.pillion(&["promote", "log"]);
    is_refused(&repo, &base, "batch-not-approved");
    is_fine(&repo, "main~1");
}

#[test]
fn nothing_rides_along_with_a_batch_or_a_verb() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let before = head(&repo);
    let db = deployment("db").replace("db:1", "evil:6");
    let commits = staged(&repo);
    let verb = |args: &[&str]| {
        move_to(&repo, &before);
        repo.pillion(args);
        head(&repo)
    };
    let pause = verb(&["pause", "log"]);
    let hold = verb(&["hold", "deployment/cart"]);
    for step in [&commits[0], &pause, &hold] {
        repo.git(&["switch", "-q", "--detach", step]);
        let message = repo.git(&["log", "-1", "--format=%B"]);
        repo.put("apps/data/db.yaml", &db).render();
        repo.git(&["add", "-A"]);
        repo.git(&["commit", "-q", "--amend", "-m", &message]);
        move_to(&repo, "HEAD");
        let stderr = is_refused(&repo, &base, "mixed-commit");
        assert!(stderr.contains("also changes `apps/data/db.yaml`"), "{stderr}");
    }
    // A person's command on top says that it has been seen.
    move_to(&repo, &commits[0]);
    repo.put("apps/data/db.yaml", &db).render();
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "--amend", "--no-edit"]);
    move_to(&repo, "HEAD");
    watch_stops(&repo, "mixed-commit");
    move_to(&repo, &commits[0]);
    is_fine(&repo, &base);
}

#[test]
fn a_reviewer_sees_what_each_commit_did() {
    let test_env = TestEnvironment::new();
    let (repo, base) = open(&test_env, "");
    let by = "by A Person <a@example.com> (";
    repo.pillion(&[
        "hold",
        "deployment/web",
        "--image",
        "logtail=registry.example/evil:6",
        "--reason",
        "CVE",
    ]);
    repo.pillion(&["promote", "log"]);
    repo.pillion(&["pause", "log", "--reason", "lunch"]);
    repo.pillion(&["resume", "log"]);
    repo.pillion(&["hold", "deployment/web", "--off"]);
    repo.pillion(&["rollback", "log", "--to", "0", "--reason", "slow"]);
    repo.pillion(&["rollback", "log"]);
    let output = is_fine(&repo, &base);
    for words in [
        "log: start, to log-",
        "log: hold Deployment/shop/web on logtail=registry.example/evil:6, CVE, ",
        "log: batch 1 of ",
        "log: pause at batch 1, lunch, ",
        "log: resume, ",
        "log: no longer hold Deployment/shop/web, ",
        "log: roll back to batch 0, ",
        "log: roll back to log-",
    ] {
        let line = output.lines().find(|line| line.starts_with(words));
        assert!(line.is_some_and(|line| line.contains(by)), "{words}: {output}");
    }
    assert_eq!(output.lines().filter(|line| line.starts_with("log: ")).count(), 8, "{output}");
}

/// Everything as if another content had been released all along.
fn reset(repo: &Repo, ledger: &str, settings: &str, image: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.put("pillion.yaml", settings).put(LOG, log(image));
    repo.put(ledger, ledger_at(&log(image))).render();
}

#[test]
fn naming_clusters_resets_no_ledger() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "");
    let base = head(&repo);
    let named = formatdoc! {"
        {SETTINGS}clusters:
        - name: prod
          folder: apps
    "};
    let other = named.replace("name: prod", "name: prod-2");
    repo.git(&["switch", "-q", "--detach", "main"]);
    fs::remove_file(repo.path.join("ledgers/log.yaml")).unwrap();
    reset(&repo, "ledgers/prod/log.yaml", &named, "evil:1");
    repo.commit("clusters");
    move_to(&repo, "HEAD");
    let stderr = is_refused(&repo, &base, "ledger-not-planned");
    assert!(stderr.contains("removes the ledger of `log`, which is in use"), "{stderr}");
    watch_stops(&repo, "ledger-not-planned");
    // The ledger moves as it is.
    move_to(&repo, &base);
    fs::create_dir_all(repo.path.join("ledgers/prod")).unwrap();
    repo.git(&["mv", "ledgers/log.yaml", "ledgers/prod/log.yaml"]);
    repo.put("pillion.yaml", &named).commit("clusters");
    move_to(&repo, "HEAD");
    assert!(is_fine(&repo, &base).contains("log (prod): the ledger moved"));
    watch_goes_on(&repo);
    // One cluster is renamed, and its ledger begins again.
    let base = head(&repo);
    fs::remove_dir_all(repo.path.join("ledgers")).unwrap();
    reset(&repo, "ledgers/prod-2/log.yaml", &other, "evil:1");
    fs::remove_dir_all(repo.path.join("ledgers/prod")).ok();
    repo.commit("another name");
    move_to(&repo, "HEAD");
    is_refused(&repo, &base, "ledger-not-planned");
    watch_stops(&repo, "ledger-not-planned");
}

#[test]
fn a_commit_that_cannot_be_read_resets_no_ledger() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "");
    let base = head(&repo);
    let settings = repo.text("main", "pillion.yaml");
    for is_gone in [true, false] {
        move_to(&repo, &base);
        reset(&repo, "ledgers/log.yaml", &settings, "evil:1");
        match is_gone {
            true => fs::remove_file(repo.path.join("pillion.yaml")).unwrap(),
            false => {
                _ = repo.put(
                    "pillion.yaml",
                    format!(
                        "{settings}bogus: 1
"
                    ),
                )
            }
        }
        repo.commit("broken");
        repo.put("pillion.yaml", &settings).commit("repaired");
        move_to(&repo, "HEAD");
        let stderr = is_refused(&repo, &base, "unreadable-commit");
        assert!(stderr.contains("error[ledger-not-planned]"), "{stderr}");
        watch_stops(&repo, "unreadable-commit");
    }
    // A ledger that is not YAML for one commit, and one that is away for one.
    for away in [true, false] {
        move_to(&repo, &base);
        match away {
            true => fs::remove_file(repo.path.join("ledgers/log.yaml")).unwrap(),
            false => _ = repo.put("ledgers/log.yaml", "spec: ["),
        }
        repo.commit("broken");
        reset(&repo, "ledgers/log.yaml", &settings, "evil:1");
        repo.commit("repaired");
        move_to(&repo, "HEAD");
        is_refused(&repo, &base, "ledger-not-planned");
    }
}

#[test]
fn where_the_base_cannot_be_read_the_repair_may_change_no_ledger() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "");
    let settings = repo.text("main", "pillion.yaml");
    repo.change(&[("pillion.yaml", &format!("{settings}bogus: 1\n"))], &[]);
    let base = head(&repo);
    repo.change(&[("pillion.yaml", &settings)], &[]);
    is_fine(&repo, &base);
    move_to(&repo, &base);
    reset(&repo, "ledgers/log.yaml", &settings, "evil:1");
    repo.commit("repaired");
    move_to(&repo, "HEAD");
    is_refused(&repo, &base, "unreadable-commit");
}

#[test]
fn a_merge_with_its_parents_turned_round_brings_no_older_ledger_back() {
    let test_env = TestEnvironment::new();
    let (repo, start) = open(&test_env, "");
    let opened = head(&repo);
    repo.pillion(&["promote", "log"]);
    let base = head(&repo);
    for older in [&start, &opened] {
        commit_tree(&repo, older, &[older, &base], "a merge");
        is_refused(&repo, &base, "ledger-not-planned");
    }
    // A branch that merges what it comes back to changes nothing.
    move_to(&repo, &opened);
    repo.put("README.md", "hello").commit("readme");
    repo.git(&["merge", "-q", "--no-edit", &base]);
    move_to(&repo, "HEAD");
    is_fine(&repo, &base);
}

#[test]
fn a_branch_beside_the_base_changes_no_ledger() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "");
    let fork = head(&repo);
    repo.pillion(&["promote", "log"]);
    let base = head(&repo);
    move_to(&repo, &fork);
    repo.put("README.md", "hello").commit("readme");
    move_to(&repo, "HEAD");
    is_fine(&repo, &base);
    repo.pillion(&["pause", "log"]);
    assert!(is_refused(&repo, &base, "ledger-not-planned").contains("is not on top of"));
}

#[test]
fn a_first_ledger_brings_its_sidecar_to_nobody() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log("log:1"))], false));
    let base = head(&repo);
    let evil = set("evil", &[("miner", "evil:1")]);
    repo.put("sidecars/evil.yaml", &evil).put("ledgers/evil.yaml", ledger_at(&evil)).render();
    repo.commit("a new sidecar");
    move_to(&repo, "HEAD");
    assert_eq!(repo.carriers("main", "miner").len(), 4);
    let stderr = is_refused(&repo, &base, "ledger-not-planned");
    assert!(
        stderr.contains("creates the first ledger of `evil` and also changes 4 rendered files"),
        "{stderr}"
    );
    watch_stops(&repo, "ledger-not-planned");
    move_to(&repo, &base);
    repo.put("sidecars/evil.yaml", &evil).put("ledgers/evil.yaml", empty_ledger("evil")).render();
    repo.commit("a new sidecar");
    move_to(&repo, "HEAD");
    assert!(is_fine(&repo, &base).contains("evil: first ledger, nothing released"));
}

#[test]
fn a_history_that_is_too_short_is_no_finding() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env, "");
    repo.pillion(&["promote", "log", "--to", "2"]);
    let base = head(&repo);
    repo.pillion(&["rollback", "log", "--to", "1"]);
    is_fine(&repo, &base);
    let clone = test_env.clone(&repo, "clone", &["--depth", "2", "--branch", "main"]);
    let (code, stderr) = clone.refused(&["verify", "--base", &base]);
    assert!(code == 3 && stderr.contains("git fetch --unshallow") && !stderr.contains("error["), "{stderr}");
    clone.git(&["fetch", "-q", "--unshallow"]);
    clone.pillion(&["verify", "--base", &base]);
}

#[test]
fn a_batch_in_the_order_of_an_earlier_version_stays() {
    let test_env = TestEnvironment::new();
    let mut texts = fleet(&[("log", &log("log:1"))], false);
    texts.insert("apps/data/queue.yaml".into(), deployment("queue"));
    let repo = repository(&test_env, "repo", &texts);
    repo.change(&[(LOG, &log("log:2"))], &[]);
    let base = head(&repo);
    repo.pillion(&["start", "log"]);
    repo.pillion(&["promote", "log"]);
    let before = head(&repo);
    let next = repo.text(&staged(&repo)[0], "ledgers/log.yaml");
    let (spread, by_name) = ("Deployment.apps/shop/api,", "Deployment.apps/data/queue,");
    assert!(next.contains(spread) && !next.contains(by_name), "{next}");
    let release = |workload: &str| {
        move_to(&repo, &before);
        repo.put("ledgers/log.yaml", next.replace(spread, workload));
        repo.render().commit("batch 2");
        move_to(&repo, "HEAD");
    };
    // No version has ever released this one now.
    release("Deployment.apps/shop/web,");
    is_refused(&repo, &base, "ledger-not-planned");
    watch_stops(&repo, "ledger-not-planned");
    // All workloads of a namespace came before those of the next.
    release(by_name);
    is_fine(&repo, &base);
    watch_goes_on(&repo);
    // It stays updated, and the others follow.
    repo.pillion(&["promote", "log", "--full"]);
    is_fine(&repo, &base);
    let subjects = repo.git(&["log", "--reverse", "--format=%s", &format!("{base}..main")]);
    let subjects: Vec<&str> = subjects.lines().collect();
    assert_eq!(subjects[2], "batch 2");
    assert!(subjects.last().unwrap().starts_with("log: complete"), "{subjects:#?}");
}
