//! UNNEST: one row for each element of a list.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;
use std::sync::Arc;

/// What an [`Unnest`] takes apart.
#[derive(Clone, Debug)]
pub struct UnnestSpec {
    /// The list column, which its element replaces.
    pub column: usize,
    /// Whether a row whose list is NULL or empty is kept, with a NULL element.
    pub outer: bool,
    /// The rows that go out.
    pub output: SchemaRef,
}

/// Puts out a row for each element of a list column.
pub struct Unnest {
    spec: UnnestSpec,
}

impl Unnest {
    /// Keeps no state.
    #[must_use]
    pub fn new(spec: UnnestSpec) -> Self {
        Self { spec }
    }
}

/// The lists of a column: where each begins and ends in the elements.
struct Lists {
    bounds: Vec<(usize, usize)>,
    elements: ArrayRef,
}

fn lists(column: &ArrayRef) -> Lists {
    if let DataType::LargeList(_) | DataType::FixedSizeList(..) = column.data_type() {
        let (DataType::LargeList(element) | DataType::FixedSizeList(element, _)) = column.data_type() else {
            unreachable!("matched just now");
        };
        let plain = cast(column, &DataType::List(Arc::clone(element))).expect("lists become lists");
        return lists(&plain);
    }
    let list = column.as_list::<i32>();
    let offsets = list.value_offsets();
    // A NULL list may have elements behind it that do not count.
    let bound =
        |row: usize| if list.is_valid(row) { (offsets[row] as usize, offsets[row + 1] as usize) } else { (0, 0) };
    Lists { bounds: (0..list.len()).map(bound).collect(), elements: Arc::clone(list.values()) }
}

impl Unnest {
    fn unnest(&self, changes: &Changes) -> Changes {
        let lists = lists(changes.column(self.spec.column));
        let mut rows: Vec<u32> = Vec::new();
        let mut elements: Vec<Option<i32>> = Vec::new();
        for (row, &(start, end)) in lists.bounds.iter().enumerate() {
            if start == end && self.spec.outer {
                rows.push(row as u32);
                elements.push(None);
            }
            rows.extend(std::iter::repeat_n(row as u32, end - start));
            elements.extend((start..end).map(|element| Some(element as i32)));
        }
        let element_rows = Int32Array::from(elements);
        let list_rows = UInt32Array::from(rows);
        let columns = changes.rows.columns().iter().enumerate().map(|(at, column)| {
            if at == self.spec.column {
                take(&lists.elements, &element_rows, None)
            } else {
                take(column, &list_rows, None)
            }
        });
        let columns: Result<Vec<ArrayRef>, _> = columns.collect();
        let columns = columns.expect("row and element numbers are within the batch");
        let batch = RecordBatch::try_new(Arc::clone(&self.spec.output), columns);
        let batch = batch.expect("the output has the element in place of the list");
        Changes { weights: changes.weights.take(list_rows.values()), ..Changes::inserts(batch) }
    }
}

impl Operator for Unnest {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        out.push(self.unnest(&changes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{V, rows_of, schema};
    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::{Field, Int64Type, Schema};
    use proxima_event::Weights;

    fn unnested(outer: bool, from: usize) -> Vec<(Vec<V>, i64)> {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(9)]),
            Some(vec![Some(1), None, Some(3)]),
            None,
            Some(vec![]),
            Some(vec![Some(4)]),
        ]);
        let fields = vec![Field::new("list", list.data_type().clone(), true), Field::new("id", DataType::Int64, true)];
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3, 4]));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(list), ids]).unwrap();
        let rows = rows.slice(from, 5 - from);
        let weights: Vec<i64> = (from as i64..5).map(|row| row - 3).collect();
        let output = schema(&[DataType::Int64, DataType::Int64]);
        let mut operator = Unnest::new(UnnestSpec { column: 0, outer, output });
        let mut out = Outbox::default();
        operator.apply(0, Changes { weights: Weights::from(weights), ..Changes::inserts(rows) }, &mut out);
        let changes = out.drain().next().unwrap();
        rows_of(&changes.rows).into_iter().enumerate().map(|(at, row)| (row, changes.weight(at))).collect()
    }

    #[test]
    fn each_element_is_a_row_with_the_weight_of_its_list() {
        let row = |element: Option<i128>, id: i128| vec![element.map_or(V::Null, V::Int), V::Int(id)];
        let inner = vec![(row(Some(1), 1), -2), (row(None, 1), -2), (row(Some(3), 1), -2), (row(Some(4), 4), 1)];
        assert_eq!(unnested(false, 1), inner);
        let mut outer = inner.clone();
        outer.insert(3, (row(None, 2), -1));
        outer.insert(4, (row(None, 3), 0));
        assert_eq!(unnested(true, 1), outer);
        assert_eq!(unnested(false, 0)[0], (row(Some(9), 0), -3));
    }
}
