//! Fix-forward and rollbacks: a newer edit in the middle of a rollout, `rollback --to`, `git revert`, and a rollback
//! after Complete.

use crate::stage::holds::{edit, file};
use crate::stage::transitions::{changed, half_way, ledger, trailer};
use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, in_two_clusters, newer, released};

fn rendered(repo: &Repo, revision: &str) -> String {
    repo.git(&["rev-parse", &format!("{revision}:rendered")])
}

/// Everything that was committed since is what pillion makes.
fn is_verified(repo: &Repo, base: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["verify", "--base", base]);
}

fn refused(repo: &Repo, args: &[&str], words: &str) {
    let before = repo.git(&["rev-parse", "main"]);
    let (code, stderr) = repo.refused(args);
    assert!(code == 1 && stderr.contains(words), "{args:?}: {stderr}");
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
}

/// As [`half_way`], of a rollout with a SidecarSet that says something else, with `batches` out; returns the head before.
fn begun(test_env: &TestEnvironment, change: impl Fn(&mut Texts), batches: usize) -> (Repo, String) {
    let mut texts = example();
    change(&mut texts);
    texts.insert(
        "ledgers/log.yaml".into(),
        crate::support::rollout_fixtures::ledger_at(&texts["sidecars/log.yaml"]),
    );
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts).render().commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    repo.hold(&newer(texts)).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let base = repo.git(&["rev-parse", "main"]);
    repo.pillion(&["stage"]);
    let staged = repo.git(&["rev-list", "--reverse", "main..pillion/main/log"]);
    repo.release(staged.lines().nth(batches).unwrap());
    (repo, base)
}

#[test]
fn a_newer_edit_waits_until_a_person_starts_it() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    edit(&repo, "sidecars/log.yaml", "1.5.0", "1.6.0");
    let staged = repo.pillion(&["stage"]);
    assert!(
        staged.contains("batch 3/4, logtail 1.5.0") && staged.contains("complete, logtail 1.5.0"),
        "{staged}"
    );
    let waits = "which waits: `pillion start log` makes it the target";
    assert!(staged.contains(waits), "{staged}");
    for verb in ["plan", "status"] {
        assert!(repo.pillion(&[verb]).contains(waits), "{verb}");
    }
    // The next step goes on, and is what the planner makes.
    repo.release("pillion/main/log~1");
    assert!(file(&repo, "rendered/shop/web.yaml").contains("logtail:1.5.0"));
    is_verified(&repo, &base);
    let before = rendered(&repo, "main");
    repo.pillion(&["start", "log"]);
    let after = ledger(&repo, "main");
    assert_eq!((rendered(&repo, "main"), after.last_batch()), (before, 0));
    assert!(
        repo.git(&["log", "-1", "--format=%B", "main"])
            .contains("It replaces the rollout to log-5f56f8b99 at batch 4")
    );
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    for path in ["data/events", "shop/cart", "shop/web"] {
        assert!(file(&repo, &format!("rendered/{path}.yaml")).contains("logtail:1.6.0"), "{path}");
    }
    is_verified(&repo, &base);
}

#[test]
fn with_start_auto_a_newer_edit_is_the_next_target() {
    let test_env = TestEnvironment::new();
    let auto = |texts: &mut Texts| {
        let settings = texts.get_mut("pillion.yaml").unwrap();
        settings.push_str("  start: Auto\n");
    };
    let (repo, base) = begun(&test_env, auto, 2);
    edit(&repo, "sidecars/log.yaml", "1.5.0", "1.6.0");
    assert!(repo.pillion(&["stage"]).contains("start, logtail 1.4.2 -> 1.6.0"));
    repo.release("pillion/main/log");
    is_verified(&repo, &base);
}

