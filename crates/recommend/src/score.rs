//! Scores in whole units, and the parts that they are made of.

use crate::gather::Gathered;
use crate::recommend::Request;
use crate::shop::Shop;
use crate::spec::{Boost, Recommendation};

/// Units in a score of 1.
pub const UNIT: f64 = 4_294_967_296.0;

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
    // Casting cuts what is too large to the bounds, and what is no number to 0.
    (number * UNIT).round() as i64
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
                let blend = |place| self.blend(gathered.scores(place)).map(|(_, units)| units).sum();
                (0..gathered.items.len()).map(blend).collect()
            }
        };
        // Boosts are added up by themselves, so that only the sum of all is held to the bounds of units.
        let mut boosts = vec![0_i64; scores.len()];
        for boost in &self.spec.rules.boost {
            let by = to_units(boost.by);
            let values = self.shop.items_attribute(&gathered.items, &boost.attribute);
            let boosted = boosts.iter_mut().zip(values).filter(|(_, value)| boost.is.holds(value));
            boosted.for_each(|(sum, _)| *sum += by);
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
        let shares: f64 = self.spec.from.iter().map(|from| from.share).sum();
        let paths = self.spec.from.iter().zip(scores);
        paths.map(move |(from, score)| (from.path.as_str(), to_units(from.share / shares * score)))
    }
}
