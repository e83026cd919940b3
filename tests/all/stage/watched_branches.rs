//! A watcher beside branches that changed outside of pillion: it stops, or goes on without them.

use super::hostile_branches::all;
use crate::stage::remote::{refs, shared};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::{Heard, Shared, sync, turn as turn_of};
use pillion::diagnostics::Diagnostic;
use pillion::git::{Commit, CommitTime};
use pillion::stage::{BranchConfig, RepoContext, read_configuration};
use pillion::watch::environment::{Environment as _, ReleaseOutcome, ReleaseProposal, WatchError};
use pillion::watch::evaluation::OutOfSyncSince;
use pillion::watch::events::EventSink;
use pillion::watch::providers::{self, PullRequest, PullRequestChange, PullRequestInfo, PullRequestProvider};
use pillion::watch::real_environment::RealEnvironment;
use pillion::watch::report::EvaluationReport;
use pillion::watch::watch_loop::{Iteration, Watcher};
use pillion::workspace::ManifestSource;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn opened(repo: &Repo) -> RepoContext {
    let (repository, config) = (repo.open(), PathBuf::from("pillion.yaml"));
    let main = repository.find_ref("refs/remotes/origin/main").unwrap();
    let (read, _) = read_configuration(&repository, main, &config).unwrap();
    let branches = BranchConfig::from_repository(&read.unwrap().repository).unwrap();
    RepoContext { repository, config, branches, manifest_source: ManifestSource::default() }
}

/// A watcher fetches and looks once.
pub(super) fn turn(repo: &Repo) -> Result<(), String> {
    let opened = opened(repo);
    opened.fetch_with_staged().map_err(|failure| failure.to_string())?;
    let (shared, alarms) = (RefCell::new(Shared::calm()), &mut OutOfSyncSince::new());
    match turn_of(&Watcher::default(), &opened, &shared, alarms, &mut Heard::default()) {
        Ok(Iteration::Evaluated(_)) => Ok(()),
        Ok(Iteration::Invalid(diagnostics)) => Err(diagnostics.into_iter().map(|d| d.message).collect()),
        Err(failure) => Err(failure.to_string()),
    }
}

/// What is said of staged branches.
#[derive(Default)]
struct EventLog {
    foreign: Vec<String>,
    recreated: usize,
}

impl EventSink for EventLog {
    fn on_evaluation(&mut self, _: &EvaluationReport) {}

    fn on_staged_rewritten(&mut self, _: &str, _: &[Commit]) {
        self.recreated += 1;
    }

    fn on_foreign_commits(&mut self, diagnostic: &Diagnostic) {
        self.foreign.push(diagnostic.message.clone());
    }

    fn on_notify_failed(&mut self, _: &WatchError) {}
}

#[test]
fn a_rollout_goes_on_beside_a_staged_branch_that_somebody_has_written() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["start", "log", "--push"]);
    other.git(&["fetch", "-q"]);
    other.git(&["switch", "-q", "-c", "mine", "origin/pillion/main/log"]);
    let message = other.git(&["log", "-1", "--format=%B"]);
    let evil = other.put("rendered/shop/web.yaml", "evil").commit(&message);
    other.git(&["push", "-q", "origin", "mine:pillion/main/log"]);
    let watcher = test_env.clone(&origin, "watcher", &[]);
    let (opened, mut events) = (opened(&watcher), EventLog::default());
    let shared = RefCell::new(Shared::calm());
    sync(&origin, &shared);
    shared.borrow_mut().cluster.pass(300);
    for _ in 0..40 {
        opened.fetch_with_staged().unwrap();
        turn_of(&Watcher::default(), &opened, &shared, &mut OutOfSyncSince::new(), &mut events).unwrap();
        sync(&origin, &shared);
        shared.borrow_mut().cluster.pass(200);
    }
    assert!(
        origin.git(&["log", "-1", "--format=%s", "main"]).contains("log: complete"),
        "{:?}",
        events.foreign
    );
    assert!(!origin.git(&["log", "--format=%H", "main"]).contains(&evil.to_string()));
    assert_eq!(origin.id("pillion/main/log"), evil);
    assert!(
        events.foreign[0].contains("`pillion/main/log` contains") && events.recreated == 0,
        "{:?}",
        events.foreign
    );
    assert!(refs(&watcher, "refs/heads/pillion").is_empty());
}

#[test]
fn a_staged_branch_is_looked_at_while_the_live_head_stays() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["start", "log"]);
    one.pillion(&["pause", "log"]);
    one.pillion(&["stage", "--push"]);
    let watcher = test_env.clone(&origin, "watcher", &[]);
    let (opened, mut events) = (opened(&watcher), EventLog::default());
    let shared = RefCell::new(Shared::calm());
    sync(&origin, &shared);
    let (watching, alarms) = (Watcher::default(), &mut OutOfSyncSince::new());
    let mut looks = 0;
    let mut look = |opened: &RepoContext| {
        if looks == 0 {
            other.git(&["fetch", "-q"]);
            other.git(&["switch", "-q", "-c", "mine", "origin/pillion/main/log"]);
            other.put("notes.txt", "mine").commit("notes");
            other.git(&["push", "-q", "origin", "mine:pillion/main/log"]);
            opened.fetch_with_staged().unwrap();
        }
        looks += 1;
        looks < 2
    };
    crate::watch::simulation::head(&watching, &opened, &shared, alarms, &mut events, &mut || look(&opened))
        .unwrap();
    assert!(events.foreign.iter().any(|events| events.contains("\"notes\"")), "{:?}", events.foreign);
}