#[test]
fn a_fix_is_one_command_while_the_rollout_is_paused() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    repo.pillion(&["approve", "log", "3"]);
    repo.pillion(&["pause", "log", "--reason", "crash loop"]);
    refused(&repo, &["start", "log"], "is paused at batch 2: crash loop; its file has nothing newer");
    edit(&repo, "sidecars/log.yaml", "1.5.0", "1.5.1");
    let before = (rendered(&repo, "main"), repo.git(&["rev-parse", "main"]));
    // Without its name a pause is not given up.
    repo.pillion(&["start"]);
    assert_eq!(repo.git(&["rev-parse", "main"]), before.1);
    repo.pillion(&["start", "log"]);
    let after = ledger(&repo, "main");
    assert_eq!((repo.git(&["rev-parse", "main~1"]), rendered(&repo, "main")), (before.1, before.0));
    assert!(after.paused.is_none() && after.approvals.is_empty() && after.last_batch() == 0);
    assert_eq!(
        (after.target.unwrap(), &*trailer(&repo, "Pillion-Action")),
        (Some(trailer(&repo, "Pillion-Revision").into()), "Start")
    );
    is_verified(&repo, &base);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    assert!(file(&repo, "rendered/data/events.yaml").contains("logtail:1.5.1"));
    is_verified(&repo, &base);
}

#[test]
fn while_it_is_paused_people_see_what_resume_does() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    repo.pillion(&["pause", "log", "--reason", "waiting for the storage team"]);
    let staged = repo.pillion(&["stage"]);
    let subjects = repo.git(&["log", "--reverse", "--format=%s", "main..pillion/main/log"]);
    assert_eq!(
        subjects.lines().collect::<Vec<_>>(),
        [
            "log: resume at batch 2",
            "log: batch 3/4, logtail 1.5.0 for 8 pods of CloneSet shop/cart",
            "log: batch 4/4, logtail 1.5.0 for Deployment shop/web",
            "log: complete, logtail 1.5.0 is released",
        ]
    );
    assert!(
        staged.contains("paused at batch 2: waiting for the storage team; `pillion resume log`"),
        "{staged}"
    );
    repo.git(&["switch", "-q", "--detach", "main"]);
    let plan = repo.pillion(&["plan"]);
    assert!(
        plan.contains("3/4") && plan.contains("paused at batch 2") && plan.contains("pillion resume log"),
        "{plan}"
    );
    let status = repo.pillion(&["status"]);
    assert!(status.contains("paused, ") && status.contains("batch 2/4 released"), "{status}");
    assert!(status.contains("next: `pillion resume log`, then batch 3 of 4"), "{status}");
    // Whoever puts all of it onto the branch has resumed it, and that can be read.
    repo.release("pillion/main/log");
    is_verified(&repo, &base);
}

#[test]
fn batches_are_taken_back_in_one_commit() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main~3"]);
    let [none, one, two] = ["main~2", "main~1", "main"].map(|revision| rendered(&repo, revision));
    refused(&repo, &["rollback", "log", "--to", "9"], "had no batch 9: 2 is the last released batch");
    repo.pillion(&["rollback", "log", "--to", "1", "--reason", "slow disks"]);
    let after = ledger(&repo, "main");
    let paused = after.paused.clone().unwrap();
    assert_eq!((paused.batch, &*paused.reason, paused.by.is_some()), (1, "slow disks", true));
    assert_eq!((rendered(&repo, "main"), after.last_batch()), (one.clone(), 1));
    assert_eq!(changed(&repo), "ledgers/log.yaml\nrendered/data/events.yaml");
    assert_eq!(trailer(&repo, "Pillion-Action"), "RollBack");
    refused(&repo, &["rollback", "log", "--to", "1"], "cannot roll back");
    repo.pillion(&["rollback", "log", "--to", "0"]);
    assert_eq!(rendered(&repo, "main"), none);
    assert!(ledger(&repo, "main").target.is_some() && ledger(&repo, "main").entries.is_empty());
    is_verified(&repo, &base);
    repo.pillion(&["resume", "log"]);
    repo.pillion(&["stage"]);
    assert_eq!(rendered(&repo, "pillion/main/log~3"), two);
    repo.release("pillion/main/log");
    assert_eq!(ledger(&repo, "main").target, None);
    is_verified(&repo, &base);
}

