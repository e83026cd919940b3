//! Watchers that are killed, race, lose their watches or find a moved branch reach the same end as one without
//! disturbance: seeded schedules on a simulated clock. `PILLION_SCHEDULES=N` runs more of them.

mod schedules;

use crate::support::git_fixtures::{Repo, TestEnvironment, on_top};
use crate::support::rollout_fixtures::{example, in_two_clusters, newer};
use crate::support::simulated_cluster::SimCluster;
use pillion::git::{
    Commit, CommitTime, ExpectedRef, HistoryWalk, ObjectId, RefUpdate, ReleaseStamp, trailer,
};
use pillion::rollout::RolloutState;
use pillion::stage::{BranchConfig, DeployBranch, PushOutcome, RepoContext, verify};
use pillion::watch::check::{CheckRequest, CheckResult};
use pillion::watch::decision::WatchDecision;
use pillion::watch::environment::{
    ClusterUnavailable, Environment, ReleaseOutcome, ReleaseProposal, WatchError,
};
use pillion::watch::evaluation::OutOfSyncSince;
use pillion::watch::events::EventSink;
use pillion::watch::notifier::{Notification, PayloadFormat};
use pillion::watch::report::EvaluationReport;
use pillion::watch::snapshot::Snapshot;
use pillion::watch::watch_loop::{Iteration, WatchContext, Watcher};
use pillion::workspace::ManifestSource;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Seconds that the pods of a batch must stay healthy, as the repository of these tests says.
const SOAK: i64 = 30;

/// Schedules that every run of the tests plays.
const SCHEDULES: u64 = 200;

/// Actions after which a schedule must have come to its end.
const MOST_ACTIONS: usize = 2000;

/// Chance, from a seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// Chance that a seed decides.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub(crate) fn roll(&mut self, n: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// What all watchers of a schedule share.
pub(crate) struct Shared {
    pub(crate) cluster: SimCluster,
    pub(crate) dice: Dice,
    /// Nothing goes wrong.
    pub(crate) is_calm: bool,
    /// The notifications of each receiver in the order of arrival, repeated ones too.
    arrived: BTreeMap<PayloadFormat, Vec<Notification>>,
    last_notified: BTreeMap<PayloadFormat, ObjectId>,
    notified_states: BTreeMap<PayloadFormat, BTreeSet<String>>,
    /// Messages that the receiver of Slack's form is still not going to take.
    refusals: usize,
    /// Commits of people that are still to come onto the deploy branch.
    edits: u32,
    /// The deploy head that the agent has applied last.
    pub(crate) applied: Option<ObjectId>,
    /// The head that was judged last: watchers would find the same.
    sound: Option<ObjectId>,
}

impl Shared {
    /// Nothing ever goes wrong.
    pub(crate) fn calm() -> Self {
        Self {
            cluster: SimCluster::new(),
            dice: Dice(1),
            is_calm: true,
            arrived: BTreeMap::new(),
            last_notified: BTreeMap::new(),
            notified_states: BTreeMap::new(),
            refusals: 0,
            edits: 0,
            applied: None,
            sound: None,
        }
    }
}

/// The environment of one watcher.
struct Sim<'a> {
    shared: &'a RefCell<Shared>,
}

impl Sim<'_> {
    fn strikes(&self, n: u64) -> bool {
        let mut shared = self.shared.borrow_mut();
        !shared.is_calm && shared.dice.one_in(n)
    }

    fn kill(&self, n: u64, at: &'static str) -> Result<(), WatchError> {
        if self.strikes(n) { Err(WatchError::Killed(at)) } else { Ok(()) }
    }

    fn fail(&self, n: u64, what: &str) -> Result<(), WatchError> {
        if self.strikes(n) {
            Err(WatchError::Service { message: what.to_owned(), is_retryable: true })
        } else {
            Ok(())
        }
    }
}

