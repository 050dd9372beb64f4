//! What an index holds: the columns of its target as searchable fields, and the files that tell a reader so.
//!
//! The layout is derived from the target's Arrow schema when a job opens the index, is kept beside tantivy's files as
//! `schema.json`, and is all that a reader without the job needs.

use super::IndexError;
use super::rows::Node;
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The file beside tantivy's own.
const FILE: &str = "schema.json";

/// Raised when the meaning of the stored files changes.
const FORMAT: u32 = 1;

/// Names that requests and answers use for themselves.
const RESERVED: [&str; 6] = ["_id", "_index", "_score", "_source", "_version", "_doc"];

/// Wider decimals do not fit 64 bits and are indexed as floats.
const EXACT_DIGITS: u8 = 18;

/// How the values of a field are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// True or false.
    Boolean,
    /// Any signed width, and the unsigned ones below 64 bits.
    Integer,
    /// Unsigned 64 bits.
    Unsigned,
    /// 32-bit floats: numbers of requests are rounded to them before they are compared.
    Float,
    /// 64-bit floats.
    Double,
    /// `DECIMAL(p, s)` as whole units of `10^-s` in 64 bits: exact in comparisons and sums.
    Decimal {
        /// Digits in all; at most 18.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
    },
    /// A decimal that does not fit 64 bits: its source is exact, comparisons and sums are those of floats.
    WideDecimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: i8,
    },
    /// Whole strings.
    Text,
    /// Days, as milliseconds at their midnight.
    Date,
    /// Time of day, as text of fixed width.
    Time,
    /// Instants, or wall-clock times where `zone` is false, in units of `10^-digits` seconds.
    Timestamp {
        /// Digits of the fraction: 3, 6 or 9.
        digits: u8,
        /// Whether the value is an instant.
        zone: bool,
    },
}

impl Kind {
    /// How many raw units make one of what requests and answers count in: 1000 for `DECIMAL(p, 3)`; for dates and
    /// timestamps, how many make a millisecond. `None` where values are not whole units.
    pub(crate) fn units(self) -> Option<i128> {
        match self {
            Self::Integer | Self::Unsigned | Self::Date => Some(1),
            Self::Decimal { scale, .. } => Some(10_i128.pow(u32::from(scale.unsigned_abs()))),
            Self::Timestamp { digits, .. } => Some(10_i128.pow(u32::from(digits) - 3)),
            _ => None,
        }
    }

    /// Whether values are points in time.
    pub(crate) fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp { .. })
    }

    /// Whether values are strings.
    pub(crate) fn is_string(self) -> bool {
        matches!(self, Self::Text | Self::Time)
    }

    /// Whether values are numbers that can be added up.
    pub(crate) fn is_number(self) -> bool {
        !self.is_string() && !self.is_temporal() && self != Self::Boolean
    }

    /// How a column of this type is indexed; `None` where it is only kept in the source.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Integer,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Self::Integer,
            DataType::UInt64 => Self::Unsigned,
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) => Self::decimal(*precision, *scale),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(unit, zone) => Self::Timestamp { digits: digits(*unit), zone: zone.is_some() },
            _ => return None,
        })
    }

    fn decimal(precision: u8, scale: i8) -> Self {
        if precision <= EXACT_DIGITS && scale >= 0 {
            Self::Decimal { precision, scale }
        } else {
            Self::WideDecimal { precision, scale }
        }
    }
}

/// Seconds are kept as milliseconds, the unit of requests.
fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Integer => f.write_str("BIGINT"),
            Self::Unsigned => f.write_str("BIGINT UNSIGNED"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } | Self::WideDecimal { precision, scale } => {
                write!(f, "DECIMAL({precision}, {scale})")
            }
            Self::Text => f.write_str("STRING"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp { digits, zone: false } => write!(f, "TIMESTAMP({digits})"),
            Self::Timestamp { digits, zone: true } => write!(f, "TIMESTAMP_LTZ({digits})"),
        }
    }
}

/// One searchable field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldLayout {
    /// The column's name; for a field of a struct the names on the way to it, with dots between.
    pub(crate) path: String,
    /// How its values are indexed.
    pub(crate) kind: Kind,
    /// Whether its words can be found one by one, with `match`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) analysed: bool,
}

/// Everything that is searchable in an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    format: u32,
    /// The index's name.
    pub(crate) name: String,
    /// The columns whose values make a document's id.
    pub(crate) key: Vec<String>,
    /// The searchable fields, in the order of their columns.
    pub(crate) fields: Vec<FieldLayout>,
}

