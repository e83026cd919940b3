//! Parses and compares API timestamps (RFC 3339). This file reads no clock.

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    seconds: i64,
    /// Nanoseconds on top of them.
    nanos: u32,
}

impl Timestamp {
    /// Reads `2026-06-21T10:00:00Z`, with a fraction of a second or an offset such as `+02:00` where there is one.
    /// None if the text is anything else; what Go's time.RFC3339 refuses is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let (clock, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
        let [year, month, day] = parse_numbers(date, b'-', [4, 2, 2])?;
        let [hour, minute, second] = parse_numbers(clock, b':', [2, 2, 2])?;
        let is_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        if !is_date || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (nanos, zone) = parse_fraction(rest)?;
        let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Self { seconds: seconds - parse_offset(zone)?, nanos })
    }
}

impl Timestamp {
    /// Writes it as the API does (metav1.Time): in UTC and whole seconds. None for the time that Go takes for none.
    pub(crate) fn to_rfc3339(self) -> Option<String> {
        const NONE: i64 = -62_135_596_800;
        if self.seconds == NONE && self.nanos == 0 {
            return None;
        }
        let (days, second) = (self.seconds.div_euclid(86_400), self.seconds.rem_euclid(86_400));
        let (year, month, day) = date_from_days(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }
}

/// Returns year, month and day, the reverse of [`days_since_epoch`].
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Returns whether a text is a day that the calendar has, `YYYY-MM-DD`.
pub(crate) fn is_day(text: &str) -> bool {
    let [year, month, day] = parse_numbers(text, b'-', [4, 2, 2]).unwrap_or_default();
    (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day)
}

/// Returns the first second of the day after a day, `YYYY-MM-DD`, in UTC; seconds since 1970.
pub(crate) fn end_of_day(text: &str) -> Option<i64> {
    let [year, month, day] = parse_numbers(text, b'-', [4, 2, 2]).filter(|_| is_day(text))?;
    Some((days_since_epoch(year, month, day) + 1) * 86_400)
}

/// Returns the day of a moment in UTC, `YYYY-MM-DD`; seconds since 1970.
pub(crate) fn format_day(seconds: i64) -> String {
    let (year, month, day) = date_from_days(seconds.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns a moment in UTC as RFC 3339 writes it; seconds since 1970.
pub(crate) fn format_time(seconds: i64) -> String {
    let rest = seconds.rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}Z", format_day(seconds), rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Reads numbers of fixed widths with a separator between them.
fn parse_numbers<const N: usize>(text: &str, separator: u8, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(char::from(separator));
    let mut read = [0; N];
    for (number, width) in read.iter_mut().zip(widths) {
        *number = parse_digits(parts.next().filter(|p| p.len() == width)?)?;
    }
    parts.next().is_none().then_some(read)
}

fn parse_digits(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Splits `.123Z` into nanoseconds and the rest; digits beyond the ninth are dropped, as in Go.
fn parse_fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (fraction, zone) = rest.split_at(end);
    let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    (!fraction.is_empty()).then_some((nanos, zone))
}

/// Returns the seconds that a zone is ahead of UTC.
fn parse_offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes] = parse_numbers(zone.get(1..)?, b':', [2, 2])?;
    (hours <= 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counts days in the Gregorian calendar, with years that begin in March so that the leap day is the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, end_of_day, format_day, is_day};

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (1_709_210_096, "2024-02-29"),
            (-1, "1969-12-31"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(format_day(seconds), day);
            assert!(end_of_day(day).is_some_and(|end| end > seconds && end - seconds <= 86_400));
            assert!(is_day(day));
        }
        for text in
            ["2025-02-29", "2026-13-01", "2026-1-1", "2026-01-00", "tomorrow", "", "2026-01-01T00:00:00Z"]
        {
            assert!(!is_day(text), "{text}");
        }
    }

    fn seconds(text: &str) -> Option<i64> {
        Timestamp::parse(text).map(|t| t.seconds)
    }

    #[test]
    fn counts_seconds() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2024-02-29T12:34:56Z"), Some(1_709_210_096));
        assert_eq!(seconds("2000-03-01T00:00:00Z"), Some(951_868_800));
        assert_eq!(seconds("0001-01-01T00:00:00Z"), Some(-62_135_596_800));
    }

    #[test]
    fn compares_over_zones_and_fractions() {
        let at = |text| Timestamp::parse(text).expect("a time");
        assert_eq!(at("2026-06-21T12:00:00+02:00"), at("2026-06-21T10:00:00Z"));
        assert_eq!(at("2026-06-20T23:30:00-10:30"), at("2026-06-21T10:00:00Z"));
        assert_eq!(at("2026-06-21T10:00:00.5Z"), at("2026-06-21T10:00:00.500000Z"));
        assert!(at("2026-06-21T10:00:00.000000001Z") > at("2026-06-21T10:00:00Z"));
        assert!(at("2026-06-21T10:00:00.9Z") < at("2026-06-21T10:00:01Z"));
    }

    #[test]
    fn is_written_as_the_api_writes_it() {
        let written = |text| Timestamp::parse(text).and_then(Timestamp::to_rfc3339);
        for text in
            ["1970-01-01T00:00:00Z", "2024-02-29T12:34:56Z", "2000-03-01T00:00:00Z", "1899-12-31T23:59:59Z"]
        {
            assert_eq!(written(text).as_deref(), Some(text));
        }
        assert_eq!(written("2024-03-01T01:30:00.9+02:00").as_deref(), Some("2024-02-29T23:30:00Z"));
        assert_eq!(written("2023-12-31T23:00:00-01:30").as_deref(), Some("2024-01-01T00:30:00Z"));
        assert_eq!(written("0001-01-01T00:00:00Z"), None);
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "yesterday",
            "2026-06-21",
            "2026-06-21 10:00:00Z",
            "2026-06-21T10:00:00",
            "2026-06-21T10:00:00z",
            "2026-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2026-06-21T24:00:00Z",
            "2026-06-21T10:00:60Z",
            "2026-06-21T10:00:00.Z",
            "2026-06-21T10:00:00+2:00",
            "2026-06-21T10:00:00+02:00Z",
            "+026-06-21T10:00:00Z",
            "2026-06-21T1é:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