impl Environment for Sim<'_> {
    fn fetch(&mut self, _: &RepoContext) -> Result<(), WatchError> {
        self.kill(20, "before the fetch")?;
        self.fail(15, "the server is away")?;
        self.kill(20, "after the fetch")
    }

    fn observe_cluster(&mut self, _: Option<&str>) -> Result<Snapshot, ClusterUnavailable> {
        if self.strikes(10) {
            return Err(ClusterUnavailable("the watch of pods is lost".to_owned()));
        }
        Ok(self.shared.borrow().cluster.snapshot())
    }

    fn release(
        &mut self,
        opened: &RepoContext,
        deploy_branch: &DeployBranch<'_>,
        proposal: &ReleaseProposal<'_>,
    ) -> Result<ReleaseOutcome, WatchError> {
        self.kill(12, "before the push")?;
        self.fail(12, "the push failed")?;
        if self.shared.borrow().edits > 0 && self.strikes(4) {
            edit(opened, self.shared);
        }
        let commit = opened.repository.commit(proposal.commit).unwrap();
        let is_fresh = opened.repository.find_ref("refs/heads/main") == Some(deploy_branch.head.id);
        if is_fresh {
            rests_on_health(opened, &self.shared.borrow().cluster, &commit);
        }
        let put = opened.release(
            deploy_branch,
            proposal.commit,
            &ReleaseStamp { at: proposal.at.unwrap(), by: None, note: None },
        )?;
        self.kill(6, "after the push")?;
        Ok(ReleaseOutcome::Push(put))
    }

    fn withdraw_proposal(
        &mut self,
        _: &RepoContext,
        _: Option<&str>,
        _: &str,
        _: &str,
    ) -> Result<(), WatchError> {
        Ok(())
    }

    fn push_staged(&mut self, _: &RepoContext, _: RefUpdate) -> Result<(), WatchError> {
        Ok(())
    }

    fn run_check(&mut self, _: &CheckRequest) -> CheckResult {
        CheckResult::Pass(String::new())
    }

    fn receivers(&self) -> Vec<PayloadFormat> {
        vec![PayloadFormat::Plain, PayloadFormat::Slack]
    }

    fn last_notified(
        &mut self,
        _: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<Option<ObjectId>, WatchError> {
        Ok(self.shared.borrow().last_notified.get(&receiver).copied())
    }

    fn notify(&mut self, receiver: PayloadFormat, notification: &Notification) -> Result<(), WatchError> {
        // The stories are about commits; states that no commit says have tests of their own.
        if notification.id != notification.commit {
            return Ok(());
        }
        self.kill(10, "before telling")?;
        self.fail(10, "the webhook is away")?;
        {
            let mut shared = self.shared.borrow_mut();
            if receiver == PayloadFormat::Slack && shared.refusals > 0 {
                shared.refusals -= 1;
                return Err(WatchError::Service { message: "slack is away".to_owned(), is_retryable: true });
            }
            shared.arrived.entry(receiver).or_default().push(notification.clone());
        }
        self.kill(10, "after telling")
    }

    fn record_notified(
        &mut self,
        _: &RepoContext,
        receiver: PayloadFormat,
        before: Option<ObjectId>,
        commit: ObjectId,
    ) -> Result<(), WatchError> {
        self.kill(10, "before remembering")?;
        let mut shared = self.shared.borrow_mut();
        if shared.last_notified.get(&receiver).copied() == before {
            shared.last_notified.insert(receiver, commit);
        }
        Ok(())
    }

    fn notified_states(
        &mut self,
        _: &RepoContext,
        receiver: PayloadFormat,
    ) -> Result<BTreeSet<String>, WatchError> {
        Ok(self.shared.borrow().notified_states.get(&receiver).cloned().unwrap_or_default())
    }

    fn record_notified_states(
        &mut self,
        _: &RepoContext,
        receiver: PayloadFormat,
        _: ObjectId,
        keys: &BTreeSet<String>,
    ) -> Result<(), WatchError> {
        self.shared.borrow_mut().notified_states.insert(receiver, keys.clone());
        Ok(())
    }
}

/// A batch or the end rests on pods that are healthy at this moment, whatever the watcher has seen.
fn rests_on_health(opened: &RepoContext, cluster: &SimCluster, commit: &Commit) {
    let action = commit.trailer(trailer::ACTION).unwrap();
    let parent = opened.repository.commit(commit.parents[0]).unwrap();
    let (deploy_branch, _) = DeployBranch::read_at(
        &opened.repository,
        &opened.branches,
        &opened.config,
        ("main".into(), parent.id),
    )
    .unwrap();
    let deploy_branch = deploy_branch.unwrap();
    let (view, _) = deploy_branch.cluster_view(None);
    let ledger = view.ledger("log");
    let goes_back = ledger.target.as_ref() == Some(&ledger.released);
    if !["Batch", "Complete"].contains(&action.as_str()) || ledger.last_batch() == 0 {
        return;
    }
    let last = ledger.entries.iter().filter(|(_, l)| {
        // What a person holds is that person's to look after.
        let is_last = l.batch == Some(ledger.last_batch()) && l.hold_reason.is_none();
        l.revision == *ledger.target.as_ref().unwrap() && is_last
    });
    for (key, _) in last {
        let soak = if goes_back { 0 } else { SOAK };
        assert!(cluster.is_soaked(key, soak), "{}: {key} is not healthy", commit.subject());
    }
}

/// The commit of another person on the deploy branch: an image of an application, in the sources and rendered.
fn edit(opened: &RepoContext, shared: &RefCell<Shared>) {
    let mut shared = shared.borrow_mut();
    let Some(n) = shared.edits.checked_sub(1) else { return };
    shared.edits = n;
    let head = opened.repository.find_ref("refs/heads/main").unwrap();
    let tree = opened.repository.commit(head).unwrap().tree;
    let changed = ["apps/shop/web.yaml", "rendered/shop/web.yaml"].map(|path| {
        let entry = opened.repository.entry_at(tree, path).unwrap().unwrap();
        let text = String::from_utf8(opened.repository.read_blob(entry.id).unwrap()).unwrap();
        (path, text.replacen("image: registry.example/web:", &format!("image: registry.example/web:{n}-"), 1))
    });
    assert!(changed[0].1.contains(&format!("web:{n}-")), "{}", changed[0].1);
    let files = changed.each_ref().map(|(path, text)| (*path, text.as_str()));
    let commit = on_top(&opened.repository, head, &files);
    opened.repository.update_ref("refs/heads/main", commit, ExpectedRef::At(head), "edit").unwrap();
}

