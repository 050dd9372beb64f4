//! The owner of a model: the same weights whatever the order of arrival, equal to a plain loop over the sorted rows; what
//! is taken back in time never was; and a model that was saved goes on as if nothing had happened.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use proxima_engine::{EpochEnd, Operator, Outbox, Section, StateReader, StateWriter};
use proxima_event::{Changes, Epoch, KEY_GROUPS, KeyGroup, KeyGroupSet};
use proxima_model::{
    Encode, Encoder, FeatureKind, FeatureSpec, LearnerSpec, LiveModel, Missing, ModelSpec, Train, learner,
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: i64 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
struct Row {
    time: i64,
    n: i64,
    label: bool,
    price: f64,
    city: &'static str,
}

fn rows(seed: u64, count: i64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |n| {
        let city = ["London", "Paris", "Rome"][rng.random_range(0..3)];
        let price = rng.random_range(0.0..2.0);
        let label = rng.random_range(0.0..1.0) < if city == "Rome" { 0.8 } else { price / 4.0 };
        // Some share a time.
        Row { time: n / 3 * SECOND, n, label, price, city }
    };
    (0..count).map(row).collect()
}

fn spec(wait_us: Option<i64>, batch: u32) -> ModelSpec {
    let feature = |name: &str, kind| FeatureSpec {
        name: name.into(),
        column: name.into(),
        kind,
        missing: Missing::Own,
        namespace: name.into(),
    };
    ModelSpec {
        name: "m".into(),
        label: "label".into(),
        time: Some("time".into()),
        order: Some("n".into()),
        wait_us,
        features: vec![feature("price", FeatureKind::Number), feature("city", FeatureKind::Category)],
        bias: true,
        hash_bits: 10,
        learner: LearnerSpec::Sgd { rate: 0.1, l2: 0.0 },
        batch,
        window: 50,
    }
}

fn changes(rows: &[(Row, i64)]) -> Changes {
    // In the order of the numbers, and the first bytes of all are the same.
    let text = |row: &Row| format!("impression {:05}", row.n);
    let columns: [(&str, ArrayRef); 6] = [
        ("time", Arc::new(rows.iter().map(|(row, _)| Some(row.time)).collect::<TimestampMicrosecondArray>())),
        ("n", Arc::new(rows.iter().map(|(row, _)| row.n).collect::<Int64Array>())),
        ("text", Arc::new(rows.iter().map(|(row, _)| Some(text(row))).collect::<StringViewArray>())),
        ("label", Arc::new(rows.iter().map(|(row, _)| Some(row.label)).collect::<BooleanArray>())),
        ("price", Arc::new(rows.iter().map(|(row, _)| Some(row.price)).collect::<Float64Array>())),
        ("city", Arc::new(rows.iter().map(|(row, _)| Some(row.city)).collect::<StringViewArray>())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Changes::weighted(batch, rows.iter().map(|(_, weight)| *weight).collect())
}

fn encode(spec: &ModelSpec, changes: Changes) -> Changes {
    let schema = changes.rows.schema();
    let encoder = Arc::new(Encoder::bind(spec, &schema).unwrap());
    let mut out = Outbox::default();
    Encode::new(Encode::bind(spec, &schema).unwrap(), encoder).apply(0, changes, &mut out);
    out.drain().next().unwrap()
}

/// A model that is fed by hand.
struct Run {
    spec: ModelSpec,
    live: Arc<LiveModel>,
    train: Train,
    epoch: u64,
    chains: BTreeMap<KeyGroup, Vec<Section>>,
}

impl Run {
    fn new(spec: ModelSpec) -> Self {
        let live = Arc::new(LiveModel::new(spec.clone()));
        let mut train = Train::new(Arc::clone(&live));
        train.track(&KeyGroupSet::of_worker(0, 1));
        Self { spec, live, train, epoch: 0, chains: BTreeMap::new() }
    }

    fn epoch(&mut self, rows: &[(Row, i64)], batch: usize, last: bool) {
        for rows in rows.chunks(batch) {
            self.train.apply(0, encode(&self.spec, changes(rows)), &mut Outbox::default());
        }
        self.train.finish(EpochEnd { epoch: Epoch(self.epoch), last }, &mut Outbox::default());
        self.epoch += 1;
    }

    fn save(&mut self, whole: bool) {
        let rewrite = if whole { KeyGroupSet::of_worker(0, 1) } else { KeyGroupSet::default() };
        let mut writer = StateWriter::default();
        self.train.save(&rewrite, &mut writer);
        for section in writer.encode().unwrap() {
            let chain = self.chains.entry(section.group).or_default();
            if whole {
                chain.clear();
            }
            chain.push(section);
        }
    }

    /// Another process takes over from what was saved.
    fn restarted(&self) -> Self {
        let mut next = Self { chains: self.chains.clone(), epoch: self.epoch, ..Self::new(self.spec.clone()) };
        for section in next.chains.values().flatten() {
            next.train.load(&mut StateReader::from(section)).unwrap();
        }
        next
    }

    /// The weights that are not zero.
    fn weights(&self) -> Vec<(usize, u32)> {
        weights(self.spec.slots(), |slot| self.live.weight(slot))
    }
}

/// The weights of a loop over the rows in order.
fn naive(spec: &ModelSpec, rows: &[Row]) -> Vec<(usize, u32)> {
    let mut learner = learner(spec);
    let rows: Vec<_> = rows.iter().map(|row| (row.clone(), 1)).collect();
    let all = changes(&rows);
    let mut labels = rows.iter().map(|(row, _)| row.label);
    Encoder::bind(spec, &all.rows.schema()).unwrap().each(&all.rows, |vector| {
        learner.learn(labels.next().unwrap(), vector.unwrap());
    });
    weights(spec.slots(), |slot| learner.weight(slot))
}

fn weights(slots: usize, weight: impl Fn(usize) -> f32) -> Vec<(usize, u32)> {
    (0..slots).map(|slot| (slot, weight(slot).to_bits())).filter(|(_, bits)| *bits != 0).collect()
}

fn ones(rows: &[Row]) -> Vec<(Row, i64)> {
    rows.iter().map(|row| (row.clone(), 1)).collect()
}

#[test]
fn the_order_of_arrival_inside_an_epoch_does_not_count() {
    for (batch, order) in [(1, "n"), (5, "n"), (1, "text"), (5, "text")] {
        let (spec, rows) = (ModelSpec { order: Some(order.into()), ..spec(None, batch) }, rows(1, 300));
        let expected = naive(&spec, &rows);
        for seed in 0..5 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut run = Run::new(spec.clone());
            for (at, epoch) in rows.chunks(75).enumerate() {
                let mut shuffled = ones(epoch);
                shuffled.shuffle(&mut rng);
                run.epoch(&shuffled, 1 + seed as usize * 7, at == 3);
            }
            assert_eq!(run.weights(), expected, "seed {seed}, batches of {batch}, by {order}");
            assert_eq!(run.live.all().samples, 300);
        }
    }
}

#[test]
fn a_score_is_the_sum_of_its_parts_and_that_of_the_learner() {
    let (spec, rows) = (spec(None, 1), rows(5, 200));
    let mut run = Run::new(spec.clone());
    run.epoch(&ones(&rows), 50, true);
    let batch = changes(&ones(&rows)).rows;
    let encoder = Encoder::bind(&spec, &batch.schema()).unwrap();
    let (units, margins) = (run.live.units(&encoder, &batch), run.live.margins(&encoder, &batch));
    for (row, (units, margin)) in units.iter().zip(margins).enumerate() {
        assert!((*units as f64 / 4_294_967_296.0 - f64::from(margin.unwrap())).abs() < 1e-5, "row {row}");
        let parts = run.live.parts(&encoder, &batch.slice(row, 1));
        assert_eq!(parts.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["price", "city", "bias"]);
        assert_eq!(parts.iter().map(|(_, units)| units).sum::<i64>(), *units);
    }
}

#[test]
fn a_row_that_comes_and_goes_in_an_epoch_never_was_and_a_later_one_is_counted() {
    let (spec, rows) = (spec(None, 1), rows(2, 20));
    let mut changed = ones(&rows);
    let stray = Row { label: !rows[3].label, ..rows[3].clone() };
    changed.extend([(stray.clone(), 1), (stray, -1)]);
    let mut run = Run::new(spec.clone());
    run.epoch(&changed, 7, false);
    assert_eq!((run.weights(), run.live.late()), (naive(&spec, &rows), 0));
    run.epoch(&[(rows[3].clone(), -1)], 7, true);
    assert_eq!((run.weights(), run.live.late()), (naive(&spec, &rows), 1));
}

#[test]
fn samples_that_wait_are_learned_in_one_order_with_their_last_label() {
    const WAIT: i64 = 20 * SECOND;
    let (spec, rows) = (spec(Some(WAIT), 1), rows(3, 400));
    let expected = naive(&spec, &rows);
    for seed in 0..6 {
        let order = ["n", "text"][seed as usize % 2];
        let spec = ModelSpec { order: Some(order.into()), ..spec.clone() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // A sample first comes without its click, which comes a little later.
        let mut arrivals: Vec<(i64, Row, i64)> = Vec::new();
        for row in &rows {
            let seen = row.time + rng.random_range(0..5) * SECOND;
            if row.label {
                let without = Row { label: false, ..row.clone() };
                arrivals.push((seen, without.clone(), 1));
                arrivals.push((seen + 5 * SECOND, without, -1));
                arrivals.push((seen + 5 * SECOND, row.clone(), 1));
            } else {
                arrivals.push((seen, row.clone(), 1));
            }
        }
        arrivals.sort_by_key(|(at, ..)| *at);
        let arrivals: Vec<(Row, i64)> = arrivals.into_iter().map(|(_, row, weight)| (row, weight)).collect();
        let mut run = Run::new(spec.clone());
        let (mut rest, mut epoch) = (&arrivals[..], 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(rng.random_range(1..60)));
            run.epoch(now, 11, later.is_empty());
            (rest, epoch) = (later, epoch + 1);
            run.save(epoch % 5 == 1);
            if epoch % 3 == 0 {
                run = run.restarted();
            }
        }
        // What was loaded is shown at the end of the next epoch.
        run.epoch(&[], 1, true);
        assert_eq!((run.weights(), run.live.late()), (expected.clone(), 0), "seed {seed}");
        assert_eq!(run.live.all().samples, 400);
    }
}

#[test]
fn a_model_goes_on_from_its_checkpoint() {
    for batch in [1, 7] {
        let (spec, rows) = (spec(None, batch), ones(&rows(4, 300)));
        let (mut whole, mut run) = (Run::new(spec.clone()), Run::new(spec));
        for (at, epoch) in rows.chunks(20).enumerate() {
            whole.epoch(epoch, 9, at == 14);
            run.epoch(epoch, 9, at == 14);
            run.save(at % 6 == 0);
            if at % 2 == 1 {
                run = run.restarted();
            }
        }
        // What was loaded is shown at the end of the next epoch.
        run.epoch(&[], 1, true);
        assert_eq!(run.weights(), whole.weights());
        assert_eq!((run.live.all(), run.live.recent()), (whole.live.all(), whole.live.recent()));
    }
}

#[test]
fn a_worker_that_does_not_own_the_model_saves_nothing() {
    let mut train = Train::new(Arc::new(LiveModel::new(spec(Some(SECOND), 1))));
    train.finish(EpochEnd { epoch: Epoch(0), last: false }, &mut Outbox::default());
    let mut writer = StateWriter::default();
    train.save(&KeyGroupSet::of_worker(0, 1), &mut writer);
    assert_eq!(writer.encode().unwrap(), []);
    assert_eq!(KEY_GROUPS, 256, "the owner is one of the groups");
}
