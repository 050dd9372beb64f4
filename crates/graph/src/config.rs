//! What a job says about objects, relations and paths, as it stands in `job.toml`, and the checks that need a schema.

use crate::catalogue::{Attribute, AttributeKind};
use crate::couple::HOT_ABOVE;
use arrow::array::Array;
use arrow::datatypes::{DataType, FieldRef, Schema};
use proxima_event::Changes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `[relations.NAME]`: who is related to what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationConfig {
    /// A query with the text columns `subject` and `object` and, if wanted, an integer column `weight`.
    pub from: String,
}

/// `[objects.NAME]`: attributes of a kind of object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectConfig {
    /// A query with the text column `id`; its other columns are the attributes.
    pub from: String,
}

/// `[paths.NAME]`: a way from an object to others, whose results are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathConfig {
    /// How the path runs.
    pub kind: PathKind,
    /// The relation, by its name under `[relations]`.
    pub relation: String,
    /// How the parts become a score.
    #[serde(default)]
    pub merger: Merger,
    /// Whose attributes are shown with results, by the name under `[objects]`.
    #[serde(default)]
    pub object: Option<String>,
    /// How long changes of a row are held back to coalesce them, as a duration: one second unless given.
    #[serde(default)]
    pub publish: Option<String>,
    /// Objects with more subjects than this keep a row of counts; the rows of others are gathered when they are
    /// published. Changes no answer: lower costs memory and time to count, higher time to publish.
    #[serde(default = "hot_above")]
    pub hot_above: u32,
}

fn hot_above() -> u32 {
    HOT_ABOVE
}

/// The kinds of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// From an object over its subjects to their other objects.
    Pairs,
}

/// How the number of subjects that two objects share becomes a score. Applied when a path is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merger {
    /// Shared subjects over the geometric mean of the two objects' subjects.
    #[default]
    Cosine,
    /// Shared subjects over the subjects of either object.
    Jaccard,
    /// Shared subjects.
    Count,
}

impl Merger {
    /// The score of two objects that share `pairs` subjects and have `left` and `right` subjects.
    #[must_use]
    pub fn score(self, pairs: u64, left: u64, right: u64) -> f64 {
        match self {
            Self::Cosine => pairs as f64 / (left as f64 * right as f64).sqrt(),
            Self::Jaccard => pairs as f64 / (left + right - pairs.min(left + right)) as f64,
            Self::Count => pairs as f64,
        }
    }
}

/// A query's result does not have the columns that it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ColumnError {
    /// A column is not there.
    #[error("the query has no column \"{0}\"")]
    Missing(&'static str),
    /// A column is of the wrong type.
    #[error("column \"{column}\" is {found}, not {wanted}: write CAST(... AS {cast}) AS {column}")]
    Type {
        /// The column.
        column: &'static str,
        /// Its Arrow type.
        found: String,
        /// What it should be.
        wanted: &'static str,
        /// The SQL type of that.
        cast: &'static str,
    },
    /// The columns of a query are not the ones that are wanted, in their order.
    #[error("the query gives {found}: write SELECT … AS kind, … AS id, in this order")]
    Forget {
        /// The names of its columns.
        found: String,
    },
    /// A column is of a type that no attribute can have.
    #[error("column \"{column}\" is {found}, which no attribute can be: leave it out, or select its parts")]
    Attribute {
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
    },
}

/// Where the columns of a relation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumns {
    /// The column with the subject's text.
    pub subject: usize,
    /// The column with the object's text.
    pub object: usize,
    /// The column with the weight, where there is one: each row then counts so many times.
    pub weight: Option<usize>,
    /// The column with the row's event time, where there is one.
    pub time: Option<usize>,
}

