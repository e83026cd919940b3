//! Resource quantities (resource.Quantity of the API machinery): their value and their canonical text.
//!
//! Values are kept in billionths, the finest step of apimachinery; finer values are rounded away from zero.
//! Amounts beyond 10^28 are capped and keep the text that apimachinery writes.

mod parts;

use parts::QuantityParts;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// Billionths in one unit.
const NANOS_PER_UNIT: i128 = 1_000_000_000;
/// Billionths in one thousandth.
const NANOS_PER_MILLI: i128 = 1_000_000;
/// The largest amount that is held: far from the end of 128 bits, so that sums never overflow.
const MAX_NANOS: i128 = NANOS_PER_UNIT * 10_i128.pow(28);
/// The digits and the powers of ten that are read; apimachinery knows no end, and takes ever longer.
const MAX_DIGITS: usize = 1000;
/// One more step than there are suffixes for.
const SUFFIX_LIMIT: i128 = NANOS_PER_UNIT * 10_i128.pow(21);
/// The suffixes of decimal quantities and their powers of ten.
const DECIMAL_SUFFIXES: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// The suffixes of binary quantities; each is 1024 times the one before.
const BINARY_SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The notation a quantity was written in, which Kubernetes keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuantityFormat {
    /// `500m`, `2G`.
    DecimalSi,
    /// `1Gi`.
    BinarySi,
    /// `1e3`.
    DecimalExponent,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    /// It is not a number with a suffix.
    Format,
    /// The number is followed by an unknown suffix.
    Suffix,
    /// The amount is beyond what Kubernetes can write.
    TooLarge,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => {
                "a quantity is a number with an optional suffix, such as `100m`, `0.5`, `1Gi` or `2e3`"
            }
            Self::Suffix => {
                "the suffix must be one of n u m k M G T P E Ki Mi Gi Ti Pi Ei, or an exponent such as `e3`"
            }
            Self::TooLarge => "the amount is larger than Kubernetes can hold",
        })
    }
}

/// An amount of a resource.
#[derive(Debug, Clone)]
pub struct Quantity {
    nano: i128,
    format: QuantityFormat,
    /// The text it was read from, where apimachinery repeats it instead of computing one (`1.500`, `+2`).
    text: Option<Box<str>>,
}

