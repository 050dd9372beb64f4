//! The gathered buckets in Elasticsearch's shape.

use super::super::answer::Json;
use super::super::value::{self, Number};
use super::figures;
use super::state::{Bucket, Key, State};
use super::{Agg, BUCKETS_MAX, DateHistogram, Histogram, Kind, OrderBy, Range, Ranges, SearchError, Terms, Width};
use crate::index::decimal::{compare_floats, float_text};
use crate::index::layout;
use crate::index::mapping::Leaf;
use crate::index::time::format_millis;
use hashbrown::HashMap;
use proxima_event::Members;
use std::cmp::Ordering;
use tantivy::columnar::MonotonicallyMappableToU64;

type Buckets = HashMap<Key, Bucket<Key>>;

/// Writes answers, and counts the buckets that they have.
#[derive(Default)]
pub(crate) struct Writer {
    buckets: usize,
}

impl Writer {
    /// The answers of all aggregations by name. Without states (no segment, or a bucket of nothing) they are empty.
    pub(crate) fn all(&mut self, aggs: &[Agg], states: &[State<Key>]) -> Result<Members<Json>, SearchError> {
        let mut members = Vec::with_capacity(aggs.len());
        for (at, agg) in aggs.iter().enumerate() {
            members.push((agg.name.clone(), self.one(agg, states.get(at))?));
        }
        Ok(Members(members))
    }

    fn one(&mut self, agg: &Agg, state: Option<&State<Key>>) -> Result<Json, SearchError> {
        let none = HashMap::new();
        let keyed = match state {
            Some(State::Keyed(buckets)) => buckets,
            _ => &none,
        };
        match &agg.kind {
            Kind::Figure(leaf, figure) => Ok(figures::answer(leaf.kind, figure, state)),
            Kind::Terms(leaf, terms) => self.terms(agg, leaf, terms, keyed),
            Kind::Histogram(leaf, histogram) => self.histogram(agg, leaf, histogram, keyed),
            Kind::DateHistogram(_, histogram) => self.date_histogram(agg, histogram, keyed),
            Kind::Range(leaf, ranges) => self.ranges(agg, leaf, ranges, state),
            Kind::Filter(_) => {
                let bucket = match state {
                    Some(State::Listed(buckets)) => buckets.first(),
                    _ => None,
                };
                self.bucket(agg, Vec::new(), bucket).map(Json::Object)
            }
        }
    }

    /// A bucket with what comes before its count.
    fn bucket(
        &mut self,
        agg: &Agg,
        mut members: Vec<(String, Json)>,
        bucket: Option<&Bucket<Key>>,
    ) -> Result<Members<Json>, SearchError> {
        self.buckets += 1;
        if self.buckets > BUCKETS_MAX {
            return Err(SearchError::buckets(BUCKETS_MAX));
        }
        members.push(("doc_count".to_owned(), bucket.map_or(0, |bucket| bucket.count).into()));
        let inner = bucket.map_or(&[][..], |bucket| &bucket.inner);
        members.extend(self.all(&agg.inner, inner)?.0);
        Ok(Members(members))
    }

    fn terms(&mut self, agg: &Agg, leaf: &Leaf, terms: &Terms, buckets: &Buckets) -> Result<Json, SearchError> {
        let mut sorted: Vec<_> = buckets.iter().filter(|(_, bucket)| bucket.count >= terms.count_min).collect();
        sorted.sort_by(|a, b| compare_buckets(agg, &terms.order, *a, *b));
        let others: u64 = sorted.iter().skip(terms.size).map(|(_, bucket)| bucket.count).sum();
        let mut shown = Vec::new();
        for (key, bucket) in sorted.into_iter().take(terms.size) {
            shown.push(Json::Object(self.bucket(agg, term_key(leaf.kind, key), Some(bucket))?));
        }
        Ok(Json::object([
            ("doc_count_error_upper_bound", 0.into()),
            ("sum_other_doc_count", others.into()),
            ("buckets", Json::List(shown)),
        ]))
    }

    fn histogram(
        &mut self,
        agg: &Agg,
        leaf: &Leaf,
        histogram: &Histogram,
        buckets: &Buckets,
    ) -> Result<Json, SearchError> {
        let keys: Vec<(u64, f64)> = match histogram.width {
            Width::Units { interval, offset } => {
                let keys = stretches(buckets, histogram.count_min, |at: i64| at.saturating_add(1))?;
                let units = leaf.kind.units().unwrap_or(1) as f64;
                let key = |at: i64| (i128::from(at) * interval + offset) as f64 / units;
                keys.into_iter().map(|at| (at.to_u64(), key(at))).collect()
            }
            Width::Float { interval, offset } => {
                let keys = stretches(buckets, histogram.count_min, |at: f64| at + 1.0)?;
                keys.into_iter().map(|at| (at.to_u64(), at * interval + offset)).collect()
            }
        };
        let mut shown = Vec::new();
        for (bits, key) in keys {
            let members = vec![("key".to_owned(), Json::float(key))];
            shown.push((float_text(key), self.bucket(agg, members, buckets.get(&Key::Bits(bits)))?));
        }
        Ok(listed(shown, histogram.keyed))
    }

