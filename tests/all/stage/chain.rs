//! Commits of a rollout: their contents, their messages, and that every machine makes the same ones.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, released};

/// A repository of one branch in which the example's SidecarSet was edited.
fn edited(test_env: &TestEnvironment) -> Repo {
    let repo = released(test_env, "repo");
    repo.hold(&newer(example())).commit("log 1.5.0");
    repo
}

/// The commits of a staged branch, oldest first.
fn staged(repo: &Repo, branch: &str) -> Vec<String> {
    let ids = repo.git(&["rev-list", "--reverse", &format!("main..{branch}")]);
    ids.lines().map(str::to_owned).collect()
}

/// The changed lines of a commit below a folder, without their marks.
fn changed(repo: &Repo, commit: &str, folder: &str) -> Vec<String> {
    let diff = repo.git(&["show", "--format=", "-U0", commit, "--", folder]);
    let is_line = |l: &&str| l.starts_with(['+', '-']) && !l.starts_with("+++") && !l.starts_with("---");
    diff.lines().filter(is_line).map(|l| l[1..].trim().to_owned()).collect()
}

/// Checks a commit out elsewhere and asks `render --check` about it.
fn is_its_own_render(test_env: &TestEnvironment, repo: &Repo, commit: &str) {
    let name = format!("check-{commit}");
    let place = test_env.path(&name).display().to_string();
    repo.git(&["worktree", "add", "-q", "--detach", &place, commit]);
    let output = test_env.repo(&name).try_pillion(&["render", "--check", "--quiet"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commit}: {stderr}");
    repo.git(&["worktree", "remove", "--force", &place]);
}

#[test]
fn the_worked_example() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    let stdout = repo.pillion(&["stage"]);
    let subjects = repo.git(&["log", "--reverse", "--format=%s", "main..pillion/main/log"]);
    assert_eq!(
        subjects.lines().collect::<Vec<_>>(),
        [
            "log: start, logtail 1.4.2 -> 1.5.0",
            "log: batch 1/4, logtail 1.5.0 for 1 pod of StatefulSet data/events",
            "log: batch 2/4, logtail 1.5.0 for 2 pods of StatefulSet data/events",
            "log: batch 3/4, logtail 1.5.0 for 8 pods of CloneSet shop/cart",
            "log: batch 4/4, logtail 1.5.0 for Deployment shop/web",
            "log: complete, logtail 1.5.0 is released",
        ]
    );
    assert!(subjects.lines().all(|s| stdout.contains(s)), "{stdout}");
    let commits = staged(&repo, "pillion/main/log");
    for commit in &commits {
        let files = repo.git(&["show", "--format=", "--name-only", commit]);
        assert!(files.lines().all(|f| f == "ledgers/log.yaml" || f.starts_with("rendered/")), "{files}");
        let is_known = |l: &String| {
            l.starts_with("image: registry.example/logtail:")
                || l == "rollingUpdate:"
                || l.starts_with("partition: ")
        };
        assert!(changed(&repo, commit, "rendered").iter().all(is_known));
        is_its_own_render(&test_env, &repo, commit);
    }
    let [open, .., close] = commits.as_slice() else { panic!("{commits:?}") };
    assert!([open, close].iter().all(|c| changed(&repo, c, "rendered").is_empty()));
    let show = |format: &str| repo.git(&["show", "-s", format, &commits[2]]);
    assert_eq!(
        show("--format=%an <%ae> %at|%cn <%ce> %ct"),
        "pillion <pillion@acme.example> 1600000000|pillion <pillion@acme.example> 1600000000"
    );
    let trailers = show("--format=%(trailers:only)");
    let keys: Vec<_> = trailers.lines().filter_map(|l| Some(l.split_once(": ")?.0)).collect();
    assert_eq!(
        keys,
        [
            "Pillion-Action",
            "Pillion-Batch",
            "Pillion-From",
            "Pillion-Plan",
            "Pillion-Pods",
            "Pillion-Revision",
            "Pillion-SidecarSet"
        ]
    );
    assert_eq!(
        show("--format=%b").lines().take(2).collect::<Vec<_>>(),
        [
            "StatefulSet data/events: 3 of 3 pods, recreated",
            "3 of 11 pods carry 1.5.0 after this commit; at most 1 is unavailable at once."
        ]
    );
}

