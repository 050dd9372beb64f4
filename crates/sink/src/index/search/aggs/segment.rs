//! Gathers the aggregations of one segment, document by document.

use super::super::column::FieldColumn;
use super::super::value::{Number, decode};
use super::sketch::{Distinct, Spread, spread_bits};
use super::state::{Bucket, Key, Numbers, State};
use super::{Agg, Figure, Kind, Rounding, Width};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tantivy::columnar::MonotonicallyMappableToU64;
use tantivy::query::Scorer;
use tantivy::{DocId, SegmentReader, TantivyError};

/// What a request may take while it is gathered; 256 MB.
const BYTES_MAX: usize = 256 << 20;

/// The memory that one request takes, counted when something is added.
#[derive(Clone, Default)]
pub(crate) struct Budget {
    bytes: Arc<AtomicUsize>,
}

impl Budget {
    /// Takes some of it; false when there is none left.
    fn take(&self, bytes: usize) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= BYTES_MAX
    }

    /// Whether more was wanted than there is.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > BYTES_MAX
    }
}

/// Above the bits of any value.
const ABOVE: u128 = 1 << 64;

/// One aggregation over one segment.
struct Gather {
    work: Work,
    inner: Vec<Gather>,
    /// How many states it begins with, those inside of it included.
    states: usize,
}

enum Work {
    Numbers(FieldColumn),
    Distinct(FieldColumn),
    Spread(FieldColumn),
    Keyed(FieldColumn, Keying),
    /// For each range the bits it begins with and those it ends before; what lies above all values is `ABOVE`.
    Listed(FieldColumn, Vec<(u128, u128)>),
    /// The documents that match, of which the next is looked at. Documents are gathered in their order.
    Filter(RefCell<Box<dyn Scorer>>),
}

/// How a value becomes a bucket's key.
#[derive(Clone, Copy)]
enum Keying {
    /// As it is.
    Same,
    /// In milliseconds.
    Millis(i128),
    /// As the number of its stretch.
    Width(Width),
    /// As the beginning of its stretch, in milliseconds.
    Rounded(i128, Rounding),
}

/// All aggregations of a request over one segment.
pub(crate) struct SegmentAggs {
    plan: Vec<Gather>,
    states: Vec<State<u64>>,
    budget: Budget,
}

impl SegmentAggs {
    /// Opens what the plan needs of this segment.
    pub(crate) fn open(segment: &SegmentReader, aggs: &[Agg], budget: &Budget) -> Result<Self, TantivyError> {
        let plan = open_all(segment, aggs)?;
        let states = fresh(&plan);
        Ok(Self { plan, states, budget: budget.clone() })
    }

    /// Adds a document.
    pub(crate) fn collect(&mut self, document: DocId) {
        gather(&self.plan, &mut self.states, document, &self.budget);
    }

    /// What was gathered, with strings in place of their ranks.
    pub(crate) fn harvest(self) -> Vec<State<Key>> {
        resolve_all(&self.plan, self.states)
    }
}

fn open_all(segment: &SegmentReader, aggs: &[Agg]) -> Result<Vec<Gather>, TantivyError> {
    let open = |agg: &Agg| {
        let (work, inner) = (work(segment, &agg.kind)?, open_all(segment, &agg.inner)?);
        Ok(Gather { work, inner, states: agg.states() })
    };
    aggs.iter().map(open).collect()
}

