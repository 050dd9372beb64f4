//! The end of a batch: the builders' buffers become Arrow arrays, without copying a value.

use super::node::{Node, Values};
use super::{Columns, NodeId};
use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, ListArray, MapArray,
    PrimitiveArray, RecordBatch, RecordBatchOptions, StringViewArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Time64MicrosecondType, TimeUnit};
use arrow::datatypes::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use std::mem::{replace, take};
use std::sync::Arc;

impl Columns {
    /// All whole rows as a batch; the builders are empty afterwards. String views point into `chunk`.
    pub(crate) fn finish(&mut self, chunk: &Buffer) -> RecordBatch {
        let rows = take(&mut self.rows);
        let arrays: Vec<_> = self.roots.clone().into_iter().map(|root| self.array(root, chunk)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .expect("the builders were made from this schema")
    }

    fn array(&mut self, id: NodeId, chunk: &Buffer) -> ArrayRef {
        let node = &mut self.nodes[id];
        let nulls = nulls(node);
        match &mut node.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(taken(values).into(), nulls)),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls),
            Values::Int32(values) => primitive::<Int32Type>(values, nulls),
            Values::Int64(values) => primitive::<Int64Type>(values, nulls),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls),
            Values::Float64(values) => primitive::<Float64Type>(values, nulls),
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Time(values) => primitive::<Time64MicrosecondType>(values, nulls),
            Values::Decimal(values, _, _) => {
                let decimals = Decimal128Array::new(taken(values).into(), nulls);
                Arc::new(decimals.with_data_type(node.data_type.clone()))
            }
            Values::Stamp(values, _) => stamps(taken(values).into(), nulls, &node.data_type),
            Values::Strings(_) => strings(node, nulls, chunk),
            Values::Struct(..) => self.structs(id, nulls, chunk),
            Values::List(..) => self.lists(id, nulls, chunk),
            Values::Map(..) => self.maps(id, nulls, chunk),
        }
    }

    fn structs(&mut self, id: NodeId, nulls: Option<NullBuffer>, chunk: &Buffer) -> ArrayRef {
        let Values::Struct(len, fields) = &mut self.nodes[id].values else { unreachable!("called for structs") };
        let (len, children) = (take(len), fields.clone());
        let arrays = children.into_iter().map(|child| self.array(child, chunk)).collect();
        let DataType::Struct(fields) = &self.nodes[id].data_type else { unreachable!("a struct is of struct type") };
        let array = StructArray::try_new_with_length(fields.clone(), arrays, nulls, len);
        Arc::new(array.expect("fields are as long as their struct"))
    }

    fn lists(&mut self, id: NodeId, nulls: Option<NullBuffer>, chunk: &Buffer) -> ArrayRef {
        let (offsets, elements) = self.elements(id, chunk);
        let DataType::List(field) = &self.nodes[id].data_type else { unreachable!("a list is of list type") };
        Arc::new(ListArray::new(field.clone(), offsets, elements, nulls))
    }

    fn maps(&mut self, id: NodeId, nulls: Option<NullBuffer>, chunk: &Buffer) -> ArrayRef {
        let (offsets, entries) = self.elements(id, chunk);
        let DataType::Map(field, sorted) = &self.nodes[id].data_type else { unreachable!("a map is of map type") };
        let entries = StructArray::from(entries.to_data());
        Arc::new(MapArray::new(field.clone(), offsets, entries, nulls, *sorted))
    }

    fn elements(&mut self, id: NodeId, chunk: &Buffer) -> (OffsetBuffer<i32>, ArrayRef) {
        let (Values::List(ends, element) | Values::Map(ends, element)) = &mut self.nodes[id].values else {
            unreachable!("called for lists and maps")
        };
        let (mut offsets, element) = (take(ends), *element);
        offsets.insert(0, 0);
        (OffsetBuffer::new(offsets.into()), self.array(element, chunk))
    }
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(taken(values).into(), nulls))
}

/// The values, leaving room for as many: the next batch will be like this one.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    replace(values, next)
}

fn stamps(values: ScalarBuffer<i64>, nulls: Option<NullBuffer>, data_type: &DataType) -> ArrayRef {
    let DataType::Timestamp(unit, zone) = data_type else { unreachable!("a timestamp is of timestamp type") };
    let zone = zone.clone();
    match unit {
        TimeUnit::Second => Arc::new(TimestampSecondArray::new(values, nulls).with_timezone_opt(zone)),
        TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone)),
        TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone)),
        TimeUnit::Nanosecond => Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone)),
    }
}

fn strings(node: &mut Node, nulls: Option<NullBuffer>, chunk: &Buffer) -> ArrayRef {
    let Values::Strings(strings) = &mut node.values else { unreachable!("called for strings") };
    let (views, buffers) = strings.finish(chunk);
    let views = ScalarBuffer::from(views);
    if cfg!(debug_assertions) && node.data_type == DataType::Utf8View {
        // Tests look at every view.
        StringViewArray::try_new(views.clone(), buffers.clone(), nulls.clone()).expect("views are well formed");
    }
    // SAFETY: every view was made by `Strings` from a `&str`, or for BYTES from a slice: short ones lie in the view,
    // padded with zeros; of long ones length, prefix and place were taken from where the text stands, in the chunk or
    // among the copies. Texts are valid UTF-8, and both buffers are as long as when the views were made.
    unsafe {
        match node.data_type {
            DataType::BinaryView => Arc::new(BinaryViewArray::new_unchecked(views, buffers, nulls)),
            _ => Arc::new(StringViewArray::new_unchecked(views, buffers, nulls)),
        }
    }
}

/// The bitmap of a node's missing values, made only if there are some.
fn nulls(node: &mut Node) -> Option<NullBuffer> {
    if node.missing.is_empty() {
        return None;
    }
    let mut present = BooleanBufferBuilder::new(node.len());
    present.append_n(node.len(), true);
    node.missing.drain(..).for_each(|row| present.set_bit(row as usize, false));
    Some(NullBuffer::new(present.finish()))
}
