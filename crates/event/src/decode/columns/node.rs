//! One node of the tree of builders: its type, its values, and which of them are missing.

use super::form::Form;
use super::strings::{Strings, Text};
use super::{Flaw, NodeId};
use crate::decode::values::zone::{Clock, Stamp};
use crate::decode::values::{boolean, moment, number};
use arrow::datatypes::{DataType, Field, FieldRef};

/// A column or nested field under construction.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name, below the names of what it lies in: `common.mid`.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    /// How its values are written.
    pub(crate) form: Form,
    pub(crate) values: Values,
    /// The indices of missing values, rising. Most batches have none, so no bitmap is kept while values come.
    pub(super) missing: Vec<u32>,
}

/// The values themselves.
#[derive(Debug)]
pub(crate) enum Values {
    /// BOOLEAN.
    Bool(Vec<bool>),
    /// TINYINT.
    Int8(Vec<i8>),
    /// SMALLINT.
    Int16(Vec<i16>),
    /// INT.
    Int32(Vec<i32>),
    /// BIGINT.
    Int64(Vec<i64>),
    /// FLOAT.
    Float32(Vec<f32>),
    /// DOUBLE.
    Float64(Vec<f64>),
    /// DECIMAL, with precision and scale.
    Decimal(Vec<i128>, u8, i8),
    /// STRING, and BYTES as their text stands.
    Strings(Strings),
    /// DATE in days.
    Date(Vec<i32>),
    /// TIME in microseconds.
    Time(Vec<i64>),
    /// TIMESTAMP, with or without zone.
    Stamp(Vec<i64>, Stamp),
    /// STRUCT: how many, and the nodes of its fields.
    Struct(usize, Vec<NodeId>),
    /// ARRAY: where each list ends in the element node.
    List(Vec<i32>, NodeId),
    /// MAP: where each map ends in the entry node, a struct of key and value.
    Map(Vec<i32>, NodeId),
}

impl Node {
    /// Adds a field and all below it to the list of nodes.
    pub(super) fn grow(nodes: &mut Vec<Self>, field: &Field, path: &str) -> NodeId {
        let id = nodes.len();
        nodes.push(Self {
            path: path.to_owned(),
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            form: Form::Plain,
            values: Values::Struct(0, vec![]),
            missing: vec![],
        });
        nodes[id].values = match field.data_type() {
            DataType::Struct(fields) => {
                let below = |field: &FieldRef| Self::grow(nodes, field, &format!("{path}.{}", field.name()));
                Values::Struct(0, fields.iter().map(below).collect())
            }
            DataType::List(element) => Values::List(vec![], Self::grow(nodes, element, &format!("{path}[]"))),
            DataType::Map(entry, _) => Values::Map(vec![], Self::grow(nodes, entry, &format!("{path}{{}}"))),
            flat => Values::flat(flat),
        };
        id
    }

    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::Bool(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::Int16(values) => values.len(),
            Values::Int32(values) | Values::Date(values) => values.len(),
            Values::Int64(values) | Values::Time(values) | Values::Stamp(values, _) => values.len(),
            Values::Float32(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Decimal(values, _, _) => values.len(),
            Values::Strings(strings) => strings.views.len(),
            Values::Struct(len, _) => *len,
            Values::List(ends, _) | Values::Map(ends, _) => ends.len(),
        }
    }

    /// The nodes of a struct's fields; other nodes have none.
    pub(crate) fn fields(&self) -> &[NodeId] {
        match &self.values {
            Values::Struct(_, fields) => fields,
            _ => &[],
        }
    }

    /// The node of a list's elements or a map's entries.
    pub(crate) fn element(&self) -> Option<NodeId> {
        match self.values {
            Values::List(_, element) | Values::Map(_, element) => Some(element),
            _ => None,
        }
    }

    /// Appends what a text means for a flat type.
    pub(super) fn push_text(&mut self, text: Text<'_>, clock: &mut Clock) -> Result<(), Flaw> {
        let integer = || number::integer(text.str());
        match &mut self.values {
            Values::Strings(strings) => strings.push(text),
            Values::Bool(values) => values.push(boolean(text.str())?),
            Values::Int8(values) => values.push(integer()?.try_into().map_err(|_| Flaw::Range)?),
            Values::Int16(values) => values.push(integer()?.try_into().map_err(|_| Flaw::Range)?),
            Values::Int32(values) => values.push(integer()?.try_into().map_err(|_| Flaw::Range)?),
            Values::Int64(values) => values.push(integer()?),
            Values::Float32(values) => values.push(number::float(text.str())?),
            Values::Float64(values) => values.push(number::double(text.str())?),
            Values::Decimal(values, precision, scale) => {
                values.push(number::decimal(text.str(), *precision, *scale)?);
            }
            Values::Date(values) => values.push(date(text.str())?),
            Values::Time(values) => values.push(moment::time(text.str())?),
            Values::Stamp(values, stamp) => values.push(clock.text(text.str(), *stamp)?),
            Values::Struct(..) | Values::List(..) | Values::Map(..) => return Err(Flaw::Kind),
        }
        Ok(())
    }