/// Quantities are equal when they are the same amount, however it is written.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl Quantity {
    /// Returns zero.
    pub fn zero() -> Self {
        Self { nano: 0, format: QuantityFormat::DecimalSi, text: None }
    }

    /// Reads a quantity as Kubernetes does.
    ///
    /// # Errors
    /// When the text is not a quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let parts = QuantityParts::split(text)?;
        let (format, power) = parts.parse_suffix()?;
        if parts.is_bare && !(-9..50).contains(&power) {
            return Err(QuantityError::Format);
        }
        let nano = match format {
            QuantityFormat::BinarySi => parts.binary(power),
            QuantityFormat::DecimalSi | QuantityFormat::DecimalExponent => parts.decimal(power),
        }
        .filter(|n| {
            *n <= MAX_NANOS && (format == QuantityFormat::DecimalExponent || *n == 0 || n % SUFFIX_LIMIT != 0)
        });
        let Some(nano) = nano else { return parts.parse_large(text, format, power) };
        // apimachinery v0.32 resource.ParseQuantity: a fraction of less than one is not kept as binary.
        let format = if format == QuantityFormat::BinarySi && (1..NANOS_PER_UNIT).contains(&nano) {
            QuantityFormat::DecimalSi
        } else {
            format
        };
        let text = (nano != 0 && parts.is_canonical(format, power)).then(|| text.into());
        Ok(Self { nano: if parts.is_negative { -nano } else { nano }, format, text })
    }

    /// Reads a quantity from a string or a number of a document.
    ///
    /// apimachinery v0.32 Quantity.UnmarshalJSON trims the JSON text, in which line ends and tabs are escaped; null is
    /// zero.
    ///
    /// # Errors
    /// When the value is not a quantity.
    pub(crate) fn from_value(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::Null => Ok(Self::zero()),
            Value::String(text) => {
                let is_blank =
                    |c: char| c.is_whitespace() && c >= ' ' && !matches!(c, '\u{2028}' | '\u{2029}');
                Self::parse(text.trim_matches(is_blank))
            }
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => Err(QuantityError::Format),
        }
    }

    /// Reads a string or a number of a manifest; None if it is null or not a quantity.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        Some(value).filter(|v| !v.is_null()).and_then(|v| Self::from_value(v).ok())
    }

    /// Returns the JSON Schema of an amount in a document: null stands for none.
    pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "null"]})
    }

    /// Returns a number of thousandths.
    pub(crate) fn from_milli(milli: i64, format: QuantityFormat) -> Self {
        Self { nano: i128::from(milli) * NANOS_PER_MILLI, format, text: None }
    }

    /// Returns the amount in thousandths, rounded away from zero; None if it does not fit 64 bits.
    pub(crate) fn milli(&self) -> Option<i64> {
        i64::try_from(divide_away_from_zero(self.nano, NANOS_PER_MILLI)).ok()
    }

    /// Returns this quantity rounded to thousandths, as Kubernetes stores entries of `limits` and `requests`.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        if self.nano % NANOS_PER_MILLI == 0 {
            return self;
        }
        Self {
            nano: divide_away_from_zero(self.nano, NANOS_PER_MILLI) * NANOS_PER_MILLI,
            format: self.format,
            text: None,
        }
    }

    /// Returns -1, 0 or 1.
    pub(crate) fn sign(&self) -> i32 {
        match self.nano.cmp(&0) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// Returns whether the amount is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.nano % NANOS_PER_UNIT == 0
    }

    /// Returns this amount rounded up to whole units: of memory, there is no part of a byte.
    #[must_use]
    pub(crate) fn rounded_to_units(&self) -> Self {
        if self.is_whole() {
            return self.clone();
        }
        Self {
            nano: divide_away_from_zero(self.nano, NANOS_PER_UNIT) * NANOS_PER_UNIT,
            format: self.format,
            text: None,
        }
    }

    /// Writes an amount of bytes for people: as Kubernetes writes it where that has a suffix (`384Mi`, `2G`), else with
    /// one digit behind the point (`409.6Mi`).
    pub(crate) fn humanize(&self) -> String {
        let bytes = self.rounded_to_units();
        let text = bytes.to_string();
        let units = bytes.nano / NANOS_PER_UNIT;
        let power =
            BINARY_SUFFIXES.iter().enumerate().rposition(|(i, _)| units.abs() >= 1 << (10 * i)).unwrap_or(0);
        if power == 0 || !text.ends_with(|c: char| c.is_ascii_digit()) {
            return text;
        }
        let unit = 1_i128 << (10 * power);
        let tenths = (20 * units.abs() + unit) / (2 * unit);
        let sign = if units < 0 { "-" } else { "" };
        match tenths % 10 {
            0 => format!("{sign}{}{}", tenths / 10, BINARY_SUFFIXES[power]),
            rest => format!("{sign}{}.{rest}{}", tenths / 10, BINARY_SUFFIXES[power]),
        }
    }

    /// Returns the sum. The notation is that of the left side, or of the right one where the left is zero.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let format = if self.nano == 0 { other.format } else { self.format };
        Self { nano: clamp_nanos(self.nano.saturating_add(other.nano)), format, text: None }
    }

    /// Returns this amount several times.
    #[must_use]
    pub(crate) fn times(&self, n: u64) -> Self {
        Self { nano: clamp_nanos(self.nano.saturating_mul(i128::from(n))), format: self.format, text: None }
    }

    /// Returns the amount with the other sign.
    #[must_use]
    pub(crate) fn negated(&self) -> Self {
        Self { nano: -self.nano, format: self.format, text: None }
    }

    /// Returns the same notation with another amount.
    #[must_use]
    pub(crate) fn with_milli(&self, milli: i64) -> Self {
        Self::from_milli(milli, self.format)
    }
}

/// Writes the form that Kubernetes stores.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        // apimachinery v0.32 Quantity.CanonicalizeBytes: small or fractional amounts are never written in binary.
        let binary = self.format == QuantityFormat::BinarySi
            && self.is_whole()
            && self.nano.abs() >= 1024 * NANOS_PER_UNIT;
        match (self.nano, binary) {
            (0, _) => f.write_str("0"),
            (_, true) => {
                let (number, power) =
                    strip_factor(self.nano / NANOS_PER_UNIT, 1024, BINARY_SUFFIXES.len() - 1);
                write!(f, "{number}{}", BINARY_SUFFIXES[power])
            }
            (_, false) => {
                let (number, power) = strip_factor(self.nano, 1000, 12);
                match (self.format, DECIMAL_SUFFIXES.get(power)) {
                    (QuantityFormat::DecimalExponent, _) if power == 3 => write!(f, "{number}"),
                    (QuantityFormat::DecimalSi | QuantityFormat::BinarySi, Some((suffix, _))) => {
                        write!(f, "{number}{suffix}")
                    }
                    _ => write!(f, "{number}e{}", 3 * power as i32 - 9),
                }
            }
        }
    }
}

