//! Resolves scalars by the rules of go-yaml v2 and Go's JSON encoder, with which Kubernetes reads YAML.

use serde_json::{Number, Value};
use std::fmt::Write as _;

/// An explicit tag, as far as it changes the meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarTag {
    Str,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
    Merge,
    /// `!` alone.
    NonSpecific,
    /// Any other: a scalar with it is a string.
    Other,
}

impl ScalarTag {
    /// Returns the tag of a handle and a suffix as the parser has resolved them.
    pub(super) fn from_parts(handle: &str, suffix: &str) -> Self {
        let name = match handle {
            "tag:yaml.org,2002:" => suffix,
            "" if suffix == "!" => return Self::NonSpecific,
            "" => suffix.strip_prefix("tag:yaml.org,2002:").unwrap_or(""),
            _ => "",
        };
        match name {
            "str" => Self::Str,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            "merge" => Self::Merge,
            _ => Self::Other,
        }
    }
}

/// The resolved meaning of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScalarMeaning {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above the greatest `i64`.
    Big(u64),
    Float(f64),
    /// The text as it is.
    Text,
    /// Bytes that a `!!binary` held.
    Bytes(Vec<u8>),
}

/// The most bytes of a plain scalar that is not a string, by its first byte: 0 where all are strings.
static MAX_BYTES_WITH_MEANING: [u32; 256] = max_bytes_with_meaning();

const fn max_bytes_with_meaning() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        table[byte as usize] = match byte {
            b'~' => 1,
            b'y' | b'Y' | b'o' | b'O' => 3,
            b'n' | b'N' | b't' | b'T' => 4,
            b'f' | b'F' => 5,
            b'.' | b'+' | b'-' | b'0'..=b'9' => u32::MAX,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Returns what a plain scalar without a tag means.
pub(super) fn resolve_plain(text: &str) -> ScalarMeaning {
    if is_certainly_text(text) { ScalarMeaning::Text } else { resolve_by_first_byte(text) }
}

/// Returns whether a plain scalar without a tag is a string.
pub(super) fn is_plain_text(text: &str) -> bool {
    is_certainly_text(text) || matches!(resolve_by_first_byte(text), ScalarMeaning::Text)
}

/// Returns whether JSON has what a plain scalar without a tag means: all but infinities and not-a-number.
pub(super) fn is_plain_json(text: &str) -> bool {
    !matches!(text.as_bytes(), [b'.' | b'+' | b'-', ..]) || parse_special_float(text).is_none()
}

/// Returns whether a plain scalar is a string by its first byte and its length, as nearly all strings are.
fn is_certainly_text(text: &str) -> bool {
    match text.as_bytes() {
        [first, ..] => text.len() > MAX_BYTES_WITH_MEANING[usize::from(*first)] as usize,
        [] => false,
    }
}

// go-yaml v2.4.2 resolve.go resolve.
fn resolve_by_first_byte(text: &str) -> ScalarMeaning {
    let Some(&first) = text.as_bytes().first() else { return ScalarMeaning::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => resolve_word(text),
        b'.' => resolve_dotted(text),
        b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
        _ => ScalarMeaning::Text,
    }
}

/// Returns what a scalar with a tag means, or why the tag does not fit.
pub(super) fn resolve_tagged(tag: ScalarTag, text: &str) -> Result<ScalarMeaning, String> {
    match tag {
        ScalarTag::Str | ScalarTag::Other | ScalarTag::NonSpecific | ScalarTag::Merge => {
            return Ok(ScalarMeaning::Text);
        }
        ScalarTag::Binary => {
            return decode_base64(text)
                .map(ScalarMeaning::Bytes)
                .ok_or_else(|| "this is not valid base64".to_owned());
        }
        _ => {}
    }
    // go-yaml tries dates before numbers, but nothing is both.
    let meaning = resolve_plain(text);
    match (tag, meaning) {
        (ScalarTag::Bool, m @ ScalarMeaning::Bool(_))
        | (ScalarTag::Int, m @ (ScalarMeaning::Int(_) | ScalarMeaning::Big(_)))
        | (ScalarTag::Float, m @ ScalarMeaning::Float(_))
        | (ScalarTag::Null, m @ ScalarMeaning::Null) => Ok(m),
        #[expect(clippy::cast_precision_loss, reason = "go-yaml converts in the same way")]
        (ScalarTag::Float, ScalarMeaning::Int(i)) => Ok(ScalarMeaning::Float(i as f64)),
        (ScalarTag::Timestamp, ScalarMeaning::Text) if is_timestamp(text) => Ok(ScalarMeaning::Text),
        (tag, _) => Err(format!("`{text}` is not a `!!{}`", format!("{tag:?}").to_lowercase())),
    }
}

fn resolve_word(text: &str) -> ScalarMeaning {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            ScalarMeaning::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            ScalarMeaning::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => ScalarMeaning::Null,
        _ => ScalarMeaning::Text,
    }
}