#[test]
fn all_batches_together_are_the_whole_change() {
    let test_env = TestEnvironment::new();
    let mut texts = example();
    texts.remove("apps/shop/import.yaml");
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts.clone())).commit("log 1.5.0");
    repo.pillion(&["stage"]);
    let stepwise = repo.git(&["rev-parse", "pillion/main/log:rendered"]);
    // The same in one go: without ledgers, as the file says.
    let whole = test_env.init("whole", &[]);
    let mut texts = newer(texts);
    texts.remove("ledgers/log.yaml");
    let pillion_yaml = texts.get_mut("pillion.yaml").unwrap();
    *pillion_yaml = pillion_yaml.replace("ledgers: ledgers\n", "");
    whole.hold(&texts).render().commit("whole");
    assert_eq!(whole.git(&["rev-parse", "HEAD:rendered"]), stepwise);
}

#[test]
fn the_same_commits_come_from_everywhere() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    let stdout = repo.pillion(&["stage", "-o", "json"]);
    let tip = repo.id("pillion/main/log");
    let again = repo.pillion(&["stage", "-o", "json"]);
    assert_eq!(again, stdout.replace("\"written\":\"Created\"", "\"written\":\"Unchanged\""));
    let clone = |name: &str, options: &[&str]| {
        let clone = test_env.clone(&repo, name, &[options, &["--single-branch", "-b", "main"]].concat());
        clone.pillion(&["stage"]);
        assert_eq!(clone.id("refs/heads/pillion/main/log"), tip, "{name}");
    };
    clone("clone", &[]);
    clone("bare", &["--bare"]);
    let linked = test_env.path("linked").display().to_string();
    repo.git(&["worktree", "add", "-q", "-b", "other", &linked, "main~1"]);
    repo.git(&["update-ref", "-d", "refs/heads/pillion/main/log"]);
    test_env.repo("linked").pillion(&["stage"]);
    assert_eq!(repo.id("pillion/main/log"), tip, "a linked worktree of another branch");
    repo.git(&["update-ref", "-d", "refs/heads/pillion/main/log"]);
    repo.git(&["checkout", "-q", "--detach", "main"]);
    repo.pillion(&["stage"]);
    assert_eq!(repo.id("pillion/main/log"), tip, "a detached head");
}

#[test]
fn what_is_uncommitted_does_not_count() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    let tip = repo.id("pillion/main/log");
    repo.put("sidecars/log.yaml", "half: done")
        .put("apps/shop/web.yaml", "half: done")
        .git(&["add", "sidecars"]);
    repo.pillion(&["stage"]);
    assert_eq!(repo.id("pillion/main/log"), tip);
}

#[test]
fn a_moved_base_is_staged_anew() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    let before = staged(&repo, "pillion/main/log");
    // Start and the first batch are released, and a person commits something else.
    repo.git(&["merge", "-q", "--ff-only", &before[1]]);
    repo.pillion(&["stage"]);
    assert_eq!(staged(&repo, "pillion/main/log"), before[2..], "what is released is not staged again");
    repo.put("README", "hello").commit("readme");
    let stdout = repo.pillion(&["stage"]);
    assert!(stdout.contains("recreated"), "{stdout}");
    let after = staged(&repo, "pillion/main/log");
    assert_eq!(after.len(), 4);
    let trees = |ids: &[String]| -> Vec<String> {
        ids.iter().map(|id| repo.git(&["rev-parse", &format!("{id}:rendered")])).collect()
    };
    assert_eq!(trees(&after), trees(&before[2..]));
    let messages = |ids: &[String]| -> Vec<String> {
        ids.iter().map(|id| repo.git(&["show", "-s", "--format=%B", id])).collect()
    };
    assert_eq!(messages(&after), messages(&before[2..]), "an approval outlives a rebuilt stack");
}

#[test]
fn a_finished_rollout_leaves_no_branch() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    repo.git(&["merge", "-q", "--ff-only", "pillion/main/log"]);
    let stdout = repo.pillion(&["stage"]);
    assert!(stdout.contains("removed"), "{stdout}");
    assert_eq!(repo.git(&["branch", "--list", "pillion/*"]), "");
    assert!(repo.pillion(&["stage"]).contains("all workloads are up to date"));
}

