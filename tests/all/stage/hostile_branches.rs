//! Branches that changed outside of pillion: names and commits of other people, a deploy branch that was rewritten or
//! deleted, and stale locks.

use crate::stage::remote::{refs, shared};
#[cfg(feature = "watch")]
use crate::stage::watched_branches::turn;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, in_two_clusters, ledger_at, newer};
use std::fs;

/// Every ref of a repository with its commit.
pub(super) fn all(repo: &Repo) -> String {
    repo.git(&["for-each-ref"])
}

/// Edits pillion.yaml on `main` of a clone, and pushes it.
fn settings(repo: &Repo, git: &str) {
    let text = String::from_utf8(repo.show("HEAD:pillion.yaml")).unwrap();
    assert!(text.contains("  deploy: main\n"), "{text}");
    let text = text.replace("  staged: pillion/{deploy}/{sidecarSet}\n", "");
    repo.put("pillion.yaml", text.replace("  deploy: main\n", git)).commit("settings");
    repo.git(&["push", "-q", "origin", "HEAD:main"]);
}

#[test]
fn branches_of_people_are_no_staged_branches() {
    for (staged, why) in [
        ("'feature/{sidecarSet}'", "is not below `pillion/`"),
        ("'{sidecarSet}'", "is not below `pillion/`"),
        ("'pillion/next/{sidecarSet}/{deploy}'", "branches of pull requests"),
        ("'pillion/{deploy}'", "must contain `{sidecarSet}`"),
    ] {
        let test_env = TestEnvironment::new();
        let (origin, one, other) = shared(&test_env);
        for name in ["feature/log", "log", "release/1"] {
            other.git(&["switch", "-q", "-c", name]);
            other.put("work.txt", "three weeks of work").commit("work");
            other.git(&["push", "-q", "origin", name]);
        }
        settings(&one, &format!("  deploy: main\n  staged: {staged}\n"));
        one.git(&["switch", "-q", "--detach"]);
        let before = all(&origin);
        for args in
            [&["stage", "--push"][..], &["stage", "--push", "--force"], &["start", "log"], &["status"]]
        {
            let (code, stderr) = one.refused(&[args, &["--message-format", "short"]].concat());
            assert!(
                code == 2
                    && stderr.contains("pillion.yaml:")
                    && stderr.contains("error[invalid-configuration]")
                    && stderr.contains(why),
                "{staged} {args:?}: {code} {stderr}"
            );
        }
        assert_eq!(all(&origin), before);
    }
}

#[test]
fn a_live_branch_is_not_below_the_staged_ones() {
    let test_env = TestEnvironment::new();
    let (origin, one, _) = shared(&test_env);
    settings(&one, "  deploy: pillion/main/log\n");
    one.git(&["push", "-q", "origin", "HEAD:pillion/main/log"]);
    let before = all(&origin);
    let (code, stderr) = one.refused(&["stage", "--push"]);
    assert!(
        code == 2 && stderr.contains("pillion writes and removes the branches below `pillion/`"),
        "{stderr}"
    );
    assert_eq!(all(&origin), before);
}

/// The example with SidecarSets of these names, all for the same workloads.
fn sets(names: &[&str]) -> crate::support::cluster_view::Texts {
    let mut texts = example();
    let first = texts["sidecars/log.yaml"].clone();
    for (n, name) in names.iter().enumerate() {
        let set = first
            .replace("{name: log}", &format!("{{name: {name}}}"))
            .replace("logtail", &format!("tail{n}"))
            .replace("{name: logs", &format!("{{name: logs{n}"));
        texts.insert(format!("ledgers/{name}.yaml"), ledger_at(&set));
        texts.insert(format!("sidecars/{name}.yaml"), set);
    }
    texts
}

