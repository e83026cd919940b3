//! Until when must pods stay as they are?

use super::Limits;
use super::pod;
use super::roster::Roster;
use super::words::after;
use jiff::Timestamp;

/// Returns when all pods that carry the target will have been healthy for long enough, counted from the youngest
/// transition to ready and the youngest start of a container among them.
///
/// While a rollout goes back only `minReadySeconds` counts.
pub(super) fn until(
    roster: &Roster<'_>,
    min_ready: u32,
    goes_back: bool,
    limits: &Limits,
    now: Timestamp,
) -> Timestamp {
    let soak = if goes_back { 0 } else { limits.soak };
    // A pod that does not say since when it is ready has just become so: no evidence is not healthy.
    let youngest = roster.carrying.iter().map(|m| pod::steady_since(m.pod).unwrap_or(now)).max();
    after(youngest.unwrap_or(now), soak.max(u64::from(min_ready)))
}
