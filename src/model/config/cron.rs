//! Computes the times of a cron expression in wall-clock time; `freeze` adds the time zone.
//!
//! cronexpr 1.7 reads the five fields of crontab(5). It is used in UTC, where every day has 24 hours: in other zones it
//! omits a start that clocks skip and repeats one that they show a second time. Its `L` misses the last day of
//! December, which is corrected here; so does the last Friday (`5L`), which is refused.

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions, parse_crontab_with};
use jiff::Span;
use jiff::ToSpan as _;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A cron expression.
#[derive(Debug, Clone)]
pub(super) struct CronExpression {
    /// The expression has the times of all of them.
    crontabs: Vec<Crontab>,
}

impl CronExpression {
    /// Parses an expression, or returns the error.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let Ok([minute, hour, day, month, weekday]) = <[&str; 5]>::try_from(fields.as_slice()) else {
            return Err(format!(
                "it has {} fields, not 5: minute, hour, day of the month, month and day of the week",
                fields.len()
            ));
        };
        let ends_in_l = |item: &str| item.ends_with(['L', 'l']) && !item.eq_ignore_ascii_case("JUL");
        if weekday.split(',').any(ends_in_l) {
            return Err(format!(
                "`{weekday}`: the last such day of a month is not supported; `FRI#4` is its fourth Friday"
            ));
        }
        let tab = |text: &str| {
            let mut options = ParseOptions::default();
            options.fallback_timezone_option = FallbackTimezoneOption::UTC;
            // cronexpr does not read `l` as `L`, and its error is the last line of a drawing.
            let last = |e: cronexpr::Error| {
                e.to_string().lines().last().unwrap_or_default().trim_matches(['^', ' ']).to_owned()
            };
            parse_crontab_with(&text.to_ascii_uppercase(), options).map_err(last)
        };
        let mut tabs = vec![tab(text)?];
        let is_last = |item: &str| item.eq_ignore_ascii_case("L");
        if day.split(',').any(is_last) {
            // The months include December if its first day occurs.
            let december = Self { crontabs: vec![tab(&format!("0 0 1 {month} *"))?] };
            let has_december = december
                .next_after(jiff::civil::date(2023, 11, 30).at(0, 0, 0, 0))
                .is_some_and(|t| t.month() == 12);
            if has_december {
                let days: Vec<&str> = day.split(',').map(|d| if is_last(d) { "31" } else { d }).collect();
                tabs.push(tab(&format!("{minute} {hour} {} 12 {weekday}", days.join(",")))?);
            }
        }
        Ok(Self { crontabs: tabs })
    }

    /// Returns the first time after `at`; None if there is none in the next four years.
    pub(super) fn next_after(&self, at: DateTime) -> Option<DateTime> {
        let at = TimeZone::UTC.to_timestamp(at).ok()?;
        self.crontabs.iter().filter_map(|t| t.find_next(at).ok()).map(|found| found.datetime()).min()
    }

    /// Returns the last time after `since` and not after `at`.
    pub(super) fn latest_until(&self, at: DateTime, since: DateTime) -> Option<DateTime> {
        let minutes = at.duration_since(since).as_secs() / 60 + 1;
        let after = |minutes: i64| {
            let found = self.next_after(since.checked_add(minutes.minutes()).ok()?)?;
            (found <= at).then_some(found)
        };
        // A time follows every earlier minute, and none follows the later ones.
        let (mut latest, mut low, mut high) = (after(0)?, 0, minutes);
        while high - low > 1 {
            let middle = low.midpoint(high);
            match after(middle) {
                Some(found) => (latest, low) = (found, middle),
                None => high = middle,
            }
        }
        Some(latest)
    }
}

