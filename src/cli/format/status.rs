//! The status of rollouts, as text and JSON.

use super::costs::{self, ClusterCosts};
use super::inventory::{self, InventoryRow};
use crate::diagnostics::pluralize;
use crate::git::{Commit, ObjectId};
use crate::model::api::PILLION_API_VERSION;
use crate::model::ledger::{Ledger, RevisionName, revision_text};
use crate::model::timestamp::format_time;
use crate::rollout::report::{HeldWorkloadReport, HoldState};
use crate::rollout::sidecar_costs::{CostExtent, SidecarCost};
use crate::rollout::{GateStatus, RolloutContext, RolloutState, WorkloadCount};
use crate::stage::ClusterView;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The maximum number of listed holds.
const MAX_HOLDS: usize = 10;

/// A rollout in the versions of its containers.
pub(in crate::cli) struct StatusSummary {
    /// The change of a rollout in progress: `logtail 1.4.2 -> 1.5.0`.
    pub(in crate::cli) change: Option<String>,
    /// The released revision: `logtail 1.4.2`.
    pub(in crate::cli) released: String,
    /// The target, where a rollout is in progress.
    pub(in crate::cli) target: Option<String>,
    /// The file; None: it is deleted.
    pub(in crate::cli) source: Option<String>,
}

/// The status of one rollout.
pub(in crate::cli) struct LedgerStatus {
    pub(in crate::cli) name: String,
    pub(in crate::cli) cluster: Option<String>,
    pub(in crate::cli) ledger: Ledger,
    pub(in crate::cli) summary: StatusSummary,
    /// What the next step waits for, as far as git tells.
    pub(in crate::cli) gates: Vec<GateStatus>,
    /// The last commit that changed the ledger.
    pub(in crate::cli) since: Option<Commit>,
    pub(in crate::cli) state: RolloutState,
    /// The rollout moves workloads with an expired hold to the released revision.
    pub(in crate::cli) has_expired_hold: bool,
    pub(in crate::cli) batches: u32,
    pub(in crate::cli) updated: u32,
    pub(in crate::cli) pods: u32,
    /// How many workloads took the target with their own change, in a sentence.
    pub(in crate::cli) piggybacked: Option<String>,
    /// Workloads and pods that took the target with their own change, and those that take it with their next one.
    pub(in crate::cli) piggyback_counts: [WorkloadCount; 2],
    pub(in crate::cli) held: Vec<HeldWorkloadReport>,
    /// The revision of the file, where the rollout has another target.
    pub(in crate::cli) newer_revision: Option<RevisionName>,
    /// What becomes of that revision.
    pub(in crate::cli) newer_hint: String,
    /// The next step changes the target: the numbers of pods are about the new one.
    pub(in crate::cli) starts: bool,
    pub(in crate::cli) next: String,
    /// Why the rollout does not end with the batches that follow.
    pub(in crate::cli) then_blocked: Option<String>,
}

/// What a person asked for besides; None: not asked for.
pub(in crate::cli) struct StatusDetails {
    /// What the sidecars request.
    pub(in crate::cli) costs: Option<Vec<ClusterCosts>>,
    /// What each workload has.
    pub(in crate::cli) inventory: Option<Vec<InventoryRow>>,
}

impl StatusDetails {
    /// Adds those of the SidecarSets of a cluster with some ledgers.
    pub(in crate::cli) fn add_cluster(&mut self, view: &ClusterView, ledgers: &[&Ledger]) {
        let contexts = || ledgers.iter().map(|ledger| (view.rollout_context(&ledger.name).0, *ledger));
        if let Some(costs) = &mut self.costs {
            let of_set = |(context, ledger): (RolloutContext<'_>, _)| {
                view.sidecar_costs(&context, [ledger, ledger], ledger)
            };
            let of_cluster: Vec<SidecarCost> = contexts().flat_map(of_set).collect();
            costs.push(ClusterCosts::of(view, &of_cluster));
        }
        if let Some(inventory) = &mut self.inventory {
            for (context, ledger) in contexts() {
                let sidecars = view.sidecar_inventory(&context, ledger).into_iter();
                inventory.extend(sidecars.map(|s| InventoryRow::new(view.cluster.as_ref(), s)));
            }
        }
    }

    /// Returns them as text, with an empty line before each table.
    pub(in crate::cli) fn to_text(&self, is_verbose: bool) -> String {
        let inventory = self.inventory.as_deref().map(inventory::to_text).unwrap_or_default();
        inventory + &costs::to_text(self.costs.as_deref().unwrap_or_default(), is_verbose)
    }
}

/// Returns the status of rollouts at a commit of the deploy branch as a JSON document.
pub(in crate::cli) fn to_json(head: ObjectId, statuses: &[LedgerStatus], details: &StatusDetails) -> String {
    let items: Vec<Value> = statuses.iter().map(LedgerStatus::to_json).collect();
    let mut document = json!({
        "apiVersion": PILLION_API_VERSION, "kind": "Status", "head": head.to_string(), "items": items,
    });
    if let Some(inventory) = &details.inventory {
        document["workloads"] = inventory::to_json(inventory);
    }
    if let Some(costs) = &details.costs {
        document["costs"] = costs::to_json(costs, CostExtent::Present);
    }
    format!("{document}\n")
}

/// Describes the commit that a rollout is at: its time, id and subject.
fn describe_commit(commit: &Commit) -> String {
    let planned = match commit.author_time.seconds == commit.time.seconds {
        true => String::new(),
        false => format!(", planned {}", format_time(commit.author_time.seconds)),
    };
    let time = format_time(commit.time.seconds);
    format!("{time} ({} {}){planned}", commit.id.short(), commit.subject())
}

