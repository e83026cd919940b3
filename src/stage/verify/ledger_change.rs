//! Finds the pillion command that makes a change of a ledger.

use super::MAX_STEPS;
use super::ledger_action::{AuditedBatch, AuditedStep, LedgerAction};
use super::text_diff::ledger_difference;
use crate::diagnostics::{Code, Diagnostic};
use crate::git;
use crate::model::ledger::{self, Ledger, LedgerEntry, Revision};
use crate::rollout::transitions::{self, BatchRollback, HoldRequest};
use crate::rollout::workload_set::PlannedWorkload;
use crate::rollout::{
    ExternalState, RolloutContext, RolloutStep, approval_digest, can_start, next_step, required_approval,
    with_current_scope,
};
use crate::stage::ledger_history::is_earlier_state;
use crate::stage::preconditions::manual_revert;
use crate::stage::{ClusterView, DeployBranch, Error, ledger_after_batch, ledger_before_completion};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One ledger, before and after a commit.
pub(super) struct LedgerDiff<'a> {
    pub(super) context: &'a RolloutContext<'a>,
    pub(super) old: Option<&'a Ledger>,
    pub(super) new: &'a Ledger,
    pub(super) other_ledgers: &'a [&'a Ledger],
    /// The deploy branch before the commit, for earlier states of the ledger.
    pub(super) history: Option<(&'a DeployBranch<'a>, &'a Ledger)>,
    pub(super) cluster: Option<&'a str>,
    /// The day of the commit.
    pub(super) today: String,
    /// Why an earlier state could not be read.
    pub(super) history_error: RefCell<Option<Error>>,
}

