//! Samples on their way from a row to the model: a place in the order, a label, a sparse vector.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringViewArray, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use std::sync::{Arc, LazyLock};

/// A feature in one word: its slot above, the bits of its value below.
#[must_use]
pub fn feature(slot: u32, value: f32) -> u64 {
    u64::from(slot) << 32 | u64::from(value.to_bits())
}

/// The slot of a feature.
#[must_use]
pub fn slot_of(feature: u64) -> usize {
    (feature >> 32) as usize
}

/// The value of a feature.
#[must_use]
pub fn value_of(feature: u64) -> f32 {
    f32::from_bits(feature as u32)
}

/// One sample. Samples are learned in this order: by time, then by the model's `order` column, then by all they hold, so
/// that the order of arrival does not count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sample {
    /// Microseconds since 1970; 0 where the model has no time.
    pub(crate) time: i64,
    /// What orders samples of one time: a number as it is, a text by its first bytes.
    pub(crate) order: i64,
    /// The text that orders samples, where the column is one.
    pub(crate) text: Option<Box<str>>,
    pub(crate) label: bool,
    pub(crate) features: Box<[u64]>,
}

/// The columns of samples between operators.
pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("time", DataType::Int64, false),
            Field::new("order", DataType::Int64, false),
            Field::new("label", DataType::Boolean, false),
            Field::new("features", DataType::List(item()), false),
            Field::new("text", DataType::Utf8View, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::UInt64, false))
}

/// Lists of features, one for each sample.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) offsets: Vec<i32>,
    pub(crate) features: Vec<u64>,
}

impl Lists {
    pub(crate) fn with_capacity(samples: usize, features: usize) -> Self {
        let mut offsets = Vec::with_capacity(samples + 1);
        offsets.push(0);
        Self { offsets, features: Vec::with_capacity(features) }
    }

    /// What was pushed to `features` since the last end is a sample's.
    pub(crate) fn end(&mut self) {
        self.offsets.push(i32::try_from(self.features.len()).expect("a batch has less than 2 billion features"));
    }

    fn into_array(self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Arc::new(ListArray::new(item(), offsets, Arc::new(UInt64Array::from(self.features)), None))
    }
}

/// What orders a text before others by a number, as far as its first bytes do.
pub(crate) fn order_of(text: &str) -> i64 {
    let mut first = [0; 8];
    let length = text.len().min(first.len());
    first[..length].copy_from_slice(&text.as_bytes()[..length]);
    // Numbers with a sign, in the order of those without.
    i64::from_be_bytes(first) ^ i64::MIN
}

/// Samples as a batch.
pub(crate) fn batch(
    time: Vec<i64>,
    order: Vec<i64>,
    text: StringViewArray,
    label: BooleanArray,
    lists: Lists,
) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(time)),
        Arc::new(Int64Array::from(order)),
        Arc::new(label),
        lists.into_array(),
        Arc::new(text),
    ];
    RecordBatch::try_new(schema(), columns).expect("all columns have one value for each sample")
}

/// A batch of samples, taken apart.
pub(crate) struct SampleRows<'a> {
    pub(crate) time: &'a [i64],
    pub(crate) order: &'a [i64],
    label: &'a BooleanArray,
    offsets: &'a [i32],
    features: &'a [u64],
    text: Option<&'a StringViewArray>,
}

impl<'a> SampleRows<'a> {
    /// `None` when the batch holds something else. Texts may be left out.
    pub(crate) fn of(batch: &'a RecordBatch) -> Option<Self> {
        let [time, order, label, lists, text @ ..] = batch.columns() else { return None };
        let lists = lists.as_list_opt::<i32>()?;
        let text = text.first().map(|text| text.as_string_view_opt().ok_or(())).transpose().ok()?;
        Some(Self {
            time: time.as_primitive_opt::<Int64Type>()?.values(),
            order: order.as_primitive_opt::<Int64Type>()?.values(),
            label: label.as_boolean_opt()?,
            offsets: lists.value_offsets(),
            features: lists.values().as_primitive_opt::<UInt64Type>()?.values(),
            text: text.filter(|text| text.null_count() < text.len()),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    pub(crate) fn label(&self, row: usize) -> bool {
        self.label.value(row)
    }

    pub(crate) fn features(&self, row: usize) -> &'a [u64] {
        &self.features[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// The text that orders a sample.
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        self.text.and_then(|text| text.is_valid(row).then(|| text.value(row)))
    }

    pub(crate) fn sample(&self, row: usize) -> Sample {
        let (features, text) = (self.features(row).into(), self.text(row).map(Box::from));
        Sample { time: self.time[row], order: self.order[row], text, label: self.label(row), features }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_its_slot_and_its_value() {
        for (slot, value) in [(0, 1.0), (u32::MAX, -0.5), (7, f32::MAX)] {
            let packed = feature(slot, value);
            assert_eq!((slot_of(packed), value_of(packed)), (slot as usize, value));
        }
    }

    #[test]
    fn a_batch_holds_its_samples() {
        let mut lists = Lists::with_capacity(2, 3);
        lists.features.extend([feature(1, 1.0), feature(2, 0.5)]);
        lists.end();
        lists.end();
        let texts = StringViewArray::from(vec![None, Some("b")]);
        let batch = batch(vec![5, 6], vec![0, 1], texts, BooleanArray::from(vec![true, false]), lists);
        let rows = SampleRows::of(&batch).unwrap();
        assert_eq!((rows.len(), rows.features(0).len(), rows.features(1).len()), (2, 2, 0));
        assert!(rows.sample(0) < rows.sample(1));
        assert_eq!((rows.text(0), rows.text(1)), (None, Some("b")));
        assert_eq!(rows.sample(1).text.as_deref(), Some("b"));
        assert!(SampleRows::of(&batch.project(&[0, 1]).unwrap()).is_none());
        let without = batch.project(&[0, 1, 2, 3]).unwrap();
        assert_eq!(SampleRows::of(&without).unwrap().sample(1).text, None);
    }

    #[test]
    fn texts_are_in_order_by_their_first_bytes() {
        let texts = ["", "\0", "0", "00", "01", "1", "a", "aaaaaaaa", "aaaaaaaab", "b", "é", "日本"];
        assert!(texts.is_sorted_by_key(|text| order_of(text)));
        assert!(order_of("b") > order_of("aaaaaaaa") && order_of("é") > order_of("z"));
        assert_eq!(order_of("aaaaaaaa"), order_of("aaaaaaaab"));
    }
}