    /// Appends a slot that is marked as missing, to this node alone.
    pub(super) fn push_nothing(&mut self) {
        self.missing.push(u32::try_from(self.len()).expect("a batch has fewer than 2^32 values"));
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values) | Values::Time(values) | Values::Stamp(values, _) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(values, _, _) => values.push(0),
            Values::Strings(strings) => strings.views.push(0),
            Values::Struct(len, _) => *len += 1,
            Values::List(ends, _) | Values::Map(ends, _) => ends.push(ends.last().copied().unwrap_or(0)),
        }
    }

    pub(super) fn push_blank(&mut self) {
        self.push_nothing();
        if !self.nullable {
            self.missing.pop();
        }
    }

    /// Appends the value of a row once more; `None` where it has parts of its own.
    pub(super) fn repeat(&mut self, row: usize) -> Option<()> {
        if self.missing.last().is_some_and(|&missing| missing as usize == row) {
            return (!self.data_type.is_nested()).then(|| self.push_nothing());
        }
        match &mut self.values {
            Values::Bool(values) => values.push(values[row]),
            Values::Int8(values) => values.push(values[row]),
            Values::Int16(values) => values.push(values[row]),
            Values::Int32(values) | Values::Date(values) => values.push(values[row]),
            Values::Int64(values) | Values::Time(values) | Values::Stamp(values, _) => values.push(values[row]),
            Values::Float32(values) => values.push(values[row]),
            Values::Float64(values) => values.push(values[row]),
            Values::Decimal(values, _, _) => values.push(values[row]),
            Values::Strings(strings) => strings.views.push(strings.views[row]),
            Values::Struct(..) | Values::List(..) | Values::Map(..) => return None,
        }
        Some(())
    }

    /// Appends a struct that is there.
    pub(super) fn push_present(&mut self) {
        let Values::Struct(len, _) = &mut self.values else { unreachable!("only structs are present without a value") };
        *len += 1;
    }

    /// Appends a list or map whose elements end at `end`.
    pub(super) fn push_end(&mut self, end: usize) {
        let (Values::List(ends, _) | Values::Map(ends, _)) = &mut self.values else { unreachable!("only lists end") };
        ends.push(i32::try_from(end).expect("a batch has fewer than 2^31 elements"));
    }

    pub(super) fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Bool(values) => values.truncate(len),
            Values::Int8(values) => values.truncate(len),
            Values::Int16(values) => values.truncate(len),
            Values::Int32(values) | Values::Date(values) => values.truncate(len),
            Values::Int64(values) | Values::Time(values) | Values::Stamp(values, _) => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Decimal(values, _, _) => values.truncate(len),
            Values::Strings(strings) => strings.truncate(len),
            Values::Struct(count, _) => *count = len.min(*count),
            Values::List(ends, _) | Values::Map(ends, _) => ends.truncate(len),
        }
        while self.missing.last().is_some_and(|&row| row as usize >= len) {
            self.missing.pop();
        }
    }

    /// Cuts a list or map and says where the elements of what stays end.
    pub(super) fn truncate_list(&mut self, len: usize) -> usize {
        self.truncate(len);
        let (Values::List(ends, _) | Values::Map(ends, _)) = &self.values else { unreachable!("only lists end") };
        ends.last().map_or(0, |&end| end as usize)
    }
}

impl Values {
    /// The empty values of a type without parts.
    ///
    /// # Panics
    /// For types that no declaration gives: the planner refuses them before.
    fn flat(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(vec![]),
            DataType::Int8 => Self::Int8(vec![]),
            DataType::Int16 => Self::Int16(vec![]),
            DataType::Int32 => Self::Int32(vec![]),
            DataType::Int64 => Self::Int64(vec![]),
            DataType::Float32 => Self::Float32(vec![]),
            DataType::Float64 => Self::Float64(vec![]),
            DataType::Decimal128(precision, scale) => Self::Decimal(vec![], *precision, *scale),
            DataType::Utf8View | DataType::BinaryView => Self::Strings(Strings::default()),
            DataType::Date32 => Self::Date(vec![]),
            DataType::Time64(_) => Self::Time(vec![]),
            DataType::Timestamp(unit, zone) => Self::Stamp(vec![], Stamp { unit: *unit, instant: zone.is_some() }),
            other => panic!("no decoder fills a column of type {other}"),
        }
    }
}

/// DATE from its text, or from days since 1970 where it is a number, as change records have it.
fn date(text: &str) -> Result<i32, Flaw> {
    moment::date(text).or_else(|flaw| match number::integer(text) {
        Ok(days) => moment::date_of_days(days),
        Err(_) => Err(flaw),
    })
}
