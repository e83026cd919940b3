//! The real environment: git through the `git` program, clusters through kube, receivers and providers through HTTP.

use super::check::{BatchCheck, CheckRequest, CheckResult};
use super::environment::{ClusterUnavailable, Environment, ReleaseOutcome, ReleaseProposal, WatchError};
use super::notifier::{DeliveryError, Notification, NotificationReceiver, Notifier, PayloadFormat};
use super::observe::Observer;
use super::proposal::{
    self, CommitProposal, PROPOSAL_GLOB, ProposalOutcome, foreign_commit_reason, propose_commit,
    withdraw_commit,
};
use super::providers::PullRequestProvider;
use super::snapshot::Snapshot;
use crate::git::{
    CommitTime, ExpectedRef, NewCommit, ObjectId, RefMove, RefUpdate, ReleaseStamp, Signature, Signing,
    StopToken, Upstream,
};
use crate::stage::{DeployBranch, Error, ProposalBranch, RepoContext};
use std::collections::{BTreeMap, BTreeSet};

/// Refs that record the last commit that each receiver was notified of.
const NOTIFIED_REF_PREFIX: &str = "refs/pillion/notified";

/// Refs that record the states that each receiver was notified of, in the message of a commit.
const NOTIFIED_STATES_REF_PREFIX: &str = "refs/pillion/notified-states";

/// The real environment.
pub struct RealEnvironment {
    /// The observed clusters; None: the only cluster of a repository that names none.
    pub(crate) observers: BTreeMap<Option<String>, Observer>,
    /// Receivers of notifications.
    pub notifier: Option<Notifier>,
    /// The check before a batch.
    pub(crate) check: Option<BatchCheck>,
    /// The provider of pull requests; None: commits are pushed.
    pub provider: Option<Box<dyn PullRequestProvider>>,
    /// Request to stop: no new action is started after it.
    pub(crate) stop: StopToken,
    /// The time if no API server has answered.
    pub(crate) clock: fn() -> CommitTime,
    /// Up-to-date pull requests, by branch: the commit, and the number.
    proposed_commits: BTreeMap<String, (ObjectId, u64)>,
    /// Branches of pull requests that stay because they hold commits of others: what was logged of them.
    kept_branches: BTreeSet<String>,
}

impl RealEnvironment {
    /// Starts with clusters only: no receivers, no check, and commits are pushed.
    pub fn new(observers: BTreeMap<Option<String>, Observer>, clock: fn() -> CommitTime) -> Self {
        let (stop, proposed, left) = (StopToken::default(), BTreeMap::new(), BTreeSet::new());
        Self {
            observers,
            notifier: None,
            check: None,
            provider: None,
            stop,
            clock,
            proposed_commits: proposed,
            kept_branches: left,
        }
    }

    /// Fails if a stop is requested.
    fn check_not_stopping(&self) -> Result<(), WatchError> {
        if self.stop.is_requested() { Err(WatchError::ShuttingDown) } else { Ok(()) }
    }

    /// Proposes a commit on its own branch; merging that releases it. The commit has no time of release, so it stays
    /// the same until the deploy branch moves.
    fn propose(
        &mut self,
        repo: &RepoContext,
        deploy: &DeployBranch<'_>,
        proposal: &ReleaseProposal<'_>,
    ) -> Result<Option<ReleaseOutcome>, WatchError> {
        let Some(provider) = &self.provider else { return Ok(None) };
        let branch = ProposalBranch::next_step(&repo.branches.deploy, proposal.cluster, proposal.sidecar_set);
        if let Some(text) = foreign_commit_reason(repo, deploy.head.id, &branch)? {
            return Ok(Some(ReleaseOutcome::Blocked(format!("nothing is proposed: {text}"))));
        }
        let number = match self.proposed_commits.get(&branch.name) {
            Some((commit, number)) if *commit == proposal.commit => *number,
            _ => {
                let (commit, rollout) = (proposal.commit, proposal.rollout);
                let proposed = CommitProposal { commit, branch: &branch, rollout };
                match propose_commit(repo, deploy, &**provider, &proposed)? {
                    ProposalOutcome::Open(_, opened) => {
                        self.proposed_commits.insert(branch.name, (commit, opened.number));
                        opened.number
                    }
                    ProposalOutcome::Blocked(text) => {
                        return Ok(Some(ReleaseOutcome::Blocked(format!("nothing is proposed: {text}"))));
                    }
                }
            }
        };
        let reference = provider.reference(number);
        let text = format!("proposed as {reference}: merging it releases the commit");
        Ok(Some(ReleaseOutcome::Proposed(text)))
    }
}

impl Environment for RealEnvironment {
    fn fetch(&mut self, repo: &RepoContext) -> Result<(), WatchError> {
        self.check_not_stopping()?;
        kill_point("fetch");
        let staged = repo.branches.staged_glob();
        let proposed = self.provider.as_ref().map(|_| PROPOSAL_GLOB);
        let more: Vec<&str> = [staged.as_str()].into_iter().chain(proposed).collect();
        Ok(repo.fetch_with(&more).map(drop)?)
    }

    fn observe_cluster(&mut self, cluster: Option<&str>) -> Result<Snapshot, ClusterUnavailable> {
        let observer = self.observers.get(&cluster.map(str::to_owned));
        let observer =
            observer.ok_or_else(|| ClusterUnavailable("this cluster is not watched".to_owned()))?;
        observer.snapshot().map_err(|none| ClusterUnavailable(none.to_string()))
    }