impl Layout {
    /// The layout of a target with these columns, and how its rows are walked.
    pub(crate) fn of(
        name: &str,
        schema: &ArrowSchema,
        key: &[usize],
        analysed: Option<&[String]>,
    ) -> Result<(Self, Vec<Node>), IndexError> {
        let key = key.iter().map(|&column| schema.field(column).name().clone()).collect();
        let mut layout = Self { format: FORMAT, name: name.to_owned(), key, fields: Vec::new() };
        let nodes = schema.fields().iter().map(|field| layout.node(field, field.name(), analysed)).collect();
        layout.check()?;
        Ok((layout, nodes))
    }

    fn node(&mut self, field: &ArrowField, path: &str, analysed: Option<&[String]>) -> Node {
        self.typed_node(field.data_type(), path, analysed)
    }

    fn typed_node(&mut self, data_type: &DataType, path: &str, analysed: Option<&[String]>) -> Node {
        match data_type {
            DataType::Dictionary(_, values) => self.typed_node(values, path, analysed),
            DataType::Struct(fields) => Node::Struct(
                fields.iter().map(|field| self.node(field, &format!("{path}.{}", field.name()), analysed)).collect(),
            ),
            DataType::List(item) | DataType::LargeList(item) => Node::List(Box::new(self.node(item, path, analysed))),
            leaf => Kind::of(leaf).map_or(Node::Stored, |kind| self.leaf(kind, path, analysed)),
        }
    }

    fn leaf(&mut self, kind: Kind, path: &str, analysed: Option<&[String]>) -> Node {
        let chosen = analysed.is_none_or(|paths| paths.iter().any(|chosen| chosen == path));
        self.fields.push(FieldLayout { path: path.to_owned(), kind, analysed: kind == Kind::Text && chosen });
        Node::Leaf { field: self.fields.len() - 1, kind }
    }

    fn check(&self) -> Result<(), IndexError> {
        for (at, field) in self.fields.iter().enumerate() {
            let reason = if RESERVED.contains(&field.path.as_str()) {
                "is a name that search requests use for themselves"
            } else if self.fields[..at].iter().any(|other| other.path == field.path) {
                "appears twice"
            } else {
                continue;
            };
            return Err(IndexError::Column { index: self.name.clone(), column: field.path.clone(), reason });
        }
        Ok(())
    }

    /// Reads the layout of the index in this folder; `None` when there is none.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>, IndexError> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IndexError::io("read", &path, &error)),
        };
        let layout: Self = serde_json::from_slice(&text)
            .map_err(|error| IndexError::Damaged { folder: folder.to_owned(), reason: error.to_string() })?;
        if layout.format != FORMAT {
            let reason = format!("its format is {}, this version reads {FORMAT}", layout.format);
            return Err(IndexError::Damaged { folder: folder.to_owned(), reason });
        }
        Ok(Some(layout))
    }

    /// Writes the layout, so that it is there whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), IndexError> {
        let path = folder.join(FILE);
        let fresh = folder.join("schema.json.new");
        let text = serde_json::to_vec_pretty(self).expect("a layout is plain data");
        std::fs::write(&fresh, text)
            .and_then(|()| std::fs::File::open(&fresh)?.sync_all())
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|error| IndexError::io("write", &path, &error))
    }

    /// What differs in `wanted`, in words; empty when nothing does.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.key != wanted.key {
            found.push(format!("the key was ({}), is ({})", self.key.join(", "), wanted.key.join(", ")));
        }
        for field in &self.fields {
            match wanted.fields.iter().find(|other| other.path == field.path) {
                None => found.push(format!("column {} is gone", field.path)),
                Some(other) if other.kind != field.kind => {
                    found.push(format!("column {} was {}, is {}", field.path, field.kind, other.kind));
                }
                Some(other) if other.analysed != field.analysed => {
                    let state = if other.analysed { "is now" } else { "is no longer" };
                    found.push(format!("column {} {state} analysed as text", field.path));
                }
                Some(_) => {}
            }
        }
        let new = wanted.fields.iter().filter(|field| !self.fields.iter().any(|other| other.path == field.path));
        found.extend(new.map(|field| format!("column {} is new", field.path)));
        if found.is_empty() && self.fields != wanted.fields {
            found.push("the columns are in another order".to_owned());
        }
        found
    }
}
