//! The results of an evaluation, for logs, metrics, `status --watch` and exit codes.

use super::decision::{ExplainedDecision, WatchDecision};
use super::health::HealthReport;
use super::metrics::EvaluationOutcome;
use super::rollout_set::WatchedRollout;
use crate::diagnostics::escape;
use crate::git::ObjectId;
use crate::model::api::PILLION_API_VERSION;
use crate::model::ledger::revision_text;
use crate::rollout::{Gate, RolloutState, RolloutStep};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The results of an evaluation.
#[derive(Debug, Clone)]
pub struct EvaluationReport {
    /// The evaluated deploy head.
    pub(crate) head: ObjectId,
    /// The latest time of an API server; None: no server has answered.
    pub(crate) now: Option<Timestamp>,
    /// Each rollout, by cluster and name.
    pub rollouts: Vec<RolloutReport>,
    /// The deploy branch has moved, by this evaluation or concurrently.
    pub(crate) head_moved: bool,
}

/// The result for one rollout.
#[derive(Debug, Clone)]
pub struct RolloutReport {
    /// The cluster, if pillion.yaml names clusters.
    pub(crate) cluster: Option<String>,
    /// The SidecarSet.
    pub sidecar_set: String,
    /// Its state.
    pub state: RolloutState,
    /// The released revision.
    pub(crate) from: String,
    /// The target revision.
    pub(crate) to: Option<String>,
    /// The latest batch.
    pub(crate) batch: u32,
    /// The last batch of the plan.
    pub(crate) batches: u32,
    /// What the watcher does.
    pub decision: WatchDecision,
    /// What `Advance` counts as: the next step of the plan.
    pub(crate) step: EvaluationOutcome,
    /// The reasons, the most important first.
    pub reasons: Vec<String>,
    /// The gate that decided it, where one did.
    pub(crate) gate: Option<Gate>,
    /// A batch has been out of sync for longer than an agent needs.
    pub(crate) is_out_of_sync: bool,
    /// When time alone may change the decision.
    pub(crate) changes_at: Option<Timestamp>,
    /// Health of the released workloads; None: there is no current view.
    pub(crate) health: Option<HealthReport>,
    /// The released commit, and its subject.
    pub released_commit: Option<(ObjectId, String)>,
    /// Where it was pushed to.
    pub(crate) pushed_to: Option<String>,
    /// The commit is proposed and waits for a merge.
    pub(crate) is_proposed: bool,
    /// A push was rejected as non-fast-forward.
    pub(crate) is_push_conflict: bool,
}

impl EvaluationReport {
    pub(super) fn new(head: ObjectId) -> Self {
        Self { head, now: None, rollouts: Vec::new(), head_moved: false }
    }

    /// Returns when time alone may change a decision.
    pub(crate) fn changes_at(&self) -> Option<Timestamp> {
        self.rollouts.iter().filter_map(|i| i.changes_at).min()
    }

    /// Returns a document with `apiVersion` and `kind`.
    pub(crate) fn to_json(&self) -> Value {
        let items: Vec<Value> = self.rollouts.iter().map(RolloutReport::to_json).collect();
        json!({"apiVersion": PILLION_API_VERSION, "kind": "Evaluation", "head": self.head.to_string(), "items": items})
    }
}

impl RolloutReport {
    pub(super) fn new(
        watched: &WatchedRollout<'_>,
        health: Option<HealthReport>,
        explained: &ExplainedDecision,
    ) -> Self {
        let ledger = &watched.rollout.ledger;
        Self {
            cluster: watched.cluster.clone(),
            sidecar_set: watched.name().to_owned(),
            state: watched.rollout.state(),
            from: revision_text(&ledger.released).to_owned(),
            to: ledger.target.as_ref().map(|t| revision_text(t).to_owned()),
            batch: ledger.last_batch(),
            batches: watched.rollout.last_batch(),
            decision: explained.decision.clone(),
            step: match watched.rollout.steps.first() {
                Some(RolloutStep::Start(_)) => EvaluationOutcome::Start,
                Some(RolloutStep::Batch(_)) => EvaluationOutcome::Batch,
                Some(RolloutStep::Complete(_)) => EvaluationOutcome::Complete,
                Some(RolloutStep::Idle | RolloutStep::Blocked(_) | RolloutStep::Resume(_)) | None => {
                    EvaluationOutcome::Idle
                }
            },
            reasons: explained.reasons.iter().map(|r| escape::line(r).into_owned()).collect(),
            gate: explained.gate,
            is_out_of_sync: explained.is_out_of_sync,
            changes_at: explained.changes_at,
            health,
            released_commit: None,
            pushed_to: None,
            is_proposed: false,
            is_push_conflict: false,
        }
    }

    fn to_json(&self) -> Value {
        let workloads: Vec<Value> = self
            .health
            .iter()
            .flat_map(|j| &j.workloads)
            .map(|w| {
                json!({
                    "workload": &*w.key, "batch": w.batch, "health": w.status.name(), "desired": w.desired,
                    "updated": w.updated, "ready": w.ready, "reasons": w.reasons,
                    "evidence": w.evidence.iter().map(super::health::HealthEvidence::to_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "cluster": self.cluster,
            "sidecarSet": self.sidecar_set,
            "state": self.state.to_string(),
            "from": self.from,
            "to": self.to,
            "batch": self.batch,
            "batches": self.batches,
            "decision": self.decision.name(),
            "gate": self.gate.map(Gate::name),
            "reasons": self.reasons,
            "changesAt": self.changes_at.map(|t| t.to_string()),
            "commit": self.released_commit.as_ref().map(|(id, _)| id.to_string()),
            "proposed": self.is_proposed,
            "workloads": workloads,
        })
    }
}