#[test]
fn a_sidecar_set_may_have_the_name_of_a_branch() {
    let test_env = TestEnvironment::new();
    let first = test_env.init("first", &[]);
    let texts = sets(&["main", "next", "head"]);
    first.hold(&texts).render().commit("start");
    let mut edited = newer(texts);
    for (_, text) in edited.iter_mut().filter(|(path, _)| path.starts_with("sidecars/")) {
        *text = text.replace("1.4.2", "1.6.0");
    }
    first.hold(&edited).commit("newer");
    let origin = test_env.clone(&first, "origin", &["--bare"]);
    origin.git(&["remote", "remove", "origin"]);
    let (one, main) = (test_env.clone(&origin, "one", &[]), origin.id("main"));
    one.git(&["switch", "-q", "--detach"]);
    one.pillion(&["stage", "--push"]);
    assert_eq!(
        refs(&origin, "refs/heads"),
        ["main", "pillion/main/head", "pillion/main/log", "pillion/main/main", "pillion/main/next"]
            .map(|name| format!("refs/heads/{name}"))
    );
    assert_eq!((origin.id("main"), one.id("refs/heads/main")), (main, main));
}

#[test]
fn a_name_that_is_no_branch_holds_up_no_other_rollout() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&in_two_clusters(example(), ["eu", "us.lock"])).render().commit("start");
    repo.hold(&newer(in_two_clusters(example(), ["eu", "us.lock"]))).commit("newer");
    let (code, stderr) = repo.refused(&["stage"]);
    let why = "`pillion/main/us.lock/log`, the staged branch of SidecarSet `log`, is not a valid branch name";
    assert!(code == 1 && stderr.contains(why), "{code} {stderr}");
    assert_eq!(refs(&repo, "refs/heads/pillion"), ["refs/heads/pillion/main/eu/log"]);
    // The pattern that is proposed helps.
    let text = String::from_utf8(repo.show("HEAD:pillion.yaml")).unwrap();
    let text =
        text.replace("pillion/{deploy}/{sidecarSet}", "'pillion/{deploy}/{sidecarSet}-{cluster}-rollout'");
    repo.put("pillion.yaml", text).commit("settings");
    repo.pillion(&["stage"]);
    assert!(
        refs(&repo, "refs/heads/pillion").contains(&"refs/heads/pillion/main/log-us.lock-rollout".to_owned())
    );
}

#[test]
fn two_rollouts_have_two_branches() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = in_two_clusters(sets(&["glog"]), ["eu", "eug"]);
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("pillion/{deploy}/{sidecarSet}", "'pillion/{deploy}/{cluster}{sidecarSet}'");
    repo.hold(&texts).render().commit("start");
    let mut edited = newer(texts);
    let set = edited.get_mut("sidecars/glog.yaml").unwrap();
    *set = set.replace("1.4.2", "1.6.0");
    repo.hold(&edited).commit("newer");
    let (code, stderr) = repo.refused(&["stage"]);
    // Cluster `eu` with `glog`, and `eug` with `log`.
    assert!(
        code == 1 && stderr.contains("`pillion/main/euglog`") && stderr.contains("collides with that of"),
        "{stderr}"
    );
    let others = ["refs/heads/pillion/main/eugglog", "refs/heads/pillion/main/eulog"];
    assert_eq!(refs(&repo, "refs/heads/pillion"), others);
}

#[test]
fn commits_of_others_on_a_staged_branch_stay() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    let planned = one.id("pillion/main/log");
    other.git(&["fetch", "-q"]);
    // A commit that says that it is one of the rollout's, and is of a person.
    other.git(&["switch", "-q", "-c", "mine", "origin/pillion/main/log"]);
    let web = String::from_utf8(other.show("HEAD:rendered/shop/web.yaml")).unwrap();
    other.put("rendered/shop/web.yaml", web.replace("logtail:", "evil:"));
    let message = other.git(&["log", "-1", "--format=%B", "HEAD~1"]);
    let evil = other.commit(&message);
    other.git(&["push", "-q", "origin", "mine:pillion/main/log"]);
    for repo in [&one, &test_env.clone(&origin, "fresh", &[])] {
        let (code, stderr) = repo.refused(&["stage", "--push"]);
        assert!(
            code == 1 && stderr.contains("error[foreign-commits]") && stderr.contains(&evil.short()),
            "{stderr}"
        );
        assert!(
            stderr.contains("A Person <a@example.com>")
                && stderr.contains("pillion stage log --force --push"),
            "{stderr}"
        );
        assert_eq!(origin.id("pillion/main/log"), evil);
        // Without a push it is reported, and what is staged here is what is planned.
        let output = repo.try_pillion(&["stage"]);
        assert!(
            output.status.success()
                && String::from_utf8_lossy(&output.stderr).contains("warning[foreign-commits]"),
            "{output:?}"
        );
        assert_eq!(repo.id("refs/heads/pillion/main/log"), planned);
    }
    one.pillion(&["stage", "log", "--force", "--push"]);
    assert_eq!(origin.id("pillion/main/log"), planned);
    // Those in the middle of it stay, too.
    other.git(&["switch", "-q", "-C", "mine", "origin/main"]);
    other.put("notes.txt", "mine").commit("notes");
    other.git(&["push", "-q", "--force", "origin", "mine:pillion/main/log"]);
    let notes = other.id("HEAD");
    assert_eq!(one.refused(&["stage", "--push"]).0, 1);
    assert_eq!(origin.id("pillion/main/log"), notes);
    // Nothing is to come any more: it is not removed either.
    other.git(&["switch", "-q", "main"]);
    other.hold(&example()).commit("back to 1.4.2");
    other.git(&["push", "-q", "origin", "main"]);
    one.pillion(&["stage", "--push"]);
    assert_eq!(origin.id("pillion/main/log"), notes);
}