fn parse_special_float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn resolve_dotted(text: &str) -> ScalarMeaning {
    parse_special_float(text).or_else(|| parse_float(text)).map_or(ScalarMeaning::Text, ScalarMeaning::Float)
}

fn resolve_number(text: &str) -> ScalarMeaning {
    // The common case: a few digits and nothing else.
    if text.len() < 18 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_or(ScalarMeaning::Text, ScalarMeaning::Int);
    }
    // Quantities and durations end with a letter that ends no number.
    if !text.ends_with(|last: char| last.is_ascii_hexdigit() || matches!(last, '.' | '_')) {
        return ScalarMeaning::Text;
    }
    if let Some(f) = parse_special_float(text) {
        return ScalarMeaning::Float(f);
    }
    let stripped;
    let digits = if text.contains('_') {
        stripped = text.replace('_', "");
        stripped.as_str()
    } else {
        text
    };
    parse_integer(digits)
        .or_else(|| parse_float(digits).map(ScalarMeaning::Float))
        .or_else(|| parse_signed_binary(digits))
        .unwrap_or(ScalarMeaning::Text)
}

/// Reads an integer as Go's strconv does with base 0.
fn parse_integer(text: &str) -> Option<ScalarMeaning> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(size).map(ScalarMeaning::Int);
    }
    match i64::try_from(size) {
        Ok(i) => Some(ScalarMeaning::Int(i)),
        // Go tries the unsigned reading without a sign only.
        Err(_) if unsigned.len() == text.len() => Some(ScalarMeaning::Big(size)),
        Err(_) => None,
    }
}

// go-yaml cuts `0b` off and reads the rest with its own sign.
fn parse_signed_binary(text: &str) -> Option<ScalarMeaning> {
    i64::from_str_radix(text.strip_prefix("0b")?, 2).ok().map(ScalarMeaning::Int)
}

/// Reads a float that go-yaml takes for one: no names, no hexadecimals, nothing out of range.
fn parse_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if exponent.is_some_and(|e| !digits(e.strip_prefix(['+', '-']).unwrap_or(e))) {
        return None;
    }
    let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let right = if whole.is_empty() {
        digits(fraction)
    } else {
        digits(whole) && (fraction.is_empty() || digits(fraction))
    };
    text.parse::<f64>().ok().filter(|f| right && f.is_finite())
}

/// Returns whether Go's time package takes a text for one of go-yaml's four forms of a date.
fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let mut digits = |least: usize, most: usize, after: &[char]| -> Option<(u32, char)> {
        let n = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = rest.get(..n).filter(|_| n >= least)?.parse().ok()?;
        let end = rest[n..].chars().next().unwrap_or('\0');
        rest = &rest[n + end.len_utf8().min(rest.len() - n)..];
        after.contains(&end).then_some((value, end))
    };
    let mut read = || -> Option<bool> {
        let (year, _) = digits(4, 4, &['-'])?;
        let (month, _) = digits(1, 2, &['-'])?;
        let (day, end) = digits(1, 2, &['\0', 'T', 't', ' '])?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if day == 0 || day > last || end == '\0' {
            return Some(day > 0 && day <= last);
        }
        let zone = end != ' ';
        let ends: &[char] = if zone { &['.', ',', 'Z', '+', '-'] } else { &['.', ',', '\0'] };
        let (hour, _) = digits(1, 2, &[':'])?;
        let (minute, _) = digits(1, 2, &[':'])?;
        let (second, mut end) = digits(1, 2, ends)?;
        if matches!(end, '.' | ',') {
            end = digits(1, 9, &ends[2..])?.1;
        }
        if matches!(end, '+' | '-') {
            let (h, _) = digits(2, 2, &[':'])?;
            let (m, _) = digits(2, 2, &['\0'])?;
            return Some(hour < 24 && minute < 60 && second < 60 && h <= 24 && m < 60);
        }
        Some(hour < 24 && minute < 60 && second < 60)
    };
    read() == Some(true) && rest.is_empty()
}

