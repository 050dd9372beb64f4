//! What the tests of all operators share: plain values, random streams, and a driver that checks what goes out.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMicrosecondType, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use proxima_engine::{EpochEnd, Operator, Outbox, Section, SectionKind, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A value, apart from Arrow. Floats are their bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum V {
    Null,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
}

impl V {
    pub(crate) fn float(value: f64) -> Self {
        Self::Float(value.to_bits())
    }
}

pub(crate) type Row = Vec<V>;
/// Rows with how often each is there.
pub(crate) type Bag = BTreeMap<Row, i64>;

pub(crate) fn add(bag: &mut Bag, row: Row, weight: i64) {
    let entry = bag.entry(row.clone()).or_default();
    *entry += weight;
    if *entry == 0 {
        bag.remove(&row);
    }
}

pub(crate) const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

pub(crate) fn schema(types: &[DataType]) -> SchemaRef {
    let field = |(at, data_type): (usize, &DataType)| Field::new(format!("c{at}"), data_type.clone(), true);
    Arc::new(Schema::new(types.iter().enumerate().map(field).collect::<Vec<_>>()))
}

pub(crate) fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| column(field.data_type(), rows, at)).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap()
}

fn column(data_type: &DataType, rows: &[Row], at: usize) -> ArrayRef {
    let ints = || {
        rows.iter().map(|row| match &row[at] {
            V::Null => None,
            V::Int(value) => Some(*value),
            other => panic!("{other:?}"),
        })
    };
    match data_type {
        DataType::Int32 => Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(ints().map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        DataType::Date32 => Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        DataType::Timestamp(..) => Arc::new(ints().map(|v| v.map(|v| v as i64)).collect::<TimestampMicrosecondArray>()),
        DataType::Decimal128(p, s) => {
            Arc::new(ints().collect::<Decimal128Array>().with_precision_and_scale(*p, *s).unwrap())
        }
        DataType::Float64 => Arc::new(
            rows.iter()
                .map(|row| match &row[at] {
                    V::Float(bits) => Some(f64::from_bits(*bits)),
                    _ => None,
                })
                .collect::<Float64Array>(),
        ),
        DataType::Boolean => Arc::new(
            rows.iter()
                .map(|row| match &row[at] {
                    V::Bool(value) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        DataType::Utf8View => Arc::new(
            rows.iter()
                .map(|row| match &row[at] {
                    V::Text(value) => Some(value.as_str()),
                    _ => None,
                })
                .collect::<StringViewArray>(),
        ),
        other => panic!("no test values of {other}"),
    }
}

pub(crate) fn value(column: &ArrayRef, row: usize) -> V {
    if column.is_null(row) {
        return V::Null;
    }
    match column.data_type() {
        DataType::Int32 => V::Int(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => V::Int(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt64 => V::Int(column.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Date32 => V::Int(column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(..) => V::Int(column.as_primitive::<TimestampMicrosecondType>().value(row).into()),
        DataType::Decimal128(..) => V::Int(column.as_primitive::<Decimal128Type>().value(row)),
        DataType::Float64 => V::float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => V::Bool(column.as_boolean().value(row)),
        DataType::Utf8View => V::Text(column.as_string_view().value(row).to_owned()),
        other => panic!("no test values of {other}"),
    }
}

pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| value(column, row)).collect()).collect()
}

/// Makes one row of an input.
pub(crate) type MakeRow = fn(&mut ChaCha8Rng) -> Row;

/// A random stream of one input: what is there now, and what comes next.
pub(crate) struct Stream {
    pub(crate) schema: SchemaRef,
    /// The columns that rows are routed by.
    pub(crate) keys: Vec<usize>,
    pub(crate) make: MakeRow,
    pub(crate) append_only: bool,
    pub(crate) bag: Bag,
    /// Whether anything ever came, even if it went at once.
    pub(crate) seen: Rc<Cell<bool>>,
    /// Whether each row goes to all workers.
    pub(crate) broadcast: bool,
}

impl Stream {
    pub(crate) fn new(schema: SchemaRef, keys: &[usize], append_only: bool, make: MakeRow) -> Self {
        Self { schema, keys: keys.to_vec(), make, append_only, bag: Bag::new(), seen: Rc::default(), broadcast: false }
    }

    /// Changes of one epoch, in random order: the taking back of a row may come before the row.
    pub(crate) fn epoch(&mut self, rng: &mut ChaCha8Rng) -> Vec<(Row, i64)> {
        let mut changes = Vec::new();
        for _ in 0..rng.random_range(0..30) {
            let back = !self.append_only && !self.bag.is_empty() && rng.random_bool(0.45);
            let (row, weight) = if back {
                let place = rng.random_range(0..self.bag.len());
                (self.bag.keys().nth(place).unwrap().clone(), -1)
            } else {
                ((self.make)(rng), if rng.random_ratio(1, 8) { 2 } else { 1 })
            };
            add(&mut self.bag, row.clone(), weight);
            changes.push((row, weight));
            self.seen.set(true);
        }
        changes.shuffle(rng);
        changes
    }

    /// The changes as batches for each of `workers` instances.
    fn batches(&self, changes: &[(Row, i64)], workers: usize, rng: &mut ChaCha8Rng) -> Vec<(usize, Changes)> {
        let mut batches = Vec::new();
        let mut rest = changes;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rng.random_range(1..=rest.len().min(9)));
            rest = tail;
            let (rows, weights): (Vec<Row>, Vec<i64>) = head.iter().cloned().unzip();
            let mut whole = Changes::weighted(batch(&self.schema, &rows), weights.clone());
            if weights.iter().all(|&weight| weight == 1) {
                whole = Changes::inserts(whole.rows);
            }
            let keys: Vec<ArrayRef> = self.keys.iter().map(|&key| whole.column(key).clone()).collect();
            let hashes = hash_columns(&keys, rows.len());
            whole.hashes = Some(hashes.clone().into());
            for worker in 0..workers {
                let of =
                    |row: &u32| KeyGroup::of(hashes[*row as usize], KEY_GROUPS).worker(KEY_GROUPS, workers) == worker;
                let mine: Vec<u32> = (0..rows.len() as u32).filter(|row| self.broadcast || of(row)).collect();
                if !mine.is_empty() {
                    batches.push((worker, whole.take(&mine)));
                }
            }
        }
        batches
    }
}

/// The batches of one key group's state as printed rows.
pub(crate) type Printed = Vec<Vec<Vec<String>>>;

/// Replaces what depends on the order in which state was built, such as places of other rows.
pub(crate) type Canonical = fn(&mut Printed);

/// Drives instances of an operator, as on that many workers, and adds up what they put out.
pub(crate) struct Driver<'a> {
    make: &'a dyn Fn() -> Box<dyn Operator>,
    pub(crate) workers: Vec<Box<dyn Operator>>,
    epoch: u64,
    /// What the output amounts to.
    pub(crate) result: Bag,
    /// What was saved of each key group: a full section, then changes.
    chains: BTreeMap<KeyGroup, Vec<Section>>,
    saves: usize,
    /// How states of different pasts are made comparable; without it they are not compared.
    pub(crate) canonical: Option<Canonical>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(workers: usize, make: &'a dyn Fn() -> Box<dyn Operator>) -> Self {
        let (result, chains) = (Bag::new(), BTreeMap::new());
        let canonical: Option<Canonical> = Some(|_| {});
        let mut driver = Self { make, workers: Vec::new(), epoch: 0, result, chains, saves: 0, canonical };
        driver.workers = driver.load(workers);
        driver
    }

    /// One epoch of all inputs, their batches mixed. Gives what went out.
    pub(crate) fn epoch(&mut self, inputs: &[(&Stream, Vec<(Row, i64)>)], rng: &mut ChaCha8Rng) -> Bag {
        let workers = self.workers.len();
        let mut batches: Vec<(usize, usize, Changes)> = Vec::new();
        for (input, (stream, changes)) in inputs.iter().enumerate() {
            let of_input = stream.batches(changes, workers, rng);
            batches.extend(of_input.into_iter().map(|(worker, changes)| (worker, input, changes)));
        }
        batches.shuffle(rng);
        self.batches(batches)
    }

    /// One epoch of batches, each for a worker and of an input. Gives what went out.
    pub(crate) fn batches(&mut self, batches: Vec<(usize, usize, Changes)>) -> Bag {
        let mut outbox = Outbox::default();
        for (worker, input, changes) in batches {
            self.workers[worker].apply(input, changes, &mut outbox);
        }
        let end = EpochEnd { epoch: Epoch(self.epoch), last: false };
        self.workers.iter_mut().for_each(|worker| worker.finish(end, &mut outbox));
        self.epoch += 1;
        self.collect(&mut outbox)
    }

    fn collect(&mut self, outbox: &mut Outbox) -> Bag {
        let mut net = Bag::new();
        let mut signs: BTreeMap<Row, i64> = BTreeMap::new();
        for changes in outbox.drain() {
            for (at, row) in rows_of(&changes.rows).into_iter().enumerate() {
                let weight = changes.weight(at);
                let sign = *signs.entry(row.clone()).or_insert(weight.signum());
                assert_eq!(sign, weight.signum(), "both +1 and -1 of {row:?} in epoch {}", self.epoch - 1);
                add(&mut net, row.clone(), weight);
                add(&mut self.result, row, weight);
            }
        }
        net
    }

    /// Saves what has changed, and some key groups whole; the first time all.
    pub(crate) fn save(&mut self, rng: &mut ChaCha8Rng) {
        let share = rng.random_range(0.0..0.3);
        let all = self.workers.len();
        for worker in 0..all {
            let owned = KeyGroupSet::of_worker(worker, all);
            let chosen = owned.iter().filter(|_| self.saves == 0 || rng.random_bool(share)).collect::<KeyGroupSet>();
            for group in chosen.iter() {
                self.chains.remove(&group);
            }
            for section in sections(&mut self.workers[worker], &chosen) {
                assert!(owned.contains(section.group), "{:?} is saved by its owner", section.group);
                let chain = self.chains.entry(section.group).or_default();
                if section.kind == SectionKind::Full {
                    chain.clear();
                }
                assert!(section.kind == SectionKind::Full || !chosen.contains(section.group));
                chain.push(section);
            }
        }
        self.saves += 1;
    }

    /// Saves the state and goes on from it with another number of workers.
    pub(crate) fn restart(&mut self, workers: usize, rng: &mut ChaCha8Rng) {
        self.save(rng);
        if let Some(canonical) = self.canonical {
            let mut loaded = self.load(rng.random_range(1..=4));
            let (before, after) = (state(&mut self.workers, canonical), state(&mut loaded, canonical));
            assert_eq!(before, after, "the state in epoch {} is what is loaded from its saves", self.epoch);
        }
        self.workers = self.load(workers);
    }

    fn load(&self, count: usize) -> Vec<Box<dyn Operator>> {
        let mut workers: Vec<_> = (0..count).map(|_| (self.make)()).collect();
        for (at, worker) in workers.iter_mut().enumerate() {
            let owned = KeyGroupSet::of_worker(at, count);
            worker.track(&owned);
            for section in owned.iter().filter_map(|group| self.chains.get(&group)).flatten() {
                worker.load(&mut StateReader::from(section)).unwrap();
            }
            let changes = sections(worker, &KeyGroupSet::none());
            assert!(changes.is_empty(), "nothing that was loaded counts as changed, but {:?}", changes[0]);
        }
        workers
    }
}

fn sections(worker: &mut Box<dyn Operator>, rewrite: &KeyGroupSet) -> Vec<Section> {
    let mut writer = StateWriter::default();
    worker.save(rewrite, &mut writer);
    writer.encode().unwrap()
}

/// The whole state of some workers, printed.
fn state(workers: &mut [Box<dyn Operator>], canonical: Canonical) -> BTreeMap<KeyGroup, Printed> {
    let all = workers.len();
    let owned = |at| KeyGroupSet::of_worker(at, all);
    let sections = workers.iter_mut().enumerate().flat_map(|(at, worker)| sections(worker, &owned(at)));
    let printed = |section: Section| {
        let mut reader = StateReader::from(&section);
        let mut batches: Printed = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            let row = |row| batch.columns().iter().map(move |column| printed_value(column, row)).collect();
            batches.push((0..batch.num_rows()).map(row).collect());
        }
        canonical(&mut batches);
        batches.iter_mut().for_each(|rows| rows.sort_unstable());
        (section.group, batches)
    };
    sections.map(printed).collect()
}

fn printed_value(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) { "NULL".into() } else { format!("'{}'", array_value_to_string(column, row).unwrap()) }
}

