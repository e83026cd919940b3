//! Evaluates the freeze windows of `rollout.freeze`.
//!
//! A start is a wall-clock time of the window's zone. One that clocks skip in spring begins right after the skip, as
//! cron runs such a job; one that clocks show a second time in autumn begins the first time. A length is exact, as in
//! RFC 5545: 63 h from Friday 17:00 end on Monday at 8:00, and at 9:00 or 7:00 if clocks change on Sunday.
//! The time zones are built in; those of the machine are not read.

use super::FreezeRule;
use super::cron::{CronExpression, exact_span};
use crate::model::duration;
use crate::model::suggestion::closest_match;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::fmt;

/// The longest window, in seconds: a year.
const MAX_WINDOW_SECONDS: u64 = 366 * 86_400;

/// How far ahead the end of a freeze is searched, in seconds.
const LOOKAHEAD_SECONDS: u64 = 400 * 86_400;

/// How many windows may follow each other without a gap before a freeze counts as endless.
const MAX_ADJOINING_WINDOWS: usize = 1_000;

/// Maximum seconds by which clocks go back: a start in that hour belongs to the first pass.
const MAX_CLOCK_SHIFT_SECONDS: u64 = 3 * 3_600;

/// The windows in which no batch is released.
#[derive(Debug, Clone, Default)]
pub(crate) struct FreezeWindows {
    windows: Vec<FreezeWindow>,
}

#[derive(Debug, Clone)]
struct FreezeWindow {
    cron: CronExpression,
    /// Seconds.
    length: u64,
    zone: TimeZone,
    /// Text for people.
    description: String,
}

/// A freeze in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActiveFreeze {
    /// When the window began.
    pub(crate) since: Timestamp,
    /// When the last of the adjoining windows ends; None: no end within 400 days.
    pub(crate) until: Option<Timestamp>,
    /// The window, for people: `0 17 * * FRI (Europe/Berlin) for 63h`.
    pub(crate) window: String,
}

/// An error in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreezeError {
    /// Index of the window, from 0.
    pub(crate) index: usize,
    /// `cron`, `length` or `timeZone`.
    pub(crate) key: &'static str,
    /// The error.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

impl FreezeWindows {
    /// Parses windows and reports every error; invalid windows are omitted.
    pub(crate) fn parse(rules: &[FreezeRule]) -> (Self, Vec<FreezeError>) {
        let mut windows = Vec::new();
        let mut errors = Vec::new();
        for (index, freeze) in rules.iter().enumerate() {
            let mut report = |key, message: String, help: String| {
                errors.push(FreezeError { index, key, message, help });
            };
            let cron = match CronExpression::parse(&freeze.cron) {
                Ok(cron) => Some(cron),
                Err(reason) => {
                    let help =
                        "write five fields as in crontab(5): `0 17 * * FRI` is every Friday at 17:00".into();
                    report(
                        "cron",
                        format!("`{}` is not a valid cron expression: {reason}", freeze.cron),
                        help,
                    );
                    None
                }
            };
            let length =
                parse_length(&freeze.length).map_err(|(message, help)| report("length", message, help)).ok();
            let name = freeze.time_zone.as_deref().unwrap_or("UTC");
            let zone =
                parse_time_zone(name).map_err(|(message, help)| report("timeZone", message, help)).ok();
            let (Some(cron), Some(length), Some(zone)) = (cron, length, zone) else { continue };
            let text = format!("{} ({name}) for {}", freeze.cron.trim(), freeze.length.trim());
            let window = FreezeWindow { cron, length, zone, description: text };
            match window.find_error() {
                None => windows.push(window),
                Some((key, message, help)) => report(key, message, help),
            }
        }
        (Self { windows }, errors)
    }

    /// Returns the freeze at a moment, if there is one.
    pub(crate) fn active_at(&self, now: Timestamp) -> Option<ActiveFreeze> {
        let (since, _, window) = self.covering_window(now)?;
        Some(ActiveFreeze {
            since,
            until: end_of_adjoining(&self.windows, now),
            window: window.description.clone(),
        })
    }

    /// Returns why nothing is released at a moment, in seconds since 1970; None: no window covers it.
    pub(crate) fn reason_at(&self, seconds: i64) -> Option<String> {
        self.active_at(Timestamp::from_second(seconds).ok()?).map(|frozen| frozen.to_string())
    }

    fn covering_window(&self, now: Timestamp) -> Option<(Timestamp, Timestamp, &FreezeWindow)> {
        let covering = self.windows.iter().filter_map(|w| w.covering(now).map(|(from, to)| (from, to, w)));
        covering.max_by_key(|(_, to, _)| *to)
    }
}

