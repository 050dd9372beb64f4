//! Decimals from text: exact, so that a request means the number that it shows.

use std::cmp::Ordering;

/// Where a number of a request falls on a grid of whole units (thousandths for `DECIMAL(p, 3)`, microseconds for
/// `TIMESTAMP(6)`): the unit at or below it, and whether it is that unit exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// The greatest unit that is not above the number.
    pub(crate) floor: i128,
    /// Whether the number is exactly `floor`.
    pub(crate) exact: bool,
}

impl Point {
    /// The smallest unit that is at or above the number.
    pub(crate) fn ceil(self) -> i128 {
        if self.exact { self.floor } else { self.floor.saturating_add(1) }
    }

    /// `number / divisor` on the grid.
    pub(crate) fn ratio(number: i128, divisor: i128) -> Self {
        Self { floor: number.div_euclid(divisor), exact: number.rem_euclid(divisor) == 0 }
    }
}

/// Reads a plain or scientific decimal number onto the grid of `10^-scale`.
///
/// What lies outside of `i128` is taken as its nearest end, which is beyond all stored values. `None` when the text
/// is no number.
pub(crate) fn parse(text: &str, scale: i8) -> Option<Point> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = split_exponent(text)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // How many of the digits stand before the point once the number is counted in units.
    let kept = i64::try_from(whole.len()).ok()?.saturating_add(exponent).saturating_add(i64::from(scale));
    Some(place(negative, digits(), whole.len() + fraction.len(), kept))
}

fn split_exponent(text: &str) -> Option<(&str, i64)> {
    match text.split_once(['e', 'E']) {
        None => Some((text, 0)),
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
            Some((mantissa, exponent.clamp(-100_000, 100_000)))
        }
    }
}

fn place(negative: bool, digits: impl Iterator<Item = u8>, count: usize, kept: i64) -> Point {
    let mut units: Option<i128> = Some(0);
    let mut exact = true;
    for (position, digit) in (0_i64..).zip(digits) {
        let digit = i128::from(digit - b'0');
        if position < kept {
            units = units.and_then(|units| units.checked_mul(10)?.checked_add(digit));
        } else {
            exact &= digit == 0;
        }
    }
    let missing = kept.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX));
    if units != Some(0) {
        for _ in 0..missing.max(0) {
            units = units.and_then(|units| units.checked_mul(10));
        }
    }
    match (units, negative) {
        (None, false) => Point { floor: i128::MAX, exact: false },
        (None, true) => Point { floor: i128::MIN, exact: false },
        (Some(units), false) => Point { floor: units, exact },
        // Downwards is away from zero for what is negative.
        (Some(units), true) => Point { floor: -units - i128::from(!exact), exact },
    }
}

/// The text of a 64-bit float as JSON writes it: the shortest that reads back as the same number.
pub(crate) fn float_text(number: f64) -> String {
    serde_json::Number::from_f64(number).map_or_else(|| "null".to_owned(), |number| number.to_string())
}

/// Total order of floats for sorting: numeric, with NaN last.
pub(crate) fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_onto_the_grid() {
        let point = |floor, exact| Some(Point { floor, exact });
        assert_eq!(parse("58960.79", 3), point(58_960_790, true));
        assert_eq!(parse("0.0005", 3), point(0, false));
        assert_eq!(parse("-0.0005", 3), point(-1, false));
        assert_eq!(parse("1e3", 3), point(1_000_000, true));
        assert_eq!(parse("1.5E-1", 3), point(150, true));
        assert_eq!(parse("1e400", 3), point(i128::MAX, false));
        assert_eq!(parse("0e400", 3), point(0, true));
        assert_eq!(parse("1e-400", 3), point(0, false));
        for wrong in ["", "-", ".", "1.2.3", "abc", "1e", "٣"] {
            assert_eq!(parse(wrong, 3), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(units in any::<i64>(), scale in 0_i8..=18) {
            let units = i128::from(units);
            prop_assert_eq!(parse(&proxima_event::encode::decimal::format(units, scale), scale), Some(Point { floor: units, exact: true }));
        }
    }
}