/// Decodes standard base64 with padding; line breaks are skipped, as Go does.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held, mut padding) = (0u32, 0u32, 0u32);
    for b in text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')) {
        let six = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if held >= 2 && held + padding < 4 => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(six);
        held += 1;
        if held == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, held) = (0, 0);
        }
    }
    match (held, padding) {
        (0, 0) => {}
        (2, 2) => out.push((bits >> 4).to_be_bytes()[3]),
        (3, 1) => out.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
        _ => return None,
    }
    Some(out)
}

/// Returns bytes as Go's JSON encoder writes them: each byte that is not UTF-8 becomes U+FFFD.
pub(super) fn bytes_as_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    out
}

/// Returns the JSON value of a meaning; `None` for infinities and not-a-number, which JSON does not have.
pub(super) fn to_json(meaning: ScalarMeaning, text: &str) -> Option<Value> {
    Some(match meaning {
        ScalarMeaning::Null => Value::Null,
        ScalarMeaning::Bool(b) => Value::Bool(b),
        ScalarMeaning::Int(i) => Value::Number(i.into()),
        ScalarMeaning::Big(u) => Value::Number(u.into()),
        ScalarMeaning::Float(f) => Value::Number(json_float(f)?),
        ScalarMeaning::Text => Value::String(text.to_owned()),
        ScalarMeaning::Bytes(b) => Value::String(bytes_as_text(&b)),
    })
}

/// Returns the key that a scalar of some meaning becomes; `None` where Kubernetes takes none.
// sigs.k8s.io/yaml v1.6.0 yaml.go convertToJSONableObject.
pub(super) fn to_key(meaning: ScalarMeaning) -> Option<ScalarKey> {
    Some(match meaning {
        ScalarMeaning::Null | ScalarMeaning::Big(_) => return None,
        ScalarMeaning::Bool(b) => ScalarKey::Converted(b.to_string()),
        ScalarMeaning::Int(i) => ScalarKey::Converted(i.to_string()),
        ScalarMeaning::Float(f) => ScalarKey::Converted(short_float(f)),
        ScalarMeaning::Text => ScalarKey::AsWritten,
        ScalarMeaning::Bytes(b) => ScalarKey::Converted(bytes_as_text(&b)),
    })
}

/// A mapping key in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScalarKey {
    /// The scalar's own text.
    AsWritten,
    /// Another text.
    Converted(String),
}

