//! The shortest duration of a rollout.

use super::super::types::RolloutContext;
use crate::model::duration;

/// Returns the seconds that the batches must stay healthy, one after the other.
pub(super) fn minimum_seconds(context: &RolloutContext<'_>, batches: usize) -> Option<u64> {
    duration::parse(&context.settings.soak)?.checked_mul(batches as u64)
}
