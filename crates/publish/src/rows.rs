//! Lists as rows: what stores are given.

use crate::content::Content;
use crate::message::{Holds, List};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use proxima_graph::{Attribute, AttributeKind, Catalogue, Value};
use std::sync::Arc;

/// The columns of published lists: the object, the newest event time that the list knows, the items in order.
#[must_use]
pub fn list_schema() -> SchemaRef {
    schema(Field::new(
        "items",
        DataType::List(Arc::new(Field::new("item", DataType::Struct(item_fields()), false))),
        false,
    ))
}

fn schema(holds: Field) -> SchemaRef {
    let time = Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false), time, holds]))
}

fn item_fields() -> Fields {
    Fields::from(vec![Field::new("id", DataType::Utf8, false), Field::new("score", DataType::Float64, false)])
}

/// How the rows of one content are made.
pub(crate) enum Rows {
    /// The object's items.
    Items,
    /// The object's attributes by their names.
    Attributes(Vec<Attribute>),
}

impl Rows {
    pub(crate) fn of(content: &Content, catalogue: &Catalogue) -> Self {
        match content {
            Content::Path(_) | Content::Related { .. } => Self::Items,
            Content::Attributes(kind) => Self::Attributes(catalogue[*kind].attributes.clone()),
        }
    }

    /// What is kept of an object of which there is nothing to keep.
    pub(crate) fn nothing(&self, name: Arc<str>) -> List {
        let holds = match self {
            Self::Items => Holds::Items(Vec::new()),
            Self::Attributes(attributes) => Holds::Attributes(vec![Value::Null; attributes.len()]),
        };
        List { name, time_us: None, holds }
    }

    /// Rows of some lists.
    pub(crate) fn batch(&self, lists: &[List]) -> RecordBatch {
        let holds = match self {
            Self::Items => items(lists),
            Self::Attributes(attributes) => attributes_of(attributes, lists),
        };
        let name = if matches!(self, Self::Items) { "items" } else { "attributes" };
        let schema = schema(Field::new(name, holds.data_type().clone(), false));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(lists.iter().map(|list| &list.name))),
            Arc::new(lists.iter().map(|list| list.time_us).collect::<TimestampMicrosecondArray>()),
            holds,
        ];
        RecordBatch::try_new(schema, columns).expect("the columns are those of the schema")
    }
}

fn items(lists: &[List]) -> ArrayRef {
    let of = |list| match list {
        &List { holds: Holds::Items(ref items), .. } => &items[..],
        List { holds: Holds::Attributes(_), .. } => &[],
    };
    let items: Vec<_> = lists.iter().flat_map(of).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(items.iter().map(|(name, _)| name))),
        Arc::new(Float64Array::from_iter_values(items.iter().map(|(_, score)| *score))),
    ];
    let items = StructArray::new(item_fields(), columns, None);
    let lengths = OffsetBuffer::from_lengths(lists.iter().map(|list| of(list).len()));
    let field = Arc::new(Field::new("item", items.data_type().clone(), false));
    Arc::new(ListArray::new(field, lengths, Arc::new(items), None))
}

/// Times are whole numbers, as recommendations show them.
fn attributes_of(attributes: &[Attribute], lists: &[List]) -> ArrayRef {
    let column = |place: usize, kind| {
        let value = |list: &List| match &list.holds {
            Holds::Attributes(values) => values[place].clone(),
            Holds::Items(_) => Value::Null,
        };
        column(kind, lists.iter().map(value))
    };
    let columns: Vec<ArrayRef> = (0..).zip(attributes).map(|(place, of)| column(place, of.kind)).collect();
    let field = |(of, column): (&Attribute, &ArrayRef)| Field::new(&of.name, column.data_type().clone(), true);
    let fields: Fields = attributes.iter().zip(&columns).map(field).collect();
    match columns.is_empty() {
        true => Arc::new(StructArray::new_empty_fields(lists.len(), None)),
        false => Arc::new(StructArray::new(fields, columns, None)),
    }
}

fn column(kind: AttributeKind, values: impl Iterator<Item = Value>) -> ArrayRef {
    match kind {
        AttributeKind::Bool => {
            let bool = |value| if let Value::Bool(truth) = value { Some(truth) } else { None };
            Arc::new(values.map(bool).collect::<BooleanArray>())
        }
        AttributeKind::Int | AttributeKind::Time => {
            let int = |value| if let Value::Int(number) = value { Some(number) } else { None };
            Arc::new(values.map(int).collect::<Int64Array>())
        }
        AttributeKind::Float => {
            let float = |value| if let Value::Float(number) = value { Some(number) } else { None };
            Arc::new(values.map(float).collect::<Float64Array>())
        }
        AttributeKind::Text => {
            let text = |value| if let Value::Text(text) = value { Some(text) } else { None };
            Arc::new(values.map(text).map(|text| text.map(|text| text.to_string())).collect::<StringArray>())
        }
    }
}