/// Splits the shortest decimal form of a float into sign, digits and decimal exponent.
fn split_shortest(formatted: &str) -> (&str, String, i32) {
    let (sign, rest) = if let Some(r) = formatted.strip_prefix('-') { ("-", r) } else { ("", formatted) };
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    (sign, mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn format_fixed(sign: &str, digits: &str, exponent: i32) -> String {
    let point = usize::try_from(exponent + 1).unwrap_or(0);
    if exponent < 0 {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    }
    if digits.len() <= point {
        return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

fn format_scientific(sign: &str, digits: &str, exponent: i32, least: usize) -> String {
    let mut out = format!("{sign}{}", &digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let mark = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{mark}{:0least$}", exponent.unsigned_abs());
    out
}

/// Returns a float as Go's JSON encoder writes it.
// Go encoding/json encode.go floatEncoder.
fn json_float(f: f64) -> Option<Number> {
    if !f.is_finite() {
        return None;
    }
    let formatted = format!("{f:e}");
    let (sign, digits, exponent) = split_shortest(&formatted);
    let size = f.abs();
    let text = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        format_scientific(sign, &digits, exponent, if exponent < 0 { 1 } else { 2 })
    } else {
        format_fixed(sign, &digits, exponent)
    };
    text.parse().ok()
}

/// Returns a float key: the shortest form that a 32-bit float needs, as `%g` writes it.
fn short_float(f: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml formats keys as 32-bit floats")]
    let f = f as f32;
    if f.is_nan() {
        return ".nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let formatted = format!("{f:e}");
    let (sign, digits, exponent) = split_shortest(&formatted);
    if !(-4..6).contains(&exponent) {
        format_scientific(sign, &digits, exponent, 2)
    } else {
        format_fixed(sign, &digits, exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        to_json(resolve_plain(text), text).map_or("error".to_owned(), |v| v.to_string())
    }

    #[test]
    fn numbers_are_read_and_written_as_go_does() {
        for (text, expected) in [
            ("0777", "511"),
            ("-0777", "-511"),
            ("0o17", "15"),
            ("08", "8"),
            ("0x1F", "31"),
            ("0X1f", "31"),
            ("0b101", "5"),
            ("0b-1", "-1"),
            ("1_000", "1000"),
            ("1__0", "10"),
            ("+1", "1"),
            ("-0", "0"),
            ("-0.0", "-0"),
            ("1e3", "1000"),
            ("1.10", "1.1"),
            ("5.", "5"),
            (".5", "0.5"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("1.5e-10", "1.5e-10"),
            ("0.000001", "0.000001"),
            ("123456789e12", "123456789000000000000"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709552000"),
            ("+18446744073709551615", "18446744073709552000"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9223372036854776000"),
            ("1e400", "\"1e400\""),
            ("0x", "\"0x\""),
            ("0o8", "\"0o8\""),
            ("+-1", "\"+-1\""),
            ("1e", "\"1e\""),
            ("--1", "\"--1\""),
            (".e1", "\".e1\""),
            ("12:30", "\"12:30\""),
            ("2001-12-14", "\"2001-12-14\""),
            (".inf", "error"),
            ("-.INF", "error"),
            ("inf", "\"inf\""),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn the_quick_tests_agree_with_the_resolver() {
        let words = [
            "y", "yes", "true", "on", "n", "no", "false", "off", "null", "~", "<<", "", "name", "yesno",
            "nulls",
        ];
        let cases =
            |word: &str| [word.to_lowercase(), word.to_uppercase(), word.replacen(|_: char| true, "T", 1)];
        let words = words.into_iter().flat_map(cases);
        let numbers = [
            ".inf",
            ".Inf",
            "+.INF",
            "-.inf",
            ".nan",
            ".NaN",
            "1_.inf",
            "0x1",
            "1e9",
            "-1",
            "+1",
            ".5",
            "--",
            "2001-12-14",
            "1e400",
            "-.infx",
            "+.nan",
        ];
        let all_bytes = (0..128_u8).map(|b| char::from(b).to_string());
        for text in words.chain(numbers.map(str::to_owned)).chain(all_bytes) {
            let meaning = resolve_by_first_byte(&text);
            // Not-a-number equals nothing.
            assert_eq!(format!("{:?}", resolve_plain(&text)), format!("{meaning:?}"), "{text}");
            assert_eq!(is_plain_text(&text), meaning == ScalarMeaning::Text, "{text}");
            assert_eq!(is_plain_json(&text), to_json(meaning, &text).is_some(), "{text}");
        }
    }

    #[test]
    fn tags_convert_or_refuse() {
        assert_eq!(resolve_tagged(ScalarTag::Float, "1"), Ok(ScalarMeaning::Float(1.0)));
        assert_eq!(resolve_tagged(ScalarTag::Int, "0x10"), Ok(ScalarMeaning::Int(16)));
        assert_eq!(
            resolve_tagged(ScalarTag::Binary, "aGVs\nbG8="),
            Ok(ScalarMeaning::Bytes(b"hello".to_vec()))
        );
        assert!(
            resolve_tagged(ScalarTag::Int, "1.5").is_err()
                && resolve_tagged(ScalarTag::Bool, "1").is_err()
                && resolve_tagged(ScalarTag::Null, "x").is_err()
        );
        assert!(
            resolve_tagged(ScalarTag::Binary, "aGVsbG8").is_err()
                && resolve_tagged(ScalarTag::Binary, "a=").is_err()
        );
        for good in [
            "2001-12-14",
            "2001-2-3",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43.1",
            "2024-02-29T1:2:3Z",
        ] {
            assert!(resolve_tagged(ScalarTag::Timestamp, good).is_ok(), "{good}");
        }
        for bad in [
            "2001-13-14",
            "2001-02-29",
            "x",
            "2001-12-14 21:59:43 -5",
            "2001-12-14T21:59:43",
            "12-1-1",
            "2001-1-1x",
        ] {
            assert!(resolve_tagged(ScalarTag::Timestamp, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_one_by_one() {
        assert_eq!(bytes_as_text(b"a\xf0\x9f\x8eb"), "a\u{fffd}\u{fffd}\u{fffd}b");
    }
}