impl RelationColumns {
    /// Finds and checks the columns of a relation's query.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn of(schema: &Schema) -> Result<Self, Vec<ColumnError>> {
        let subject = text_column(schema, "subject");
        let object = text_column(schema, "object");
        let (weight, time) = (weight_column(schema), time_column(schema));
        let own = ["subject", "object", "weight", "time"];
        let mut errors = attributes(schema, &own).err().unwrap_or_default();
        match (subject, object, weight, time) {
            (Ok(subject), Ok(object), Ok(weight), Ok(time)) if errors.is_empty() => {
                Ok(Self { subject, object, weight, time })
            }
            (subject, object, weight, time) => {
                let found = [subject.err(), object.err(), weight.err(), time.err()];
                errors.extend(found.into_iter().flatten());
                Err(errors)
            }
        }
    }

    /// The columns that are attributes of edges: all others.
    ///
    /// # Errors
    /// Those whose types no attribute can have.
    pub fn attributes(schema: &Schema) -> Result<Vec<(usize, Attribute)>, Vec<ColumnError>> {
        attributes(schema, &["subject", "object", "weight", "time"])
    }

    /// The rows that relate something: none of the columns is null.
    #[must_use]
    pub fn without_nulls(&self, changes: Changes) -> Changes {
        let columns = [Some(self.subject), Some(self.object), self.weight, self.time];
        let nullable: Vec<_> =
            columns.into_iter().flatten().filter(|&column| changes.column(column).null_count() > 0).collect();
        if nullable.is_empty() {
            return changes;
        }
        let whole: Vec<u32> = (0..changes.len() as u32)
            .filter(|&row| nullable.iter().all(|&c| changes.column(c).is_valid(row as usize)))
            .collect();
        changes.take(&whole)
    }
}

/// The column `id` of an object's query.
///
/// # Errors
/// When it is missing or no text.
pub fn object_id_column(schema: &Schema) -> Result<usize, ColumnError> {
    text_column(schema, "id")
}

/// Checks the columns of the query that says what is forgotten: `kind` and `id`, in this order.
///
/// # Errors
/// What is wrong with them.
pub fn check_forget(schema: &Schema) -> Result<(), ColumnError> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if names != ["kind", "id"] {
        return Err(ColumnError::Forget { found: names.join(", ") });
    }
    text_column(schema, "kind").and_then(|_| text_column(schema, "id")).map(drop)
}

/// The columns of an object's query that are attributes in the graph: all but `id`, of the types that attributes have.
/// Columns of other types only stand in the object's document.
#[must_use]
pub fn object_attributes(schema: &Schema) -> Vec<(usize, Attribute)> {
    let columns = schema.fields().iter().enumerate().filter(|(_, field)| field.name() != "id");
    let attribute = |(column, field): (usize, &FieldRef)| {
        let kind = attribute_kind(field.data_type())?;
        Some((column, Attribute { name: field.name().clone(), kind }))
    };
    columns.filter_map(attribute).collect()
}

fn attributes(schema: &Schema, own: &[&str]) -> Result<Vec<(usize, Attribute)>, Vec<ColumnError>> {
    let others = schema.fields().iter().enumerate().filter(|(_, field)| !own.contains(&field.name().as_str()));
    let (mut attributes, mut errors) = (Vec::new(), Vec::new());
    for (column, field) in others {
        let name = field.name().clone();
        match attribute_kind(field.data_type()) {
            Some(kind) => attributes.push((column, Attribute { name, kind })),
            None => errors.push(ColumnError::Attribute { column: name, found: field.data_type().to_string() }),
        }
    }
    if errors.is_empty() { Ok(attributes) } else { Err(errors) }
}

fn attribute_kind(data_type: &DataType) -> Option<AttributeKind> {
    match data_type {
        DataType::Boolean => Some(AttributeKind::Bool),
        kind if kind.is_integer() => Some(AttributeKind::Int),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(AttributeKind::Time),
        kind if kind.is_floating() || kind.is_decimal() => Some(AttributeKind::Float),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(AttributeKind::Text),
        _ => None,
    }
}

