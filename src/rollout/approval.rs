//! `approve` of the settings: batches that wait for a person.

use super::{Batch, RolloutContext, approval_digest};
use crate::model::ledger::Ledger;

/// Returns the digest that an approval of a batch has to name; None: the batch waits for nobody.
pub fn required_approval(context: &RolloutContext<'_>, before: &Ledger, batch: &Batch) -> Option<String> {
    // Going back is held up by nothing, and whoever has started a fix has said yes to what it repairs.
    let goes_back = before.target.as_ref() == Some(&before.released);
    if !context.settings.approval_batches.contains(&batch.number) || goes_back || is_repair(batch) {
        return None;
    }
    Some(approval_digest(context, before, batch.number, &batch.updates))
}

/// Returns whether a batch only gives workloads a fix that are not well on what was given up.
pub fn is_repair(batch: &Batch) -> bool {
    !batch.updates.is_empty() && batch.updates.iter().all(|m| m.is_repair)
}
