//! `approve` of the settings: batches that wait for a person.

use super::{Batch, Course, digest};
use crate::model::ledger::Ledger;

/// Returns the digest that an approval of a batch has to name; None: the batch waits for nobody.
pub fn awaited_approval(course: &Course<'_>, before: &Ledger, batch: &Batch) -> Option<String> {
    // Going back is held up by nothing, and whoever has started a fix has said yes to what it repairs.
    let goes_back = before.target.as_ref() == Some(&before.released);
    if !course.settings.approve.contains(&batch.number) || goes_back || is_repair(batch) {
        return None;
    }
    Some(digest(course, before, batch.number, &batch.moves))
}

/// Returns whether a batch only gives workloads a fix that are not well on what was given up.
pub fn is_repair(batch: &Batch) -> bool {
    !batch.moves.is_empty() && batch.moves.iter().all(|m| m.is_repair)
}
