//! A watcher that runs all the time while people change the repository: a fix, a newer edit, a revert, a hold that
//! ends.

use crate::stage::transitions::ledger;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, ledger_at};
use crate::watch::simulation::{Heard, Shared, opened, sync, turn};
use pillion::diagnostics::{Diagnostic, Severity};
use pillion::rollout::RolloutState;
use pillion::stage::RepoContext;
use pillion::watch::evaluation::OutOfSyncSince;
use pillion::watch::report::EvaluationReport;
use pillion::watch::watch_loop::{Iteration, Watcher};
use std::cell::RefCell;

/// A repository, a cluster that follows it, and a watcher.
struct Play {
    repo: Repo,
    opened: RepoContext,
    shared: RefCell<Shared>,
    alarms: OutOfSyncSince,
    heard: Heard,
}

impl Play {
    /// The worked example with `start: Manual`, where one pod may be down.
    fn new(test_env: &TestEnvironment) -> Self {
        let mut texts = example();
        let settings = texts.get_mut("pillion.yaml").unwrap();
        *settings = settings.replace("  soak: 120s", "  soak: 30s");
        let set = texts.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("maxUnavailable: 10", "maxUnavailable: 1");
        texts.insert("ledgers/log.yaml".into(), ledger_at(&texts["sidecars/log.yaml"]));
        let repo = test_env.init("repo", &[]);
        repo.hold(&texts).render().commit("start");
        repo.git(&["switch", "-q", "--detach"]);
        let opened = opened(&repo);
        let play = Self {
            repo,
            opened,
            shared: RefCell::new(Shared::calm()),
            alarms: OutOfSyncSince::new(),
            heard: Heard::default(),
        };
        play.pass(300);
        play
    }

    fn pass(&self, seconds: i64) {
        sync(&self.repo, &self.shared);
        self.shared.borrow_mut().cluster.pass(seconds);
    }

    /// A person edits the SidecarSet.
    fn edit(&self, from: &str, to: &str) {
        self.repo.git(&["switch", "-q", "--detach", "main"]);
        let path = "sidecars/log.yaml";
        let text = self.repo.git(&["show", &format!("main:{path}")]);
        assert!(text.contains(from), "{text}");
        self.repo.put(path, text.replace(from, to)).commit("an edit");
        self.repo.git(&["branch", "-f", "main", "HEAD"]);
    }

    fn turn(&mut self) -> Result<EvaluationReport, Vec<Diagnostic>> {
        let watching = Watcher::default();
        let turned = turn(&watching, &self.opened, &self.shared, &mut self.alarms, &mut self.heard).unwrap();
        self.pass(5);
        match turned {
            Iteration::Evaluated(report) => Ok(report),
            Iteration::Invalid(diagnostics) => Err(diagnostics),
        }
    }

    /// Lets the watcher go on until a rollout stands somewhere.
    fn until(&mut self, state: RolloutState) -> EvaluationReport {
        for _ in 0..400 {
            let report = self.turn().unwrap();
            if report.rollouts[0].state == state {
                return report;
            }
        }
        panic!("never {state}: {}", self.repo.git(&["log", "--format=%s", "main"]));
    }

    fn subjects(&self, base: &str) -> Vec<String> {
        let log = self.repo.git(&["log", "--reverse", "--format=%s", &format!("{base}..main")]);
        log.lines().map(str::to_owned).collect()
    }

    fn has_image(&self, tag: &str) {
        for path in ["data/events", "shop/cart", "shop/web"] {
            let text = self.repo.git(&["show", &format!("main:rendered/{path}.yaml")]);
            assert!(text.contains(&format!("logtail:{tag}")), "{path}: {text}");
        }
    }
}

#[test]
fn a_fix_rolls_out_while_the_watcher_runs() {
    let test_env = TestEnvironment::new();
    let mut play = Play::new(&test_env);
    let base = play.repo.git(&["rev-parse", "main"]);
    play.edit("1.4.2", "bad-1.5.0");
    play.repo.pillion(&["start", "log"]);
    play.until(RolloutState::Paused);
    let paused = play.repo.git(&["rev-parse", "main"]);
    play.edit("bad-1.5.0", "1.5.1");
    for _ in 0..5 {
        let report = play.turn().unwrap();
        assert_eq!(report.rollouts[0].state, RolloutState::Paused);
        assert!(report.rollouts[0].reasons.iter().any(|r| r.contains("pillion start log")));
    }
    play.repo.pillion(&["start", "log"]);
    play.until(RolloutState::Idle);
    let subjects = play.subjects(&paused);
    assert!(subjects.iter().all(|s| !s.contains("pause") && !s.contains("roll back")), "{subjects:?}");
    assert!(subjects.last().unwrap().contains("complete, logtail 1.5.1 is released"), "{subjects:?}");
    play.has_image("1.5.1");
    play.repo.git(&["switch", "-q", "--detach", "main"]);
    play.repo.pillion(&["verify", "--base", &base]);
}

