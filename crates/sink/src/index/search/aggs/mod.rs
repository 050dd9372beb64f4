//! The `aggs` of a request: buckets of documents and figures over their values, one inside the other.
//!
//! Understood are the buckets `terms`, `histogram`, `date_histogram`, `range`, `date_range` and `filter`, and the
//! figures `sum`, `avg`, `min`, `max`, `stats`, `value_count`, `cardinality` and `percentiles`.
//!
//! We gather them ourselves instead of using tantivy's aggregations, because those count in floats, cut `terms` off in
//! each segment, know no months and no filters in Elasticsearch's words. Here every count is exact, sums over
//! integers and decimals are exact to the last digit, `cardinality` is exact up to 40,000 values of a bucket and
//! within about 1 % beyond, percentiles are exact (between two values in proportion) up to 65,536 values of a bucket
//! and within 0.5 % beyond.
//!
//! The way of a request: [`parse`] makes a plan, [`segment`] gathers one segment's [`state`]s, which are merged, and
//! [`answer`] writes them in Elasticsearch's shape.

pub(super) mod answer;
mod figures;
mod format;
pub(super) mod parse;
mod rounding;
pub(super) mod segment;
mod sketch;
pub(super) mod state;

use super::SearchError;
use crate::index::mapping::Leaf;
use format::DateFormat;
use rounding::Rounding;
use tantivy::query::Weight;

/// The most buckets that an answer has, as in Elasticsearch.
pub(super) const BUCKETS_MAX: usize = 65_536;

/// One aggregation of a request.
pub(super) struct Agg {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What is gathered for each of its buckets.
    pub(super) inner: Vec<Agg>,
}

impl Agg {
    /// How many states it begins with, those inside of it included: buckets of given ends are all there from the
    /// beginning. At most [`STATES_MAX`], beyond which a plan is refused.
    fn states(&self) -> usize {
        let inner = || 1 + self.inner.iter().map(Self::states).fold(0, usize::saturating_add);
        match &self.kind {
            Kind::Range(_, ranges) => inner().saturating_mul(ranges.ranges.len()).saturating_add(1),
            Kind::Filter(_) => inner().saturating_add(1),
            _ => 1,
        }
    }
}

/// The most states that an aggregation begins with.
const STATES_MAX: usize = 4 * BUCKETS_MAX;

/// What an aggregation does.
pub(super) enum Kind {
    Figure(Leaf, Figure),
    Terms(Leaf, Terms),
    Histogram(Leaf, Histogram),
    DateHistogram(Leaf, DateHistogram),
    Range(Leaf, Ranges),
    Filter(Box<dyn Weight>),
}

/// A figure over the values of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Figure {
    Sum,
    Average,
    Least,
    Most,
    Stats,
    Count,
    Distinct,
    Percentiles { percents: Vec<f64>, keyed: bool },
}

/// A bucket for each value.
pub(super) struct Terms {
    size: usize,
    count_min: u64,
    order: Vec<(OrderBy, bool)>,
}

/// What buckets are ordered by.
#[derive(Clone, Debug, PartialEq)]
enum OrderBy {
    Count,
    Key,
    /// A figure inside of the bucket: its place among the inner aggregations, and which one of `stats`.
    Figure(usize, Option<String>),
}

/// Buckets of equal width.
pub(super) struct Histogram {
    width: Width,
    count_min: u64,
    keyed: bool,
}

/// The width of a histogram's buckets and where they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Width {
    /// In the field's whole units.
    Units { interval: i128, offset: i128 },
    /// As floats.
    Float { interval: f64, offset: f64 },
}

/// Buckets of time.
pub(super) struct DateHistogram {
    rounding: Rounding,
    count_min: u64,
    keyed: bool,
    format: DateFormat,
}

/// Buckets with given ends.
pub(super) struct Ranges {
    ranges: Vec<Range>,
    keyed: bool,
}

/// One of them: from its first value on, up to before its last.
#[derive(Clone, Debug)]
pub(super) struct Range {
    key: Option<String>,
    from: Option<End>,
    to: Option<End>,
}

/// An end of a range.
#[derive(Clone, Copy, Debug)]
struct End {
    /// In the column's order-preserving form: the least value that is not below the end. `None` when all are below.
    bits: Option<u64>,
    /// As the answer shows it.
    shown: f64,
}