#[test]
fn holds_and_lost_workloads_are_not_taken_back() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env, |_| (), 4);
    repo.pillion(&["hold", "deployment/web", "--reason", "sale"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["rm", "-q", "apps/shop/cart.yaml"]);
    repo.render().commit("no cart any more");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let web = file(&repo, "rendered/shop/web.yaml");
    assert!(web.contains("logtail:1.5.0"));
    repo.pillion(&["rollback", "log", "--to", "1"]);
    let after = ledger(&repo, "main");
    let keys: Vec<&str> = after.entries.keys().map(|key| &**key).collect();
    assert_eq!(keys, ["Deployment.apps/shop/web", "StatefulSet.apps/data/events"]);
    assert_eq!(file(&repo, "rendered/shop/web.yaml"), web);
    is_verified(&repo, &base);
}

#[test]
fn no_more_pods_go_back_at_once_than_may_be_down() {
    let test_env = TestEnvironment::new();
    let strict = |texts: &mut Texts| {
        let set = texts.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("maxUnavailable: 10", "maxUnavailable: 2");
        let cart = texts.get_mut("apps/shop/web.yaml").unwrap();
        *cart = cart.replace("spec:\n  selector", "spec:\n  replicas: 4\n  selector");
    };
    let (repo, base) = begun(&test_env, strict, 4);
    let last = ledger(&repo, "main").last_batch();
    assert_eq!(last, 4);
    refused(
        &repo,
        &["rollback", "log", "--to", "0"],
        "`maxUnavailable` of `log` allows 2: roll back `--to 3` first, or use `pillion rollback log`",
    );
    let before = rendered(&repo, "main~1");
    repo.pillion(&["rollback", "log", "--to", "3"]);
    assert_eq!(rendered(&repo, "main"), before);
    is_verified(&repo, &base);
}

#[test]
fn a_revert_by_hand_is_answered_with_the_command() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let [one, two] = ["main~1", "main"].map(|revision| rendered(&repo, revision));
    let base = repo.git(&["rev-parse", "main"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["revert", "--no-edit", "HEAD"]);
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let (code, stderr) = repo.refused(&["verify", "--base", &base]);
    assert!(code == 1 && stderr.contains("error[ledger-not-planned]"), "{stderr}");
    assert!(
        stderr.contains("`pillion rollback log --to 1` rolls batches back and pauses the rollout there"),
        "{stderr}"
    );
    // On top of the revert the command pauses what has happened already.
    let reverted = repo.git(&["rev-parse", "main"]);
    repo.pillion(&["rollback", "log", "--to", "1"]);
    assert_eq!((rendered(&repo, "main"), changed(&repo)), (one.clone(), "ledgers/log.yaml".to_owned()));
    assert_eq!(ledger(&repo, "main").paused.unwrap().batch, 1);
    is_verified(&repo, &reverted);
    // The other way: the revert is reverted, and the command is run.
    repo.git(&["branch", "-f", "main", &reverted]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["revert", "--no-edit", "HEAD"]);
    repo.git(&["branch", "-f", "main", "HEAD"]);
    assert_eq!(rendered(&repo, "main"), two);
    repo.pillion(&["rollback", "log", "--to", "1"]);
    assert_eq!(rendered(&repo, "main"), one);
    is_verified(&repo, &reverted);
    repo.pillion(&["resume", "log"]);
    assert!(repo.pillion(&["stage"]).contains("batch 2/4"));
}