#[test]
fn a_message_approves_nothing() {
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    let settings = String::from_utf8(one.show("HEAD:pillion.yaml")).unwrap();
    one.put("pillion.yaml", format!("{settings}  approve: [1]\n")).commit("settings");
    one.git(&["push", "-q", "origin", "main"]);
    one.pillion(&["start", "log"]);
    one.pillion(&["approve", "log", "1", "--no-push"]);
    // Merged with a message of their own.
    let message = one.git(&["show", "-s", "--format=%B", "refs/pillion/outbox"]);
    assert!(message.contains("Pillion-Action: Approve\n"), "{message}");
    other.git(&["pull", "-q", "--ff-only"]);
    other.put("README.md", "hello").commit(&message);
    other.git(&["push", "-q", "origin", "main"]);
    let before = origin.id("main");
    turn(&one).unwrap();
    assert_eq!(origin.id("main"), before);
    one.pillion(&["approve", "log", "1"]);
    let before = origin.id("main");
    turn(&one).unwrap();
    assert_ne!(origin.id("main"), before);
}

#[test]
fn the_default_branch_of_the_remote_is_no_staged_one() {
    let test_env = TestEnvironment::new();
    let (origin, one, _) = shared(&test_env);
    origin.git(&["update-ref", "refs/heads/pillion/main/log", "refs/heads/main"]);
    origin.git(&["symbolic-ref", "HEAD", "refs/heads/pillion/main/log"]);
    one.git(&["fetch", "-q"]);
    one.git(&["remote", "set-head", "origin", "--auto"]);
    let before = all(&origin);
    let (code, stderr) = one.refused(&["stage", "--push"]);
    assert!(code == 1 && stderr.contains("is the default branch of the remote"), "{stderr}");
    assert_eq!(all(&origin), before);
}

/// A git provider that accepts everything.
struct Patient;

impl PullRequestProvider for Patient {
    fn find(&self, _: &str, _: &str) -> Result<Option<PullRequestInfo>, providers::ProviderError> {
        Ok(None)
    }

    fn open_or_update(
        &self,
        _: &PullRequest,
    ) -> Result<providers::OpenPullRequest, providers::ProviderError> {
        Ok(providers::OpenPullRequest { number: 1, url: String::new(), change: PullRequestChange::Created })
    }

    fn close(&self, _: u64, _: &str) -> Result<(), providers::ProviderError> {
        Ok(())
    }
}

#[test]
fn commits_of_others_on_the_branch_of_a_pull_request_stay() {
    const BRANCH: &str = "refs/heads/pillion/next/log/main";
    let test_env = TestEnvironment::new();
    let (origin, one, other) = shared(&test_env);
    one.pillion(&["stage"]);
    let commit = one.id("pillion/main/log~5");
    let opened = opened(&one);
    let mut outside = RealEnvironment::new(BTreeMap::new(), || CommitTime { seconds: 0, offset_minutes: 0 });
    outside.provider = Some(Box::new(Patient));
    let propose = |outside: &mut RealEnvironment| {
        outside.fetch(&opened).unwrap();
        let deploy_branch = opened.read_deploy_branch().unwrap().0.unwrap();
        let proposal = ReleaseProposal {
            commit,
            message: "log: open",
            at: None,
            sidecar_set: "log",
            cluster: None,
            rollout: None,
        };
        outside.release(&opened, &deploy_branch, &proposal).unwrap()
    };
    assert!(matches!(propose(&mut outside), ReleaseOutcome::Proposed(_)));
    assert_eq!(origin.id(BRANCH), commit);
    other.git(&["fetch", "-q"]);
    other.git(&["switch", "-q", "-c", "mine", "origin/pillion/next/log/main"]);
    let fix = other.put("notes.txt", "mine").commit("a fix");
    other.git(&["push", "-q", "origin", "mine:pillion/next/log/main"]);
    for _ in 0..2 {
        match propose(&mut outside) {
            ReleaseOutcome::Blocked(words) => {
                assert!(words.contains(&fix.short()) && words.contains("--delete"), "{words}")
            }
            other => panic!("{other:?}"),
        }
        outside.withdraw_proposal(&opened, None, "log", "it waits").unwrap();
        assert_eq!(origin.id(BRANCH), fix);
    }
    origin.git(&["update-ref", BRANCH, &commit.to_string()]);
    outside.fetch(&opened).unwrap();
    outside.withdraw_proposal(&opened, None, "log", "it waits").unwrap();
    assert!(refs(&origin, "refs/heads/pillion/next").is_empty());
}
