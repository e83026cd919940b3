//! Until when must pods stay as they are?

use super::HealthLimits;
use super::format::add_seconds;
use super::pod;
use super::pod_set::PodSet;
use jiff::Timestamp;

/// Returns when all pods that carry the target will have been healthy for long enough, counted from the youngest
/// transition to ready and the youngest start of a container among them.
///
/// While a rollout goes back only `minReadySeconds` counts.
pub(super) fn soak_until(
    roster: &PodSet<'_>,
    min_ready: u32,
    goes_back: bool,
    limits: &HealthLimits,
    now: Timestamp,
) -> Timestamp {
    let soak = if goes_back { 0 } else { limits.soak };
    // A pod that does not say since when it is ready has just become so: no evidence is not healthy.
    let youngest = roster.updated.iter().map(|m| pod::steady_since(m.pod).unwrap_or(now)).max();
    add_seconds(youngest.unwrap_or(now), soak.max(u64::from(min_ready)))
}