    fn date_histogram(&mut self, agg: &Agg, histogram: &DateHistogram, buckets: &Buckets) -> Result<Json, SearchError> {
        let keys = stretches(buckets, histogram.count_min, |at| histogram.rounding.next(at))?;
        let mut shown = Vec::new();
        for at in keys {
            let text = histogram.format.write(at);
            let members = vec![("key_as_string".to_owned(), text.clone().into()), ("key".to_owned(), at.into())];
            shown.push((text, self.bucket(agg, members, buckets.get(&Key::Bits(at.to_u64())))?));
        }
        Ok(listed(shown, histogram.keyed))
    }

    fn ranges(
        &mut self,
        agg: &Agg,
        leaf: &Leaf,
        ranges: &Ranges,
        state: Option<&State<Key>>,
    ) -> Result<Json, SearchError> {
        let buckets = match state {
            Some(State::Listed(buckets)) => buckets.as_slice(),
            _ => &[],
        };
        let mut shown = Vec::new();
        for (at, range) in ranges.ranges.iter().enumerate() {
            let (name, members) = range_key(leaf.kind, range, ranges.keyed);
            shown.push((name, self.bucket(agg, members, buckets.get(at))?));
        }
        Ok(listed(shown, ranges.keyed))
    }
}

/// Buckets as a list, or by name.
fn listed(buckets: Vec<(String, Members<Json>)>, keyed: bool) -> Json {
    let buckets = if keyed {
        Json::Object(buckets.into_iter().map(|(name, bucket)| (name, Json::Object(bucket))).collect())
    } else {
        Json::List(buckets.into_iter().map(|(_, bucket)| Json::Object(bucket)).collect())
    };
    Json::object([("buckets", buckets)])
}

/// The keys of a histogram's buckets in their order: with those of nothing in between, when they are wanted.
fn stretches<T: MonotonicallyMappableToU64>(
    buckets: &Buckets,
    count_min: u64,
    next: impl Fn(T) -> T,
) -> Result<Vec<T>, SearchError> {
    let bits = |key: &Key| match key {
        Key::Bits(bits) => *bits,
        Key::Text(_) => unreachable!("histograms have numbers for keys"),
    };
    let wanted = buckets.iter().filter(|(_, bucket)| bucket.count >= count_min);
    let mut keys: Vec<u64> = wanted.map(|(key, _)| bits(key)).collect();
    keys.sort_unstable();
    let keys: Vec<T> = keys.into_iter().map(T::from_u64).collect();
    let (0, Some(&first), Some(&last)) = (count_min, keys.first(), keys.last()) else { return Ok(keys) };
    let mut all = vec![first];
    let mut at = first;
    while at < last {
        at = next(at);
        all.push(at);
        if all.len() > BUCKETS_MAX {
            return Err(SearchError::buckets(BUCKETS_MAX));
        }
    }
    Ok(all)
}

fn compare_buckets(
    agg: &Agg,
    order: &[(OrderBy, bool)],
    (key_a, a): (&Key, &Bucket<Key>),
    (key_b, b): (&Key, &Bucket<Key>),
) -> Ordering {
    let by = order.iter().map(|(by, descending)| {
        let found = match by {
            OrderBy::Count => a.count.cmp(&b.count),
            OrderBy::Key => key_a.cmp(key_b),
            OrderBy::Figure(at, part) => {
                let value = |bucket: &Bucket<Key>| figures::value(&agg.inner[*at], &bucket.inner[*at], part.as_deref());
                // A bucket without the figure comes last in either direction.
                match (value(a), value(b)) {
                    (Some(a), Some(b)) => compare_numbers(a, b),
                    (a, b) => return a.is_none().cmp(&b.is_none()),
                }
            }
        };
        if *descending { found.reverse() } else { found }
    });
    by.fold(Ordering::Equal, Ordering::then).then_with(|| key_a.cmp(key_b))
}

fn compare_numbers(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Units(a), Number::Units(b)) => a.cmp(&b),
        (Number::Float(a), Number::Float(b)) => compare_floats(a, b),
        _ => unreachable!("one figure gives one sort of numbers"),
    }
}

fn term_key(kind: layout::Kind, key: &Key) -> Vec<(String, Json)> {
    let bits = match key {
        Key::Text(text) => return vec![("key".to_owned(), text.as_str().into())],
        Key::Bits(bits) => *bits,
    };
    if kind.is_temporal() {
        let millis = i64::from_u64(bits);
        return vec![("key".to_owned(), millis.into()), ("key_as_string".to_owned(), format_millis(millis).into())];
    }
    let mut members = vec![("key".to_owned(), value::show(kind, value::decode(kind, bits)))];
    if kind == layout::Kind::Boolean {
        members.push(("key_as_string".to_owned(), (bits != 0).to_string().into()));
    }
    members
}

fn range_key(kind: layout::Kind, range: &Range, keyed: bool) -> (String, Vec<(String, Json)>) {
    let ends = [("from", range.from), ("to", range.to)];
    let text = |shown: f64| if kind.is_temporal() { format_millis(shown as i64) } else { float_text(shown) };
    let name = range.key.clone().unwrap_or_else(|| {
        let [from, to] = ends.map(|(_, end)| end.map_or_else(|| "*".to_owned(), |end| text(end.shown)));
        format!("{from}-{to}")
    });
    let mut members = if keyed { Vec::new() } else { vec![("key".to_owned(), name.as_str().into())] };
    for (side, end) in ends.into_iter().filter_map(|(side, end)| Some((side, end?))) {
        members.push((side.to_owned(), Json::float(end.shown)));
        if kind.is_temporal() {
            members.push((format!("{side}_as_string"), text(end.shown).into()));
        }
    }
    (name, members)
}