#[test]
fn a_closed_rollout_goes_back_in_batches() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env, |_| (), 0);
    let old = rendered(&repo, &base);
    repo.release("pillion/main/log");
    let new = rendered(&repo, "main");
    repo.pillion(&["rollback", "log", "--reason", "memory leak"]);
    assert_eq!((rendered(&repo, "main"), changed(&repo)), (new.clone(), "ledgers/log.yaml".to_owned()));
    let open = ledger(&repo, "main");
    assert_eq!(
        (open.released.as_deref(), open.target.clone()),
        (Some("log-546d94cc58"), Some(open.released.clone()))
    );
    assert_eq!(open.rejected.iter().map(|r| &**r).collect::<Vec<_>>(), ["log-5f56f8b99"]);
    let batch = |key: &str| open.entries.get(key).and_then(|line| line.batch);
    assert_eq!(batch("CloneSet.apps.kruise.io/shop/cart"), Some(3));
    assert_eq!(batch("StatefulSet.apps/data/events"), Some(2));
    refused(&repo, &["rollback", "log"], "already");
    let staged = repo.pillion(&["stage"]);
    assert!(staged.contains("complete, log-546d94cc58"), "{staged}");
    let subjects = repo.git(&["log", "--reverse", "--format=%b", "main..pillion/main/log"]);
    let places = ["CloneSet shop/cart", "StatefulSet data/events"].map(|w| subjects.find(w).unwrap());
    assert!(places[0] < places[1], "the latest batch goes back first: {subjects}");
    repo.release("pillion/main/log");
    assert_eq!(rendered(&repo, "main"), old);
    assert!(repo.pillion(&["stage"]).contains("was rolled back"), "it is not staged again");
    refused(&repo, &["rollback", "log"], "was itself a rollback to `log-546d94cc58`");
    is_verified(&repo, &base);
}

#[test]
fn a_closed_rollout_goes_back_to_a_batch_and_on_again() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env, |_| (), 3);
    let three = rendered(&repo, "main");
    repo.release("pillion/main/log");
    let new = rendered(&repo, "main");
    repo.pillion(&["rollback", "log", "--to", "3"]);
    let open = ledger(&repo, "main");
    assert_eq!((rendered(&repo, "main"), open.paused.unwrap().batch), (three, 3));
    assert_eq!(open.target.unwrap().as_deref(), Some("log-5f56f8b99"));
    repo.pillion(&["resume", "log"]);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    assert_eq!((rendered(&repo, "main"), ledger(&repo, "main").target), (new, None));
    is_verified(&repo, &base);
}

#[test]
fn what_came_after_close_goes_back_too_and_holds_stay() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env, |_| (), 0);
    repo.release("pillion/main/log");
    repo.pillion(&["hold", "deployment/web", "--reason", "sale"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let api = file(&repo, "apps/shop/web.yaml").replace("web", "api");
    repo.put("apps/shop/api.yaml", api).render().commit("an api");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let before = rendered(&repo, "main");
    repo.pillion(&["rollback", "log"]);
    assert_eq!(rendered(&repo, "main"), before);
    let line = ledger(&repo, "main").entries.get("Deployment.apps/shop/api").cloned().unwrap();
    assert_eq!((line.revision.as_deref(), line.batch), (Some("log-5f56f8b99"), None));
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    let has_image = |path: &str, tag: &str| file(&repo, path).contains(&format!("logtail:{tag}"));
    assert!(has_image("rendered/shop/web.yaml", "1.5.0") && has_image("rendered/shop/api.yaml", "1.4.2"));
    assert!(has_image("rendered/data/events.yaml", "1.4.2"));
    is_verified(&repo, &base);
}

#[test]
fn a_closed_rollout_goes_back_without_the_workloads_that_left_git_since() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env, |_| (), 0);
    repo.release("pillion/main/log");
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["rm", "-q", "apps/data/events.yaml"]);
    repo.render().commit("no events any more");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let stdout = repo.pillion(&["rollback", "log"]);
    assert!(stdout.contains("counts 3 workloads, and 1 of them is missing"), "{stdout}");
    assert!(stdout.contains("next: `pillion start log --accept-missing`"), "{stdout}");
    refused(&repo, &["start", "log"], "workloads-missing");
    repo.pillion(&["start", "log", "--accept-missing"]);
    repo.release("pillion/main/log");
    assert!(file(&repo, "rendered/shop/web.yaml").contains("logtail:1.4.2"));
    assert_eq!(ledger(&repo, "main").target, None);
    is_verified(&repo, &base);
}

