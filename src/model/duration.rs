//! Lengths of time, as pillion.yaml writes them (`120s`, `10m`, `63h`, `1h30m`), and as people read them.

/// The units, in seconds, longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a length of time in whole seconds; None where the text is none.
pub fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let (number, behind) = rest.split_at(end);
        let unit = behind.chars().next()?;
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*length)?)?;
        rest = &behind[unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(sum)
}

/// Returns a length of time for people: its two largest units (`1 h 30 min`).
pub fn words(seconds: u64) -> String {
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, length) in UNITS {
        let n = rest / length;
        rest %= length;
        if n > 0 {
            words.push(format!("{n} {}", if unit == 'm' { "min".to_owned() } else { unit.to_string() }));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        for (text, wanted) in [
            ("120s", Some(120)),
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("0s", Some(0)),
            ("2d", Some(172_800)),
            ("", None),
            ("12", None),
            ("m", None),
            ("1.5h", None),
            ("-1s", None),
            ("10 m", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("1ä", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn lengths_are_told() {
        for (seconds, wanted) in
            [(0, "0 s"), (360, "6 min"), (90, "1 min 30 s"), (86_400 + 3_600 + 61, "1 d 1 h"), (3_605, "1 h")]
        {
            assert_eq!(words(seconds), wanted);
        }
    }
}
