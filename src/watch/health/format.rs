//! Texts for people: counts, names, times and messages, each on one line.

use super::super::expected_state::ExpectedWorkload;
use super::super::snapshot::{ContainerRole, LiveContainer};
use super::expected_sidecars;
use super::image;
use crate::diagnostics::{escape, pluralize};
use crate::model::workload::NO_NAMESPACE;
use jiff::{SignedDuration, Timestamp};

/// The longest message that is quoted, in characters.
const MAX_MESSAGE_CHARS: usize = 240;

/// Names that are listed before "and n more".
const MAX_LISTED_NAMES: usize = 3;

/// Returns the sidecars of a workload with their versions: `logtail 1.5.0`.
pub(super) fn sidecar_versions(expected: &ExpectedWorkload) -> String {
    let sidecars = expected_sidecars::expected_sidecars(expected);
    let shown: Vec<String> =
        sidecars.iter().take(2).map(|s| format!("{} {}", s.name, image::image_version(s.image))).collect();
    match (sidecars.len(), expected.removed_sidecars.first()) {
        (0, Some(removed)) => format!("the template without {removed}"),
        (0, None) => "the template".to_owned(),
        (1 | 2, _) => shown.join(" and "),
        (n, _) => format!("{} and {} more", shown.join(", "), n - 2),
    }
}

/// Returns `3 of 8 pods updated to logtail 1.5.0, 2 ready`.
pub(super) fn pod_counts(expected: &ExpectedWorkload, desired: u32, updated: u32, ready: u32) -> String {
    let noun = if desired.max(updated) == 1 { "pod" } else { "pods" };
    format!("{updated} of {desired} {noun} updated to {}, {ready} ready", sidecar_versions(expected))
}

/// Returns `web-1, web-2, web-3 and 4 more`.
pub(super) fn join_names<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_LISTED_NAMES).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MAX_LISTED_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns `1 pod` or `3 pods`.
pub(super) fn count_pods(n: usize) -> String {
    pluralize(n as u64, "pod")
}

/// Returns a message as one short line without a full stop; None if it is empty.
pub(super) fn single_line(message: &str) -> Option<String> {
    let words: Vec<&str> = message.split_whitespace().collect();
    let text = words.join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    (!text.is_empty()).then(|| escape::truncate(text, MAX_MESSAGE_CHARS).into_owned())
}

/// Returns a time of day, with its date if that is another day.
pub(super) fn time_of_day(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_string(), now.to_string());
    let whole = at.split_once('.').map_or_else(|| at.clone(), |(s, _)| format!("{s}Z"));
    match (whole.split_once('T'), now.split_once('T')) {
        (Some((date, time)), Some((today, _))) if date == today => time.to_owned(),
        _ => whole,
    }
}

/// Returns the time some seconds later.
pub(super) fn add_seconds(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.saturating_add(seconds).unwrap_or(Timestamp::MAX)
}

/// Returns the seconds between two times, rounded up and at least 0.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    let left = to.duration_since(from);
    let begun = i64::from(left.subsec_nanos() > 0);
    left.as_secs().saturating_add(begun).max(0)
}

/// Returns `container logtail` or `init container wait`.
pub(super) fn container_label(container: &LiveContainer) -> String {
    match container.role {
        ContainerRole::Init => format!("init container {}", container.name),
        ContainerRole::Main | ContainerRole::NativeSidecar => format!("container {}", container.name),
    }
}

/// Returns `NAMESPACE/NAME` of a pod of a workload; those of a SidecarSet are named so.
pub(super) fn pod_subject(key: &str, name: &str) -> String {
    match key.split('/').nth(1).unwrap_or_default() {
        NO_NAMESPACE => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}
