//! Computes the end of a soak.

use super::HealthLimits;
use super::format::add_seconds;
use super::pod;
use super::pod_set::PodSet;
use jiff::Timestamp;

/// Returns when all updated pods have been healthy for the soak, counted from the latest readiness transition or
/// container start.
///
/// In a rollback only `minReadySeconds` counts.
pub(super) fn soak_until(
    pods: &PodSet<'_>,
    min_ready: u32,
    is_rollback: bool,
    limits: &HealthLimits,
    now: Timestamp,
) -> Timestamp {
    let soak = if is_rollback { 0 } else { limits.soak };
    // A pod without a time of readiness counts as ready since now.
    let youngest = pods.updated.iter().map(|m| pod::steady_since(m.pod).unwrap_or(now)).max();
    add_seconds(youngest.unwrap_or(now), soak.max(u64::from(min_ready)))
}
