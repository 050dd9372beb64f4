//! What a checkpoint holds of a model: slots, the batch that is not full, metrics, samples that wait.
//!
//! Four batches a section, in this order; a section of changes holds only slots of changed blocks and samples that came
//! since the last save, and the rest whole.

use crate::learn::{BLOCK, Learner};
use crate::samples::{self, Lists, Sample, SampleRows};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Int64Array, RecordBatch, StringViewArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{Float32Type, Int64Type, UInt32Type, UInt64Type};
use proxima_engine::{SnapshotError, StateReader};
use std::sync::Arc;

/// A model, or what changed of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Saved {
    pub(crate) slots: Vec<(u32, [f32; 2])>,
    pub(crate) open_batch: (u32, Vec<(u32, f32)>),
    pub(crate) progress: Vec<u64>,
    pub(crate) late: u64,
    /// The newest time and the time up to which samples are released.
    pub(crate) times: [i64; 2],
    pub(crate) pending: Vec<(Sample, i64)>,
}

/// The slots of some blocks, or all that are not zero.
pub(crate) fn slots(learner: &dyn Learner, count: usize, blocks: Option<&Vec<usize>>) -> Vec<(u32, [f32; 2])> {
    let slot = |slot: usize| (slot as u32, learner.slot(slot));
    match blocks {
        None => (0..count).map(slot).filter(|(_, numbers)| *numbers != [0.0; 2]).collect(),
        Some(blocks) => {
            blocks.iter().flat_map(|&block| (block * BLOCK..count.min((block + 1) * BLOCK)).map(slot)).collect()
        }
    }
}

impl Saved {
    /// Whether nothing has ever come: so for the workers that do not own the model.
    pub(crate) fn is_nothing(&self) -> bool {
        self.progress.first() == Some(&0) && self.pending.is_empty() && self.times[0] == i64::MIN
    }

    pub(crate) fn encode(&self) -> Vec<RecordBatch> {
        let slots = batch(vec![
            Arc::new(self.slots.iter().map(|(slot, _)| *slot).collect::<UInt32Array>()),
            Arc::new(self.slots.iter().map(|(_, numbers)| Some(numbers[0])).collect::<Float32Array>()),
            Arc::new(self.slots.iter().map(|(_, numbers)| Some(numbers[1])).collect::<Float32Array>()),
        ]);
        let open = batch(vec![
            Arc::new(self.open_batch.1.iter().map(|(slot, _)| *slot).collect::<UInt32Array>()),
            Arc::new(self.open_batch.1.iter().map(|(_, gradient)| Some(*gradient)).collect::<Float32Array>()),
        ]);
        let head = [u64::from(self.open_batch.0), self.late, self.times[0] as u64, self.times[1] as u64];
        let words: UInt64Array = head.into_iter().chain(self.progress.iter().copied()).collect();
        vec![slots, open, batch(vec![Arc::new(words)]), self.encode_pending()]
    }

    fn encode_pending(&self) -> RecordBatch {
        let mut lists = Lists::with_capacity(self.pending.len(), 0);
        for (sample, _) in &self.pending {
            lists.features.extend_from_slice(&sample.features);
            lists.end();
        }
        let samples = || self.pending.iter().map(|(sample, _)| sample);
        let time = samples().map(|sample| sample.time).collect();
        let order = samples().map(|sample| sample.order).collect();
        let label: BooleanArray = samples().map(|sample| Some(sample.label)).collect();
        let text: StringViewArray = samples().map(|sample| sample.text.as_deref()).collect();
        let has_texts = text.null_count() < text.len();
        let rows = samples::batch(time, order, text, label, lists);
        let weights = self.pending.iter().map(|(_, weight)| *weight).collect::<Int64Array>();
        let mut columns = rows.columns().to_vec();
        let text = columns.pop().filter(|_| has_texts);
        columns.push(Arc::new(weights) as ArrayRef);
        // Last, and only of models that are ordered by a text: checkpoints of others have none.
        columns.extend(text);
        batch(columns)
    }