fn time_column(schema: &Schema) -> Result<Option<usize>, ColumnError> {
    let column = "time";
    match schema.column_with_name(column) {
        None => Ok(None),
        Some((index, field)) if attribute_kind(field.data_type()) == Some(AttributeKind::Time) => Ok(Some(index)),
        Some((_, field)) => {
            let found = field.data_type().to_string();
            Err(ColumnError::Type { column, found, wanted: "a time", cast: "TIMESTAMP" })
        }
    }
}

fn text_column(schema: &Schema, column: &'static str) -> Result<usize, ColumnError> {
    let (index, field) = schema.column_with_name(column).ok_or(ColumnError::Missing(column))?;
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(index),
        found => Err(ColumnError::Type { column, found: found.to_string(), wanted: "text", cast: "STRING" }),
    }
}

fn weight_column(schema: &Schema) -> Result<Option<usize>, ColumnError> {
    let column = "weight";
    match schema.column_with_name(column) {
        None => Ok(None),
        Some((index, field)) if field.data_type().is_signed_integer() => Ok(Some(index)),
        Some((_, field)) => {
            let found = field.data_type().to_string();
            Err(ColumnError::Type { column, found, wanted: "an integer", cast: "BIGINT" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn columns_are_found_wherever_they_stand() {
        let found = RelationColumns::of(&schema(&[
            ("weight", DataType::Int32),
            ("object", DataType::Utf8View),
            ("subject", DataType::Utf8),
            ("time", DataType::Date32),
        ]));
        assert_eq!(found, Ok(RelationColumns { subject: 2, object: 1, weight: Some(0), time: Some(3) }));
    }

    #[test]
    fn all_other_columns_are_attributes() {
        let given = schema(&[
            ("price", DataType::Decimal128(10, 2)),
            ("subject", DataType::Utf8),
            ("stock", DataType::Int16),
            ("brand", DataType::Utf8View),
        ]);
        let found = RelationColumns::attributes(&given).unwrap();
        let found: Vec<_> = found.iter().map(|(column, found)| (*column, found.name.as_str(), found.kind)).collect();
        let expected =
            [(0, "price", AttributeKind::Float), (2, "stock", AttributeKind::Int), (3, "brand", AttributeKind::Text)];
        assert_eq!(found, expected);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = schema(&[
            ("subject", DataType::Int64),
            ("weight", DataType::Float64),
            ("time", DataType::Utf8),
            ("blob", DataType::Binary),
        ]);
        let errors: Vec<_> = RelationColumns::of(&wrong).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "column \"blob\" is Binary, which no attribute can be: leave it out, or select its parts",
                "column \"subject\" is Int64, not text: write CAST(... AS STRING) AS subject",
                "the query has no column \"object\"",
                "column \"weight\" is Float64, not an integer: write CAST(... AS BIGINT) AS weight",
                "column \"time\" is Utf8, not a time: write CAST(... AS TIMESTAMP) AS time",
            ]
        );
    }

    #[test]
    fn a_path_is_read_from_its_table_and_unknown_keys_are_refused() {
        let path: PathConfig = serde_json::from_str(r#"{"kind": "pairs", "relation": "bought"}"#).unwrap();
        assert_eq!((path.kind, path.merger), (PathKind::Pairs, Merger::Cosine));
        let refused =
            serde_json::from_str::<PathConfig>(r#"{"kind": "pairs", "relation": "bought", "merge": "count"}"#);
        assert!(refused.unwrap_err().to_string().contains("unknown field `merge`"));
    }

    #[test]
    fn mergers_follow_their_formulas() {
        assert_eq!(Merger::Cosine.score(2, 4, 9), 2.0 / 6.0);
        assert_eq!(Merger::Jaccard.score(2, 4, 9), 2.0 / 11.0);
        assert_eq!(Merger::Count.score(2, 4, 9), 2.0);
    }
}