/// The agent: what the deploy branch holds is applied.
pub(crate) fn sync(repo: &Repo, shared: &RefCell<Shared>) {
    let repository = repo.open();
    let head = repository.find_ref("refs/heads/main").unwrap();
    if shared.borrow_mut().applied.replace(head) == Some(head) {
        return;
    }
    let tree = repository.commit(head).unwrap().tree;
    let files = repository.list_files(tree, &["rendered"]).unwrap();
    for file in files.into_iter().filter(|f| f.path.ends_with(".yaml")) {
        let text = String::from_utf8(repository.read_blob(file.id).unwrap()).unwrap();
        // `rendered/shop/cart.yaml`: the agent applies a folder to the namespace of its name.
        let namespace = file.path.split('/').nth(1).unwrap();
        shared.borrow_mut().cluster.apply(namespace, &text);
    }
}

/// Commits that a watcher says it has released, each with how often.
#[derive(Default)]
pub(crate) struct Heard(BTreeMap<ObjectId, u32>);

impl EventSink for Heard {
    fn on_evaluation(&mut self, report: &EvaluationReport) {
        for (commit, _) in report.rollouts.iter().filter_map(|item| item.released_commit.as_ref()) {
            *self.0.entry(*commit).or_default() += 1;
        }
    }

    fn on_staged_rewritten(&mut self, _: &str, _: &[Commit]) {}

    fn on_notify_failed(&mut self, _: &WatchError) {}
}

/// One turn of a watcher.
pub(crate) fn turn(
    watching: &Watcher,
    opened: &RepoContext,
    shared: &RefCell<Shared>,
    not_applied: &mut OutOfSyncSince,
    audience: &mut dyn EventSink,
) -> Result<Iteration, WatchError> {
    let environment = &mut Sim { shared };
    let mut sound = shared.borrow().sound;
    let ended = watching.run_iteration(&mut WatchContext {
        repo: opened,
        environment,
        out_of_sync_since: not_applied,
        verified_head: &mut sound,
        events: audience,
    });
    shared.borrow_mut().sound = sound;
    ended
}

/// One head, looked at again and again for as long as `goes_on` says.
pub(crate) fn head(
    watching: &Watcher,
    opened: &RepoContext,
    shared: &RefCell<Shared>,
    not_applied: &mut OutOfSyncSince,
    audience: &mut dyn EventSink,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Iteration, WatchError> {
    let environment = &mut Sim { shared };
    watching.watch_head(
        &mut WatchContext {
            repo: opened,
            environment,
            out_of_sync_since: not_applied,
            verified_head: &mut None,
            events: audience,
        },
        &mut |_, _| goes_on(),
    )
}

/// The name of the repository of a schedule.
const REPO: &str = "repo.git-work";

pub(crate) fn opened(repo: &Repo) -> RepoContext {
    let repository = repo.open();
    let config = PathBuf::from("pillion.yaml");
    let head = repository.find_ref("refs/heads/main").unwrap();
    let (read, _) = pillion::stage::read_configuration(&repository, head, &config).unwrap();
    let branches = BranchConfig::from_repository(&read.unwrap().repository).unwrap();
    RepoContext { repository, config, branches, manifest_source: ManifestSource::default() }
}

/// Schedules that are played.
pub(crate) fn count() -> u64 {
    std::env::var("PILLION_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(SCHEDULES)
}

/// Lets an undisturbed watcher work on a repository for some iterations, and returns the last reasons of each
/// rollout, by name.
pub(crate) fn watched(repo: &Repo, turns: usize) -> BTreeMap<String, String> {
    let shared = RefCell::new(Shared::calm());
    sync(repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    let (opened, mut heard) = (opened(repo), Heard::default());
    let mut reasons_by_set = BTreeMap::new();
    for _ in 0..turns {
        match turn(&Watcher::default(), &opened, &shared, &mut OutOfSyncSince::new(), &mut heard).unwrap() {
            Iteration::Evaluated(report) => {
                let reasons = |item: &pillion::watch::report::RolloutReport| item.reasons.join("; ");
                reasons_by_set =
                    report.rollouts.iter().map(|i| (i.sidecar_set.clone(), reasons(i))).collect();
            }
            Iteration::Invalid(diagnostics) => panic!("refused: {diagnostics:?}"),
        }
        sync(repo, &shared);
        shared.borrow_mut().cluster.pass(60);
    }
    reasons_by_set
}