/// Runs random epochs through an operator and compares with `naive` after each; in between it restarts.
pub(crate) fn compare(
    seed: u64,
    streams: Vec<Stream>,
    make: &dyn Fn() -> Box<dyn Operator>,
    naive: &dyn Fn(&[&Bag]) -> Bag,
) {
    compare_state(seed, streams, make, naive, |_| {});
}

/// The same for an operator whose state holds places of other rows.
pub(crate) fn compare_state(
    seed: u64,
    mut streams: Vec<Stream>,
    make: &dyn Fn() -> Box<dyn Operator>,
    naive: &dyn Fn(&[&Bag]) -> Bag,
    canonical: Canonical,
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut driver = Driver::new(1, make);
    driver.canonical = Some(canonical);
    for epoch in 0..40 {
        let changes: Vec<Vec<(Row, i64)>> = streams.iter_mut().map(|stream| stream.epoch(&mut rng)).collect();
        let inputs: Vec<_> = streams.iter().zip(changes).collect();
        driver.epoch(&inputs, &mut rng);
        let bags: Vec<&Bag> = streams.iter().map(|stream| &stream.bag).collect();
        let expected = naive(&bags);
        if driver.result != expected {
            let extra: Vec<_> = driver.result.iter().filter(|&(row, n)| expected.get(row) != Some(n)).collect();
            let missing: Vec<_> = expected.iter().filter(|&(row, n)| driver.result.get(row) != Some(n)).collect();
            panic!("seed {seed} epoch {epoch}\n  wrong: {extra:?}\n  missing: {missing:?}");
        }
        if rng.random_ratio(1, 3) {
            driver.save(&mut rng);
        }
        if rng.random_ratio(1, 6) {
            driver.restart(rng.random_range(1..=4), &mut rng);
        }
    }
    for (stream, bag) in streams.iter_mut().map(|stream| (stream.append_only, &stream.bag)).collect::<Vec<_>>() {
        assert!(stream || bag.values().all(|&weight| weight > 0));
    }
}

pub(crate) fn text(value: &str) -> V {
    V::Text(value.to_owned())
}

/// One of some values, or NULL at times.
pub(crate) fn any(rng: &mut ChaCha8Rng, values: &[V]) -> V {
    if rng.random_ratio(1, 8) { V::Null } else { values[rng.random_range(0..values.len())].clone() }
}

/// Strings around the length that fits a view.
pub(crate) fn any_text(rng: &mut ChaCha8Rng) -> V {
    any(
        rng,
        &["", "a", "b", "twelve bytes", "thirteen byte", "thirteen bytf", "a string that is rather long"].map(text),
    )
}
