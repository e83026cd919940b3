//! What an evaluation found and did: for logs, metrics, `status --watch` and exit codes.

use super::decide::{Decided, Decision};
use super::evaluate::Looked;
use super::judge::{Health, Judgement};
use super::standing::Watched;
use crate::diag::plain;
use crate::git::Id;
use crate::model::ledger::name_text;
use crate::plan::Step;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What an evaluation found and did.
#[derive(Debug, Clone)]
pub struct Report {
    /// The live head that was looked at.
    pub head: Id,
    /// The clock of the API server that was asked last; None: none has answered.
    pub now: Option<Timestamp>,
    /// Each rollout, by cluster and name.
    pub items: Vec<Item>,
    /// The live branch has moved: by this evaluation, or by somebody else in its course.
    pub moved: bool,
}

/// One rollout.
#[derive(Debug, Clone)]
pub struct Item {
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<String>,
    /// The SidecarSet.
    pub sidecar_set: String,
    /// Where it stands: `Released`, `NotStaged`, `Open`, `RollingBack`, `Paused`.
    pub state: &'static str,
    /// What is released.
    pub from: String,
    /// The target.
    pub to: Option<String>,
    /// The batch that is out.
    pub batch: u32,
    /// The last one of the plan.
    pub batches: u32,
    /// What is done: `Advance`, `Pause`, `RollBack`, `Wait`, `Rest`.
    pub decision: &'static str,
    /// The step that the planner would take: `Open`, `Batch`, `Close`, `Rest`.
    pub step: &'static str,
    /// Why, the most important first.
    pub reasons: Vec<String>,
    /// The moment at which it may be another decision although nothing happens.
    pub changes_at: Option<Timestamp>,
    /// What the judge says of what is out; None: nothing certain is known.
    pub judgement: Option<Judgement>,
    /// The commit that was released, and its subject.
    pub released: Option<(Id, String)>,
    /// Where it is now.
    pub place: Option<String>,
    /// The commit is proposed, and waits for a person.
    pub is_proposed: bool,
    /// Somebody else was faster with a push.
    pub is_late: bool,
}

impl Report {
    pub(super) fn new(head: Id) -> Self {
        Self { head, now: None, items: Vec::new(), moved: false }
    }

    /// Returns the next moment at which something may change although nothing happens.
    pub fn changes_at(&self) -> Option<Timestamp> {
        self.items.iter().filter_map(|i| i.changes_at).min()
    }

    /// Returns a document with `apiVersion` and `kind`.
    pub fn json(&self) -> Value {
        let items: Vec<Value> = self.items.iter().map(Item::json).collect();
        json!({"apiVersion": "pillion.dev/v1alpha1", "kind": "Evaluation", "head": self.head.to_string(), "items": items})
    }
}

impl Item {
    pub(super) fn new(watched: &Watched<'_>, looked: &Looked<'_>, decided: &Decided) -> Self {
        let ledger = &watched.rollout.ledger;
        Self {
            cluster: watched.cluster.clone(),
            sidecar_set: watched.name().to_owned(),
            state: state(watched),
            from: name_text(&ledger.released).to_owned(),
            to: ledger.target.as_ref().map(|t| name_text(t).to_owned()),
            batch: ledger.last_batch(),
            batches: watched.rollout.last_batch(),
            decision: match &decided.decision {
                Decision::Advance => "Advance",
                Decision::Pause(_) => "Pause",
                Decision::RollBack(_) => "RollBack",
                Decision::Wait => "Wait",
                Decision::Rest => "Rest",
            },
            step: match watched.rollout.steps.first() {
                Some(Step::Open(_)) => "Open",
                Some(Step::Batch(_)) => "Batch",
                Some(Step::Close(_)) => "Close",
                Some(Step::Rest(_) | Step::Resume(_)) | None => "Rest",
            },
            reasons: decided.reasons.iter().map(|r| plain::line(r).into_owned()).collect(),
            changes_at: decided.changes_at,
            judgement: looked.judgement.clone(),
            released: None,
            place: None,
            is_proposed: false,
            is_late: false,
        }
    }

    /// Tells whether nothing is left to be done, or nothing has begun.
    pub fn is_at_rest(&self) -> bool {
        self.decision == "Rest" && self.state != "Paused"
    }

    fn json(&self) -> Value {
        let workloads: Vec<Value> = self
            .judgement
            .iter()
            .flat_map(|j| &j.workloads)
            .map(|w| {
                json!({
                    "workload": &*w.key, "batch": w.batch, "health": health(w.health), "wanted": w.wanted,
                    "carrying": w.carrying, "ready": w.ready, "reasons": w.reasons,
                    "evidence": w.evidence.iter().map(super::judge::Evidence::json).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "cluster": self.cluster,
            "sidecarSet": self.sidecar_set,
            "state": self.state,
            "from": self.from,
            "to": self.to,
            "batch": self.batch,
            "batches": self.batches,
            "decision": self.decision,
            "reasons": self.reasons,
            "changesAt": self.changes_at.map(|t| t.to_string()),
            "commit": self.released.as_ref().map(|(id, _)| id.to_string()),
            "proposed": self.is_proposed,
            "workloads": workloads,
        })
    }
}

/// The name of a health in data.
pub fn health(health: Health) -> &'static str {
    match health {
        Health::NotApplied => "NotApplied",
        Health::Progressing => "Progressing",
        Health::OnHold => "OnHold",
        Health::Disturbed => "Disturbed",
        Health::Soaking { .. } => "Soaking",
        Health::Healthy => "Healthy",
        Health::NoEvidence => "NoEvidence",
        Health::Failing(_) => "Failing",
        Health::Stalled => "Stalled",
    }
}

fn state(watched: &Watched<'_>) -> &'static str {
    let ledger = &watched.rollout.ledger;
    match (&ledger.target, &ledger.paused, watched.rollout.steps.first()) {
        (_, Some(_), _) => "Paused",
        (Some(target), None, _) if *target == ledger.released => "RollingBack",
        (Some(_), None, _) => "Open",
        (None, None, Some(Step::Rest(crate::plan::Rest::Done)) | None) => "Released",
        (None, None, _) => "NotStaged",
    }
}
