//! Scores in whole units, and the parts that they are made of.

use crate::gather::Gathered;
use crate::recommend::Request;
use crate::shop::Shop;
use crate::spec::{Boost, Recommendation};

/// Units in a score of 1.
pub const UNIT: f64 = 4_294_967_296.0;

/// Below this, numbers of units have room for a half, and rounding is a matter of a few instructions.
const SMALL: f64 = (1_u64 << 52) as f64;

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is: `path for_you`, `feature price`, `boost toys`.
    pub name: String,
    /// What it adds.
    pub units: i64,
}

/// A score as a number for people. Scores of fewer than 2^21 are exact.
#[must_use]
pub fn to_number(units: i64) -> f64 {
    units as f64 / UNIT
}

/// Whole units, halves away from zero. What is no number is none.
pub(crate) fn to_units(number: f64) -> i64 {
    let exact = number * UNIT;
    if exact.abs() < SMALL {
        let whole = exact as i64;
        let rest = exact - whole as f64;
        return whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5);
    }
    // Casting cuts what is too large to the bounds, and what is no number to 0.
    exact as i64
}

/// Scores candidates.
pub(crate) struct Scorer<'a, S: Shop + ?Sized> {
    pub(crate) shop: &'a S,
    pub(crate) spec: &'a Recommendation,
    pub(crate) request: &'a Request<'a>,
}

impl<S: Shop + ?Sized> Scorer<'_, S> {
    /// The score of each gathered item.
    pub(crate) fn scores(&self, gathered: &Gathered) -> Vec<i64> {
        let mut scores = match &self.spec.model {
            Some(model) => self.shop.rank(model, self.request, &gathered.items),
            None => {
                let shares = self.shares();
                let each = |place| gathered.scores(place).iter().zip(&shares);
                let blend = |place| each(place).map(|(score, share)| to_units(share * score)).sum();
                (0..gathered.items.len()).map(blend).collect()
            }
        };
        // Boosts are added up by themselves, so that only the sum of all is held to the bounds of units.
        let mut boosts = vec![0_i64; scores.len()];
        for boost in &self.spec.rules.boost {
            let by = to_units(boost.by);
            let values = self.shop.items_attribute(&gathered.items, &boost.attribute);
            let boosted = boosts.iter_mut().zip(values).filter(|(_, value)| boost.is.holds(value));
            boosted.for_each(|(sum, _)| *sum = sum.saturating_add(by));
        }
        scores.iter_mut().zip(boosts).for_each(|(score, boost)| *score = score.saturating_add(boost));
        scores
    }

    /// The parts of the score of the item at a place; those that add nothing are left out.
    pub(crate) fn parts(&self, gathered: &Gathered, place: usize) -> Vec<Part> {
        let item = gathered.items[place];
        let base: Vec<Part> = match &self.spec.model {
            Some(model) => {
                let parts = self.shop.rank_parts(model, self.request, item).into_iter();
                parts.map(|(feature, units)| Part { name: format!("feature {feature}"), units }).collect()
            }
            None => {
                let parts = self.blend(gathered.scores(place));
                parts.map(|(path, units)| Part { name: format!("path {path}"), units }).collect()
            }
        };
        let holds = |boost: &&Boost| boost.is.holds(&self.shop.item_attribute(item, &boost.attribute));
        let boosts = self.spec.rules.boost.iter().filter(holds);
        let boosts = boosts.map(|boost| Part { name: format!("boost {}", boost.name), units: to_units(boost.by) });
        base.into_iter().chain(boosts).filter(|part| part.units != 0).collect()
    }

    /// What each path adds.
    fn blend(&self, scores: &[f64]) -> impl Iterator<Item = (&str, i64)> {
        let paths = self.spec.from.iter().zip(self.shares()).zip(scores);
        paths.map(|((from, share), score)| (from.path.as_str(), to_units(share * score)))
    }

    /// How much each path counts, all together one.
    fn shares(&self) -> Vec<f64> {
        let all: f64 = self.spec.from.iter().map(|from| from.share).sum();
        self.spec.from.iter().map(|from| from.share / all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_nearest_ones_halves_away_from_zero() {
        for number in
            [0.0, 1.0, -1.0, 0.5 / UNIT, -0.5 / UNIT, 0.49 / UNIT, 1.5 / UNIT, 1.0 / 3.0, -2.0 / 3.0, 1e5, 1e6]
        {
            for near in [f64::next_down(number), number, f64::next_up(number)] {
                assert_eq!(to_units(near), (near * UNIT).round() as i64, "{near:e}");
            }
        }
        let far = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 2_097_152.0].map(to_units);
        assert_eq!(far, [0, i64::MAX, i64::MIN, i64::MAX, 1 << 53]);
    }
}
