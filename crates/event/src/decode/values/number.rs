//! Integers, decimals and floats from their text, exactly.

use super::Flaw;

/// Digits that always fit an `i64` and a `u64`.
const DIGITS_SURE: usize = 18;

/// An integer. `12.0` and `1e3` are integers too; `12.5` is none.
pub(crate) fn integer(text: &str) -> Result<i64, Flaw> {
    if let Some(value) = short_integer(text.as_bytes()) {
        return Ok(value);
    }
    let value = decimal(text, 38, 0).map_err(|flaw| if flaw == Flaw::Digits { Flaw::Kind } else { flaw })?;
    i64::try_from(value).map_err(|_| Flaw::Range)
}

/// A sign and up to 18 digits, nothing else: what almost every integer is.
fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS_SURE {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A float; a finite text beyond the type's range is refused rather than made infinite.
pub(crate) fn double(text: &str) -> Result<f64, Flaw> {
    let text = text.trim_ascii();
    let value: f64 = text.parse().map_err(|_| Flaw::Kind)?;
    if value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) { Err(Flaw::Range) } else { Ok(value) }
}

/// As [`double`], rounded once, straight from the text.
pub(crate) fn float(text: &str) -> Result<f32, Flaw> {
    let text = text.trim_ascii();
    let value: f32 = text.parse().map_err(|_| Flaw::Kind)?;
    if value.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit()) { Err(Flaw::Range) } else { Ok(value) }
}

/// A decimal as its unscaled integer: `1.5` with scale 2 is 150.
///
/// Refused are more digits than `precision`, and digits behind the point beyond `scale` unless they are zeros.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, Flaw> {
    let parts = Parts::read(text.trim_ascii().as_bytes()).ok_or(Flaw::Kind)?;
    let Some(mantissa) = parts.mantissa else { return Err(Flaw::Range) };
    if mantissa == 0 {
        return Ok(0);
    }
    // The mantissa does not end in a zero, so a negative shift always loses a digit.
    let shift = parts.exponent + i64::from(scale);
    let shift = u32::try_from(shift).map_err(|_| if shift < 0 { Flaw::Digits } else { Flaw::Range })?;
    let value = 10_i128.checked_pow(shift).and_then(|power| mantissa.checked_mul(power)).ok_or(Flaw::Range)?;
    if value.unsigned_abs() >= 10_u128.pow(u32::from(precision)) { Err(Flaw::Range) } else { Ok(value) }
}

/// A number as `mantissa · 10^exponent`, the mantissa without zeros at its end.
struct Parts {
    /// `None` when its digits are more than an `i128` holds.
    mantissa: Option<i128>,
    exponent: i64,
}

impl Parts {
    /// Reads `[+-] digits [. digits] [e [+-] digits]` with at least one digit before the exponent.
    fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = sign(text);
        let (whole, rest) = digits(text);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            rest => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = exponent(rest)?;
        let (mantissa, zeros) = significant(whole, fraction);
        let mantissa = mantissa.map(|value| if negative { -value } else { value });
        Some(Self { mantissa, exponent: exponent.saturating_add(zeros - fraction.len() as i64) })
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// The digits that `text` begins with, and what follows.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn exponent(text: &[u8]) -> Option<i64> {
    let [b'e' | b'E', rest @ ..] = text else { return text.is_empty().then_some(0) };
    let (negative, rest) = sign(rest);
    let (digits, []) = digits(rest) else { return None };
    if digits.is_empty() {
        return None;
    }
    // Far beyond every type, but small enough to be added to without overflow.
    const EXPONENT_MAX: i64 = 1 << 40;
    let value = digits.iter().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX));
    Some(if negative { -value } else { value })
}