/// Returns an exact span, independent of clock changes.
pub(super) fn exact_span(seconds: u64) -> Span {
    i64::try_from(seconds).unwrap_or(i64::MAX).seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn next(cron: &str, after: &str, n: usize) -> Vec<String> {
        let cron = CronExpression::parse(cron).unwrap();
        let mut found = Vec::new();
        let mut now = at(after);
        for _ in 0..n {
            now = cron.next_after(now).unwrap();
            found.push(now.strftime("%a %Y-%m-%d %H:%M").to_string());
        }
        found
    }

    #[test]
    fn fields_are_those_of_crontab() {
        assert_eq!(
            next("0 17 * * FRI", "2026-03-27T17:00", 2),
            ["Fri 2026-04-03 17:00", "Fri 2026-04-10 17:00"]
        );
        assert_eq!(
            next("*/30 8-9 * * 1-5", "2026-03-27T09:00", 3),
            ["Fri 2026-03-27 09:30", "Mon 2026-03-30 08:00", "Mon 2026-03-30 08:30"]
        );
        assert_eq!(next("0 0 1 JAN,Jul *", "2026-01-01T00:30", 1), ["Wed 2026-07-01 00:00"]);
        assert_eq!(next("0 0 * * 7", "2026-03-27T00:00", 1), ["Sun 2026-03-29 00:00"]);
        assert_eq!(next("0 0 29 2 *", "2026-03-01T00:00", 1), ["Tue 2028-02-29 00:00"]);
        assert_eq!(next("0 0 13 * FRI", "2026-03-13T00:00", 1), ["Fri 2026-03-20 00:00"], "one is enough");
    }

    #[test]
    fn months_end_in_every_month() {
        assert_eq!(
            next("0 0 L * *", "2027-11-30T00:00", 4),
            ["Fri 2027-12-31 00:00", "Mon 2028-01-31 00:00", "Tue 2028-02-29 00:00", "Fri 2028-03-31 00:00"]
        );
        assert_eq!(
            next("0 0 15,l 12 *", "2026-01-01T00:00", 3),
            ["Tue 2026-12-15 00:00", "Thu 2026-12-31 00:00", "Wed 2027-12-15 00:00"]
        );
        assert_eq!(next("0 0 L 1-11 *", "2026-12-01T00:00", 1), ["Sun 2027-01-31 00:00"]);
        assert_eq!(next("0 0 31 * *", "2026-04-01T00:00", 1), ["Sun 2026-05-31 00:00"]);
    }

    /// If this fails, cronexpr is fixed: remove the correction and the paragraph at the top.
    #[test]
    fn cronexpr_alone_misses_these_times() {
        let alone = |text: &str, after: &str| {
            cronexpr::parse_crontab(text).unwrap().find_next(after).unwrap().timestamp().to_string()
        };
        assert_eq!(alone("0 0 L * * UTC", "2026-12-01T00:00:00Z"), "2027-01-31T00:00:00Z");
        // 2:30 on 2026-03-29 is skipped in Berlin: its start is that of the next day.
        assert_eq!(alone("30 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn the_latest_time_is_the_one_before_the_next() {
        let cron = CronExpression::parse("*/20 9,17 1-7,L * *").unwrap();
        let (mut now, long_ago) = (at("2026-01-01T08:00"), at("2025-12-30T00:00"));
        for _ in 0..60 {
            let next = cron.next_after(now).unwrap();
            assert_eq!(cron.latest_until(next, now), Some(next));
            let before = next.checked_sub(1.second()).unwrap();
            assert_eq!(cron.latest_until(before, long_ago), cron.latest_until(now, long_ago));
            now = next;
        }
        assert_eq!(cron.latest_until(at("2026-01-20T00:00"), at("2026-01-10T00:00")), None);
    }

    #[test]
    fn errors_are_one_line() {
        let error = |text| CronExpression::parse(text).unwrap_err();
        assert_eq!(
            error("0 17 * * FRI Europe/Berlin"),
            "it has 6 fields, not 5: minute, hour, day of the month, month and day of the week"
        );
        for text in
            ["", "@daily", "60 0 * * *", "0 25 * * *", "0 0 * 0 *", "0 0 * * FR", "0 0 ? * *", "*/0 * * * *"]
        {
            let message = error(text);
            assert!(!message.is_empty() && !message.contains('\n'), "{text}: {message}");
        }
        assert!(error("0 0 * * 5L").contains("FRI#4"));
    }
}
