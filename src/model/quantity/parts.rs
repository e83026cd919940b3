//! Takes the text of a quantity apart, and computes its amount.

use super::{
    BINARY_SUFFIXES, DECIMAL_SUFFIXES, MAX_DIGITS, MAX_NANOS, NANOS_PER_UNIT, Quantity, QuantityError,
    QuantityFormat, divide_away_from_zero,
};

/// The text of a quantity taken apart: sign, digits in front of and behind the point, suffix.
pub(super) struct QuantityParts<'a> {
    pub(super) is_negative: bool,
    /// There is no digit at all; apimachinery reads such a text as zero, except for the far ends of the suffixes.
    pub(super) is_bare: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> QuantityParts<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = split_digits(unsigned.trim_start_matches('0'));
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let exponent = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.bytes().all(|b| b.is_ascii_digit()) {
            let is_bare = !unsigned.starts_with('0') && whole.is_empty() && fraction.is_empty();
            Ok(Self { is_negative: negative, is_bare, whole, fraction, suffix })
        } else {
            Err(QuantityError::Format)
        }
    }

    pub(super) fn parse_suffix(&self) -> Result<(QuantityFormat, i32), QuantityError> {
        if let Some((_, power)) = DECIMAL_SUFFIXES.iter().find(|(s, _)| *s == self.suffix) {
            return Ok((QuantityFormat::DecimalSi, *power));
        }
        if let Some(power) = BINARY_SUFFIXES.iter().position(|s| *s == self.suffix) {
            return Ok((QuantityFormat::BinarySi, 10 * power as i32));
        }
        let exponent =
            self.suffix.strip_prefix(['e', 'E']).filter(|e| !e.is_empty()).ok_or(QuantityError::Suffix)?;
        let power: i64 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
        i32::try_from(power)
            .map(|p| (QuantityFormat::DecimalExponent, p))
            .map_err(|_| QuantityError::TooLarge)
    }

    /// Returns the billionths of a decimal number, rounded up; None if it is too large.
    pub(super) fn decimal(&self, power: i32) -> Option<i128> {
        let digits = self.whole.bytes().chain(self.fraction.bytes());
        let count = self.whole.len() + self.fraction.len();
        // The number of digits that are billionths or more; the others only decide about rounding.
        let kept = i64::try_from(self.whole.len()).ok()? + i64::from(power) + 9;
        let mut nano: i128 = 0;
        let mut rest = false;
        for (at, digit) in (0_i64..).zip(digits) {
            if at < kept {
                nano = nano.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
            } else {
                rest |= digit != b'0';
            }
        }
        let missing = kept - i64::try_from(count).ok()?;
        if nano != 0 && missing > 0 {
            nano = nano.checked_mul(10_i128.checked_pow(u32::try_from(missing).ok()?)?)?;
        }
        Some(nano + i128::from(rest))
    }

    /// Returns the billionths of a binary number, rounded up, at most 2^63 - 1 units.
    pub(super) fn binary(&self, power: i32) -> Option<i128> {
        let factor = 1_i128 << power;
        // apimachinery v0.32 resource.ParseQuantity: binary amounts stop at the largest signed 64-bit number.
        let cap = i128::from(i64::MAX) * NANOS_PER_UNIT;
        let Some(units) = self.whole.parse::<i64>().ok().or(self.whole.is_empty().then_some(0)) else {
            return Some(cap);
        };
        let (fraction, rest) = self.fraction.split_at(self.fraction.len().min(18));
        let rest = rest.bytes().any(|b| b != b'0');
        let parts = fraction.parse::<i128>().unwrap_or(0) * factor;
        let nano = match 10_i128.checked_pow(fraction.len() as u32)? {
            scale if scale > NANOS_PER_UNIT => divide_away_from_zero(parts, scale / NANOS_PER_UNIT),
            scale => parts * (NANOS_PER_UNIT / scale),
        };
        let units = (i128::from(units) * factor).min(i128::from(i64::MAX));
        Some((units * NANOS_PER_UNIT + nano + i128::from(rest)).min(cap))
    }

    /// Returns whether apimachinery repeats the text instead of computing one.
    pub(super) fn is_canonical(&self, format: QuantityFormat, power: i32) -> bool {
        let (whole, fraction) = (self.whole.len().max(1) as i64, self.fraction.len() as i64);
        match format {
            QuantityFormat::BinarySi => {
                let precision = 14 - whole - i64::from(power) * 3 / 10;
                precision >= 0 && fraction == 0 && self.low_bits() != 0
            }
            QuantityFormat::DecimalSi | QuantityFormat::DecimalExponent => {
                let scale = i64::from(power) - fraction;
                let fits = whole + fraction <= 18 && (-9..=i64::from(i32::MAX)).contains(&scale);
                fits && scale % 3 == 0 && !self.whole.is_empty() && !self.ends_in_thousands()
            }
        }
    }

    /// Returns an amount that 128 bits do not hold, or that apimachinery writes without its suffix: as large as can be
    /// held, with the text that apimachinery writes.
    ///
    /// apimachinery v0.32 infDecAmount.AsCanonicalBytes, and constructBytes, which is silent about unknown powers.
    pub(super) fn parse_large(
        &self,
        text: &str,
        format: QuantityFormat,
        power_of_text: i32,
    ) -> Result<Quantity, QuantityError> {
        let nano = if self.is_negative { -MAX_NANOS } else { MAX_NANOS };
        let mut digits = format!("{}{}", self.whole, self.fraction);
        let mut power = i64::from(power_of_text) - self.fraction.len() as i64;
        if digits.len() > MAX_DIGITS || power.unsigned_abs() > MAX_DIGITS as u64 {
            return Err(QuantityError::TooLarge);
        }
        if self.is_canonical(format, power_of_text) {
            return Ok(Quantity { nano, format, text: Some(text.into()) });
        }
        // What is finer than a billionth is rounded away from zero.
        let finer = usize::try_from(-9 - power).unwrap_or(0).min(digits.len());
        if digits.split_off(digits.len() - finer).bytes().any(|b| b != b'0') {
            digits = increment_digits(&digits);
        }
        power += finer as i64;
        let significant = digits.trim_end_matches('0');
        power += (digits.len() - significant.len()) as i64;
        let significant = significant.trim_start_matches('0');
        let extra = power.rem_euclid(3);
        let power = power - extra;
        let suffix = match format {
            QuantityFormat::DecimalExponent if power != 0 => format!("e{power}"),
            QuantityFormat::DecimalExponent => String::new(),
            _ => DECIMAL_SUFFIXES
                .iter()
                .find(|(_, p)| i64::from(*p) == power)
                .map_or("", |(s, _)| *s)
                .to_owned(),
        };
        let sign = if self.is_negative { "-" } else { "" };
        let text = format!("{sign}{significant}{}{suffix}", "0".repeat(extra as usize));
        Ok(Quantity { nano, format, text: Some(text.into()) })
    }

    fn ends_in_thousands(&self) -> bool {
        let zeros = |s: &str| s.bytes().rev().take_while(|b| *b == b'0').count();
        let behind = zeros(self.fraction);
        behind >= 3 || (behind == self.fraction.len() && behind + zeros(self.whole) >= 3)
    }

    fn low_bits(&self) -> u64 {
        self.whole.parse::<u64>().map_or(0, |n| n & 7)
    }
}

/// Adds one to the last of some decimal digits.
fn increment_digits(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let zeros = "0".repeat(digits.len() - kept.len());
    match kept.as_bytes().last() {
        Some(last) => format!("{}{}{zeros}", &kept[..kept.len() - 1], char::from(last + 1)),
        None => format!("1{zeros}"),
    }
}

/// Splits off the leading decimal digits.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}