impl fmt::Display for ActiveFreeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "frozen until {until} ({})", self.window),
            None => write!(f, "frozen until pillion.yaml is changed ({})", self.window),
        }
    }
}

/// Returns the end of the adjoining windows.
fn end_of_adjoining(windows: &[FreezeWindow], now: Timestamp) -> Option<Timestamp> {
    let horizon = now.checked_add(exact_span(LOOKAHEAD_SECONDS)).ok()?;
    let mut until = now;
    for _ in 0..MAX_ADJOINING_WINDOWS {
        let further = windows.iter().filter_map(|w| w.covering(until)).map(|(_, to)| to).max();
        match further {
            None => return Some(until),
            Some(to) if to > horizon => return None,
            Some(to) => until = to,
        }
    }
    None
}

impl FreezeWindow {
    /// Returns the latest window that covers a moment.
    fn covering(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let earliest = now.checked_sub(exact_span(self.length)).ok()?;
        // In the hours after clocks go back, starts at later wall-clock times are already over.
        let changed = now.checked_add(exact_span(1)).ok().and_then(|after| self.zone.preceding(after).next());
        let is_put_back = changed
            .and_then(|t| t.timestamp().checked_add(exact_span(MAX_CLOCK_SHIFT_SECONDS)).ok())
            .is_some_and(|settled| settled > now);
        let slack = if is_put_back { MAX_CLOCK_SHIFT_SECONDS } else { 0 };
        let mut civil = self.zone.to_datetime(now).checked_add(exact_span(slack)).ok()?;
        // One more day, because clocks may change in between.
        let since = self.zone.to_datetime(earliest).checked_sub(exact_span(86_400)).ok()?;
        loop {
            let start = self.cron.latest_until(civil, since)?;
            let from = self.resolve_instant(start)?;
            if from <= now {
                let to = from.checked_add(exact_span(self.length)).ok()?;
                return (to > now).then_some((from, to));
            }
            civil = start.checked_sub(exact_span(1)).ok()?;
        }
    }

    fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let mut civil = self.zone.to_datetime(now);
        loop {
            civil = self.cron.next_after(civil)?;
            let from = self.resolve_instant(civil)?;
            if from > now {
                return Some(from);
            }
        }
    }

    /// Returns when clocks of the zone show a time first, or have just skipped it.
    fn resolve_instant(&self, civil: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => {
                let before = ambiguous.earlier().ok()?;
                let skipped = self.zone.following(before).next().map(|t| t.timestamp());
                skipped.or(Some(before))
            }
            _ => ambiguous.earlier().ok(),
        }
    }

    /// Returns why a window is useless.
    fn find_error(&self) -> Option<(&'static str, String, String)> {
        // Any moment works; this year has February 29 and every clock change.
        let some_moment = Timestamp::from_second(1_830_297_600).ok()?;
        let Some(first) = self.next_start(some_moment) else {
            let message = "this day never occurs".to_owned();
            return Some(("cron", message, "write a day that the month has".to_owned()));
        };
        if end_of_adjoining(std::slice::from_ref(self), first).is_none() {
            let message = format!(
                "a window of {} is longer than the time until the next one, so no batch would ever be released",
                duration::humanize(self.length)
            );
            let help = "shorten it, or write `rollout.start: Manual` and `pillion pause`".to_owned();
            return Some(("length", message, help));
        }
        None
    }
}

fn parse_length(text: &str) -> Result<u64, (String, String)> {
    let help = || "write hours, minutes and seconds, at most 8784h: `63h`, `1h30m`".to_owned();
    match duration::parse(text) {
        None => Err((format!("`{text}` is not a valid duration"), help())),
        Some(0) => Err(("a window of 0 seconds has no effect".to_owned(), help())),
        Some(seconds) if seconds > MAX_WINDOW_SECONDS => {
            Err((format!("`{text}` is longer than a year"), help()))
        }
        Some(seconds) => Ok(seconds),
    }
}