/// All digits as one number, without the zeros at the end, which are counted instead.
fn significant(whole: &[u8], fraction: &[u8]) -> (Option<i128>, i64) {
    if whole.len() + fraction.len() <= DIGITS_SURE {
        let mut value = whole.iter().chain(fraction).fold(0_u64, |value, byte| value * 10 + u64::from(byte - b'0'));
        let mut zeros = 0;
        while value != 0 && value.is_multiple_of(10) {
            value /= 10;
            zeros += 1;
        }
        return (Some(value.into()), zeros);
    }
    let (mut value, mut zeros) = (Some(0_i128), 0_u32);
    for byte in whole.iter().chain(fraction) {
        if *byte == b'0' {
            zeros += 1;
            continue;
        }
        value = match value {
            Some(0) => Some(i128::from(byte - b'0')),
            value => value.and_then(|value| {
                let moved = value.checked_mul(10_i128.checked_pow(zeros + 1)?)?;
                moved.checked_add(i128::from(byte - b'0'))
            }),
        };
        zeros = 0;
    }
    (value, zeros.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_whole_numbers_in_any_writing() {
        for (text, value) in
            [("0", 0), ("-0", 0), (" 12 ", 12), ("+7", 7), ("12.0", 12), ("1e3", 1000), ("1200e-2", 12)]
        {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        assert_eq!(integer("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("9223372036854775808"), Err(Flaw::Range));
        assert_eq!(integer("1e19"), Err(Flaw::Range));
        assert_eq!(integer("1e99999999999999999999"), Err(Flaw::Range));
        assert_eq!(integer("12.5"), Err(Flaw::Kind));
        for text in ["", "-", "x", "1x", "1 2", "0x10", "1e", "e5", ".", "٣", "--1", "1_000", "1,000"] {
            assert_eq!(integer(text), Err(Flaw::Kind), "{text}");
        }
    }

    #[test]
    fn decimals_lose_no_digit() {
        assert_eq!(decimal("1.5", 10, 2), Ok(150));
        assert_eq!(decimal("-.05", 10, 2), Ok(-5));
        assert_eq!(decimal("5.", 10, 2), Ok(500));
        assert_eq!(decimal("1.2300000000000000000000000000000000000000000000", 10, 2), Ok(123));
        assert_eq!(decimal("0.00000000000000000000000000000000000000000000", 10, 2), Ok(0));
        assert_eq!(decimal("1.239", 10, 2), Err(Flaw::Digits));
        assert_eq!(decimal("1e-2", 10, 2), Ok(1));
        assert_eq!(decimal("99999999.99", 10, 2), Ok(9_999_999_999));
        assert_eq!(decimal("100000000", 10, 2), Err(Flaw::Range));
        assert_eq!(decimal("99999999999999999999999999999999999999", 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal("100000000000000000000000000000000000001", 38, 0), Err(Flaw::Range));
        assert_eq!(decimal("999999999999999999999999999999999999999999", 38, 0), Err(Flaw::Range));
        assert_eq!(decimal("1200", 5, -2), Ok(12));
    }

    #[test]
    fn floats_do_not_become_infinite_by_reading() {
        assert_eq!(double("1e308"), Ok(1e308));
        assert_eq!(double("1e309"), Err(Flaw::Range));
        assert_eq!(double(" -Infinity "), Ok(f64::NEG_INFINITY));
        assert_eq!(float("3.4e39"), Err(Flaw::Range));
        assert_eq!(float("0.1"), Ok(0.1));
        assert_eq!(double("1.0x"), Err(Flaw::Kind));
    }

    proptest! {
        /// Any text of digits and a point, against a reading by string shifting.
        #[test]
        fn decimals_agree_with_shifted_text(negative: bool, whole in "[0-9]{0,24}", fraction in "[0-9]{0,12}", scale in 0_i8..12) {
            prop_assume!(!whole.is_empty() || !fraction.is_empty());
            let sign = if negative { "-" } else { "" };
            let read = decimal(&format!("{sign}{whole}.{fraction}"), 38, scale);
            let mut padded = format!("{fraction:0<width$}", width = scale as usize);
            let lost = padded.split_off(scale as usize);
            let expected: i128 = format!("{sign}0{whole}{padded}").parse().unwrap();
            if lost.bytes().all(|byte| byte == b'0') {
                prop_assert_eq!(read, Ok(expected));
            } else {
                prop_assert_eq!(read, Err(Flaw::Digits));
            }
        }

        #[test]
        fn integers_agree_with_the_standard_library(value: i64, text in "[-+]?[0-9]{1,22}") {
            prop_assert_eq!(integer(&value.to_string()), Ok(value));
            prop_assert_eq!(integer(&text).ok(), text.parse::<i64>().ok());
        }
    }
}
