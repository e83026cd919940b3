//! `piggyback`: a workload takes the target with its own next change until a deadline, then batches follow. Start,
//! Pause, Resume and Complete change no rendered byte on the way, and `verify` accepts every commit.

use crate::support::fleet_fixtures::{FILES, deployment, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::watched;
use pillion::git::ObjectId;

const SETTINGS: &str = "  piggyback: {until: 20m}\n";

pub(super) fn log(version: u32) -> String {
    set("log", &[("logtail", &format!("logtail:{version}"))])
}

/// The fleet with `logtail:1` released and `logtail:2` in its file.
fn edited(test_env: &TestEnvironment, more: &str, is_auto: bool) -> (Repo, ObjectId) {
    let mut texts = fleet(&[("log", &log(1))], is_auto);
    texts.get_mut("pillion.yaml").unwrap().push_str(more);
    let repo = repository(test_env, "repo", &texts);
    let base = repo.change(&[("sidecars/log.yaml", &log(2))], &[]);
    (repo, base)
}

/// As [`edited`], with the rollout started by hand.
pub(super) fn started(test_env: &TestEnvironment) -> (Repo, ObjectId) {
    let (repo, base) = edited(test_env, SETTINGS, false);
    repo.pillion(&["start", "log"]);
    (repo, base)
}

/// A commit of a person with the rendered files that belong to it.
fn change(repo: &Repo, files: &[(&str, &str)]) -> ObjectId {
    repo.git(&["switch", "-q", "--detach", "main"]);
    for (path, text) in files {
        repo.put(path, text);
    }
    let id = repo.render().commit("a person's change");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    id
}

fn source(file: &str, version: u32) -> String {
    let name = file.split(['/', '.']).nth(1).unwrap();
    deployment(name).replace(&format!("{name}:1"), &format!("{name}:{version}"))
}

/// A release of an application by its team.
pub(super) fn release(repo: &Repo, file: &str, version: u32) -> ObjectId {
    change(repo, &[(&format!("apps/{file}"), &source(file, version))])
}

/// The versions of the sidecar in the rendered files of `main`: db, api, cart, web.
pub(super) fn sidecars(repo: &Repo) -> String {
    let version = |file: &&str| {
        let text = repo.text("main", &format!("rendered/{file}"));
        text.lines().find_map(|line| line.trim().strip_prefix("image: logtail:").map(str::to_owned)).unwrap()
    };
    FILES.iter().map(version).collect::<Vec<_>>().join(" ")
}

/// What the ledger of `main` says of a workload.
fn entry(repo: &Repo, name: &str) -> String {
    let ledger = repo.ledger("main", "log");
    let found = ledger.entries.iter().find(|(key, _)| key.ends_with(name));
    let named = |revision: &Option<std::sync::Arc<str>>| match revision {
        None => "-",
        revision if *revision == ledger.released => "released",
        revision if ledger.target.as_ref() == Some(revision) => "target",
        Some(_) => "other",
    };
    found.map_or("none".to_owned(), |(_, entry)| {
        format!("{} {:?} {}", named(&entry.revision), entry.batch, named(&entry.piggyback))
    })
}

const WAITING: &str = "released None target";

const TAKEN: &str = "target Some(0) -";

#[test]
fn a_release_of_an_application_takes_the_target_and_the_batches_follow_the_deadline() {
    let test_env = TestEnvironment::new();
    let (repo, base) = edited(&test_env, SETTINGS, true);
    let reasons = watched(&repo, 3);
    assert_eq!(repo.subjects(base), ["log: start, logtail 1 -> 2"]);
    let reason = &reasons["log"];
    assert!(
        reason.starts_with("4 workloads (8 pods) take it with their own next change until 20"),
        "{reason}"
    );
    assert!(reason.ends_with(" (`piggyback`, 20m after the start)"), "{reason}");
    let message = repo.git(&["log", "-1", "--format=%b", "main"]);
    let note = "4 workloads (8 pods) take logtail 2 with their own next change; the batches wait until 20m after this commit.";
    assert!(message.contains(note), "{message}");
    release(&repo, "shop/web.yaml", 2);
    assert_eq!((sidecars(&repo), entry(&repo, "shop/web")), ("1 1 1 2".to_owned(), WAITING.to_owned()));
    let reasons = watched(&repo, 3);
    assert!(reasons["log"].contains("3 workloads (6 pods) take it"), "{reasons:?}");
    watched(&repo, 40);
    repo.is_sound_since(&test_env, base);
    let expected = [
        "log: start, logtail 1 -> 2",
        "a person's change",
        "log: batch 1/2, logtail 2 for 2 pods of Deployment data/db",
        "log: batch 2/2, logtail 2 for 4 pods of 2 workloads",
        "log: complete, logtail 2 is released",
    ];
    assert_eq!(repo.subjects(base), expected);
    let message = repo.git(&["log", "-1", "--format=%b", "main"]);
    let saved = "1 of 4 workloads (2 pods) took it with its own change: 2 restarts saved.";
    assert!(message.contains(saved), "{message}");
}

#[test]
fn a_rollout_that_every_workload_takes_with_its_own_change_has_no_batch() {
    let test_env = TestEnvironment::new();
    let (repo, base) = edited(&test_env, SETTINGS, true);
    watched(&repo, 2);
    for file in FILES {
        release(&repo, file, 2);
    }
    watched(&repo, 4);
    repo.is_sound_since(&test_env, base);
    assert_eq!(repo.subjects(base).last().unwrap(), "log: complete, logtail 2 is released");
    let message = repo.git(&["log", "-1", "--format=%b", "main"]);
    assert!(
        message.contains("4 of 4 workloads (8 pods) took it with their own change: 8 restarts saved."),
        "{message}"
    );
    assert!(repo.ledger("main", "log").entries.is_empty());
}

#[test]
fn a_paused_rollout_takes_no_workload_and_a_resumed_one_waits_for_the_next_change() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    release(&repo, "shop/web.yaml", 2);
    repo.pillion(&["pause", "log"]);
    assert_eq!((entry(&repo, "shop/web"), entry(&repo, "shop/api")), (TAKEN.to_owned(), "none".to_owned()));
    release(&repo, "shop/api.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 2");
    let staged = repo.pillion(&["stage"]);
    assert!(staged.contains("log: resume at batch 0"), "{staged}");
    let preview = repo.text("pillion/main/log~3", "ledgers/log.yaml");
    repo.pillion(&["resume", "log"]);
    assert_eq!(preview, repo.text("main", "ledgers/log.yaml"), "the staged branch shows what resume does");
    assert_eq!((entry(&repo, "shop/web"), entry(&repo, "shop/api")), (TAKEN.to_owned(), WAITING.to_owned()));
    assert_eq!(sidecars(&repo), "1 1 1 2");
    release(&repo, "shop/api.yaml", 3);
    assert_eq!(sidecars(&repo), "1 2 1 2");
    let status = repo.pillion(&["status"]);
    assert!(
        status
            .contains("piggyback: 2 of 4 workloads (4 pods) took it with their own change: 4 restarts saved"),
        "{status}"
    );
    assert!(status.contains("in git: 4 of 8 pods have logtail 2"), "{status}");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_rollback_takes_those_back_that_moved_and_no_other_moves_any_more() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    release(&repo, "shop/web.yaml", 2);
    repo.pillion(&["rollback", "log"]);
    assert_eq!(
        (entry(&repo, "shop/web"), entry(&repo, "shop/api")),
        ("other Some(0) -".to_owned(), "none".to_owned())
    );
    release(&repo, "shop/api.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 2");
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "1 1 1 1");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_rollback_to_a_batch_takes_back_what_a_batch_moved_only() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    release(&repo, "shop/web.yaml", 2);
    let promoted = repo.pillion(&["promote", "log"]);
    assert!(
        promoted.contains(
            "past these gates: piggyback (3 workloads (6 pods) take it with their own next change until"
        ),
        "{promoted}"
    );
    assert_eq!(sidecars(&repo), "2 1 1 2");
    // What the batch moved is released by its team, too.
    release(&repo, "data/db.yaml", 2);
    release(&repo, "shop/cart.yaml", 2);
    assert_eq!(sidecars(&repo), "2 1 2 2");
    repo.pillion(&["rollback", "log", "--to", "0"]);
    assert_eq!(sidecars(&repo), "1 1 2 2");
    repo.pillion(&["resume", "log"]);
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "2 2 2 2");
    repo.is_sound_since(&test_env, base);
    // After Complete, too.
    repo.pillion(&["rollback", "log"]);
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "1 1 1 1");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_newer_edit_is_what_the_next_changes_take() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    release(&repo, "shop/web.yaml", 2);
    repo.change(&[("sidecars/log.yaml", &log(3))], &[]);
    release(&repo, "shop/api.yaml", 2);
    assert_eq!(sidecars(&repo), "1 2 1 2", "the edit is not started");
    repo.pillion(&["start", "log"]);
    assert_eq!(sidecars(&repo), "1 2 1 2");
    assert_eq!(entry(&repo, "shop/web"), "other Some(0) target");
    release(&repo, "shop/web.yaml", 3);
    release(&repo, "shop/cart.yaml", 2);
    assert_eq!(sidecars(&repo), "1 2 3 3");
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "3 3 3 3");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn who_is_held_takes_nothing() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    repo.pillion(&["hold", "shop/web", "--reason", "a demo"]);
    release(&repo, "shop/web.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 1");
    repo.pillion(&["hold", "shop/web", "--off"]);
    release(&repo, "shop/web.yaml", 3);
    assert_eq!((sidecars(&repo), entry(&repo, "shop/web")), ("1 1 1 1".to_owned(), "none".to_owned()));
    // The team of `cart` holds it, in the same commit as a release.
    let held = "apiVersion: pillion.dev/v1alpha1\nkind: SidecarOverride\nmetadata: {name: cart, namespace: shop}\nspec:\n  sidecarSet: log\n  workload: {kind: Deployment, name: cart}\n  hold: {until: 2999-12-31, reason: a demo}\n";
    let settings = repo.text("main", "pillion.yaml") + "overrides:\n  allow: [hold]\n";
    repo.change(&[("pillion.yaml", &settings)], &[]);
    change(&repo, &[("apps/shop/hold.yaml", held), ("apps/shop/cart.yaml", &source("shop/cart.yaml", 2))]);
    assert_eq!(sidecars(&repo), "1 1 1 1");
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "2 2 1 2");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn workloads_come_and_go_in_the_meantime() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    let new = deployment("new");
    change(&repo, &[("apps/shop/new.yaml", &new)]);
    assert!(repo.text("main", "rendered/shop/new.yaml").contains("logtail:1"));
    change(&repo, &[("apps/shop/new.yaml", &new.replace("new:1", "new:2"))]);
    assert!(repo.text("main", "rendered/shop/new.yaml").contains("logtail:1"), "it waits for its batch");
    repo.git(&["switch", "-q", "--detach", "main"]);
    std::fs::remove_file(repo.path.join("apps/shop/new.yaml")).unwrap();
    std::fs::remove_file(repo.path.join("apps/data/db.yaml")).unwrap();
    assert!(repo.try_pillion(&["render", "--write"]).status.success());
    repo.commit("gone");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let status = repo.pillion(&["status"]);
    assert!(status.contains("3 workloads (6 pods) take it"), "{status}");
    repo.pillion(&["promote", "log", "--full"]);
    repo.pillion(&["verify", "main", "--base", &base.to_string()]);
    assert!(repo.text("main", "rendered/shop/web.yaml").contains("logtail:2"));
}

