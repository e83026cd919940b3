//! `approve` of the settings: batches that need an approval by a person.

use super::{Batch, RolloutContext, approval_digest};
use crate::model::ledger::Ledger;

/// Returns the digest that the approval of a batch must name; None: the batch needs no approval.
pub fn required_approval(context: &RolloutContext<'_>, before: &Ledger, batch: &Batch) -> Option<String> {
    // A rollback never waits for an approval, and whoever starts a fix approves what it repairs.
    let goes_back = before.target.as_ref() == Some(&before.released);
    if !context.settings.approval_batches.contains(&batch.number) || goes_back || is_repair(batch) {
        return None;
    }
    Some(approval_digest(context, before, batch.number, &batch.updates))
}

/// Returns whether a batch only gives a fix to workloads that are unhealthy on an abandoned revision.
pub fn is_repair(batch: &Batch) -> bool {
    !batch.updates.is_empty() && batch.updates.iter().all(|m| m.is_repair)
}