#[test]
fn with_start_manual_a_newer_edit_stalls_nothing() {
    let test_env = TestEnvironment::new();
    let mut play = Play::new(&test_env);
    play.edit("1.4.2", "1.5.0");
    play.repo.pillion(&["start", "log"]);
    while ledger(&play.repo, "main").last_batch() == 0 {
        play.turn().unwrap();
    }
    play.edit("1.5.0", "1.6.0");
    play.until(RolloutState::Pending);
    play.has_image("1.5.0");
    for _ in 0..20 {
        play.turn().unwrap();
    }
    play.has_image("1.5.0");
}

#[test]
fn a_batch_that_was_reverted_by_hand_stops_the_watcher() {
    let test_env = TestEnvironment::new();
    let mut play = Play::new(&test_env);
    play.edit("1.4.2", "1.5.0");
    play.repo.pillion(&["start", "log"]);
    while ledger(&play.repo, "main").last_batch() < 2 {
        play.turn().unwrap();
    }
    play.repo.git(&["switch", "-q", "--detach", "main"]);
    play.repo.git(&["revert", "--no-edit", "HEAD"]);
    play.repo.git(&["branch", "-f", "main", "HEAD"]);
    // What people do besides does not hide it.
    play.repo.pillion(&["hold", "deployment/web"]);
    let reverted = play.repo.git(&["rev-parse", "main"]);
    for _ in 0..20 {
        let diagnostics = play.turn().unwrap_err();
        // A warning about the Job of the example stands before it.
        let error = diagnostics.iter().find(|d| d.severity == Severity::Error).unwrap();
        assert_eq!(error.code.name(), "ledger-not-planned");
        assert!(error.help.as_ref().unwrap().contains("`pillion rollback log --to 1`"), "{diagnostics:?}");
    }
    assert_eq!(play.repo.git(&["rev-parse", "main"]), reverted);
    play.repo.pillion(&["rollback", "log", "--to", "1"]);
    assert_eq!(play.turn().unwrap().rollouts[0].state, RolloutState::Paused);
    play.repo.pillion(&["hold", "deployment/web", "--off"]);
    play.repo.pillion(&["resume", "log"]);
    play.until(RolloutState::Idle);
    play.has_image("1.5.0");
}

#[test]
fn a_closed_rollout_goes_back_without_soaks() {
    let test_env = TestEnvironment::new();
    let mut play = Play::new(&test_env);
    play.edit("1.4.2", "1.5.0");
    play.repo.pillion(&["start", "log"]);
    play.until(RolloutState::Idle);
    play.repo.pillion(&["rollback", "log"]);
    let began = play.shared.borrow().cluster.now;
    play.until(RolloutState::Rejected);
    play.has_image("1.4.2");
    let report = play.turn().unwrap();
    assert!(report.rollouts[0].reasons[0].contains("was rolled back"), "{:?}", report.rollouts[0].reasons);
    let batches = play.subjects("main~20").iter().filter(|s| s.contains("log-546d94cc58 for")).count();
    let took = play.shared.borrow().cluster.now - began;
    assert!(batches > 1 && took < 200, "{batches} batches in {took} seconds");
}

#[test]
fn a_hold_ends_with_its_date_although_a_person_starts_rollouts() {
    let test_env = TestEnvironment::new();
    let mut play = Play::new(&test_env);
    let hold = ["hold", "deployment/web", "--until", "2023-11-20"];
    let held = play
        .repo
        .command(env!("CARGO_BIN_EXE_pillion"))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .args(hold)
        .output();
    assert!(held.unwrap().status.success());
    play.edit("1.4.2", "1.5.0");
    play.repo.pillion(&["start", "log"]);
    play.until(RolloutState::Idle);
    let web = || play.repo.git(&["show", "main:rendered/shop/web.yaml"]);
    assert!(web().contains("logtail:1.4.2"));
    let head = play.repo.git(&["rev-parse", "main"]);
    play.shared.borrow_mut().cluster.now += 8 * 86_400;
    play.until(RolloutState::RollingBack);
    play.until(RolloutState::Idle);
    play.has_image("1.5.0");
    assert_eq!(play.subjects(&head)[0], "log: start, holds have expired");
    assert!(ledger(&play.repo, "main").entries.get("Deployment.apps/shop/web").is_none());
    play.repo.git(&["switch", "-q", "--detach", "main"]);
    play.repo.pillion(&["verify", "--base", &head]);
}
