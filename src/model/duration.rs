//! Parses durations (`120s`, `1h30m`) and formats them for people (`2 min`).

/// The longest duration that a setting of pillion accepts, in seconds: 8784 h, a leap year.
pub(crate) const MAX_SECONDS: u64 = 8_784 * 3_600;

/// Reads a duration in Go's form: numbers, each with one of the units h, m, s. Returns seconds; None if the text has another form.
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut seconds = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match &rest.as_bytes()[digits] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(seconds)
}

/// Returns a duration, given in seconds, in words: `45 s`, `6 min`, `3 h 20 min`.
pub(crate) fn humanize(seconds: u64) -> String {
    let (hours, minutes, left) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    let parts = [(hours, "h"), (minutes, "min"), (left, "s")];
    let words: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_told() {
        let message = |text| parse(text).map(humanize);
        assert_eq!(message("120s").as_deref(), Some("2 min"));
        assert_eq!(message("1h90m5s").as_deref(), Some("2 h 30 min 5 s"));
        assert_eq!(message("0s").as_deref(), Some("0 s"));
        for invalid in ["", "5", "s", "5d", "-5s", "1.5h", "99999999999999999999s"] {
            assert_eq!(parse(invalid), None, "{invalid}");
        }
    }
}