impl LedgerDiff<'_> {
    /// Returns the action; None: no pillion command makes this change.
    ///
    /// # Errors
    /// When this clone does not have enough of the history.
    pub(super) fn find_action(&self, view: &ClusterView) -> Result<Option<LedgerAction>, Error> {
        let action = match self.old {
            None => self.is_initial(view).then(|| LedgerAction::Init(self.new.released.clone())),
            Some(old) => {
                self.find_transition(old).or_else(|| self.planned_steps(old).map(LedgerAction::Steps))
            }
        };
        match (action, self.history_error.take()) {
            (None, Some(failure)) => Err(failure),
            (action, _) => Ok(action),
        }
    }

    /// Records that an earlier state is not in this clone.
    fn record_history_error<T>(&self, state: Result<Option<T>, Error>) -> Option<T> {
        state.unwrap_or_else(|failure| {
            if let Error::Git(git::Error::Shallow { .. } | git::Error::MissingObject { .. }) = failure {
                self.history_error.replace(Some(failure));
            }
            None
        })
    }

    /// `init rollout`: nothing released, or the content of the SidecarSet's file; nothing else.
    fn is_initial(&self, view: &ClusterView) -> bool {
        let mut wanted = Ledger::new(&self.new.name);
        if self.equals_new(&wanted) {
            return true;
        }
        let Some(set) = view.prepared.sets.iter().find(|s| *s.name == *self.new.name) else { return false };
        let revision = Revision::from_set(set);
        wanted.released = Some(Arc::clone(&revision.name));
        wanted.revisions.insert(Arc::clone(&revision.name), revision);
        self.equals_new(&wanted)
    }

    fn find_transition(&self, old: &Ledger) -> Option<LedgerAction> {
        let source = self.context.source.as_ref().map(|r| Arc::clone(&r.name));
        let is =
            |ledger: Result<Ledger, transitions::TransitionError>| ledger.is_ok_and(|l| self.equals_new(&l));
        if let Some(paused) = &self.new.paused
            && is(transitions::pause(self.context, old, &paused.reason, paused.by.as_deref()))
        {
            return Some(LedgerAction::Pause { batch: paused.batch, reason: paused.reason.clone() });
        }
        if is(transitions::resume(self.context, old, &source)) {
            return Some(LedgerAction::Resume);
        }
        let back = || LedgerAction::RollBack(self.new.target.clone().unwrap_or_default());
        if is(transitions::roll_back(self.context, old)) || self.is_reopened() {
            return Some(back());
        }
        if self.is_batch_rollback() {
            return self.new.paused.as_ref().map(|paused| LedgerAction::RollBackToBatch(paused.batch));
        }
        if self.is_recount(old) {
            let scope = self.new.scope.as_ref();
            return Some(LedgerAction::Recount(scope.map_or(0, |scope| scope.workloads)));
        }
        self.added_approval(old).map(LedgerAction::Approve).or_else(|| self.hold_action(old))
    }

    /// `rollback --to`: the state after an earlier batch.
    fn is_batch_rollback(&self) -> bool {
        let Some((deploy_branch, old)) = self.history else { return false };
        match old.target {
            Some(_) => self.is_batch_rollback_of(deploy_branch, old),
            None => self
                .reopened_ledger()
                .is_some_and(|reopened| self.is_batch_rollback_of(deploy_branch, &reopened)),
        }
    }

    fn is_batch_rollback_of(&self, deploy_branch: &DeployBranch<'_>, open: &Ledger) -> bool {
        let Some(paused) = &self.new.paused else { return false };
        let past =
            self.record_history_error(ledger_after_batch(deploy_branch, self.cluster, open, paused.batch));
        past.is_some_and(|past| {
            let (reason, by) = (paused.reason.as_str(), paused.by.as_deref());
            let back = BatchRollback { batch: paused.batch, ledger_at_batch: &past, reason, by };
            transitions::roll_back_to_batch(self.context, open, &back).is_ok_and(|l| self.equals_new(&l))
        })
    }

    /// `rollback` after Complete.
    fn is_reopened(&self) -> bool {
        let back =
            self.reopened_ledger().and_then(|reopened| transitions::roll_back(self.context, &reopened).ok());
        back.is_some_and(|l| self.equals_new(&l))
    }

    fn reopened_ledger(&self) -> Option<Ledger> {
        let (deploy_branch, old) = self.history.filter(|(_, old)| old.target.is_none())?;
        let before = self.record_history_error(ledger_before_completion(deploy_branch, self.cluster, old))?;
        transitions::reopen_completed(self.context, old, &before).ok()
    }

    /// `start NAME --accept-missing`: the scope is recounted.
    fn is_recount(&self, old: &Ledger) -> bool {
        old.scope.is_some()
            && self.new.scope != old.scope
            && self.equals_new(&with_current_scope(self.context, old))
    }

    fn added_approval(&self, old: &Ledger) -> Option<u32> {
        let mut added = self.new.approvals.iter().filter(|a| !old.approvals.contains(a));
        added
            .next()
            .filter(|a| {
                [None, Some(self.today.clone())].into_iter().any(|today| {
                    let external = ExternalState { today, ..ExternalState::default() };
                    super::upcoming_batch_digest(self.context, old, a.batch, &external)
                        .is_some_and(|d| d == a.plan)
                }) && transitions::approve(old, a.batch, &a.plan).is_ok_and(|l| self.equals_new(&l))
            })
            .map(|a| a.batch)
    }

    fn hold_action(&self, old: &Ledger) -> Option<LedgerAction> {
        let keys: BTreeSet<&Arc<str>> = old.entries.keys().chain(self.new.entries.keys()).collect();
        let mut changed = keys.into_iter().filter(|key| old.entries.get(*key) != self.new.entries.get(*key));
        let (Some(key), None) = (changed.next(), changed.next()) else { return None };
        let release = || {
            let is_released = transitions::release_hold(old, key).is_ok_and(|l| self.equals_new(&l));
            is_released.then(|| LedgerAction::ReleaseHold(Arc::clone(key)))
        };
        let Some(workload) = self.context.workloads.find(key) else { return release() };
        let Some(entry) = self.new.entries.get(key) else { return release() };
        let LedgerEntry {
            hold_reason: Some(reason),
            held_by: Some(by),
            held_since: Some(since),
            images,
            held_until: until,
            ..
        } = entry
        else {
            return release();
        };
        // A changed hold began earlier; a recreated commit is younger than its hold.
        let is_held = [&*self.today, &**since].into_iter().any(|today| {
            let (reason, until) = (Some(&**reason), until.as_deref());
            let hold = HoldRequest { reason, images, by, today, until };
            transitions::hold(old, workload, &hold).is_ok_and(|l| self.equals_new(&l))
        });
        is_held.then(|| LedgerAction::Hold(Arc::clone(key), Box::new(entry.clone())))
    }

    /// Returns whether it is `hold --off` of a workload that was removed.
    pub(super) fn ends_hold_of_gone(&self, old: &Ledger) -> bool {
        let mut missing = old.entries.keys().filter(|key| !self.new.entries.contains_key(*key));
        missing.next().is_some_and(|key| {
            self.context.workloads.find(key).is_none()
                && transitions::release_hold(old, key).is_ok_and(|l| self.equals_new(&l))
        })
    }

    /// Returns the steps of the planner; preferably those that need no approval.
    fn planned_steps(&self, old: &Ledger) -> Option<Vec<AuditedStep>> {
        let mut found =
            self.possible_states(old).into_iter().filter_map(|external| self.steps_to_new(old, &external));
        let first = found.next()?;
        let is_free = |steps: &[AuditedStep]| steps.iter().all(AuditedStep::needs_no_approval);
        if is_free(&first) {
            return Some(first);
        }
        found.find(|steps| is_free(steps)).or(Some(first))
    }

    fn steps_to_new(&self, old: &Ledger, external: &ExternalState) -> Option<Vec<AuditedStep>> {
        let (mut at, mut taken) = (old.clone(), Vec::new());
        for _ in 0..MAX_STEPS {
            let step = next_step(self.context, &at, external);
            let after = step.ledger()?.clone();
            taken.push(match &step {
                RolloutStep::Start(after) => AuditedStep::Start(after.target.clone().unwrap_or_default()),
                RolloutStep::Complete(after) => AuditedStep::Complete(after.released.clone()),
                RolloutStep::Resume(_) => AuditedStep::Resume,
                RolloutStep::Batch(batch) => {
                    let missing_approval = required_approval(self.context, &at, batch)
                        .filter(|plan| !at.approvals.iter().any(|a| a.plan == *plan));
                    let plan = approval_digest(self.context, &at, batch.number, &batch.updates);
                    AuditedStep::Batch(AuditedBatch { number: batch.number, plan, missing_approval })
                }
                RolloutStep::Idle | RolloutStep::Blocked(_) => return None,
            });
            at = after;
            if self.equals_new(&at) {
                return Some(taken);
            }
        }
        None
    }

    /// Returns the states that a watcher may have seen: nothing, deferred workloads of other rollouts, unhealthy
    /// pods.
    fn possible_states(&self, old: &Ledger) -> Vec<ExternalState> {
        let observed = self.new.replicas.clone();
        let moved = |key: &&Arc<str>| old.entries.get(*key) != self.new.entries.get(*key);
        let busy = self.other_ledgers.iter().flat_map(|other| {
            let last = other.last_batch();
            other.entries.iter().filter(move |(_, l)| last > 0 && l.batch == Some(last)).map(|(key, _)| key)
        });
        let waiting = busy.filter(|key| !moved(key)).map(|key| (Arc::clone(key), String::new())).collect();
        let alone = ExternalState { observed_replicas: observed, ..ExternalState::default() };
        let unhealthy = self.new.entries.keys().filter(moved).cloned().collect();
        let mut found = vec![
            ExternalState { deferred: waiting, ..alone.clone() },
            ExternalState { unhealthy, ..alone.clone() },
            ExternalState { allows_removal: true, ..alone.clone() },
            alone,
        ];
        let mut also = |change: &dyn Fn(&mut ExternalState)| {
            let mut more = found.clone();
            more.iter_mut().for_each(change);
            found.extend(more);
        };
        let today = Some(self.today.as_str());
        let is_over = |workload: &PlannedWorkload| {
            workload.override_hold.is_some() && workload.active_override_hold(today).is_none()
        };
        if old.entries.iter().any(|(key, l)| self.context.is_hold_over(key, l, today))
            || self.context.workloads.as_slice().iter().any(is_over)
        {
            also(&|external| external.today = Some(self.today.clone()));
        }
        // A person has started what the sources contain.
        if can_start(self.context, old) && (old.target.is_some() || old.paused.is_some()) {
            also(&|external| (external.is_start_requested, external.replaces_paused) = (true, true));
        }
        found
    }

    fn equals_new(&self, ledger: &Ledger) -> bool {
        ledger::emit(ledger) == ledger::emit(self.new)
    }

    /// Reports the first byte that the planner would not have written.
    pub(super) fn to_diagnostic(
        &self,
        deploy_branch: &DeployBranch<'_>,
        cluster: Option<&str>,
    ) -> Diagnostic {
        let written = ledger::emit(self.new);
        let planned = self.old.map(|old| {
            let step = next_step(self.context, old, &ExternalState::default());
            step.ledger().unwrap_or(old).clone()
        });
        // Either nothing or the next step was meant: the closer one explains more.
        let wanted = [self.old.cloned(), planned].map(|l| l.unwrap_or_else(|| Ledger::new(&self.new.name)));
        let alike = |text: &String| text.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
        let planned = wanted.iter().map(ledger::emit).max_by_key(alike).unwrap_or_default();
        let file = deploy_branch.configuration.ledger_path(cluster, &self.new.name).unwrap_or_default();
        let what = format!(
            "commit {} changes the ledger of `{}` in a way that no pillion command does",
            deploy_branch.head.id.short(),
            self.new.name
        );
        let diagnostic = ledger_difference(&file.into(), &written, &planned, &what)
            .unwrap_or_else(|| Diagnostic::error(Code::LedgerNotPlanned, what));
        if self.is_reverted() { manual_revert(diagnostic, cluster, self.new) } else { diagnostic }
    }

    /// Returns whether the ledger is in the state after an earlier batch of the same rollout: `git revert`.
    fn is_reverted(&self) -> bool {
        let Some((deploy_branch, old)) = self.history.filter(|(_, old)| is_earlier_state(old, self.new))
        else {
            return false;
        };
        let past = ledger_after_batch(deploy_branch, self.cluster, old, self.new.last_batch());
        self.record_history_error(past).is_some_and(|past| self.equals_new(&past))
    }
}
