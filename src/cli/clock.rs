//! Reads the clock, for the commits of a person. Nothing else in `cli` does.

use crate::git::CommitTime;
use crate::model::timestamp::format_day;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time of a commit that a person makes: `SOURCE_DATE_EPOCH` where it is set, else now, in UTC.
pub(super) fn now() -> CommitTime {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    #[expect(clippy::disallowed_methods, reason = "when a person does something is a fact of the world")]
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    CommitTime { seconds: fixed.unwrap_or_else(|| i64::try_from(seconds()).unwrap_or(0)), offset_minutes: 0 }
}

/// Returns the day of [`now`], `YYYY-MM-DD`, in UTC.
pub(super) fn today() -> String {
    format_day(now().seconds)
}