#[test]
fn what_pillion_staged_itself_is_replaced_by_a_fresh_clone() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    let before = origin.id("pillion/main/log");
    other.put("README", "hello").commit("readme");
    other.git(&["push", "-q", "origin", "main"]);
    let stdout = test_env.clone(&origin, "fresh", &[]).pillion(&["stage", "--push"]);
    assert!(stdout.contains("`pillion/main/log` recreated and pushed"), "{stdout}");
    assert_ne!(origin.id("pillion/main/log"), before);
}

/// The verbs that go on from what is live, and the one that looks.
const VERBS: [&[&str]; 6] = [
    &["stage", "--push"],
    &["start", "log"],
    &["pause", "log"],
    &["hold", "Deployment/shop/web"],
    &["rollback", "log"],
    &["status"],
];

fn is_stopped(origin: &Repo, repo: &Repo) {
    let before = all(origin);
    for args in VERBS {
        let (code, stderr) = repo.refused(args);
        assert!(code == 1 && stderr.contains("error[deploy-branch-rewritten]"), "{args:?}: {code} {stderr}");
        assert!(stderr.contains("pillion stage --accept-rewritten --push"), "{stderr}");
    }
    #[cfg(feature = "watch")]
    assert!(turn(repo).unwrap_err().contains("was rewritten"));
    assert_eq!(all(origin), before);
}

#[test]
fn a_rewritten_live_branch_is_seen_without_a_staged_one() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["status"]);
    assert_eq!(one.id("refs/pillion/seen/origin/main"), origin.id("main"));
    // Another history altogether.
    other.git(&["switch", "-q", "--orphan", "else"]);
    other.hold(&newer(example())).render().commit("another start");
    let texts = newer(example());
    other.put("ledgers/log.yaml", &texts["ledgers/log.yaml"]).commit("ledger");
    other.git(&["push", "-q", "--force", "origin", "else:main"]);
    is_stopped(&origin, &one);
    let watcher = test_env.clone(&one, "watcher", &["--mirror"]);
    watcher.git(&["config", "--unset-all", "remote.origin.fetch"]);
    watcher.git(&["config", "--unset", "remote.origin.mirror"]);
    watcher.git(&["config", "remote.origin.url", &format!("file://{}", origin.path.display())]);
    is_stopped(&origin, &watcher);
    // For this clone alone.
    one.pillion(&["stage", "--accept-rewritten"]);
    one.pillion(&["status"]);
    is_stopped(&origin, &watcher);
    // For all of them.
    let main = origin.id("main");
    one.pillion(&["stage", "--accept-rewritten", "--push"]);
    assert_eq!(origin.id("main"), main);
    assert_eq!(origin.id("refs/pillion/accepted/main~1"), main);
    assert_eq!(origin.git(&["show", "-s", "--format=%an", "refs/pillion/accepted/main"]), "A Person");
    watcher.pillion(&["status"]);
    assert_eq!(watcher.id("refs/pillion/seen/origin/main"), main);
    // It was about that time, and says nothing of the next one.
    other.put("README", "hello").commit("readme");
    other.git(&["push", "-q", "origin", "else:main"]);
    watcher.pillion(&["status"]);
    other.git(&["push", "-q", "--force", "origin", "else~1:main"]);
    is_stopped(&origin, &watcher);
}

