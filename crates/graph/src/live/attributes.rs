//! Rows of typed attributes in columns: of a relation's edges, or of a kind's objects.

use super::dictionary::Dictionary;
use crate::catalogue::{Attribute, AttributeKind};
use crate::columns::{integers, text, times_us};
use crate::graph::Value;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, Int64Array, Int64Builder,
    StringViewArray, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use std::cmp::Ordering;
use std::sync::Arc;

/// Columns of attributes on their way into the graph, typed as the catalogue has them.
#[derive(Clone, Debug)]
pub(super) struct Given(Vec<GivenColumn>);

#[derive(Clone, Debug)]
enum GivenColumn {
    Bool(BooleanArray),
    Int(Int64Array),
    Float(Float64Array),
    Text(StringViewArray),
}

impl Given {
    /// Reads columns whose types the plan was checked for.
    pub(super) fn of<'a>(attributes: &[Attribute], columns: impl IntoIterator<Item = &'a ArrayRef>) -> Self {
        let typed = |(attribute, column): (&Attribute, &ArrayRef)| match attribute.kind {
            AttributeKind::Bool => GivenColumn::Bool(column.as_boolean().clone()),
            AttributeKind::Int => GivenColumn::Int(integers(column)),
            // Times come back from a checkpoint as the integers that they rest as.
            AttributeKind::Time if *column.data_type() == DataType::Int64 => GivenColumn::Int(integers(column)),
            AttributeKind::Time => GivenColumn::Int(times_us(column)),
            AttributeKind::Float => {
                let floats = cast(column, &DataType::Float64).expect("the plan was checked: the column is a number");
                GivenColumn::Float(floats.as_primitive::<Float64Type>().clone())
            }
            AttributeKind::Text => GivenColumn::Text(text(column)),
        };
        Self(attributes.iter().zip(columns).map(typed).collect())
    }

    /// The columns as a checkpoint holds them.
    pub(super) fn columns(&self) -> impl Iterator<Item = ArrayRef> {
        self.0.iter().map(|column| match column {
            GivenColumn::Bool(values) => Arc::new(values.clone()) as ArrayRef,
            GivenColumn::Int(values) => Arc::new(values.clone()),
            GivenColumn::Float(values) => Arc::new(values.clone()),
            GivenColumn::Text(values) => Arc::new(values.clone()),
        })
    }
}

/// The row of what has no attributes.
pub(super) const NO_ROW: u32 = u32::MAX;

/// The code of a text that is null.
const NO_TEXT: u32 = u32::MAX;

/// Rows of attributes, known by their places.
#[derive(Debug)]
pub(super) struct Attributes {
    columns: Vec<Column>,
    rows: u32,
    /// Places to use again: those freed in this epoch, those freed in the one before, and those that may be used.
    /// Whoever has read a place from an edge still finds its values there for as long as a request may take.
    freed: [Vec<u32>; 3],
}

#[derive(Debug)]
enum Column {
    Bool(Vec<Option<bool>>),
    Int { values: Vec<i64>, known: Vec<bool> },
    Float { values: Vec<f64>, known: Vec<bool> },
    Text { codes: Vec<u32>, texts: Dictionary },
}

impl Attributes {
    pub(super) fn new(attributes: &[Attribute]) -> Self {
        let column = |attribute: &Attribute| match attribute.kind {
            AttributeKind::Bool => Column::Bool(Vec::new()),
            AttributeKind::Int | AttributeKind::Time => Column::Int { values: Vec::new(), known: Vec::new() },
            AttributeKind::Float => Column::Float { values: Vec::new(), known: Vec::new() },
            AttributeKind::Text => Column::Text { codes: Vec::new(), texts: Dictionary::default() },
        };
        Self { columns: attributes.iter().map(column).collect(), rows: 0, freed: Default::default() }
    }

