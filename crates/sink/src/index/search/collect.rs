//! One pass over the matching documents: counts them, keeps the first by the request's order, fills aggregations.

use super::aggs::Agg;
use super::aggs::segment::{Budget, SegmentAggs};
use super::aggs::state::{Key as BucketKey, State};
use super::sort::{self, By, Key, Place, Rank, SegmentKey};
use std::collections::BinaryHeap;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

/// What is to be gathered.
pub(crate) struct Pass<'a> {
    /// The order, with the id as last key.
    pub(crate) keys: Vec<Key>,
    /// How many documents to keep.
    pub(crate) keep: usize,
    /// Whether scores are needed at all.
    pub(crate) scored: bool,
    /// What to aggregate.
    pub(crate) aggs: &'a [Agg],
    /// What aggregating may take.
    pub(crate) budget: Budget,
}

/// A kept document.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) address: DocAddress,
    pub(crate) score: Score,
    pub(crate) places: Vec<Place>,
}

/// What was gathered.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) total: u64,
    pub(crate) score_max: Option<Score>,
    pub(crate) found: Vec<Found>,
    /// One for each aggregation; none where there was no segment.
    pub(crate) states: Vec<State<BucketKey>>,
}

/// The same within one segment.
pub(crate) struct SegmentPass {
    keys: Vec<SegmentKey>,
    keep: usize,
    segment: SegmentOrdinal,
    total: u64,
    score_max: Option<Score>,
    scratch: Vec<Rank>,
    /// The kept ones, the last by order on top.
    heap: BinaryHeap<Candidate>,
    aggs: Option<SegmentAggs>,
}

/// Compared by rank alone up to the id, which no two documents of a segment share.
#[derive(PartialEq, PartialOrd)]
struct Candidate {
    ranks: Vec<Rank>,
    document: DocId,
    score: Score,
}

impl Eq for Candidate {}

#[allow(clippy::derive_ord_xor_partial_ord, reason = "scores are never NaN and come after the document, which decides")]
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ranks.cmp(&other.ranks).then(self.document.cmp(&other.document))
    }
}

impl Collector for Pass<'_> {
    type Fruit = Gathered;
    type Child = SegmentPass;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> Result<SegmentPass, TantivyError> {
        let keys = self.keys.iter().map(|key| SegmentKey::open(reader, key)).collect::<Result<_, _>>()?;
        let aggs = match self.aggs {
            [] => None,
            aggs => Some(SegmentAggs::open(reader, aggs, &self.budget)?),
        };
        let (scratch, heap) = (Vec::new(), BinaryHeap::new());
        Ok(SegmentPass { keys, keep: self.keep, segment, total: 0, score_max: None, scratch, heap, aggs })
    }

    fn requires_scoring(&self) -> bool {
        self.scored
    }

    fn merge_fruits(&self, segments: Vec<Gathered>) -> Result<Gathered, TantivyError> {
        let mut all = Gathered::default();
        for segment in segments {
            all.total += segment.total;
            all.score_max = all.score_max.max_by_value(segment.score_max);
            all.found.extend(segment.found);
            if all.states.is_empty() {
                all.states = segment.states;
            } else {
                all.states.iter_mut().zip(segment.states).for_each(|(all, segment)| all.merge(segment));
            }
        }
        all.found.sort_by(|a, b| sort::compare(&self.keys, &a.places, &b.places));
        all.found.truncate(self.keep);
        Ok(all)
    }
}

impl SegmentCollector for SegmentPass {
    type Fruit = Gathered;

    fn collect(&mut self, document: DocId, score: Score) {
        self.total += 1;
        if let Some(aggs) = &mut self.aggs {
            aggs.collect(document);
        }
        if self.keep == 0 {
            return;
        }
        self.score_max = self.score_max.max_by_value(Some(score));
        self.scratch.clear();
        self.scratch.extend(self.keys.iter().map(|key| key.rank(document, score)));
        if self.heap.len() < self.keep {
            self.heap.push(Candidate { ranks: self.scratch.clone(), document, score });
        } else if let Some(mut last) = self.heap.peek_mut()
            && self.scratch < last.ranks
        {
            last.ranks.clone_from(&self.scratch);
            (last.document, last.score) = (document, score);
        }
    }

    fn harvest(self) -> Gathered {
        let Self { keys, segment, total, score_max, heap, aggs, .. } = self;
        let resolve = |candidate: Candidate| Found {
            address: DocAddress::new(segment, candidate.document),
            score: candidate.score,
            places: keys.iter().zip(&candidate.ranks).map(|(key, &rank)| key.resolve(rank)).collect(),
        };
        let states = aggs.map_or_else(Vec::new, SegmentAggs::harvest);
        Gathered { total, score_max, found: heap.into_iter().map(resolve).collect(), states }
    }
}

/// The greater of two scores that may be missing.
trait MaxByValue {
    fn max_by_value(self, other: Self) -> Self;
}

impl MaxByValue for Option<Score> {
    fn max_by_value(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}

/// Whether any key needs scores.
pub(crate) fn needs_scores(keys: &[Key]) -> bool {
    keys.iter().any(|key| matches!(key.by, By::Score))
}
