//! When is it time, by a cron expression? On the calendar and the clock of the wall; zones are `freeze`'s matter.
//!
//! Five fields as in crontab(5): lists, ranges, steps, English names; besides, `L` for the last day of a month,
//! `FRIL` or `5L` for its last Friday and `FRI#2` for its second. Where both fields of days are written and neither
//! begins with `*`, one of them is enough (Vixie's rule, crontab(5)).

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan as _};

/// Days in which every date comes: February 29 may be 8 years away (2096 to 2104).
const FAR: usize = 366 * 8 + 2;

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    /// Bits 0 to 59.
    minutes: u64,
    /// Bits 0 to 23.
    hours: u64,
    /// Bits 1 to 31, and 0 for the last one.
    days: u64,
    /// Bits 1 to 12.
    months: u64,
    /// Bits 0 (Sunday) to 6; those of the second to 5th of a month: see [`nth`].
    weekdays: u64,
    /// A day must fit both fields.
    needs_both: bool,
}

/// The bit of the nth weekday of a month; 0th: any, 6th: the last.
fn nth(weekday: u32, n: u32) -> u64 {
    1 << (n * 8 + weekday)
}

/// A field: its name, its numbers and their names.
struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    words: &'static [&'static str],
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", from: 0, to: 59, words: &[] },
    Field { name: "hour", from: 0, to: 23, words: &[] },
    Field { name: "day of the month", from: 1, to: 31, words: &[] },
    Field { name: "month", from: 1, to: 12, words: MONTHS },
    Field { name: "day of the week", from: 0, to: 7, words: WEEKDAYS },
];