    fn release(
        &mut self,
        repo: &RepoContext,
        deploy: &DeployBranch<'_>,
        proposal: &ReleaseProposal<'_>,
    ) -> Result<ReleaseOutcome, WatchError> {
        self.check_not_stopping()?;
        kill_point("before-push");
        let released = match self.propose(repo, deploy, proposal)? {
            Some(proposed) => proposed,
            None => {
                let release =
                    ReleaseStamp { at: proposal.at.unwrap_or_else(self.clock), by: None, note: None };
                ReleaseOutcome::Push(repo.release(deploy, proposal.commit, &release)?)
            }
        };
        kill_point("after-push");
        Ok(released)
    }

    fn withdraw_proposal(
        &mut self,
        repo: &RepoContext,
        cluster: Option<&str>,
        sidecar_set: &str,
        reason: &str,
    ) -> Result<(), WatchError> {
        self.check_not_stopping()?;
        let Some(provider) = &self.provider else { return Ok(()) };
        let branch = ProposalBranch::next_step(&repo.branches.deploy, cluster, sidecar_set);
        self.proposed_commits.remove(&branch.name);
        let Some(head) = repo.deploy_head() else { return Ok(()) };
        if let Some(text) = withdraw_commit(repo, head, &**provider, (&branch, reason))?
            && self.kept_branches.insert(text.clone())
        {
            tracing::warn!("an obsolete branch is kept: {text}");
        }
        Ok(())
    }

    fn push_staged(&mut self, repo: &RepoContext, update: RefUpdate) -> Result<(), WatchError> {
        self.check_not_stopping()?;
        push_ref(repo, update)
    }

    fn run_check(&mut self, request: &CheckRequest) -> CheckResult {
        self.check.as_ref().map_or_else(|| CheckResult::Pass(String::new()), |check| check.run(request))
    }

    fn receivers(&self) -> Vec<PayloadFormat> {
        self.notifier.iter().flat_map(Notifier::receivers).map(NotificationReceiver::format).collect()
    }

    fn last_notified(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<Option<ObjectId>, WatchError> {
        self.check_not_stopping()?;
        let upstream = upstream(repo)?;
        Ok(repo.repository.fetch_ref(&upstream, &notified_ref(repo, receiver))?)
    }

    fn notify(&mut self, receiver: PayloadFormat, notification: &Notification) -> Result<(), WatchError> {
        self.check_not_stopping()?;
        kill_point("before-notify");
        let Some(notifier) = &self.notifier else { return Ok(()) };
        for receiver in notifier.receivers().iter().filter(|r| r.format() == receiver) {
            notifier.send(receiver, notification).map_err(delivery_error)?;
        }
        kill_point("after-notify");
        Ok(())
    }

    fn record_notified(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), WatchError> {
        let (name, expected) = (notified_ref(repo, receiver), ExpectedRef::from_found(before));
        push_ref(repo, RefUpdate { name, to: Some(commit), expected, kind: RefMove::Force })
    }

    fn notified_states(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<BTreeSet<String>, WatchError> {
        self.check_not_stopping()?;
        let found = repo.repository.fetch_ref(&upstream(repo)?, &notified_states_ref(repo, receiver))?;
        let Some(record) = found.map(|id| repo.repository.commit(id)).transpose()? else {
            return Ok(BTreeSet::new());
        };
        let keys = record.message.lines().skip(2).filter(|line| !line.is_empty());
        Ok(keys.map(str::to_owned).collect())
    }

    fn record_notified_states(
        &mut self,
        repo: &RepoContext,
        receiver: PayloadFormat,
        head: ObjectId,
        keys: &BTreeSet<String>,
    ) -> Result<(), WatchError> {
        let name = notified_states_ref(repo, receiver);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let message = format!("states that {} was notified of\n\n{}\n", receiver.name(), keys.join("\n"));
        let repository = &repo.repository;
        let tree = repository.commit(head)?.tree;
        let who = Signature::new(&repo.branches.identity, (self.clock)());
        let record = NewCommit { tree, parents: &[head], message: &message, author: who, committer: who };
        let commit = repository.write_commit(&record, &Signing::disabled())?;
        let expected = ExpectedRef::from_found(repository.find_ref(&name));
        push_ref(repo, RefUpdate { name, to: Some(commit), expected, kind: RefMove::Force })
    }
}

fn notified_states_ref(repo: &RepoContext, receiver: PayloadFormat) -> String {
    format!("{NOTIFIED_STATES_REF_PREFIX}/{}/{}", receiver.name(), repo.branches.deploy)
}

fn delivery_error(error: DeliveryError) -> WatchError {
    WatchError::service(error.to_string(), error.is_retryable, error.retry_after)
}

fn notified_ref(repo: &RepoContext, receiver: PayloadFormat) -> String {
    format!("{NOTIFIED_REF_PREFIX}/{}/{}", receiver.name(), repo.branches.deploy)
}

fn upstream(repo: &RepoContext) -> Result<Upstream, Error> {
    Ok(repo.repository.upstream(&repo.branches.remote)?)
}

/// Pushes one ref to the remote, or updates it here if there is none.
fn push_ref(repo: &RepoContext, update: RefUpdate) -> Result<(), WatchError> {
    match proposal::push_ref(repo, update) {
        // Another watcher has written the same or something newer: the next evaluation sees it.
        Err(WatchError::Git(Error::Git(crate::git::Error::RefMoved { .. }))) => Ok(()),
        pushed => pushed,
    }
}

/// A point at which tests abort the process as SIGKILL does: no destructor runs, nothing is flushed.
#[cfg(debug_assertions)]
fn kill_point(point: &str) {
    if std::env::var("PILLION_KILL_AT").is_ok_and(|at| at == point) {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
fn kill_point(_: &str) {}
