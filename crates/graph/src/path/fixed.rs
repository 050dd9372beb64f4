//! Scores as whole numbers of a small unit, so that their sums do not depend on order.
//!
//! A contribution to a score is computed as a float and rounded to units once; sums are sums of integers; the sum becomes
//! the nearest float again. So whatever adds the same contributions, in whatever order and in whatever parts, gets the
//! same bits.

/// A unit is 2^-40: fine enough for the products of probabilities that random walks add up.
const FRACTION_BITS: u32 = 40;

/// One, in units.
const ONE: f64 = (1_u64 << FRACTION_BITS) as f64;

/// The greatest contribution, in units: 2^32 of them, one from each object there can be, add up without overflow.
const GREATEST: f64 = (1_u128 << (127 - 33)) as f64;

/// Below this, units fit 64 bits, and rounding is a matter of a few instructions.
const SMALL: f64 = (1_u64 << 62) as f64;

/// The nearest whole number of units, halves away from zero. What is no number counts nothing; what is too great is as
/// great as can be.
#[inline]
pub(crate) fn units(score: f64) -> i128 {
    let scaled = score * ONE;
    if scaled.abs() < SMALL {
        i128::from(small(scaled))
    } else if scaled.is_nan() {
        0
    } else {
        scaled.clamp(-GREATEST, GREATEST) as i128
    }
}

/// The nearest whole number of units where it is small; the greatest number that there is for all else.
#[inline]
pub(crate) fn narrow_units(score: f64) -> i64 {
    let scaled = score * ONE;
    if scaled.abs() < SMALL { small(scaled) } else { i64::MAX }
}

/// The float nearest to a number of units.
#[inline]
pub(crate) fn score(units: i128) -> f64 {
    match i64::try_from(units) {
        Ok(units) => units as f64 / ONE,
        Err(_) => wide(units),
    }
}

/// Out of line, or the compiler takes this way, which is slow, for all numbers.
#[cold]
#[inline(never)]
fn wide(units: i128) -> f64 {
    units as f64 / ONE
}

/// The score that a whole number of units stands for.
#[inline]
pub(crate) fn rounded(exact: f64) -> f64 {
    let scaled = exact * ONE;
    if scaled.abs() < SMALL { small(scaled) as f64 / ONE } else { score(units(exact)) }
}

/// The nearest whole number, halves away from zero, of one that is small.
#[inline]
fn small(scaled: f64) -> i64 {
    let whole = scaled as i64;
    let rest = scaled - whole as f64;
    whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_few_bits_is_kept_and_the_rest_is_rounded() {
        for exact in [0.0, 1.0, -2.5, 1e6, 0.1f64.mul_add(0.0, 3.0 / 1024.0), -(2f64.powi(53))] {
            assert_eq!(rounded(exact), exact);
        }
        let third = rounded(1.0 / 3.0);
        assert!((third - 1.0 / 3.0).abs() <= 0.5 / ONE && third != 1.0 / 3.0);
        assert_eq!((units(0.5 / ONE), units(-0.5 / ONE), units(0.49 / ONE)), (1, -1, 0));
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!((units(f64::NAN), units(f64::INFINITY)), (0, 1 << 94));
        assert_eq!(units(-1e300) * (1 << 32), -(1 << 126));
        assert_eq!(score(units(1e12)), 1e12);
    }
}