impl Field {
    fn is_weekday(&self) -> bool {
        self.to == 7
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let word = self.words.iter().position(|w| w.eq_ignore_ascii_case(text));
        let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + self.from);
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        word.or_else(|| text.parse().ok().filter(|n| is_number && (self.from..=self.to).contains(n)))
            .ok_or_else(|| self.misfit(text))
    }

    fn misfit(&self, text: &str) -> String {
        let or = match self.words {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        format!("`{text}` is no {}: that is a number from {} to {}{or}", self.name, self.from, self.to)
    }

    /// Reads one item of a list.
    fn item(&self, text: &str) -> Result<u64, String> {
        if self.name == "day of the month" && text.eq_ignore_ascii_case("L") {
            return Ok(1);
        }
        if self.is_weekday() {
            if let Some((day, n)) = text.split_once('#') {
                let n = n.parse().ok().filter(|n| (1..=5).contains(n));
                let n = n.ok_or_else(|| format!("`{text}`: the number after `#` is 1 to 5"))?;
                return Ok(nth(self.number(day)? % 7, n));
            }
            if let Some(day) = text.strip_suffix(['L', 'l']).filter(|d| !d.is_empty()) {
                return Ok(nth(self.number(day)? % 7, 6));
            }
        }
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                let step = step.parse().ok().filter(|n| (1..=self.to).contains(n));
                let wrong = || format!("`{text}`: the step after `/` is 1 to {}", self.to);
                (range, Some(step.ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        // Sunday is 0 and 7: all of them is 0 to 6.
        let top = if self.is_weekday() { 6 } else { self.to };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (self.from, top),
            (_, Some((from, to))) => (self.number(from)?, self.number(to)?),
            (one, None) if step.is_some() => (self.number(one)?, top),
            (one, None) => (self.number(one)?, self.number(one)?),
        };
        if from > to {
            return Err(format!(
                "`{text}` ends before it begins: write two ranges with a comma between them"
            ));
        }
        let wrapped = |n: u32| if self.is_weekday() { n % 7 } else { n };
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        Ok((from..=to).step_by(step).fold(0, |bits, n| bits | 1 << wrapped(n)))
    }

    fn bits(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }
}

impl Cron {
    /// Reads an expression, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let texts: Vec<&str> = text.split_ascii_whitespace().collect();
        let Ok(texts) = <[&str; 5]>::try_from(texts.as_slice()) else {
            return Err(format!(
                "it has {} fields, not 5: minute, hour, day of the month, month and day of the week",
                texts.len()
            ));
        };
        let mut bits = [0; 5];
        for ((bits, field), text) in bits.iter_mut().zip(&FIELDS).zip(texts) {
            *bits = field.bits(text)?;
        }
        let [minutes, hours, days, months, weekdays] = bits;
        let needs_both = texts[2].starts_with('*') || texts[4].starts_with('*');
        Ok(Self { minutes, hours, days, months, weekdays, needs_both })
    }

    /// Returns the first time after `at`; None: there is none in the next 8 years.
    pub(super) fn next(&self, at: DateTime) -> Option<DateTime> {
        let first = at.time();
        let mut date = at.date();
        for i in 0..FAR {
            if self.is_on(date) {
                let found = self.times().find(|t| i > 0 || *t > first);
                if let Some(time) = found {
                    return Some(date.to_datetime(time));
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Returns the last time that is not after `at`, and not before `since`.
    pub(super) fn latest(&self, at: DateTime, since: DateTime) -> Option<DateTime> {
        let mut date = at.date();
        while date >= since.date() {
            if self.is_on(date) {
                let last = self.times().take_while(|t| date.to_datetime(*t) <= at).last();
                if let Some(time) = last {
                    return Some(date.to_datetime(time)).filter(|found| *found >= since);
                }
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    fn times(&self) -> impl Iterator<Item = Time> {
        let hours = (0..24i8).filter(|h| self.hours & 1 << h != 0);
        hours.flat_map(|h| {
            let minutes = (0..60i8).filter(|m| self.minutes & 1 << m != 0);
            minutes.map(move |m| jiff::civil::time(h, m, 0, 0))
        })
    }

    fn is_on(&self, date: Date) -> bool {
        let is_month = self.months & 1 << date.month() != 0;
        let is_last = self.days & 1 != 0 && date.day() == date.days_in_month();
        let is_day = is_last || self.days & 1 << date.day() != 0;
        let weekday = u32::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or_default();
        let n = u32::try_from((date.day() - 1) / 7 + 1).unwrap_or_default();
        let is_last_week = date.day() + 7 > date.days_in_month();
        let wanted = nth(weekday, 0) | nth(weekday, n) | if is_last_week { nth(weekday, 6) } else { 0 };
        let is_weekday = self.weekdays & wanted != 0;
        is_month && if self.needs_both { is_day && is_weekday } else { is_day || is_weekday }
    }
}

/// Returns a length as jiff has it: exact, whatever clocks do.
pub(super) fn exact(seconds: u64) -> Span {
    i64::try_from(seconds).unwrap_or(i64::MAX).seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn next(cron: &str, after: &str, n: usize) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap();
        let mut found = Vec::new();
        let mut now = at(after);
        for _ in 0..n {
            now = cron.next(now).unwrap();
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
        assert_eq!(
            next("5/20 0 1 JAN,Jul *", "2026-01-01T00:30", 3),
            ["Thu 2026-01-01 00:45", "Wed 2026-07-01 00:05", "Wed 2026-07-01 00:25"]
        );
        assert_eq!(next("0 0 * * 7", "2026-03-27T00:00", 1), ["Sun 2026-03-29 00:00"]);
        assert_eq!(next("0 0 29 2 *", "2096-03-01T00:00", 1), ["Fri 2104-02-29 00:00"]);
    }

    #[test]
    fn one_of_two_fields_of_days_is_enough() {
        assert_eq!(
            next("0 0 13 * FRI", "2026-03-10T00:00", 3),
            ["Fri 2026-03-13 00:00", "Fri 2026-03-20 00:00", "Fri 2026-03-27 00:00"]
        );
        assert_eq!(next("0 0 */2 * SUN", "2026-03-15T00:00", 1), ["Sun 2026-03-29 00:00"]);
    }

    #[test]
    fn months_end_in_every_month() {
        assert_eq!(
            next("0 0 L * *", "2027-11-30T00:00", 4),
            ["Fri 2027-12-31 00:00", "Mon 2028-01-31 00:00", "Tue 2028-02-29 00:00", "Fri 2028-03-31 00:00"]
        );
        assert_eq!(
            next("0 0 * * 5L", "2026-11-28T00:00", 2),
            ["Fri 2026-12-25 00:00", "Fri 2027-01-29 00:00"]
        );
        assert_eq!(
            next("0 0 * * fri#2", "2026-03-01T00:00", 2),
            ["Fri 2026-03-13 00:00", "Fri 2026-04-10 00:00"]
        );
        assert_eq!(next("0 0 31 * *", "2026-04-01T00:00", 1), ["Sun 2026-05-31 00:00"]);
    }

    #[test]
    fn the_latest_time_is_the_one_before_the_next() {
        let cron = Cron::parse("*/20 9,17 1-7,L * *").unwrap();
        let mut now = at("2026-01-01T08:00");
        for _ in 0..200 {
            let next = cron.next(now).unwrap();
            assert_eq!(cron.latest(next, now), Some(next));
            let before = next.checked_sub(1.second()).unwrap();
            assert_eq!(cron.latest(before, at("2025-12-01T00:00")), cron.latest(now, at("2025-12-01T00:00")));
            now = next;
        }
        assert_eq!(cron.latest(at("2026-01-20T00:00"), at("2026-01-10T00:00")), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text| Cron::parse(text).unwrap_err();
        assert_eq!(
            wrong("0 17 * * FRI Europe/Berlin"),
            "it has 6 fields, not 5: minute, hour, day of the month, month and day of the week"
        );
        assert_eq!(wrong("60 0 * * *"), "`60` is no minute: that is a number from 0 to 59");
        assert_eq!(
            wrong("0 0 * * FR"),
            "`FR` is no day of the week: that is a number from 0 to 7, or SUN to SAT"
        );
        assert_eq!(wrong("0 0 * 0 *"), "`0` is no month: that is a number from 1 to 12, or JAN to DEC");
        assert_eq!(
            wrong("0 22-6 * * *"),
            "`22-6` ends before it begins: write two ranges with a comma between them"
        );
        assert_eq!(wrong("*/0 * * * *"), "`*/0`: the step after `/` is 1 to 59");
        assert_eq!(wrong("0 0 * * 5#6"), "`5#6`: the number after `#` is 1 to 5");
        for odd in [
            "",
            "@daily",
            "a b c d e",
            "0 0 15W * *",
            "0 0 ? * *",
            "+1 0 * * *",
            "1,,2 0 * * *",
            "0 0 L-3 * *",
        ] {
            assert!(Cron::parse(odd).is_err(), "{odd}");
        }
    }
}