#[test]
fn where_nothing_was_closed_there_is_nothing_to_go_back_to() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    refused(&repo, &["rollback", "log"], "no rollout of `log` is in progress, and none released");
    refused(&repo, &["rollback", "log", "--to", "1"], "no rollout of `log` is in progress");
}

#[test]
fn a_workload_that_another_set_has_split_is_not_taken_back() {
    let test_env = TestEnvironment::new();
    let both = |texts: &mut Texts| {
        let set =
            texts["sidecars/log.yaml"].replace("name: log}", "name: proxy}").replace("logtail", "proxy");
        let set = set.replace("logs", "proxy-logs");
        texts.insert("ledgers/proxy.yaml".into(), crate::support::rollout_fixtures::ledger_at(&set));
        texts.insert("sidecars/proxy.yaml".into(), set);
    };
    let (repo, _) = begun(&test_env, both, 2);
    edit(&repo, "sidecars/proxy.yaml", "proxy:1.4.2", "proxy:1.6.0");
    repo.pillion(&["stage", "proxy"]);
    let staged = repo.git(&["rev-list", "--reverse", "main..pillion/main/proxy"]);
    repo.release(staged.lines().nth(1).unwrap());
    refused(
        &repo,
        &["rollback", "log", "--to", "1"],
        "the rollout of `proxy` has split `StatefulSet.apps/data/events`",
    );
}

#[test]
fn each_cluster_goes_back_by_itself() {
    let test_env = TestEnvironment::new();
    let texts = in_two_clusters(example(), ["eu", "us"]);
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts)).commit("log: 1.5.0");
    repo.git(&["switch", "-q", "--detach"]);
    let base = repo.git(&["rev-parse", "main"]);
    for cluster in ["eu", "us"] {
        repo.pillion(&["stage", "--cluster", cluster]);
        repo.release(&format!("pillion/main/{cluster}/log"));
    }
    let eu = repo.git(&["rev-parse", "main:ledgers/eu"]);
    repo.pillion(&["rollback", "log", "--cluster", "us", "--to", "1"]);
    assert_eq!(changed(&repo), "ledgers/us/log.yaml\nrendered/data/events.yaml");
    repo.pillion(&["rollback", "log", "--cluster", "us"]);
    assert_eq!(repo.git(&["rev-parse", "main:ledgers/eu"]), eu);
    is_verified(&repo, &base);
}

/// A first rollout, with `batches` of it released.
fn first(test_env: &TestEnvironment, batches: usize) -> Repo {
    let mut texts = example();
    texts.remove("ledgers/log.yaml");
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts).commit("apps and SidecarSets");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["init", "rollout", "--no-fetch"]);
    repo.git(&["branch", "-f", "main", "refs/pillion/outbox"]);
    repo.pillion(&["stage"]);
    let staged = repo.git(&["rev-list", "--reverse", "main..pillion/main/log"]);
    repo.release(staged.lines().nth(batches).unwrap());
    repo
}

#[test]
fn a_first_rollout_goes_back_to_nothing_after_any_batch() {
    for batches in [0, 1, 2] {
        let test_env = TestEnvironment::new();
        let repo = first(&test_env, batches);
        let before = rendered(&repo, "main~1");
        repo.pillion(&["rollback", "log", "--reason", "not now"]);
        // A clone without history cannot compare the workloads with those of Start.
        let shallow = test_env.clone(&repo, "shallow", &["--depth=1", "--branch=main"]);
        assert!(shallow.pillion(&["status", "--no-fetch"]).contains("rolling back to nothing"), "{batches}");
        repo.pillion(&["stage"]);
        repo.release("pillion/main/log");
        let after = ledger(&repo, "main");
        assert_eq!((after.target.clone(), after.is_in_use()), (None, false), "{batches}");
        assert!(repo.pillion(&["status"]).contains("was rolled back"), "{batches}");
        if batches == 0 {
            assert_eq!(rendered(&repo, "main"), before);
        }
    }
}