    /// Adds a row and gives its place.
    pub(super) fn insert(&mut self, given: &Given, row: usize) -> u32 {
        if self.columns.is_empty() {
            return NO_ROW;
        }
        let place = self.freed[2].pop().unwrap_or(self.rows);
        let is_new = place == self.rows;
        self.rows += u32::from(is_new);
        for (column, given) in self.columns.iter_mut().zip(&given.0) {
            if is_new {
                column.grow();
            }
            column.set(place as usize, given, row);
        }
        place
    }

    /// Frees a place. Its numbers stay readable for a while, its texts do not.
    pub(super) fn remove(&mut self, place: u32) {
        if place == NO_ROW || self.columns.is_empty() {
            return;
        }
        for column in &mut self.columns {
            if let Column::Text { codes, texts } = column {
                let code = std::mem::replace(&mut codes[place as usize], NO_TEXT);
                if code != NO_TEXT {
                    texts.release(code);
                }
            }
        }
        self.freed[0].push(place);
    }

    /// An epoch has ended.
    pub(super) fn settle(&mut self) {
        let [new, old, free] = &mut self.freed;
        free.append(old);
        std::mem::swap(new, old);
    }

    pub(super) fn value(&self, place: u32, attribute: usize) -> Value {
        let place = place as usize;
        match &self.columns[attribute] {
            Column::Bool(values) => values.get(place).copied().flatten().map_or(Value::Null, Value::Bool),
            Column::Int { values, known } if known.get(place) == Some(&true) => Value::Int(values[place]),
            Column::Float { values, known } if known.get(place) == Some(&true) => Value::Float(values[place]),
            Column::Int { .. } | Column::Float { .. } => Value::Null,
            Column::Text { codes, texts } => {
                let text = codes.get(place).and_then(|&code| texts.text(code));
                text.map_or(Value::Null, |text| Value::Text(Arc::clone(text)))
            }
        }
    }

    /// How the row at a place compares with one that is given, column by column; nulls come first.
    pub(super) fn compare(&self, place: u32, given: &Given, row: usize) -> Ordering {
        let columns = self.columns.iter().zip(&given.0);
        columns
            .map(|(column, given)| column.compare(place as usize, given, row))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The rows at some places, as a checkpoint holds them.
    pub(super) fn export(&self, places: &[u32]) -> Vec<ArrayRef> {
        self.columns.iter().map(|column| column.export(places)).collect()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }
}

impl Column {
    fn grow(&mut self) {
        match self {
            Self::Bool(values) => values.push(None),
            Self::Int { values, known } => {
                values.push(0);
                known.push(false);
            }
            Self::Float { values, known } => {
                values.push(0.0);
                known.push(false);
            }
            Self::Text { codes, .. } => codes.push(NO_TEXT),
        }
    }

    fn set(&mut self, place: usize, given: &GivenColumn, row: usize) {
        match (self, given) {
            (Self::Bool(values), GivenColumn::Bool(given)) => {
                values[place] = valid(given, row).then(|| given.value(row))
            }
            (Self::Int { values, known }, GivenColumn::Int(given)) => {
                (values[place], known[place]) = (given.value(row), valid(given, row));
            }
            (Self::Float { values, known }, GivenColumn::Float(given)) => {
                (values[place], known[place]) = (given.value(row), valid(given, row));
            }
            (Self::Text { codes, texts }, GivenColumn::Text(given)) => {
                codes[place] = if valid(given, row) { texts.hold(given.value(row)) } else { NO_TEXT };
            }
            _ => unreachable!("columns are given in the types of the catalogue"),
        }
    }

    fn compare(&self, place: usize, given: &GivenColumn, row: usize) -> Ordering {
        match (self, given) {
            (Self::Bool(values), GivenColumn::Bool(given)) => {
                values[place].cmp(&valid(given, row).then(|| given.value(row)))
            }
            (Self::Int { values, known }, GivenColumn::Int(given)) => {
                known[place].then(|| values[place]).cmp(&valid(given, row).then(|| given.value(row)))
            }
            (Self::Float { values, known }, GivenColumn::Float(given)) => match (known[place], valid(given, row)) {
                (true, true) => values[place].total_cmp(&given.value(row)),
                (known, given) => known.cmp(&given),
            },
            (Self::Text { codes, texts }, GivenColumn::Text(given)) => {
                texts.text(codes[place]).map(AsRef::as_ref).cmp(&valid(given, row).then(|| given.value(row)))
            }
            _ => unreachable!("columns are given in the types of the catalogue"),
        }
    }

