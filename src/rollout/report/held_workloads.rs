//! Reports workloads that no rollout updates: who holds them, since when, and at which revision.

use super::super::progress::RolloutProgress;
use super::super::types::RolloutContext;
use crate::model::ledger::{Ledger, LedgerEntry, RevisionName, revision_text};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// A workload that no rollout updates, or that has an expired hold.
#[derive(Debug, Clone)]
pub(crate) struct HeldWorkloadReport {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub(crate) key: Arc<str>,
    /// A code for the reason, where the workload cannot adopt the template; None: the reason is in its entry.
    pub(crate) code: Option<&'static str>,
    /// The reason.
    pub(crate) reason: Arc<str>,
    /// Its revision.
    pub(crate) revision: RevisionName,
    /// Its valid entry.
    pub(crate) entry: Option<LedgerEntry>,
    /// The state of the hold.
    pub(crate) hold_state: HoldState,
}

/// The state of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldState {
    /// The hold is active.
    Active,
    /// The hold is active, and no SidecarSet selects the workload any more.
    Unselected,
    /// Its last day is over.
    Expired,
    /// The SidecarOverride no longer holds it.
    Withdrawn,
    /// The workload was removed from git; the next step removes its entry.
    WorkloadRemoved,
}

/// Returns the holds of a ledger, in the order of keys. `today` is `YYYY-MM-DD`, in UTC.
pub(crate) fn ledger_holds(
    context: &RolloutContext<'_>,
    ledger: &Ledger,
    today: Option<&str>,
) -> Vec<HeldWorkloadReport> {
    let mut found = Vec::new();
    for (key, written) in ledger.entries.iter().filter(|(_, entry)| entry.hold_reason.is_some()) {
        let workload = context.workloads.find(key);
        let entry = match workload {
            Some(workload) => workload.active_entry(ledger),
            // An entry of the planner belongs to a template that is no longer in the sources.
            None => Some(Cow::Borrowed(written)).filter(|l| l.is_held_by_person()),
        };
        let Some(mut entry) = entry.map(Cow::into_owned) else { continue };
        // The SidecarOverride may have changed since.
        let hold = workload.and_then(|workload| workload.override_hold.as_ref());
        if let Some(hold) = hold.filter(|_| entry.is_held_by_override()) {
            (entry.held_by, entry.held_until) = (Some(Arc::clone(&hold.by)), Some(Arc::clone(&hold.until)));
            entry.hold_reason = Some(Arc::clone(&hold.reason));
        }
        let lasts = match workload {
            None if context.unselected_holds.contains(key) => HoldState::Unselected,
            None => HoldState::WorkloadRemoved,
            Some(workload) if workload.is_hold_over(&entry, today) => match hold {
                None if entry.is_held_by_override() => HoldState::Withdrawn,
                _ => HoldState::Expired,
            },
            Some(_) => HoldState::Active,
        };
        found.push(HeldWorkloadReport::from_entry(key, entry, lasts));
    }
    found
}

/// Returns the workloads that a plan does not update: those that cannot adopt the template, and those that are held.
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
        entry: held.hold_entry(),
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

    /// Returns whether a person holds it.
    pub(crate) fn is_held_by_person(&self) -> bool {
        self.code.is_none() && self.entry.as_ref().is_some_and(LedgerEntry::is_held_by_person)
    }

    /// Returns the label of its row: `held`, or `ended` where the hold has expired.
    pub(crate) fn state_label(&self) -> &'static str {
        match self.hold_state {
            HoldState::Active | HoldState::Unselected => "held",
            HoldState::Expired | HoldState::Withdrawn | HoldState::WorkloadRemoved => "ended",
        }
    }

    /// Returns why it is held, by whom, since when and until when, and its revision.
    pub(crate) fn description(&self) -> String {
        let entry = self.entry.as_ref().filter(|_| self.is_held_by_person());
        let Some(entry) = entry else { return format!("never: {}", self.reason) };
        let current = self.revision_text();
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        match self.hold_state {
            HoldState::WorkloadRemoved => {
                format!(
                    "hold by {} expired: the workload was removed from git ({})",
                    text(&entry.held_by),
                    self.reason
                )
            }
            HoldState::Withdrawn => {
                format!("{} no longer holds it ({}); at {current}", text(&entry.held_by), self.reason)
            }
            HoldState::Expired => {
                format!(
                    "hold by {} expired on {} ({}); at {current}",
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
                    _ => format!("on {current}"),
                };
                format!("{words}: {}; {where_it_is}", self.reason)
            }
        }
    }

    /// Returns its revision and its emergency images.
    pub(crate) fn revision_text(&self) -> String {
        revision_with_images(&self.revision, self.entry.as_ref())
    }

    /// Returns it as data.
    pub(crate) fn to_json(&self) -> Value {
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
            HoldState::Withdrawn => value["ended"] = json!("Withdrawn"),
            HoldState::Expired => value["ended"] = json!("Date"),
        }
        value
    }
}

/// Returns a revision and the emergency images of an entry, for people.
pub(crate) fn revision_with_images(revision: &RevisionName, entry: Option<&LedgerEntry>) -> String {
    let images = entry.iter().flat_map(|l| &l.images).map(|(name, image)| format!("{name}={image}"));
    let images: Vec<String> = images.collect();
    let revision = revision.as_deref().unwrap_or("nothing");
    if images.is_empty() { revision.to_owned() } else { format!("{revision} with {}", images.join(", ")) }
}
