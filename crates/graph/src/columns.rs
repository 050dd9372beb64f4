//! Columns of batches as the operators need them, and the batches that they put out.

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, Int64Array, RecordBatch, StringViewArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use proxima_engine::Outbox;
use proxima_event::{Changes, hash::hash_columns};
use std::sync::{Arc, LazyLock};

/// A column of text, whatever its Arrow type.
pub(crate) fn text(array: &ArrayRef) -> StringViewArray {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().clone(),
        _ => {
            cast(array, &DataType::Utf8View).expect("the plan was checked: the column is text").as_string_view().clone()
        }
    }
}

/// A column of integers, whatever their width.
pub(crate) fn integers(array: &ArrayRef) -> Int64Array {
    let wide = cast(array, &DataType::Int64).expect("the plan was checked: the column is an integer");
    wide.as_primitive::<Int64Type>().clone()
}

/// A column of times, in microseconds since 1970.
pub(crate) fn times_us(array: &ArrayRef) -> Int64Array {
    let exact = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None));
    let times = exact.expect("the plan was checked: the column is a time");
    times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>()
}

/// The key hash of each row: the ones that the batch was routed with, or computed where it was not routed.
pub(crate) fn key_hashes(changes: &Changes, key: usize) -> ScalarBuffer<u64> {
    match &changes.hashes {
        Some(hashes) => hashes.clone(),
        None => hash_columns(&[Arc::clone(changes.column(key))], changes.len()).into(),
    }
}

/// The columns of key-value rows: `key` and `value`, both binary.
pub(crate) fn key_value_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("key", DataType::BinaryView, false),
            Field::new("value", DataType::BinaryView, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// Collects writes and deletes for a key-value table into batches.
pub(crate) struct KeyValueRows<'a> {
    out: &'a mut Outbox,
    keys: BinaryViewBuilder,
    values: BinaryViewBuilder,
    weights: Vec<i64>,
    bytes: usize,
}

impl<'a> KeyValueRows<'a> {
    /// Rows in a batch at the most.
    const ROWS_MAX: usize = 4096;
    /// Bytes of keys and values in a batch at the most, give or take one value.
    const BYTES_MAX: usize = 1 << 20;

    pub(crate) fn new(out: &'a mut Outbox) -> Self {
        Self { out, keys: BinaryViewBuilder::new(), values: BinaryViewBuilder::new(), weights: Vec::new(), bytes: 0 }
    }

    /// The key shall have this value.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.push(key, value, 1);
    }

    /// The key shall be gone.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.push(key, &[], -1);
    }

    fn push(&mut self, key: &[u8], value: &[u8], weight: i64) {
        self.keys.append_value(key);
        self.values.append_value(value);
        self.weights.push(weight);
        self.bytes += key.len() + value.len();
        if self.weights.len() == Self::ROWS_MAX || self.bytes >= Self::BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let rows = RecordBatch::try_new(key_value_schema(), columns).expect("both columns grow together");
        self.out.push(Changes::weighted(rows, std::mem::take(&mut self.weights)));
        self.bytes = 0;
    }
}

impl Drop for KeyValueRows<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