fn parse_time_zone(name: &str) -> Result<TimeZone, (String, String)> {
    let zones = TimeZoneDatabase::bundled();
    zones.get(name).map_err(|_| {
        let known: Vec<String> = zones.available().map(|n| n.to_string()).collect();
        let help = closest_match(name, known.iter().map(String::as_str)).map_or_else(
            || "write a name of the IANA time zone database, such as `Europe/Berlin`, or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        (format!("unknown time zone `{name}`"), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns when the next window after a moment begins.
    fn next_start(windows: &FreezeWindows, now: Timestamp) -> Option<Timestamp> {
        windows.windows.iter().filter_map(|w| w.next_start(now)).min()
    }

    fn freeze(cron: &str, length: &str, zone: &str) -> FreezeRule {
        FreezeRule {
            cron: cron.into(),
            length: length.into(),
            time_zone: (!zone.is_empty()).then(|| zone.into()),
        }
    }

    fn windows(written: &[(&str, &str, &str)]) -> FreezeWindows {
        let written: Vec<FreezeRule> = written.iter().map(|(c, l, z)| freeze(c, l, z)).collect();
        let (windows, errors) = FreezeWindows::parse(&written);
        assert_eq!(errors, []);
        windows
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Since and until, in UTC.
    fn frozen(windows: &FreezeWindows, now: &str) -> Option<(String, String)> {
        let frozen = windows.active_at(at(now))?;
        Some((frozen.since.to_string(), frozen.until.map_or_else(|| "never".into(), |t| t.to_string())))
    }

    fn some(since: &str, until: &str) -> Option<(String, String)> {
        Some((since.into(), until.into()))
    }

    const WEEKEND: &[(&str, &str, &str)] = &[("0 17 * * FRI", "63h", "Europe/Berlin")];

    #[test]
    fn a_weekend_begins_and_ends_on_the_clock_of_its_zone() {
        let windows = windows(WEEKEND);
        // Friday 2026-06-19, 17:00 CEST, to Monday 8:00 CEST.
        assert_eq!(frozen(&windows, "2026-06-19T14:59:59Z"), None);
        let whole = some("2026-06-19T15:00:00Z", "2026-06-22T06:00:00Z");
        assert_eq!(frozen(&windows, "2026-06-19T15:00:00Z"), whole);
        assert_eq!(frozen(&windows, "2026-06-22T05:59:59Z"), whole);
        assert_eq!(frozen(&windows, "2026-06-22T06:00:00Z"), None);
        assert_eq!(next_start(&windows, at("2026-06-19T14:59:59Z")), Some(at("2026-06-19T15:00:00Z")));
        assert_eq!(next_start(&windows, at("2026-06-19T15:00:00Z")), Some(at("2026-06-26T15:00:00Z")));
        let frozen = windows.active_at(at("2026-06-20T00:00:00Z")).unwrap();
        assert_eq!(frozen.window, "0 17 * * FRI (Europe/Berlin) for 63h");
    }

    #[test]
    fn a_length_is_exact_where_clocks_change() {
        let windows = windows(WEEKEND);
        // 2026-03-29, forward: from 17:00 CET to Monday 9:00 CEST.
        let spring = some("2026-03-27T16:00:00Z", "2026-03-30T07:00:00Z");
        assert_eq!(frozen(&windows, "2026-03-29T01:00:00Z"), spring);
        // 2026-10-25, back: from 17:00 CEST to Monday 7:00 CET.
        let autumn = some("2026-10-23T15:00:00Z", "2026-10-26T06:00:00Z");
        assert_eq!(frozen(&windows, "2026-10-25T01:30:00Z"), autumn);
        assert_eq!(frozen(&windows, "2026-10-26T06:00:00Z"), None);
    }

    #[test]
    fn a_start_that_clocks_skip_begins_when_they_have_skipped_it() {
        let windows = windows(&[("30 2 * * *", "20m", "Europe/Berlin")]);
        assert_eq!(frozen(&windows, "2026-03-29T00:59:59Z"), None);
        let skipped = some("2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z");
        assert_eq!(frozen(&windows, "2026-03-29T01:00:00Z"), skipped);
        assert_eq!(frozen(&windows, "2026-03-29T01:19:59Z"), skipped);
        assert_eq!(next_start(&windows, at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(next_start(&windows, at("2026-03-29T01:00:00Z")), Some(at("2026-03-30T00:30:00Z")));
    }

    #[test]
    fn a_start_that_clocks_show_twice_begins_once() {
        let windows = windows(&[("30 2 * * *", "40m", "Europe/Berlin")]);
        // 2:30 CEST to 2:10 CET; 2:30 CET is not a start.
        let first = some("2026-10-25T00:30:00Z", "2026-10-25T01:10:00Z");
        assert_eq!(frozen(&windows, "2026-10-25T00:45:00Z"), first);
        assert_eq!(frozen(&windows, "2026-10-25T01:09:59Z"), first, "in the second hour");
        assert_eq!(frozen(&windows, "2026-10-25T01:45:00Z"), None);
        assert_eq!(next_start(&windows, at("2026-10-25T01:15:00Z")), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn windows_that_overlap_or_touch_are_one() {
        let both = windows(&[
            ("0 17 * * FRI", "63h", "Europe/Berlin"),
            ("0 8 * * MON", "2h", "Europe/Berlin"),
            ("0 22 * * THU", "24h", "Europe/Berlin"),
        ]);
        assert_eq!(
            frozen(&both, "2026-06-19T00:00:00Z"),
            some("2026-06-18T20:00:00Z", "2026-06-22T08:00:00Z")
        );
        assert_eq!(
            frozen(&both, "2026-06-22T07:00:00Z"),
            some("2026-06-22T06:00:00Z", "2026-06-22T08:00:00Z")
        );
        assert_eq!(frozen(&both, "2026-06-22T08:00:00Z"), None);
    }

    #[test]
    fn months_and_years_end() {
        let windows = windows(&[("0 18 L * *", "30h", "UTC"), ("0 0 20 12 *", "408h", "UTC")]);
        assert_eq!(
            frozen(&windows, "2026-02-28T18:00:00Z"),
            some("2026-02-28T18:00:00Z", "2026-03-02T00:00:00Z")
        );
        assert_eq!(frozen(&windows, "2028-02-28T18:00:00Z"), None);
        assert_eq!(
            frozen(&windows, "2026-12-31T23:59:59Z"),
            some("2026-12-20T00:00:00Z", "2027-01-06T00:00:00Z")
        );
        assert_eq!(frozen(&windows, "2027-01-06T00:00:00Z"), None);
    }

    #[test]
    fn two_that_leave_no_gap_have_no_end() {
        let windows = windows(&[("0 0 * * *", "12h", ""), ("0 12 * * *", "12h", "")]);
        assert_eq!(frozen(&windows, "2026-06-19T00:00:00Z"), some("2026-06-19T00:00:00Z", "never"));
    }

    /// Checks a window every ten minutes, and at its bounds, on two days with a clock change, in several zones.
    #[test]
    fn every_moment_is_in_the_window_that_began() {
        for (zone, day) in [
            ("Europe/Berlin", "2026-03-28"),
            ("Europe/Berlin", "2026-10-24"),
            ("America/New_York", "2026-03-07"),
            ("America/New_York", "2026-10-31"),
            ("Australia/Lord_Howe", "2026-04-04"),
            ("Australia/Lord_Howe", "2026-10-03"),
            ("Africa/Casablanca", "2026-02-14"),
            ("Africa/Casablanca", "2026-03-21"),
            ("Asia/Kolkata", "2026-06-01"),
        ] {
            let windows = windows(&[("15 1-3 * * *", "50m", zone)]);
            let start = at(&format!("{day}T00:00:00Z"));
            let end = start.checked_add(exact_span(2 * 86_400)).unwrap();
            let mut next = start.checked_sub(exact_span(86_400)).unwrap();
            let mut starts = Vec::new();
            while let Some(found) = next_start(&windows, next).filter(|n| *n < end) {
                starts.push(found);
                next = found;
            }
            assert!(starts.len() >= 7, "{zone}");
            for minute in (5..2 * 24 * 60).step_by(10) {
                let now = start.checked_add(exact_span(minute * 60)).unwrap();
                let latest = starts.iter().rev().find(|s| **s <= now);
                let expected = latest.filter(|s| now.duration_since(**s).as_secs() < 50 * 60);
                assert_eq!(windows.active_at(now).map(|f| f.since).as_ref(), expected, "{zone} {now}");
            }
        }
    }

    #[test]
    fn errors_name_their_place() {
        let errors = |cron: &str, length: &str, zone: &str| {
            let (windows, errors) =
                FreezeWindows::parse(&[freeze("0 0 1 1 *", "1h", ""), freeze(cron, length, zone)]);
            assert_eq!(windows.windows.len(), 1);
            errors.into_iter().map(|w| (w.index, w.key, w.message, w.help)).collect::<Vec<_>>()
        };
        let found = errors("0 25 * * *", "2d", "Europe/Berln");
        assert_eq!(
            found.iter().map(|f| (f.0, f.1)).collect::<Vec<_>>(),
            [(1, "cron"), (1, "length"), (1, "timeZone")]
        );
        assert!(found[0].2.starts_with("`0 25 * * *` is not a valid cron expression: "), "{}", found[0].2);
        assert_eq!(found[1].2, "`2d` is not a valid duration");
        assert_eq!(
            (&*found[2].2, &*found[2].3),
            ("unknown time zone `Europe/Berln`", "did you mean `Europe/Berlin`?")
        );
        assert_eq!(errors("0 0 31 2 *", "1h", "")[0].2, "this day never occurs");
        assert_eq!(errors("0 0 * * *", "0s", "")[0].2, "a window of 0 seconds has no effect");
        assert_eq!(errors("0 0 * * *", "9000h", "")[0].2, "`9000h` is longer than a year");
        assert_eq!(
            errors("* * * * *", "2m", "")[0].2,
            "a window of 2 min is longer than the time until the next one, so no batch would ever be released"
        );
    }
}
