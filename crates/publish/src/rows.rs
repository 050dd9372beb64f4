//! Lists as rows: what stores are given.

use crate::message::List;
use arrow::array::{
    Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// The columns of published lists: the object, the newest event time that the list knows, the items in order.
#[must_use]
pub fn list_schema() -> SchemaRef {
    let items = DataType::List(Arc::new(Field::new("item", DataType::Struct(item_fields()), false)));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("items", items, false),
    ]))
}

fn item_fields() -> Fields {
    Fields::from(vec![Field::new("id", DataType::Utf8, false), Field::new("score", DataType::Float64, false)])
}

/// Rows of some lists.
pub(crate) fn batch(lists: &[List]) -> RecordBatch {
    let items: Vec<_> = lists.iter().flat_map(|list| &list.items).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(items.iter().map(|(name, _)| name))),
        Arc::new(Float64Array::from_iter_values(items.iter().map(|(_, score)| *score))),
    ];
    let items = StructArray::new(item_fields(), columns, None);
    let lengths = OffsetBuffer::from_lengths(lists.iter().map(|list| list.items.len()));
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(lists.iter().map(|list| &list.name))),
        Arc::new(lists.iter().map(|list| list.time_us).collect::<TimestampMicrosecondArray>()),
        Arc::new(ListArray::new(field, lengths, Arc::new(items), None)),
    ];
    RecordBatch::try_new(list_schema(), columns).expect("the columns are those of the schema")
}