#[test]
fn a_live_branch_that_went_back_is_seen() {
    let test_env = TestEnvironment::new();
    let (origin, one, _) = shared(&test_env);
    one.pillion(&["stage", "--push"]);
    let base = origin.id("main");
    one.pillion(&["start", "log", "--push"]);
    let watcher = test_env.clone(&origin, "watcher", &[]);
    watcher.pillion(&["status"]);
    origin.git(&["update-ref", "refs/heads/main", &base.to_string()]);
    is_stopped(&origin, &one);
    is_stopped(&origin, &watcher);
    one.pillion(&["stage", "--accept-rewritten", "--push"]);
    watcher.pillion(&["status"]);
    // A fresh clone has nothing to compare with.
    test_env.clone(&origin, "fresh", &[]).pillion(&["stage"]);
}

#[test]
fn a_clone_that_keeps_nothing_works_all_the_same() {
    let test_env = TestEnvironment::new();
    let (origin, one, _) = shared(&test_env);
    one.pillion(&["status"]);
    // Its history is cut off each time, as by CI that keeps its folder.
    let shallow = test_env.clone(&origin, "shallow", &["--depth=1"]);
    shallow.pillion(&["status"]);
    one.put("README", "hello").commit("readme");
    one.git(&["push", "-q", "origin", "main"]);
    shallow.git(&["fetch", "-q", "--depth=1", "origin", "main"]);
    shallow.git(&["update-ref", "refs/remotes/origin/main", "FETCH_HEAD"]);
    shallow.pillion(&["status", "--no-fetch"]);
}

#[test]
fn a_live_branch_that_is_gone_is_said_at_once() {
    let test_env = TestEnvironment::new();
    let (origin, one, _) = shared(&test_env);
    one.pillion(&["start", "log"]);
    let last = origin.id("main");
    origin.git(&["symbolic-ref", "HEAD", "refs/heads/else"]);
    origin.git(&["update-ref", "-d", "refs/heads/main"]);
    for args in [&["status"][..], &["stage", "--push"], &["pause", "log"], &["pause", "log", "--no-fetch"]] {
        let (code, stderr) = one.refused(args);
        assert!(
            code == 3
                && stderr.contains("`origin` no longer has a branch `main`")
                && stderr.contains(&last.short()),
            "{args:?}: {code} {stderr}"
        );
        assert!(stderr.contains(&format!("git push origin {last}:refs/heads/main")), "{stderr}");
    }
    #[cfg(feature = "watch")]
    assert!(turn(&one).unwrap_err().contains("no longer has a branch `main`"));
    assert!(refs(&origin, "refs/heads/main").is_empty());
    // Where it never was, that is another matter.
    let empty = test_env.init("empty", &["--bare"]);
    one.git(&["config", "remote.origin.url", &format!("file://{}", empty.path.display())]);
    one.git(&["remote", "set-head", "origin", "--delete"]);
    one.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    let (code, stderr) = one.refused(&["pause", "log"]);
    assert!(code == 2 && stderr.contains("git push -u origin main"), "{code} {stderr}");
}

#[test]
fn a_lock_that_nobody_holds_is_named() {
    let test_env = TestEnvironment::new();
    let (_, one, other) = shared(&test_env);
    one.pillion(&["status"]);
    other.put("README", "hello").commit("readme");
    other.git(&["push", "-q", "origin", "main"]);
    let lock = one.path.join(".git/refs/remotes/origin/main.lock");
    fs::write(&lock, "").unwrap();
    let output = one.try_pillion(&["status"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains(&lock.display().to_string()) && stderr.contains("delete it"), "{stderr}");
    assert!(!stderr.contains("cannot be reached"), "{stderr}");
    assert!(lock.exists());
    fs::remove_file(&lock).unwrap();
    one.pillion(&["status"]);
    let lock = one.path.join(".git/refs/pillion/outbox.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    let repository = one.open();
    let moved =
        repository.update_ref("refs/pillion/outbox", one.id("main"), pillion::git::ExpectedRef::Any, "test");
    assert!(moved.unwrap_err().to_string().contains(&lock.display().to_string()));
}