fn work(segment: &SegmentReader, kind: &Kind) -> Result<Work, TantivyError> {
    let units = |column: &FieldColumn| column.kind.units().unwrap_or(1);
    Ok(match kind {
        Kind::Figure(leaf, Figure::Distinct) => Work::Distinct(FieldColumn::open(segment, leaf)?),
        Kind::Figure(leaf, Figure::Percentiles { .. }) => Work::Spread(FieldColumn::open(segment, leaf)?),
        Kind::Figure(leaf, _) => Work::Numbers(FieldColumn::open(segment, leaf)?),
        Kind::Terms(leaf, _) => {
            let column = FieldColumn::open(segment, leaf)?;
            let keying = if leaf.kind.is_temporal() { Keying::Millis(units(&column)) } else { Keying::Same };
            Work::Keyed(column, keying)
        }
        Kind::Histogram(leaf, histogram) => {
            Work::Keyed(FieldColumn::open(segment, leaf)?, Keying::Width(histogram.width))
        }
        Kind::DateHistogram(leaf, histogram) => {
            let column = FieldColumn::open(segment, leaf)?;
            let keying = Keying::Rounded(units(&column), histogram.rounding);
            Work::Keyed(column, keying)
        }
        Kind::Range(leaf, ranges) => {
            let bits = |end: Option<super::End>, open| end.map_or(open, |end| end.bits.map_or(ABOVE, u128::from));
            let ends = ranges.ranges.iter().map(|range| (bits(range.from, 0), bits(range.to, ABOVE)));
            Work::Listed(FieldColumn::open(segment, leaf)?, ends.collect())
        }
        Kind::Filter(weight) => Work::Filter(RefCell::new(weight.scorer(segment, 1.0)?)),
    })
}

fn fresh(plan: &[Gather]) -> Vec<State<u64>> {
    let state = |gather: &Gather| match &gather.work {
        Work::Numbers(_) => State::Numbers(Numbers::default()),
        Work::Distinct(_) => State::Distinct(Distinct::default()),
        Work::Spread(_) => State::Spread(Spread::default()),
        Work::Keyed(..) => State::Keyed(HashMap::new()),
        Work::Listed(_, ranges) => State::Listed(ranges.iter().map(|_| fresh_bucket(&gather.inner)).collect()),
        Work::Filter(_) => State::Listed(vec![fresh_bucket(&gather.inner)]),
    };
    plan.iter().map(state).collect()
}

fn fresh_bucket(plan: &[Gather]) -> Bucket<u64> {
    Bucket { count: 0, inner: fresh(plan) }
}

fn gather(plan: &[Gather], states: &mut [State<u64>], document: DocId, budget: &Budget) {
    for (gather, state) in plan.iter().zip(states) {
        match (&gather.work, state) {
            (Work::Numbers(column), State::Numbers(numbers)) => {
                column.values(document).for_each(|bits| numbers.add(column.kind, bits));
            }
            (Work::Distinct(column), State::Distinct(distinct)) => add_distinct(column, distinct, document, budget),
            (Work::Spread(column), State::Spread(spread)) => add_spread(column, spread, document, budget),
            (Work::Keyed(column, keying), State::Keyed(buckets)) => {
                add_keyed(column, *keying, &gather.inner, buckets, document, budget);
            }
            (Work::Listed(column, ends), State::Listed(buckets)) => {
                for (&(from, to), bucket) in ends.iter().zip(buckets) {
                    if column.values(document).any(|bits| (from..to).contains(&u128::from(bits))) {
                        enter(bucket, &gather.inner, document, budget);
                    }
                }
            }
            (Work::Filter(scorer), State::Listed(buckets)) => {
                let mut scorer = scorer.borrow_mut();
                let at = if scorer.doc() < document { scorer.seek(document) } else { scorer.doc() };
                drop(scorer);
                if at == document {
                    enter(&mut buckets[0], &gather.inner, document, budget);
                }
            }
            _ => unreachable!("states are made by the same plan"),
        }
    }
}

fn enter(bucket: &mut Bucket<u64>, inner: &[Gather], document: DocId, budget: &Budget) {
    bucket.count += 1;
    gather(inner, &mut bucket.inner, document, budget);
}

fn add_distinct(column: &FieldColumn, distinct: &mut Distinct, document: DocId, budget: &Budget) {
    for bits in column.values(document) {
        // Strings go by rank within the segment: an exact set of at most its dictionary.
        let hash = if column.kind.is_string() { bits } else { spread_bits(bits) };
        if let (true, Distinct::Exact(ranks)) = (column.kind.is_string(), &mut *distinct) {
            if ranks.insert(hash) {
                budget.take(16);
            }
        } else if distinct.add(hash) {
            budget.take(16);
        }
    }
}

