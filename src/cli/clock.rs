//! Reads the clock, for the commits of a person. Nothing else in `cli` does.

use super::error::CommandError;
use crate::git::CommitTime;
use crate::model::timestamp::format_day;
use std::time::{SystemTime, UNIX_EPOCH};

/// Variable with the time of commits, in seconds since 1970 (reproducible-builds.org, SOURCE_DATE_EPOCH 1.1).
const TIME_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Checks the time that the environment sets. The specification of the variable demands an error for another text than
/// a number; an empty one counts as none.
pub(super) fn check_environment() -> Result<(), CommandError> {
    match std::env::var_os(TIME_VARIABLE) {
        Some(text) if !text.is_empty() && fixed_time().is_none() => Err(CommandError::usage(format!(
            "{TIME_VARIABLE} must be a number of seconds since 1970, not `{}`",
            text.to_string_lossy()
        ))
        .hint("unset it, or set it to the output of `date +%s`")),
        _ => Ok(()),
    }
}

/// Returns the time of a commit that a person makes: `SOURCE_DATE_EPOCH` where it is set, else now, in UTC.
pub(super) fn now() -> CommitTime {
    #[expect(clippy::disallowed_methods, reason = "when a person does something is a fact of the world")]
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let seconds = fixed_time().unwrap_or_else(|| i64::try_from(seconds()).unwrap_or(0));
    CommitTime { seconds, offset_minutes: 0 }
}

fn fixed_time() -> Option<i64> {
    std::env::var(TIME_VARIABLE).ok()?.parse().ok()
}

/// Returns the day of [`now`], `YYYY-MM-DD`, in UTC.
pub(super) fn today() -> String {
    format_day(now().seconds)
}