/// Releases the first commits of a staged branch.
fn release(repo: &Repo, n: usize) {
    let commits = staged(repo, "pillion/main/log");
    repo.git(&["merge", "-q", "--ff-only", &commits[n - 1]]);
}

/// Stages, and checks each commit against a render.
fn stage_and_check(test_env: &TestEnvironment, repo: &Repo) -> Vec<String> {
    repo.pillion(&["stage"]);
    let commits = staged(repo, "pillion/main/log");
    commits.iter().for_each(|commit| is_its_own_render(test_env, repo, commit));
    commits
}

/// The subject of each commit.
fn subjects(repo: &Repo, commits: &[String]) -> Vec<String> {
    commits.iter().map(|c| repo.git(&["show", "-s", "--format=%s", c])).collect()
}

/// Edits the sources in the middle of a rollout, after two batches, renders and commits them.
fn in_the_middle(test_env: &TestEnvironment, edit: impl FnOnce(&mut Texts)) -> (Repo, Vec<String>) {
    let repo = edited(test_env);
    repo.pillion(&["stage"]);
    release(&repo, 3);
    let mut texts = newer(example());
    let ledger = repo.show("HEAD:ledgers/log.yaml");
    texts.insert("ledgers/log.yaml".into(), String::from_utf8(ledger).unwrap());
    edit(&mut texts);
    repo.hold(&texts).render().commit("an edit");
    let commits = stage_and_check(test_env, &repo);
    let found = subjects(&repo, &commits);
    (repo, found)
}

#[test]
fn a_workload_deleted_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, subjects) = in_the_middle(&test_env, |texts| {
        texts.remove("apps/data/events.yaml");
    });
    assert_eq!(subjects.last().unwrap(), "log: complete, logtail 1.5.0 is released");
    assert!(repo.git(&["show", "main:ledgers/log.yaml"]).contains("data/events"));
    let ledger = String::from_utf8(repo.show("pillion/main/log~1:ledgers/log.yaml")).unwrap();
    assert!(!ledger.contains("events"), "{ledger}");
}

#[test]
fn a_workload_added_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, subjects) = in_the_middle(&test_env, |texts| {
        let web = texts["apps/shop/web.yaml"]
            .replace("web", "api")
            .replace("spec:\n  selector", "spec:\n  replicas: 2\n  selector");
        texts.insert("apps/shop/api.yaml".into(), web);
    });
    // It came with the released revision, and is part of the rollout now.
    assert!(repo.git(&["show", "main:rendered/shop/api.yaml"]).contains("logtail:1.4.2"));
    assert!(repo.git(&["show", "pillion/main/log:rendered/shop/api.yaml"]).contains("logtail:1.5.0"));
    assert!(subjects.iter().any(|s| s.contains("2 workloads")), "{subjects:?}");
}

#[test]
fn a_workload_renamed_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, _) = in_the_middle(&test_env, |texts| {
        let events = texts.remove("apps/data/events.yaml").unwrap();
        texts.insert("apps/data/facts.yaml".into(), events.replace("events", "facts"));
    });
    assert!(repo.git(&["show", "main:rendered/data/facts.yaml"]).contains("logtail:1.4.2"));
    assert!(repo.git(&["show", "pillion/main/log:rendered/data/facts.yaml"]).contains("logtail:1.5.0"));
}

/// Newer content moves the target of an open rollout without a person.
fn starts_by_itself(texts: &mut Texts) {
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("  soak: 120s", "  soak: 120s\n  start: Auto");
}

#[test]
fn a_newer_edit_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, subjects) = in_the_middle(&test_env, |texts| {
        starts_by_itself(texts);
        let set = texts.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "1.5.1");
    });
    assert_eq!(subjects[0], "log: start, logtail 1.4.2 -> 1.5.1");
    let status = repo.pillion(&["status"]);
    assert!(status.contains("batch 2/4 released") && !status.contains("in git: "), "{status}");
    for file in ["data/events.yaml", "shop/cart.yaml", "shop/web.yaml"] {
        let text = repo.git(&["show", &format!("pillion/main/log:rendered/{file}")]);
        assert!(text.contains("logtail:1.5.1"), "{file}");
    }
}

