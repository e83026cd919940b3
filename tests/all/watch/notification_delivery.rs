//! Every commit is notified once and in order, wherever a watcher is killed in between.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::released;
use crate::support::scripted_servers::Scripted;
use pillion::git::{ObjectId, RefUpdate, StopToken};
use pillion::stage::{BranchConfig, DeployBranch, RepoContext, read_configuration};
use pillion::watch::check::{CheckRequest, CheckResult};
use pillion::watch::environment::{
    ClusterUnavailable, Environment, ReleaseOutcome, ReleaseProposal, WatchError,
};
use pillion::watch::http_client::{CaCertificates, HttpClient};
use pillion::watch::notifications::run_notifications;
use pillion::watch::notifier::{NOTIFY_TIMEOUT, Notification, Notifier, PayloadFormat};
use pillion::watch::real_environment::RealEnvironment;
use pillion::watch::snapshot::Snapshot;
use pillion::watch::watch_loop::Watcher;
use pillion::workspace::ManifestSource;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// A receiver that fails at some messages, once each.
#[derive(Default)]
struct Post {
    last_notified: Option<ObjectId>,
    notified_states: BTreeSet<String>,
    arrived: Vec<String>,
    fails_at: Vec<usize>,
    /// Another watcher sends this many notifications in between.
    others: Vec<ObjectId>,
}

impl Environment for Post {
    fn fetch(&mut self, _: &RepoContext) -> Result<(), WatchError> {
        unreachable!("the loop fetches")
    }

    fn observe_cluster(&mut self, _: Option<&str>) -> Result<Snapshot, ClusterUnavailable> {
        unreachable!("it is not looked at")
    }

    fn release(
        &mut self,
        _: &RepoContext,
        _: &DeployBranch<'_>,
        _: &ReleaseProposal<'_>,
    ) -> Result<ReleaseOutcome, WatchError> {
        unreachable!("nothing is released")
    }

    fn withdraw_proposal(
        &mut self,
        _: &RepoContext,
        _: Option<&str>,
        _: &str,
        _: &str,
    ) -> Result<(), WatchError> {
        unreachable!("nothing is withdrawn")
    }

    fn push_staged(&mut self, _: &RepoContext, _: RefUpdate) -> Result<(), WatchError> {
        unreachable!("nothing is staged")
    }

    fn run_check(&mut self, _: &CheckRequest) -> CheckResult {
        unreachable!("it is not asked")
    }

    fn receivers(&self) -> Vec<PayloadFormat> {
        vec![PayloadFormat::Plain]
    }

    fn last_notified(&mut self, _: &RepoContext, _: PayloadFormat) -> Result<Option<ObjectId>, WatchError> {
        Ok(self.last_notified)
    }

    fn notify(&mut self, _: PayloadFormat, notification: &Notification) -> Result<(), WatchError> {
        if let Some(at) = self.fails_at.iter().position(|n| *n == self.arrived.len()) {
            self.fails_at.remove(at);
            return Err(WatchError::Service { message: "it is away".to_owned(), is_retryable: true });
        }
        self.arrived.push(notification.subject.clone());
        Ok(())
    }

    fn record_notified(
        &mut self,
        _: &RepoContext,
        _: PayloadFormat,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), WatchError> {
        assert_eq!(self.last_notified, before);
        self.last_notified = Some(self.others.pop().unwrap_or(commit));
        Ok(())
    }

    fn notified_states(&mut self, _: &RepoContext, _: PayloadFormat) -> Result<BTreeSet<String>, WatchError> {
        Ok(self.notified_states.clone())
    }

    fn record_notified_states(
        &mut self,
        _: &RepoContext,
        _: PayloadFormat,
        _: ObjectId,
        keys: &BTreeSet<String>,
    ) -> Result<(), WatchError> {
        self.notified_states = keys.clone();
        Ok(())
    }
}

fn opened(repo: &Repo) -> RepoContext {
    let repository = repo.open();
    let config = PathBuf::from("pillion.yaml");
    let head = repository.find_ref("refs/heads/main").unwrap();
    let read = read_configuration(&repository, head, Path::new("pillion.yaml")).unwrap().0.unwrap();
    let branches = BranchConfig::from_repository(&read.repository).unwrap();
    RepoContext { repository, config, branches, manifest_source: ManifestSource::default() }
}

/// A deploy branch with so many batches, and its head before them.
fn batches(test_env: &TestEnvironment, n: usize) -> (Repo, Vec<ObjectId>) {
    let repo = released(test_env, "repo");
    let mut ids = vec![repo.id("main")];
    for batch in 1..=n {
        let message = format!("log: batch {batch}\n\nPillion-Action: Batch\nPillion-SidecarSet: log\n");
        repo.git(&["commit", "-q", "--allow-empty", "-m", &message]);
        ids.push(repo.id("main"));
    }
    (repo, ids)
}

/// Notifies until something fails, like a process that is ended then.
fn tell_once(opened: &RepoContext, environment: &mut dyn Environment) -> Option<Duration> {
    let (_, heads) = sync_channel(1);
    let mut again = None;
    let failed = &mut |_: &WatchError, time| again = Some(time);
    run_notifications(
        &Watcher::default(),
        (opened, environment),
        PayloadFormat::Plain,
        (&heads, &StopToken::default()),
        failed,
    );
    again
}

#[test]
fn a_new_process_goes_on_where_the_last_one_was_ended() {
    let test_env = TestEnvironment::new();
    let (repo, ids) = batches(&test_env, 5);
    let opened = opened(&repo);
    let mut post = Post { last_notified: Some(ids[0]), fails_at: vec![2, 4], ..Post::default() };
    assert!(tell_once(&opened, &mut post).is_some());
    assert_eq!(post.last_notified, Some(ids[2]), "what has arrived is remembered, one by one");
    assert!(tell_once(&opened, &mut post).is_some());
    assert_eq!(post.last_notified, Some(ids[4]));
    assert!(tell_once(&opened, &mut post).is_none());
    let all: Vec<String> = (1..=5).map(|n| format!("log: batch {n}")).collect();
    assert_eq!(post.arrived, all, "each once, in order");
    assert_eq!(post.last_notified, Some(ids[5]));
}

#[test]
fn what_another_watcher_has_told_is_not_told_again() {
    let test_env = TestEnvironment::new();
    let (repo, ids) = batches(&test_env, 5);
    let mut post = Post { last_notified: Some(ids[0]), others: vec![ids[3]], ..Post::default() };
    assert!(tell_once(&opened(&repo), &mut post).is_none());
    assert_eq!(post.arrived, ["log: batch 1", "log: batch 4", "log: batch 5"]);
}

#[test]
fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    for (retry_after, time) in [("400", 400), ("99999999999", 600), ("18446744073709551615", 600)] {
        let test_env = TestEnvironment::new();
        let (repo, ids) = batches(&test_env, 1);
        let opened = opened(&repo);
        let server = Scripted::new([(429, vec![("retry-after", retry_after)], String::new())]);
        let url = format!("{}/hook", server.url());
        let mut environment = RealEnvironment::new(BTreeMap::new(), || crate::support::git_fixtures::NOW);
        let notifier =
            Notifier::new(HttpClient::new(NOTIFY_TIMEOUT, &CaCertificates::default()), Some(&url), None)
                .unwrap();
        environment.notifier = Some(notifier);
        environment.record_notified(&opened, PayloadFormat::Plain, None, ids[0]).unwrap();
        assert_eq!(tell_once(&opened, &mut environment), Some(Duration::from_secs(time)));
        assert_eq!(server.asked().len(), 1);
    }
}
