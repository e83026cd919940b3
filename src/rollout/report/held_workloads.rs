//! Workloads that no rollout moves: who holds them, since when, and what they carry.

use super::super::progress::RolloutProgress;
use super::super::types::RolloutContext;
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName, revision_text};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A workload that no rollout moves, or whose hold is over.
#[derive(Debug, Clone)]
pub struct HeldWorkloadReport {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// A name for the reason, where the workload cannot take the template; None: its line says why.
    pub code: Option<&'static str>,
    /// Why.
    pub reason: Arc<str>,
    /// What it carries.
    pub revision: RevisionName,
    /// Its line, as it counts.
    pub entry: Option<LedgerEntry>,
    /// Whether the hold lasts.
    pub hold_state: HoldState,
}

/// Whether a hold lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// It does.
    Active,
    /// It does, and no SidecarSet selects the workload any more.
    Unselected,
    /// Its last day is over.
    Expired,
    /// The workload is no longer in git; the next step drops its line.
    WorkloadRemoved,
}

/// Returns what a ledger says of holds, in the order of keys. `today` is `YYYY-MM-DD`, in UTC.
pub fn ledger_holds(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    today: Option<&str>,
) -> Vec<HeldWorkloadReport> {
    let mut found = Vec::new();
    for (key, written) in ledger.entries.iter().filter(|(_, entry)| entry.hold_reason.is_some()) {
        let workload = context.workloads.find(key);
        let entry = match workload {
            Some(workload) => workload.active_entry(ledger),
            // A line of the planner is for a template that is no longer there.
            None => Some(Cow::Borrowed(written)).filter(|l| l.is_held_by_person()),
        };
        let Some(entry) = entry.map(Cow::into_owned) else { continue };
        let lasts = match workload {
            None if context.unselected_holds.contains(key) => HoldState::Unselected,
            None => HoldState::WorkloadRemoved,
            Some(_) if entry.is_hold_expired(today) => HoldState::Expired,
            Some(_) => HoldState::Active,
        };
        found.push(HeldWorkloadReport::from_entry(key, entry, lasts));
    }
    found
}

/// Workloads that a plan does not move: those that cannot take the template, and those that are held.
pub(super) fn held_in_plan(
    context: &RolloutContext<'_>,
    state: &RolloutProgress<'_>,
    ledger: &Ledger,
    today: Option<&str>,
) -> Vec<HeldWorkloadReport> {
    let of_state = state.held.iter().map(|held| HeldWorkloadReport {
        key: Arc::clone(held.workload.key()),
        code: held.code,
        reason: Arc::clone(&held.reason),
        revision: held.revision.clone(),
        entry: held.replaced_entry.or(held.entry.as_deref()).cloned(),
        hold_state: HoldState::Active,
    });
    let is_elsewhere = |held: &HeldWorkloadReport| {
        matches!(held.hold_state, HoldState::WorkloadRemoved | HoldState::Unselected)
    };
    of_state.chain(ledger_holds(context, ledger, today).into_iter().filter(is_elsewhere)).collect()
}

impl HeldWorkloadReport {
    fn from_entry(key: &Arc<str>, line: LedgerEntry, lasts: HoldState) -> Self {
        Self {
            key: Arc::clone(key),
            code: None,
            reason: line.hold_reason.clone().unwrap_or_default(),
            revision: line.revision.clone(),
            entry: Some(line),
            hold_state: lasts,
        }
    }

    /// Returns whether a person holds it, and not what it is.
    pub fn is_held_by_person(&self) -> bool {
        self.code.is_none() && self.entry.as_ref().is_some_and(LedgerEntry::is_held_by_person)
    }

    /// Returns the word for its row: `held`, or `ended` where the hold is over.
    pub fn state_label(&self) -> &'static str {
        match self.hold_state {
            HoldState::Active | HoldState::Unselected => "held",
            HoldState::Expired | HoldState::WorkloadRemoved => "ended",
        }
    }

    /// Returns why it is held, by whom, since when and until when, and what it carries.
    pub fn description(&self) -> String {
        let entry = self.entry.as_ref().filter(|_| self.is_held_by_person());
        let Some(entry) = entry else { return format!("never: {}", self.reason) };
        let carries = self.revision_text();
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        match self.hold_state {
            HoldState::WorkloadRemoved => {
                format!(
                    "its hold by {} ends: the workload is no longer in git ({})",
                    text(&entry.held_by),
                    self.reason
                )
            }
            HoldState::Expired => {
                format!(
                    "its hold by {} ended on {} ({}); on {carries}",
                    text(&entry.held_by),
                    text(&entry.held_until),
                    self.reason
                )
            }
            HoldState::Active | HoldState::Unselected => {
                let mut words = format!("held by {}", text(&entry.held_by));
                let _ = entry.held_since.as_ref().map(|since| write!(words, " since {since}"));
                let _ = entry.held_until.as_ref().map(|until| write!(words, " until {until}"));
                let where_it_is = match self.hold_state {
                    HoldState::Unselected => "no SidecarSet selects it now".to_owned(),
                    _ => format!("on {carries}"),
                };
                format!("{words}: {}; {where_it_is}", self.reason)
            }
        }
    }

    /// Returns what it carries: the revision, and emergency images.
    pub fn revision_text(&self) -> String {
        revision_with_images(&self.revision, self.entry.as_ref())
    }

    /// Returns it as data.
    pub fn to_json(&self) -> Value {
        let mut value = json!({
            "workload": &*self.key,
            "code": self.code,
            "reason": &*self.reason,
            "revision": revision_text(&self.revision),
        });
        if let Some(entry) = self.entry.as_ref().filter(|_| self.is_held_by_person()) {
            value["by"] = json!(entry.held_by.as_deref());
            value["since"] = json!(entry.held_since.as_deref());
            value["until"] = json!(entry.held_until.as_deref());
            value["images"] = json!(entry.images);
        }
        match self.hold_state {
            HoldState::Active => {}
            HoldState::Unselected => value["unselected"] = json!(true),
            HoldState::WorkloadRemoved => value["ended"] = json!("Gone"),
            HoldState::Expired => value["ended"] = json!("Date"),
        }
        value
    }
}

/// Returns a revision and the emergency images of a line, for people.
pub fn revision_with_images(revision: &RevisionName, entry: Option<&LedgerEntry>) -> String {
    let images = entry.iter().flat_map(|l| &l.images).map(|(name, image)| format!("{name}={image}"));
    let images: Vec<String> = images.collect();
    let revision = revision.as_deref().unwrap_or("nothing");
    if images.is_empty() { revision.to_owned() } else { format!("{revision} with {}", images.join(", ")) }
}