    fn export(&self, places: &[u32]) -> ArrayRef {
        let places = places.iter().map(|&place| place as usize);
        match self {
            Self::Bool(values) => {
                let mut column = BooleanBuilder::new();
                places.for_each(|place| column.append_option(values[place]));
                Arc::new(column.finish())
            }
            Self::Int { values, known } => {
                let mut column = Int64Builder::new();
                places.for_each(|place| column.append_option(known[place].then(|| values[place])));
                Arc::new(column.finish())
            }
            Self::Float { values, known } => {
                let mut column = Float64Builder::new();
                places.for_each(|place| column.append_option(known[place].then(|| values[place])));
                Arc::new(column.finish())
            }
            Self::Text { codes, texts } => {
                let mut column = StringViewBuilder::new();
                places.for_each(|place| column.append_option(texts.text(codes[place])));
                Arc::new(column.finish())
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Bool(values) => values.capacity(),
            Self::Int { values, known } => values.capacity() * size_of::<i64>() + known.capacity(),
            Self::Float { values, known } => values.capacity() * size_of::<f64>() + known.capacity(),
            Self::Text { codes, texts } => codes.capacity() * size_of::<u32>() + texts.bytes(),
        }
    }
}

fn valid(given: &dyn Array, row: usize) -> bool {
    given.is_valid(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Vec<Attribute> {
        let kinds = [AttributeKind::Bool, AttributeKind::Int, AttributeKind::Float, AttributeKind::Text];
        kinds.into_iter().map(|kind| Attribute { name: format!("{kind:?}"), kind }).collect()
    }

    type Row = (Option<bool>, Option<i32>, Option<f64>, Option<&'static str>);

    fn given(rows: &[Row]) -> Given {
        let columns: [ArrayRef; 4] = [
            Arc::new(rows.iter().map(|row| row.0).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<arrow::array::Int32Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<arrow::array::StringArray>()),
        ];
        Given::of(&attributes(), &columns)
    }

    #[test]
    fn rows_are_what_was_given_also_after_a_checkpoint() {
        let rows = given(&[(Some(true), Some(-7), Some(0.5), Some("a")), (None, None, None, None)]);
        let mut held = Attributes::new(&attributes());
        let places = [held.insert(&rows, 0), held.insert(&rows, 1)];
        let again = Given::of(&attributes(), &held.export(&places));
        for (row, place) in places.into_iter().enumerate() {
            assert_eq!(held.compare(place, &again, row), Ordering::Equal);
        }
        assert_eq!(held.compare(places[0], &again, 1), Ordering::Greater);
        assert_eq!(held.compare(places[1], &again, 0), Ordering::Less);
        let values: Vec<_> = (0..4).map(|attribute| held.value(places[0], attribute)).collect();
        assert_eq!(values, [Value::Bool(true), Value::Int(-7), Value::Float(0.5), Value::Text("a".into())]);
        assert_eq!(held.value(places[1], 3), Value::Null);
    }

    #[test]
    fn a_place_is_used_again_when_nobody_can_still_look_there() {
        let rows = given(&[(Some(true), Some(1), None, Some("a")), (None, Some(2), None, Some("b"))]);
        let mut held = Attributes::new(&attributes());
        let first = held.insert(&rows, 0);
        held.remove(first);
        held.settle();
        let second = held.insert(&rows, 1);
        assert_ne!(first, second);
        assert_eq!((held.value(first, 1), held.value(first, 3)), (Value::Int(1), Value::Null));
        held.settle();
        assert_eq!(held.insert(&rows, 1), first);
    }
}
