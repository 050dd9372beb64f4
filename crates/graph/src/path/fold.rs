//! Folding what reaches one object through the middle into what a merger needs to know.

use super::expression::{Expression, parts_schema};
use super::fixed::{Products, rounded, score, units};
use super::scratch::Reached;
use crate::graph::{NO_TIME, ObjectId};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use std::sync::Arc;

/// What reached one object so far.
pub(super) trait Fold: Default + Send + 'static {
    /// Whether objects in the middle must come in order, the highest score first.
    const IN_ORDER: bool = false;

    /// Adds the way through one object in the middle: the `rank`-th, with the score `left`.
    fn add(&mut self, rank: u32, left: f64, right: &Reached);

    /// What comes of it.
    fn score(&self) -> f64;
}

/// The sum of l·r.
#[derive(Default)]
pub(super) struct Sum(i128);

impl Fold for Sum {
    #[inline]
    fn add(&mut self, _rank: u32, left: f64, right: &Reached) {
        self.0 += units(left * right.score);
    }

    fn score(&self) -> f64 {
        score(self.0)
    }
}

/// The sum of l·r, to be held against norms.
#[derive(Default)]
pub(super) struct Dot(Products);

impl Fold for Dot {
    #[inline]
    fn add(&mut self, _rank: u32, left: f64, right: &Reached) {
        self.0.add(left * right.score);
    }

    fn score(&self) -> f64 {
        self.0.sum()
    }
}

/// How many objects in the middle there are.
#[derive(Default)]
pub(super) struct Count(u32);

impl Fold for Count {
    #[inline]
    fn add(&mut self, _rank: u32, _left: f64, _right: &Reached) {
        self.0 += 1;
    }

    fn score(&self) -> f64 {
        f64::from(self.0)
    }
}

/// The greatest l·r.
pub(super) struct Max(f64);

impl Default for Max {
    fn default() -> Self {
        Self(f64::NEG_INFINITY)
    }
}

impl Fold for Max {
    #[inline]
    fn add(&mut self, _rank: u32, left: f64, right: &Reached) {
        self.0 = self.0.max(left * right.score);
    }

    fn score(&self) -> f64 {
        rounded(self.0)
    }
}

/// The l·r of the first object in the middle.
#[derive(Default)]
pub(super) struct First(Option<f64>);

impl Fold for First {
    const IN_ORDER: bool = true;

    #[inline]
    fn add(&mut self, _rank: u32, left: f64, right: &Reached) {
        self.0.get_or_insert(left * right.score);
    }

    fn score(&self) -> f64 {
        self.0.map_or(0.0, rounded)
    }
}

/// How much a session is like the one at the beginning, from which match on, and when it was.
pub(super) struct Matches {
    alike: i128,
    rank: u32,
    newest_us: i64,
}

impl Default for Matches {
    fn default() -> Self {
        Self { alike: 0, rank: u32::MAX, newest_us: NO_TIME }
    }
}

impl Matches {
    /// The place of the first match: that of the newest item that both have.
    pub(super) fn rank(&self) -> u32 {
        self.rank
    }

    pub(super) fn newest_us(&self) -> i64 {
        self.newest_us
    }
}

impl Fold for Matches {
    const IN_ORDER: bool = true;

    #[inline]
    fn add(&mut self, rank: u32, left: f64, right: &Reached) {
        self.alike += units(left * right.score);
        self.rank = self.rank.min(rank);
        self.newest_us = self.newest_us.max(right.time_us);
    }

    fn score(&self) -> f64 {
        score(self.alike)
    }
}

/// All that an expression may ask for.
#[derive(Default)]
pub(super) struct Everything {
    sum: Sum,
    count: Count,
    max: Max,
    left: i128,
    right: i128,
}

impl Fold for Everything {
    fn add(&mut self, rank: u32, left: f64, right: &Reached) {
        self.sum.add(rank, left, right);
        self.count.add(rank, left, right);
        self.max.add(rank, left, right);
        self.left += units(left);
        self.right += units(right.score);
    }

    fn score(&self) -> f64 {
        self.sum.score()
    }
}

impl Everything {
    /// The expression's number for each object.
    pub(super) fn evaluate(parts: &[(ObjectId, Self)], expression: &dyn Expression) -> Vec<f64> {
        let mut scores = Vec::with_capacity(parts.len());
        if parts.is_empty() {
            return scores;
        }
        let floats = |of: fn(&Self) -> f64| -> ArrayRef {
            Arc::new(parts.iter().map(|(_, part)| Some(of(part))).collect::<Float64Array>())
        };
        let columns = vec![
            floats(|part| part.sum.score()),
            Arc::new(parts.iter().map(|(_, part)| Some(i64::from(part.count.0))).collect::<Int64Array>()),
            floats(|part| part.max.score()),
            floats(|part| score(part.left)),
            floats(|part| score(part.right)),
        ];
        let rows = RecordBatch::try_new(parts_schema(), columns).expect("the columns are those of the schema");
        expression.evaluate(&rows, &mut scores);
        assert_eq!(scores.len(), parts.len(), "an expression gives a number for each row");
        scores
    }
}