/// Divides by `base` as often as it goes without a rest, at most `most` times.
fn strip_factor(mut number: i128, base: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < most && number % base == 0 {
        number /= base;
        times += 1;
    }
    (number, times)
}

/// Keeps a sum where its sign can be turned.
fn clamp_nanos(nano: i128) -> i128 {
    nano.max(-i128::MAX)
}

fn divide_away_from_zero(number: i128, by: i128) -> i128 {
    let whole = number / by;
    if number % by == 0 { whole } else { whole + number.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_kubernetes_writes() {
        // Answers of apimachinery v0.32.10: the text, its canonical form, that form after rounding to thousandths.
        for line in include_str!("quantity_answers.txt").lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [text, canonical, rounded] = columns[..] else { panic!("three columns: {line}") };
            match Quantity::parse(text) {
                Ok(q) => {
                    assert_eq!(q.to_string(), canonical, "{text}");
                    assert_eq!(q.rounded_to_milli().to_string(), rounded, "{text}, rounded");
                }
                Err(e) => assert_eq!(format!("{e:?}"), canonical, "{text}"),
            }
        }
    }

    #[test]
    fn bytes_are_written_for_people() {
        for (text, wanted) in [
            ("429496729600m", "409.6Mi"),
            ("-429496729600m", "-409.6Mi"),
            ("107374182400m", "102.4Mi"),
            ("400Gi", "400Gi"),
            ("384Mi", "384Mi"),
            ("1536Mi", "1536Mi"),
            ("2G", "2G"),
            ("128M", "128M"),
            ("1234567890", "1.1Gi"),
            ("1073741824", "1Gi"),
            ("1000", "1k"),
            ("999", "999"),
            ("1500m", "2"),
            ("1025", "1Ki"),
            ("1100", "1.1Ki"),
            ("0", "0"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.humanize()), Ok(wanted.to_owned()), "{text}");
        }
        assert_eq!(
            Quantity::parse("429496729600m").map(|q| q.rounded_to_units().to_string()),
            Ok("429496730".into())
        );
    }

    #[test]
    fn values_are_read_as_json_is() {
        let read = |value: serde_json::Value| Quantity::from_value(&value).map(|q| q.to_string());
        assert_eq!(read(serde_json::json!(" 64Mi\u{a0}")), Ok("64Mi".to_owned()));
        assert_eq!(
            (read(serde_json::json!(null)), read(serde_json::json!(2))),
            (Ok("0".into()), Ok("2".into()))
        );
        for text in ["64Mi\n", "\t64Mi", "64Mi\u{2028}", ""] {
            assert_eq!(read(serde_json::json!(text)), Err(QuantityError::Format), "{text:?}");
        }
        assert_eq!(read(serde_json::json!([])), Err(QuantityError::Format));
    }

    #[test]
    fn what_is_beyond_all_measure_keeps_its_text() {
        for (text, wanted) in [
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1000000000000000000000000000000", "1"),
            ("-30000000000000000000000000000000", "-30"),
            ("1000E", "1"),
            ("1e30", "1e30"),
            ("12e31", "120e30"),
            ("+12e30", "+12e30"),
            ("35002930253067204395941760086203m", "35002930253067204395941760086203m"),
            ("1234567890123456789012345678901.5", "1234567890123456789012345678901500m"),
            ("1234567890123456789012345678901.9999999991", "1234567890123456789012345678902"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()), Ok(wanted.to_owned()), "{text}");
        }
        let small = Quantity::parse("1E").expect("a quantity");
        assert!(
            Quantity::parse("1000E").is_ok_and(|q| q > small)
                && Quantity::parse("-1000E").is_ok_and(|q| q < small)
        );
    }

    #[test]
    fn refuses_what_cannot_be_written() {
        for text in ["1e999999999", "1e99999999999", &"9".repeat(100_000)] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::TooLarge));
        }
        assert_eq!(Quantity::parse("1e-999999999").map(|q| q.to_string()), Ok("1e-9".to_owned()));
        assert_eq!(Quantity::parse("0e999999999").map(|q| q.to_string()), Ok("0".to_owned()));
    }

    #[test]
    fn sums_keep_the_notation_of_the_first_that_is_not_zero() {
        let sum = |a: &str, b: &str| {
            let q = |t| Quantity::parse(t).expect("a quantity");
            q(a).plus(&q(b)).to_string()
        };
        assert_eq!(sum("1Gi", "256Mi"), "1280Mi");
        assert_eq!(sum("1G", "1Gi"), "2073741824");
        assert_eq!(sum("0", "1Gi"), "1Gi");
    }
}
