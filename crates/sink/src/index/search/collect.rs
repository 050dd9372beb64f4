//! One pass over the matching documents: counts them and keeps the first by the request's order.

use super::sort::{self, By, Key, Place, Rank, SegmentKey};
use std::collections::BinaryHeap;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

/// What is to be gathered.
pub(crate) struct Pass {
    /// The order, with the id as last key.
    pub(crate) keys: Vec<Key>,
    /// How many documents to keep.
    pub(crate) keep: usize,
    /// Whether scores are needed at all.
    pub(crate) scored: bool,
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

impl Collector for Pass {
    type Fruit = Gathered;
    type Child = SegmentPass;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> Result<SegmentPass, TantivyError> {
        let keys = self.keys.iter().map(|key| SegmentKey::open(reader, key)).collect::<Result<_, _>>()?;
        let (scratch, heap) = (Vec::new(), BinaryHeap::new());
        Ok(SegmentPass { keys, keep: self.keep, segment, total: 0, score_max: None, scratch, heap })
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
        let Self { keys, segment, total, score_max, heap, .. } = self;
        let resolve = |candidate: Candidate| Found {
            address: DocAddress::new(segment, candidate.document),
            score: candidate.score,
            places: keys.iter().zip(&candidate.ranks).map(|(key, &rank)| key.resolve(rank)).collect(),
        };
        Gathered { total, score_max, found: heap.into_iter().map(resolve).collect() }
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