#[test]
fn an_edit_taken_back_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, subjects) = in_the_middle(&test_env, |texts| {
        starts_by_itself(texts);
        let set = texts.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "1.4.2");
    });
    let rendered = |commit: &str| repo.git(&["rev-parse", &format!("{commit}:rendered")]);
    assert_eq!(rendered("pillion/main/log"), rendered("main~4"), "{subjects:?}");
}

#[test]
fn a_sidecar_set_deleted_in_the_middle() {
    let test_env = TestEnvironment::new();
    let (repo, subjects) = in_the_middle(&test_env, |texts| {
        starts_by_itself(texts);
        texts.remove("sidecars/log.yaml");
    });
    // The open rollout goes on; what takes the sidecar away begins only when a person says so.
    assert_eq!(subjects.last().unwrap(), "log: complete, logtail 1.5.0 is released");
    repo.git(&["merge", "-q", "--ff-only", "pillion/main/log"]);
    let released = repo.id("main");
    repo.git(&["switch", "-q", "--detach"]);
    let (code, refused) = repo.refused(&["start", "log"]);
    assert_eq!((code, repo.id("main")), (1, released), "{refused}");
    repo.pillion(&["start", "log", "--allow-removal"]);
    repo.git(&["switch", "-q", "main"]);
    repo.git(&["merge", "-q", "--ff-only", "pillion/main/log"]);
    let status = repo.pillion(&["status"]);
    assert!(status.starts_with("log: nothing is released\n"), "{status}");
    for file in ["data/events.yaml", "shop/cart.yaml", "shop/web.yaml"] {
        let [source, rendered] =
            ["apps", "rendered"].map(|f| repo.show(&format!("pillion/main/log:{f}/{file}")));
        assert_eq!(source, rendered, "{file}: {subjects:?}");
    }
}

#[test]
fn an_edited_rendered_file_stops_everything() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    let web = String::from_utf8(repo.show("HEAD:rendered/shop/web.yaml")).unwrap();
    repo.put("rendered/shop/web.yaml", web.replace("web:2.4", "web:2.5")).commit("urgent");
    let (code, stderr) = repo.refused(&["stage", "--message-format", "short"]);
    assert_eq!(code, 1);
    // A warning about the Job of the example stands before it.
    assert!(stderr.contains("\nrendered/shop/web.yaml:25:1: error[deploy-branch-not-rendered]"), "{stderr}");
    assert_eq!(repo.git(&["branch", "--list", "pillion/*"]), "");
    // A file that is no longer made stands there, too.
    repo.hold(&{
        let mut texts = newer(example());
        texts.remove("apps/shop/cart.yaml");
        texts
    });
    repo.put("rendered/shop/web.yaml", web).commit("less");
    let (_, stderr) = repo.refused(&["stage", "--message-format", "short"]);
    assert!(stderr.contains("rendered/shop/cart.yaml:1:1: error[deploy-branch-not-rendered]"), "{stderr}");
}

#[test]
fn a_rewritten_live_branch_stops_everything() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    repo.git(&["commit", "-q", "--amend", "-m", "log 1.5.0, in other words"]);
    let (code, stderr) = repo.refused(&["stage", "--message-format", "short"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("error[deploy-branch-rewritten]: `main` was rewritten"), "{stderr}");
    let stdout = repo.pillion(&["stage", "--accept-rewritten"]);
    assert!(stdout.contains("`pillion/main/log` rebased onto "), "{stdout}");
    repo.pillion(&["stage"]);
}

#[test]
fn a_shallow_clone_says_so() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    repo.put("README", "hello").commit("readme");
    let clone = test_env.clone(&repo, "shallow", &["--depth=1", "--no-single-branch"]);
    let (code, stderr) = clone.refused(&["stage"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("git fetch --unshallow"), "{stderr}");
}

#[test]
fn a_fault_is_bisected_to_its_batch() {
    let test_env = TestEnvironment::new();
    let repo = edited(&test_env);
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "pillion/main/log");
    repo.git(&["merge", "-q", "--ff-only", "pillion/main/log"]);
    repo.git(&["bisect", "start", "main", &format!("{}~1", commits[0])]);
    // What is bad: the CloneSet runs the new image.
    let stdout = repo.git(&["bisect", "run", "sh", "-c", "! grep -q logtail:1.5.0 rendered/shop/cart.yaml"]);
    assert!(stdout.contains(&format!("{} is the first bad commit", commits[3])), "{stdout}");
}
