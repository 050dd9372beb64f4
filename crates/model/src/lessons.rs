//! Samples of the past, learned once more, each when it would have been: for who asks what a model knew at a time.

use crate::encode::Encode;
use crate::features::Encoder;
use crate::live::LiveModel;
use crate::samples::schema;
use crate::spec::BindError;
use crate::train::{Train, in_order, sample_rows};
use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Schema;
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::{Changes, Epoch};
use std::sync::Arc;

/// All samples of a model, with how many of them it has learned. The model must have a time.
pub struct Lessons {
    train: Train,
    /// In the order in which they are learned.
    samples: Changes,
    times: Vec<i64>,
    wait_us: i64,
    learned: usize,
    out: Outbox,
}

impl Lessons {
    /// The rows of a model's query, whose columns are `schema`, to be learned by `live`, which has seen nothing.
    ///
    /// # Errors
    /// When the model does not fit the columns.
    pub fn new(live: &Arc<LiveModel>, schema: &Schema, rows: &[Changes]) -> Result<Self, Vec<BindError>> {
        let mut encode = Encode::new(Encode::bind(live.spec(), schema)?, Arc::new(Encoder::bind(live.spec(), schema)?));
        let mut out = Outbox::default();
        rows.iter().for_each(|rows| encode.apply(0, rows.clone(), &mut out));
        let samples = sorted(&out.drain().collect::<Vec<_>>());
        let times = sample_rows(&samples).time.to_vec();
        let (train, wait_us) = (Train::at_once(Arc::clone(live)), live.spec().wait_us.unwrap_or(0));
        Ok(Self { train, samples, times, wait_us, learned: 0, out })
    }

    /// Learns what a run has learned when `time_us` is the newest time that it has seen: samples before it, less those
    /// that still wait. Times only rise.
    pub fn learn_before(&mut self, time_us: i64) {
        let until = self.times.partition_point(|time| time.saturating_add(self.wait_us) < time_us);
        if until <= self.learned {
            return;
        }
        let places: Vec<u32> = (self.learned..until).map(|place| place as u32).collect();
        self.learned = until;
        self.train.apply(0, self.samples.take(&places), &mut self.out);
        self.train.finish(EpochEnd { epoch: Epoch(0), last: false }, &mut self.out);
    }
}

/// One batch of all samples.
fn sorted(batches: &[Changes]) -> Changes {
    let rows: Vec<_> = batches.iter().map(sample_rows).collect();
    let places: Vec<_> = in_order(&rows).into_iter().map(|place| (place.batch as usize, place.row as usize)).collect();
    if places.is_empty() {
        return Changes::inserts(RecordBatch::new_empty(schema()));
    }
    let weights = places.iter().map(|&(batch, row)| batches[batch].weights.get(row)).collect();
    let batches: Vec<_> = batches.iter().map(|batch| &batch.rows).collect();
    let rows = interleave_record_batch(&batches, &places).expect("all batches have the columns of samples");
    Changes::weighted(rows, weights)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::learn::learner;
    use crate::samples::feature;
    use crate::spec::{FeatureKind, FeatureSpec, LearnerSpec, Missing, ModelSpec};
    use arrow::array::{ArrayRef, BooleanArray, Float64Array, TimestampMicrosecondArray};

    const WAIT_US: i64 = 10;

    fn spec(wait_us: Option<i64>) -> ModelSpec {
        let price = FeatureSpec {
            name: "price".into(),
            column: "price".into(),
            kind: FeatureKind::Number,
            missing: Missing::Own,
            namespace: "price".into(),
        };
        ModelSpec {
            name: "clicks".into(),
            label: "clicked".into(),
            time: Some("at".into()),
            order: None,
            wait_us,
            features: vec![price],
            bias: false,
            hash_bits: 4,
            learner: LearnerSpec::Sgd { rate: 0.1, l2: 0.0 },
            batch: 1,
            window: 100,
        }
    }

    fn rows(of: &[(i64, bool, f64)]) -> Changes {
        let columns: [(&str, ArrayRef); 3] = [
            ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(of.iter().map(|row| row.0)))),
            ("clicked", Arc::new(of.iter().map(|row| Some(row.1)).collect::<BooleanArray>())),
            ("price", Arc::new(Float64Array::from_iter_values(of.iter().map(|row| row.2)))),
        ];
        Changes::inserts(RecordBatch::try_from_iter(columns).unwrap())
    }

    /// All weights, after a loop over these.
    fn loop_over(samples: &[(i64, bool, f64)], slot: u32) -> f32 {
        let mut learner = learner(&spec(None));
        for &(_, label, price) in samples {
            learner.learn(label, &[feature(slot, price as f32)]);
        }
        learner.weight(slot as usize)
    }

    #[test]
    fn a_sample_is_learned_when_it_would_have_been() {
        let of = [(1, true, 1.0), (3, false, 2.0), (3, true, 0.5), (20, true, 3.0)];
        for wait_us in [None, Some(WAIT_US)] {
            let live = Arc::new(LiveModel::new(spec(wait_us)));
            let batches = [rows(&[of[3], of[0]]), rows(&[of[1], of[2]])];
            let mut lessons = Lessons::new(&live, &batches[0].rows.schema(), &batches).unwrap();
            let slot = {
                lessons.learn_before(1_000);
                let slot = (0..16).find(|&slot| live.weight(slot) != 0.0).unwrap();
                lessons = Lessons::new(&live, &batches[0].rows.schema(), &batches).unwrap();
                slot as u32
            };
            for now_us in [0, 1, 2, 3, 4, 11, 12, 13, 14, 20, 21, 30, 31] {
                lessons.learn_before(now_us);
                let known: Vec<_> = of.iter().filter(|row| row.0 + wait_us.unwrap_or(0) < now_us).copied().collect();
                if !known.is_empty() {
                    assert_eq!(live.weight(slot as usize), loop_over(&known, slot), "at {now_us}, wait {wait_us:?}");
                }
            }
            assert_eq!(live.all().samples, 4);
        }
    }

    #[test]
    fn no_samples_teach_nothing() {
        let live = Arc::new(LiveModel::new(spec(None)));
        Lessons::new(&live, &rows(&[]).rows.schema(), &[]).unwrap().learn_before(9);
        assert_eq!(live.all().samples, 0);
    }
}