impl LedgerStatus {
    pub(in crate::cli) fn to_text(&self) -> String {
        let mut text = String::new();
        let of = self.cluster.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
        let ledger = &self.ledger;
        let _ = writeln!(text, "{}{of}: {}", self.name, self.state_text());
        if let Some(target) = &ledger.target {
            let released = revision_text(&ledger.released);
            let _ = writeln!(text, "  revisions: {released} -> {}", revision_text(target));
        } else if let Some(released) = &ledger.released {
            let _ = writeln!(text, "  revision: {released}");
        }
        if let Some(since) = &self.since {
            let _ = writeln!(text, "  since {}", describe_commit(since));
        }
        if self.pods > 0 && ledger.target.is_some() && !self.starts {
            let _ = writeln!(
                text,
                "  in git: {} of {} have {}",
                self.updated,
                pluralize(self.pods.into(), "pod"),
                self.summary.target.as_deref().unwrap_or("the target")
            );
        }
        if let Some(piggybacked) = &self.piggybacked {
            let _ = writeln!(text, "  piggyback: {piggybacked}");
        }
        if let Some(paused) = &ledger.paused {
            let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let _ = writeln!(text, "  paused at batch {}{by}: {}", paused.batch, paused.reason);
        }
        for held in self.held.iter().take(MAX_HOLDS) {
            let why = if held.is_held_by_person() { held.description() } else { held.reason.to_string() };
            let _ = writeln!(text, "  {}: {}, {why}", held.state_label(), held.key);
        }
        if let Some(more) = self.held.len().checked_sub(MAX_HOLDS).filter(|n| *n > 0) {
            let _ = writeln!(text, "  and {more} more holds");
        }
        for gate in &self.gates {
            let _ = writeln!(text, "  gate {gate}");
        }
        let _ = writeln!(text, "  next: {}", self.next);
        if let Some(reason) = &self.then_blocked {
            let _ = writeln!(text, "  then blocked: {reason}");
        }
        if let Some(newer) = &self.newer_revision {
            let _ = writeln!(
                text,
                "  its file holds {} ({}), which waits: {}",
                self.summary.source.as_deref().unwrap_or("nothing"),
                newer.as_deref().unwrap_or("deleted"),
                self.newer_hint
            );
        }
        text
    }

    /// Describes where the rollout stands, versions before names of revisions.
    fn state_text(&self) -> String {
        let StatusSummary { change, released, target, source } = &self.summary;
        let batch = match self.ledger.last_batch() {
            0 => "started, no batch released".to_owned(),
            last => {
                let half = if self.ledger.has_half_done_upgrade() { "the first half of " } else { "" };
                format!("{half}batch {last}/{} released", self.batches.max(last))
            }
        };
        match (self.state, target) {
            (RolloutState::Idle, _) => format!("{released} is released"),
            (RolloutState::Pending | RolloutState::Blocked, None) if self.has_expired_hold => {
                format!("{released} is released, and holds have expired")
            }
            (RolloutState::Pending | RolloutState::Blocked, None) => format!(
                "{released} is released; the file holds {}, which is not released yet",
                source.as_deref().unwrap_or("nothing")
            ),
            (RolloutState::Rejected, _) => format!(
                "{released} is released; {}, which the file holds, was rolled back",
                source.as_deref().unwrap_or("the deletion")
            ),
            (RolloutState::RollingBack, _) => format!("rolling back to {released}, {batch}"),
            (RolloutState::Paused, None) => format!("paused, {released} is released"),
            (RolloutState::Paused, Some(_)) => {
                format!("paused, {}, {batch}", change.as_deref().unwrap_or_default())
            }
            (_, Some(_)) => format!("{}, {batch}", change.as_deref().unwrap_or_default()),
            (RolloutState::Progressing, None) => format!("{released} is released"),
        }
    }

    fn piggyback_json(&self) -> Value {
        let [taken, waiting] = &self.piggyback_counts;
        if taken.workloads + waiting.workloads == 0 {
            return Value::Null;
        }
        json!({
            "updated": {"workloads": taken.workloads, "pods": taken.pods},
            "waiting": {"workloads": waiting.workloads, "pods": waiting.pods},
        })
    }

    fn to_json(&self) -> Value {
        let ledger = &self.ledger;
        json!({
            "sidecarSet": self.name,
            "cluster": self.cluster,
            "state": self.state.to_string(),
            "released": revision_text(&ledger.released),
            "target": ledger.target.as_ref().map(revision_text),
            "batch": ledger.last_batch(),
            "batches": self.batches,
            "updated": self.updated,
            "pods": self.pods,
            "piggyback": self.piggyback_json(),
            "paused": ledger.paused.as_ref().map(|p| json!({"batch": p.batch, "reason": p.reason, "by": p.by})),
            "held": self.held.iter().filter(|h| h.hold_state == HoldState::Active).count(),
            "holds": self.held.iter().map(HeldWorkloadReport::to_json).collect::<Vec<_>>(),
            "newer": self.newer_revision.as_ref().map(revision_text),
            "since": self.since.as_ref().map(|c| json!({
                "commit": c.id.to_string(),
                "time": format_time(c.time.seconds),
                "planned": format_time(c.author_time.seconds),
            })),
            "change": self.summary.change,
            "versions": {
                "released": self.summary.released,
                "target": self.summary.target,
                "source": self.summary.source,
            },
            "gates": self.gates.iter().map(GateStatus::to_json).collect::<Vec<_>>(),
            "next": self.next,
            "thenBlocked": self.then_blocked,
        })
    }
}