    /// Reads a section; `None` where it is empty.
    pub(crate) fn decode(section: &mut StateReader<'_>) -> Result<Option<Self>, SnapshotError> {
        let Some(slots) = section.next_batch()? else { return Ok(None) };
        let mismatch = || SnapshotError::Mismatch("a model is saved in four batches of its own columns".into());
        let mut next = || section.next_batch()?.ok_or_else(mismatch);
        let (open, words, pending) = (next()?, next()?, next()?);
        let words = words.columns().first().and_then(|words| words.as_primitive_opt::<UInt64Type>());
        let words = words.ok_or_else(mismatch)?.values();
        let (&[samples, late, newest, released], progress) = words.split_first_chunk::<4>().ok_or_else(mismatch)?;
        let open = decode_open(&open).ok_or_else(mismatch)?;
        Ok(Some(Self {
            slots: decode_slots(&slots).ok_or_else(mismatch)?,
            open_batch: (u32::try_from(samples).map_err(|_| mismatch())?, open),
            progress: progress.to_vec(),
            late,
            times: [newest as i64, released as i64],
            pending: decode_pending(&pending).ok_or_else(mismatch)?,
        }))
    }
}

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(at, column)| (format!("c{at}"), column));
    RecordBatch::try_from_iter(named).expect("the columns are of one length")
}

fn decode_slots(batch: &RecordBatch) -> Option<Vec<(u32, [f32; 2])>> {
    if batch.num_rows() == 0 {
        return Some(Vec::new());
    }
    let [slots, first, second] = batch.columns() else { return None };
    let slots = slots.as_primitive_opt::<UInt32Type>()?.values();
    let (first, second) = (first.as_primitive_opt::<Float32Type>()?, second.as_primitive_opt::<Float32Type>()?);
    let numbers = first.values().iter().zip(second.values()).map(|(&first, &second)| [first, second]);
    Some(slots.iter().copied().zip(numbers).collect())
}

fn decode_open(batch: &RecordBatch) -> Option<Vec<(u32, f32)>> {
    if batch.num_rows() == 0 {
        return Some(Vec::new());
    }
    let [slots, gradients] = batch.columns() else { return None };
    let (slots, gradients) = (slots.as_primitive_opt::<UInt32Type>()?, gradients.as_primitive_opt::<Float32Type>()?);
    Some(slots.values().iter().copied().zip(gradients.values().iter().copied()).collect())
}

fn decode_pending(batch: &RecordBatch) -> Option<Vec<(Sample, i64)>> {
    if batch.num_rows() == 0 {
        return Some(Vec::new());
    }
    let weights = batch.columns().get(4)?.as_primitive_opt::<Int64Type>()?;
    let with_texts = [0, 1, 2, 3, 5];
    let rows = batch.project(with_texts.get(..batch.num_columns() - 1)?).ok()?;
    let rows = SampleRows::of(&rows)?;
    Some((0..weights.len()).map(|row| (rows.sample(row), weights.value(row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_engine::{SectionKind, StateWriter};
    use proxima_event::KeyGroup;

    fn round_trip(saved: &Saved) -> Saved {
        let mut writer = StateWriter::default();
        saved.encode().iter().for_each(|batch| writer.full(KeyGroup(3), batch));
        let sections = writer.encode().unwrap();
        assert_eq!((sections.len(), sections[0].kind), (1, SectionKind::Full));
        Saved::decode(&mut StateReader::from(&sections[0])).unwrap().unwrap()
    }

    #[test]
    fn what_is_saved_comes_back() {
        let sample =
            |time, features: &[u64]| Sample { time, order: -7, text: None, label: time > 5, features: features.into() };
        let full = Saved {
            slots: vec![(1, [0.5, 2.0]), (9, [-0.5, 0.0])],
            open_batch: (3, vec![(9, 0.25)]),
            progress: vec![1, u64::MAX],
            late: 5,
            times: [-1, i64::MIN],
            pending: vec![(sample(4, &[1, 2]), 1), (sample(9, &[]), -1)],
        };
        assert_eq!(round_trip(&full), full);
        let mut ordered = full;
        ordered.pending[1].0.text = Some("a text".into());
        assert_eq!(round_trip(&ordered), ordered);
        let empty = Saved {
            slots: Vec::new(),
            open_batch: (0, Vec::new()),
            progress: vec![0],
            late: 0,
            times: [0; 2],
            pending: Vec::new(),
        };
        assert_eq!(round_trip(&empty), empty);
    }
}
