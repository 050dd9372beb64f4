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

/// A part of a whole: nothing where the whole is nothing.
#[inline]
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { rounded(part / whole) }
}

/// The sum of products that are held against norms. What is too great for units is not cut off, or a pair would seem less
/// alike than it is, but a whole number of [`GREAT_ONE`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Products {
    units: i128,
    great: i128,
}

/// Great products have 54 bits and more: what is rounded is less than a unit of the cosine.
const GREAT_ONE: f64 = (1 << 8) as f64;

/// No norm of scores that all count as they are is as great as this: the greatest product is.
const GREATEST_PRODUCT: i128 = 1 << (127 - 33 + 8);

impl Products {
    #[inline]
    pub(crate) fn add(&mut self, product: f64) {
        if (product * ONE).abs() > GREATEST { self.add_great(product) } else { self.units += units(product) }
    }

    #[cold]
    #[inline(never)]
    fn add_great(&mut self, product: f64) {
        self.great += (product / GREAT_ONE).round().clamp(-GREATEST, GREATEST) as i128;
    }

    pub(crate) fn sum(self) -> f64 {
        score(self.units) + self.great as f64 * GREAT_ONE
    }

    /// Whether the exact sum of squares of whole numbers stands for what they would add up to here.
    pub(crate) fn is_norm(exact: i128) -> bool {
        (0..GREATEST_PRODUCT).contains(&exact)
    }
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
    fn products_are_units_as_far_as_these_go_and_whole_numbers_beyond() {
        let sum = |of: &[f64]| {
            let mut products = Products::default();
            of.iter().for_each(|&product| products.add(product));
            products.sum()
        };
        assert_eq!(sum(&[1.0 / 3.0, 1e15, -1.0]), score(units(1.0 / 3.0) + units(1e15) - units(1.0)));
        assert_eq!((sum(&[1e18, 1e18]), sum(&[1e18, 0.5, -1e18])), (2e18, 0.5));
        assert_eq!(sum(&[f64::NAN, f64::INFINITY]), GREATEST_PRODUCT as f64);
        assert!(Products::is_norm(0) && !Products::is_norm(GREATEST_PRODUCT) && !Products::is_norm(-1));
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!((share(1.0, 4.0), share(1.0, 0.0), share(-3.0, -4.0)), (0.25, 0.0, 0.75));
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!((units(f64::NAN), units(f64::INFINITY)), (0, 1 << 94));
        assert_eq!(units(-1e300) * (1 << 32), -(1 << 126));
        assert_eq!(score(units(1e12)), 1e12);
    }
}
