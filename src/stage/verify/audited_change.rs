//! A change of a ledger that a pillion command made, and what it says in a report.

use super::ledger_action::{AuditedStep, LedgerAction};
use crate::git::{Commit, trailer};
use std::sync::Arc;

/// A ledger: its cluster, where pillion.yaml names clusters, and its SidecarSet.
pub(super) type LedgerKey = (Option<Arc<str>>, Arc<str>);

/// A change of a ledger that a pillion command makes.
pub(crate) struct AuditedChange {
    pub(super) commit: Commit,
    pub(super) key: LedgerKey,
    pub(super) action: LedgerAction,
    /// Who has approved its batch; None: it needed no approval.
    pub(super) approved_by: Option<String>,
}

impl AuditedChange {
    /// Returns whether a command of a person made it: a verb, or one step.
    pub(super) fn is_by_command(&self) -> bool {
        self.commit.trailer(trailer::BY).is_some() && self.action.is_one_command()
    }

    /// Describes it: the ledger, the action, the author.
    pub(crate) fn description(&self) -> String {
        let (cluster, name) = &self.key;
        let of = cluster.as_ref().map_or_else(String::new, |cluster| format!(" ({cluster})"));
        let total = self.commit.trailer(trailer::BATCH);
        let mut action = self.action.to_string();
        if let (LedgerAction::Steps(steps), Some((number, all))) =
            (&self.action, total.as_deref().and_then(|total| total.split_once('/')))
            && let [AuditedStep::Batch(batch)] = &steps[..]
            && batch.number.to_string() == number
            && all.parse::<u32>().is_ok()
        {
            action.push_str(&format!(" of {all}"));
        }
        match self.approved_by.as_deref() {
            Some("") => action.push_str(", approved"),
            Some(by) => action.push_str(&format!(", approved by {by}")),
            None => {}
        }
        let by = self.commit.trailer(trailer::BY).unwrap_or_else(|| self.commit.author.to_string());
        format!("{name}{of}: {action}, by {by} ({})", self.commit.id.short())
    }
}