fn add_spread(column: &FieldColumn, spread: &mut Spread, document: DocId, budget: &Budget) {
    for bits in column.values(document) {
        if matches!(spread, Spread::Exact(_)) {
            budget.take(8);
        }
        spread.add(match decode(column.kind, bits) {
            Number::Units(units) => units as f64 / column.kind.units().unwrap_or(1) as f64,
            Number::Float(value) => value,
        });
    }
}

fn add_keyed(
    column: &FieldColumn,
    keying: Keying,
    inner: &[Gather],
    buckets: &mut HashMap<u64, Bucket<u64>>,
    document: DocId,
    budget: &Budget,
) {
    // A document counts once in a bucket, however many of its values are in it.
    let mut seen = Vec::new();
    for bits in column.values(document) {
        let key = keying.key(column.kind, bits);
        if column.is_multiple() {
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
        }
        let bucket = match buckets.get_mut(&key) {
            Some(bucket) => bucket,
            None if budget.take(64 + 128 * inner.iter().map(|inner| inner.states).sum::<usize>()) => {
                buckets.entry(key).or_insert_with(|| fresh_bucket(inner))
            }
            None => return,
        };
        enter(bucket, inner, document, budget);
    }
}

impl Keying {
    fn key(self, kind: crate::index::layout::Kind, bits: u64) -> u64 {
        let narrow = |number: i128| i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        match (self, decode(kind, bits)) {
            (Self::Millis(units), Number::Units(value)) => narrow(value.div_euclid(units)).to_u64(),
            (Self::Rounded(units, rounding), Number::Units(value)) => {
                rounding.start(narrow(value.div_euclid(units))).to_u64()
            }
            (Self::Width(Width::Units { interval, offset }), Number::Units(value)) => {
                narrow((value - offset).div_euclid(interval)).to_u64()
            }
            (Self::Width(Width::Float { interval, offset }), number) => {
                let value = match number {
                    Number::Units(units) => units as f64 / kind.units().unwrap_or(1) as f64,
                    Number::Float(value) => value,
                };
                ((value - offset) / interval).floor().to_u64()
            }
            _ => bits,
        }
    }
}

fn resolve_all(plan: &[Gather], states: Vec<State<u64>>) -> Vec<State<Key>> {
    plan.iter().zip(states).map(|(gather, state)| resolve(gather, state)).collect()
}

fn resolve(gather: &Gather, state: State<u64>) -> State<Key> {
    let bucket = |bucket: Bucket<u64>| Bucket { count: bucket.count, inner: resolve_all(&gather.inner, bucket.inner) };
    match (&gather.work, state) {
        (Work::Distinct(column), State::Distinct(Distinct::Exact(ranks))) if column.kind.is_string() => {
            let mut ranks: Vec<u64> = ranks.into_iter().collect();
            ranks.sort_unstable();
            let mut distinct = Distinct::default();
            column.texts(&ranks, |text| {
                distinct.add(hash_text(text));
            });
            State::Distinct(distinct)
        }
        (Work::Keyed(column, _), State::Keyed(buckets)) if column.kind.is_string() => {
            let mut buckets: Vec<(u64, Bucket<u64>)> = buckets.into_iter().collect();
            buckets.sort_unstable_by_key(|(rank, _)| *rank);
            let (ranks, buckets): (Vec<u64>, Vec<_>) = buckets.into_iter().unzip();
            let mut keyed = HashMap::with_capacity(ranks.len());
            let mut buckets = buckets.into_iter();
            column.texts(&ranks, |text| {
                keyed.extend(buckets.next().map(|of| (Key::Text(text.to_owned()), bucket(of))));
            });
            State::Keyed(keyed)
        }
        (Work::Keyed(..), State::Keyed(buckets)) => {
            State::Keyed(buckets.into_iter().map(|(bits, of)| (Key::Bits(bits), bucket(of))).collect())
        }
        (_, State::Keyed(_)) => unreachable!("only keyed work makes keyed states"),
        (_, State::Listed(buckets)) => State::Listed(buckets.into_iter().map(bucket).collect()),
        (_, State::Numbers(numbers)) => State::Numbers(numbers),
        (_, State::Distinct(distinct)) => State::Distinct(distinct),
        (_, State::Spread(spread)) => State::Spread(spread),
    }
}

fn hash_text(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