#[test]
fn settings_that_are_removed_end_it_with_the_next_batch() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    let settings = repo.text("main", "pillion.yaml").replace(SETTINGS, "");
    repo.change(&[("pillion.yaml", &settings)], &[]);
    let plan = repo.pillion(&["plan"]);
    assert!(plan.contains("4 workloads (8 pods) still take the target with their own next change, although pillion.yaml does not set it any more"), "{plan}");
    repo.pillion(&["promote", "log"]);
    assert_eq!((sidecars(&repo), entry(&repo, "shop/web")), ("2 1 1 1".to_owned(), "none".to_owned()));
    release(&repo, "shop/web.yaml", 2);
    assert_eq!(sidecars(&repo), "2 1 1 1");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn rollouts_that_take_a_sidecar_away_or_keep_pods_go_in_batches_only() {
    let test_env = TestEnvironment::new();
    let (repo, base) = edited(&test_env, SETTINGS, false);
    let bounded = log(2) + "  updateStrategy: {partition: 50%}\n";
    repo.change(&[("sidecars/log.yaml", &bounded)], &[]);
    let plan = repo.pillion(&["plan"]);
    assert!(plan.contains("`piggyback` has no effect: `updateStrategy.partition` keeps pods"), "{plan}");
    repo.pillion(&["start", "log"]);
    assert_eq!(entry(&repo, "shop/web"), "none");
    release(&repo, "shop/web.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 1");
    repo.change(&[("sidecars/log.yaml", &log(2).replace("log: \"true\"", "app: web"))], &[]);
    repo.pillion(&["start", "log", "--allow-removal"]);
    assert_eq!(entry(&repo, "shop/web"), "none");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_new_sidecar_enters_in_batches_only() {
    let test_env = TestEnvironment::new();
    let mut texts = fleet(&[("log", &log(1))], false);
    texts.get_mut("pillion.yaml").unwrap().push_str(SETTINGS);
    texts.insert("ledgers/log.yaml".into(), empty_ledger("log"));
    let repo = repository(&test_env, "repo", &texts);
    let base = repo.open().find_ref("refs/heads/main").unwrap();
    repo.pillion(&["start", "log"]);
    assert_eq!(entry(&repo, "shop/web"), "none");
    release(&repo, "shop/web.yaml", 2);
    assert!(repo.carriers("main", "logtail").is_empty());
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_sidecar_that_fails_where_it_came_with_a_release_pauses_the_rollout() {
    let test_env = TestEnvironment::new();
    let (repo, base) = edited(&test_env, &format!("{SETTINGS}  onFailure: RollBack\n"), true);
    repo.change(&[("sidecars/log.yaml", &set("log", &[("logtail", "logtail:bad")]))], &[]);
    watched(&repo, 2);
    release(&repo, "shop/web.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 bad");
    watched(&repo, 8);
    assert_eq!(
        repo.subjects(base).last().unwrap(),
        "log: pause at batch 0, ImagePullBackOff in shop/web",
        "{:?}",
        repo.subjects(base)
    );
    let message = repo.git(&["log", "-1", "--format=%b", "main"]);
    assert!(
        message.contains("it took the new sidecar with its own change: either may be the cause"),
        "{message}"
    );
    release(&repo, "shop/api.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 1 bad");
    // A fix is taken by the next changes, and the workload that fails gets it before the deadline.
    repo.change(&[("sidecars/log.yaml", &log(3))], &[]);
    repo.pillion(&["start", "log"]);
    watched(&repo, 4);
    assert_eq!(sidecars(&repo), "1 1 1 3");
    release(&repo, "shop/cart.yaml", 2);
    assert_eq!(sidecars(&repo), "1 1 3 3");
    // Started by hand, it began years after the simulated clock.
    repo.pillion(&["promote", "log", "--full"]);
    assert_eq!(sidecars(&repo), "3 3 3 3");
    assert_eq!(repo.subjects(base).last().unwrap(), "log: complete, logtail 3 is released");
    repo.is_sound_since(&test_env, base);
}

#[test]
fn what_was_rendered_before_the_start_is_rendered_again() {
    let test_env = TestEnvironment::new();
    let (repo, _) = edited(&test_env, SETTINGS, false);
    let before = repo.text("main", "rendered/shop/web.yaml").replace("web:1", "web:2");
    repo.pillion(&["start", "log"]);
    repo.change(
        &[("apps/shop/web.yaml", &source("shop/web.yaml", 2)), ("rendered/shop/web.yaml", &before)],
        &[],
    );
    let (code, text) = repo.watches();
    assert!(code == 1 && text.contains("rendered/shop/web.yaml"), "{code}: {text}");
    let (code, text) = repo.says(&["promote", "log"]);
    assert!(code == 1 && text.contains("rendered/shop/web.yaml"), "{code}: {text}");
    change(&repo, &[]);
    assert_eq!(sidecars(&repo), "1 1 1 2");
    repo.pillion(&["promote", "log"]);
}

#[test]
fn a_render_of_two_branches_takes_the_target_with_a_release() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = fleet(&[("log", &log(1))], false);
    let ledger = texts.remove("ledgers/log.yaml").unwrap();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("rendered: rendered", "rendered: .");
    settings.push_str(SETTINGS);
    settings.push_str("  requireLedger: false\ngit: {source: main, deploy: env/prod}\n");
    repo.hold(&texts).commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    let place = test_env.path("live").display().to_string();
    repo.git(&["worktree", "add", "-q", &place, "env/prod"]);
    test_env.repo("live").put("ledgers/log.yaml", &ledger).commit("the first ledger");
    repo.git(&["worktree", "remove", "--force", &place]);
    let base = repo.id("env/prod");
    texts.insert("sidecars/log.yaml".into(), log(2));
    repo.hold(&texts).commit("logtail 2");
    repo.pillion(&["render", "--branch", "env/prod"]);
    repo.pillion(&["start", "log"]);
    texts.insert("apps/shop/web.yaml".into(), source("shop/web.yaml", 2));
    repo.hold(&texts).commit("web 2");
    repo.pillion(&["render", "--branch", "env/prod"]);
    let version = |file: &str| {
        let text = repo.text("env/prod", file);
        text.contains("logtail:2")
    };
    assert!(version("shop/web.yaml") && !version("shop/api.yaml"));
    // A change of the settings alone moves nothing.
    let shorter = texts["pillion.yaml"].replace("20m", "1s");
    texts.insert("pillion.yaml".into(), shorter);
    repo.hold(&texts).commit("a shorter time");
    repo.pillion(&["render", "--branch", "env/prod"]);
    assert!(version("shop/web.yaml") && !version("shop/api.yaml"));
    let promoted = repo.pillion(&["promote", "log", "--full"]);
    assert!(promoted.contains("log: complete, logtail 2 is released"), "{promoted}");
    let message = repo.git(&["log", "-1", "--format=%b", "env/prod"]);
    assert!(
        message.contains("1 of 4 workloads (2 pods) took it with its own change: 2 restarts saved."),
        "{message}"
    );
    repo.pillion(&["verify", "env/prod", "--base", &base.to_string()]);
}

#[test]
fn a_sidecar_set_turns_it_off_for_itself() {
    let test_env = TestEnvironment::new();
    let (repo, base) = edited(&test_env, SETTINGS, false);
    let annotation = "metadata:\n  annotations: {pillion.dev/rollout: \"piggyback: {until: 0s}\"}\n";
    repo.change(&[("sidecars/log.yaml", &log(2).replacen("metadata:\n", annotation, 1))], &[]);
    let plan = repo.pillion(&["plan"]);
    assert!(!plan.contains("piggyback"), "{plan}");
    repo.pillion(&["start", "log"]);
    release(&repo, "shop/web.yaml", 2);
    assert_eq!((sidecars(&repo), entry(&repo, "shop/web")), ("1 1 1 1".to_owned(), "none".to_owned()));
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_line_by_hand_moves_nothing_unseen() {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    let text = repo.text("main", "ledgers/log.yaml");
    let line = text.lines().find(|line| line.contains("shop/web,")).unwrap();
    let hash = line.split_once("template: ").unwrap().1.split_once(',').unwrap().0;
    let forged = text.replace(line, &line.replace(hash, "\"00000000\""));
    change(&repo, &[("ledgers/log.yaml", &forged)]);
    assert_eq!(sidecars(&repo), "1 1 1 2");
    let (code, text) = repo.refused(&["verify", "main", "--base", &base.to_string()]);
    assert!(code == 1 && text.contains("error[ledger-not-planned]"), "{text}");
    let (code, text) = repo.watches();
    assert!(code == 1 && text.contains("ledger-not-planned"), "{code}: {text}");
}
