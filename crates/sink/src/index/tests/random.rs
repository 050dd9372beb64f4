//! Random documents, and an index that holds them after random writes.

use super::super::*;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListBuilder,
    PrimitiveBuilder, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use proxima_event::{Changes, Sink, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// A small generator (xorshift*): the seed is printed by the tests that fail.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    pub(super) fn within(&mut self, first: i64, last: i64) -> i64 {
        first + self.below((last - first + 1) as u64) as i64
    }

    pub(super) fn one_in(&mut self, end: u64) -> bool {
        self.below(end) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Doc {
    pub(super) id: i64,
    pub(super) city: Option<&'static str>,
    /// DECIMAL(10, 2), in hundredths.
    pub(super) price: Option<i64>,
    pub(super) quantity: i32,
    pub(super) ratio: Option<f64>,
    pub(super) sold: Option<bool>,
    pub(super) day: i32,
    /// Microseconds.
    pub(super) at: Option<i64>,
    pub(super) text: String,
    pub(super) tags: Vec<i32>,
}

pub(super) const CITIES: [&str; 6] = ["Aachen", "aachen", "Berlin", "Ber lin", "Zürich", ""];
pub(super) const WORDS: [&str; 5] = ["red", "Lantern", "white", "heart", "T-Light"];

impl Doc {
    fn random(dice: &mut Dice, id: i64) -> Self {
        let some = |dice: &mut Dice| !dice.one_in(6);
        Self {
            id,
            city: some(dice).then(|| dice.pick(&CITIES)),
            price: some(dice).then(|| dice.within(-500, 2_500)),
            quantity: dice.within(-3, 6) as i32,
            ratio: some(dice).then(|| dice.within(-40, 40) as f64 / 8.0),
            sold: some(dice).then(|| dice.one_in(2)),
            day: dice.within(14_900, 15_000) as i32,
            at: some(dice).then(|| dice.within(14_900 * 86_400_000_000, 15_000 * 86_400_000_000)),
            text: (0..dice.below(4)).map(|_| dice.pick(&WORDS)).collect::<Vec<_>>().join(" "),
            tags: (0..dice.below(4)).map(|_| dice.within(1, 5) as i32).collect(),
        }
    }

    pub(super) fn key(&self) -> String {
        self.id.to_string()
    }
}

pub(super) fn rows(docs: &[Doc]) -> RecordBatch {
    let column = |array: ArrayRef| array;
    let price = Decimal128Array::from_iter(docs.iter().map(|doc| doc.price.map(i128::from)));
    let mut tags = ListBuilder::new(PrimitiveBuilder::<Int32Type>::new());
    docs.iter().for_each(|doc| tags.append_value(doc.tags.iter().copied().map(Some)));
    RecordBatch::try_from_iter_with_nullable([
        ("id", column(Arc::new(Int64Array::from_iter_values(docs.iter().map(|doc| doc.id)))), false),
        ("city", column(Arc::new(StringViewArray::from_iter(docs.iter().map(|doc| doc.city)))), true),
        ("price", column(Arc::new(price.with_precision_and_scale(10, 2).unwrap())), true),
        ("quantity", column(Arc::new(Int32Array::from_iter_values(docs.iter().map(|doc| doc.quantity)))), false),
        ("ratio", column(Arc::new(Float64Array::from_iter(docs.iter().map(|doc| doc.ratio)))), true),
        ("sold", column(Arc::new(BooleanArray::from_iter(docs.iter().map(|doc| doc.sold)))), true),
        ("day", column(Arc::new(Date32Array::from_iter_values(docs.iter().map(|doc| doc.day)))), false),
        ("at", column(Arc::new(TimestampMicrosecondArray::from_iter(docs.iter().map(|doc| doc.at)))), true),
        ("text", column(Arc::new(StringViewArray::from_iter_values(docs.iter().map(|doc| &doc.text)))), false),
        ("tags", column(Arc::new(tags.finish())), true),
    ])
    .unwrap()
}

/// An index after random writes, and what must be in it.
pub(super) struct World {
    _folder: TempDir,
    _sink: IndexSink,
    pub(super) reader: IndexReader,
    pub(super) docs: Vec<Doc>,
}

impl World {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let folder = TempDir::new().unwrap();
        let config = IndexConfig::new("random", rows(&[]).schema(), vec![0]);
        let mut sink = IndexSink::open(folder.path(), &config).unwrap();
        let mut standing = BTreeMap::new();
        for version in 0..dice.below(12) {
            let keys: std::collections::BTreeSet<i64> = (0..dice.below(80)).map(|_| dice.within(-40, 120)).collect();
            let (mut docs, mut weights) = (Vec::new(), Vec::new());
            for id in keys {
                let doc = Doc::random(dice, id);
                let weight = if dice.one_in(4) { -1 } else { 1 };
                if weight > 0 {
                    standing.insert(id, doc.clone());
                } else {
                    standing.remove(&id);
                }
                docs.push(doc);
                weights.push(weight);
            }
            sink.write(Version(version), &[Changes::weighted(rows(&docs), weights)]).unwrap();
            if !dice.one_in(4) {
                sink.flush().unwrap();
            }
        }
        sink.flush().unwrap();
        let reader = sink.reader();
        Self { _folder: folder, _sink: sink, reader, docs: standing.into_values().collect() }
    }
}
