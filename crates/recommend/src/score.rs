//! Scores in whole units, and the parts that they are made of.

use crate::gather::Gathered;
use crate::recommend::Request;
use crate::shop::Shop;
use crate::spec::Recommendation;
use std::sync::Arc;

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
    pub(crate) fn scores(&self, gathered: &[Gathered]) -> Vec<i64> {
        let ranks = self.spec.model.as_ref().map(|model| {
            let items: Vec<Arc<str>> = gathered.iter().map(|gathered| Arc::clone(&gathered.item)).collect();
            self.shop.rank(model, self.request, &items)
        });
        let base = |at: usize| match &ranks {
            Some(ranks) => ranks[at],
            None => self.blend(&gathered[at]).map(|(_, units)| units).sum(),
        };
        let boosts = |item| self.boosts(item).map(|(_, units)| units).sum::<i64>();
        gathered.iter().enumerate().map(|(at, of)| base(at).saturating_add(boosts(&of.item))).collect()
    }

    /// The parts of an item's score; those that add nothing are left out.
    pub(crate) fn parts(&self, gathered: &Gathered) -> Vec<Part> {
        let base: Vec<Part> = match &self.spec.model {
            Some(model) => {
                let parts = self.shop.rank_parts(model, self.request, &gathered.item).into_iter();
                parts.map(|(feature, units)| Part { name: format!("feature {feature}"), units }).collect()
            }
            None => self.blend(gathered).map(|(path, units)| Part { name: format!("path {path}"), units }).collect(),
        };
        let boosts = self.boosts(&gathered.item).map(|(name, units)| Part { name: format!("boost {name}"), units });
        base.into_iter().chain(boosts).filter(|part| part.units != 0).collect()
    }

    /// What each path adds.
    fn blend(&self, gathered: &Gathered) -> impl Iterator<Item = (&str, i64)> {
        let shares: f64 = self.spec.from.iter().map(|from| from.share).sum();
        let part = move |(of, &score): (&crate::spec::Feed, &f64)| to_units(of.share / shares * score);
        let paths = self.spec.from.iter().zip(&gathered.scores);
        paths.map(move |(from, score)| (from.path.as_str(), part((from, score))))
    }

    fn boosts(&self, item: &str) -> impl Iterator<Item = (&str, i64)> {
        let boosts = self.spec.rules.boost.iter();
        let holds =
            move |boost: &&crate::spec::Boost| boost.is.holds(&self.shop.item_attribute(item, &boost.attribute));
        boosts.filter(holds).map(|boost| (boost.name.as_str(), to_units(boost.by)))
    }
}
