//! A target's columns in the servers' words: what an index template says of them.
//!
//! The meaning is that of the embedded index: whole strings are found by `term`, their words by `match` (in the subfield
//! `text`), decimals compare and add up as numbers with their digits, times in milliseconds. The source keeps every digit
//! in any case.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use serde_json::{Map, Value, json};

/// The analyser that cuts text as the embedded index does, and its tokenizer.
const WORDS: &str = "proxima_words";

/// Scripts that put no space between words: without a dictionary each sign is a word.
const ALONE: &str = r"\x{3040}-\x{30FF}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{323AF}";

/// Longer strings are kept but not found as a whole: a term has at most 32766 bytes, a sign at most 4.
const WHOLE_SIGNS_MAX: u32 = 8_191;

/// The most digits of a decimal that 64 bits hold; those with more are floats, as in the embedded index.
const EXACT_DIGITS: u8 = 18;

/// Days and moments as the rows have them, or milliseconds since 1970.
const MOMENTS: &str = "strict_date_optional_time||epoch_millis";

/// How the values of a field are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole strings, and their words.
    Text,
    /// True or false.
    Truth,
    /// Days and moments.
    Moment,
    /// Decimals that are kept as whole units.
    Units,
    /// Everything else that has a type of its own.
    Plain,
}

/// A searchable field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The column's name; for a field of a struct the names on the way to it, with dots between.
    pub(crate) path: String,
    /// Its SQL type.
    pub(crate) sql: String,
    /// How it is searched.
    pub(crate) kind: Kind,
}

/// The searchable fields, in the order of their columns.
pub(crate) fn fields(schema: &Schema) -> Vec<Field> {
    let mut found = Vec::new();
    for field in schema.fields() {
        collect(field.data_type(), field.name(), &mut found);
    }
    found
}

fn collect(data_type: &DataType, path: &str, found: &mut Vec<Field>) {
    match data_type {
        DataType::Dictionary(_, values) => collect(values, path, found),
        DataType::Struct(fields) => {
            fields.iter().for_each(|field| collect(field.data_type(), &format!("{path}.{}", field.name()), found));
        }
        DataType::List(item) | DataType::LargeList(item) => collect(item.data_type(), path, found),
        leaf => {
            let Some(sql) = sql_name(leaf) else { return };
            let kind = match leaf {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
                DataType::Boolean => Kind::Truth,
                DataType::Date32 | DataType::Timestamp(..) => Kind::Moment,
                DataType::Decimal128(precision, scale) if is_scaled(*precision, *scale) => Kind::Units,
                _ => Kind::Plain,
            };
            found.push(Field { path: path.to_owned(), sql, kind });
        }
    }
}

fn sql_name(leaf: &DataType) -> Option<String> {
    let digits = |unit| match unit {
        TimeUnit::Second | TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    Some(match leaf {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        leaf if leaf.is_integer() => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time64(TimeUnit::Microsecond) => "TIME".to_owned(),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(*unit)),
        _ => return None,
    })
}

/// The `mappings` of a template. What a document has beyond the columns is kept and not searched.
pub(crate) fn mappings(schema: &Schema) -> Value {
    json!({ "dynamic": false, "properties": properties(schema.fields()) })
}

fn properties(fields: &arrow::datatypes::Fields) -> Value {
    let one = |field: &arrow::datatypes::FieldRef| (field.name().clone(), property(field.data_type()));
    Value::Object(fields.iter().map(one).collect::<Map<_, _>>())
}

fn property(data_type: &DataType) -> Value {
    match data_type {
        DataType::Dictionary(_, values) => property(values),
        DataType::List(item) | DataType::LargeList(item) => property(item.data_type()),
        DataType::Struct(fields) => json!({ "properties": properties(fields) }),
        DataType::Boolean => json!({ "type": "boolean" }),
        // Unsigned 64 bits have a type of their own in new versions alone; what is beyond a long is refused there.
        leaf if leaf.is_integer() => json!({ "type": "long" }),
        DataType::Float32 => json!({ "type": "float" }),
        DataType::Float64 => json!({ "type": "double" }),
        DataType::Decimal128(precision, scale) => decimal(*precision, *scale),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => text(),
        DataType::Date32 | DataType::Timestamp(..) => json!({ "type": "date", "format": MOMENTS }),
        DataType::Time64(TimeUnit::Microsecond) => keyword(),
        // Maps, bytes, and what only the source keeps.
        _ => json!({ "type": "object", "enabled": false }),
    }
}

/// Whole units in 64 bits: exact in comparisons, and in sums as far as a float of 53 bits is.
fn decimal(precision: u8, scale: i8) -> Value {
    match scale {
        _ if is_scaled(precision, scale) => {
            json!({ "type": "scaled_float", "scaling_factor": 10_i64.pow(u32::from(scale.unsigned_abs())) })
        }
        0 if precision <= EXACT_DIGITS => json!({ "type": "long" }),
        _ => json!({ "type": "double" }),
    }
}

fn is_scaled(precision: u8, scale: i8) -> bool {
    precision <= EXACT_DIGITS && scale > 0
}

fn keyword() -> Value {
    json!({ "type": "keyword", "ignore_above": WHOLE_SIGNS_MAX })
}

/// A string is found as a whole by its name, and, as many bodies have it, by `name.keyword`; its words by `name.text`.
fn text() -> Value {
    let mut whole = keyword();
    whole["fields"] = json!({ "keyword": keyword(), "text": { "type": "text", "analyzer": WORDS } });
    whole
}

/// The `analysis` of a template's settings: runs of letters and digits, in small letters, signs of scripts without
/// spaces each by itself.
pub(crate) fn analysis() -> Value {
    let letters = r"\p{IsAlphabetic}\p{N}";
    let pattern = format!("[[{letters}]&&[{ALONE}]]|[[{letters}]&&[^{ALONE}]]{{1,255}}");
    json!({
        "tokenizer": { WORDS: { "type": "pattern", "pattern": pattern, "group": 0 } },
        "analyzer": { WORDS: { "type": "custom", "tokenizer": WORDS, "filter": ["lowercase"] } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field as Column, Fields};
    use std::sync::Arc;

    fn schema() -> Schema {
        let inner = Fields::from(vec![Column::new("sku", DataType::Int32, false)]);
        let list = DataType::List(Arc::new(Column::new("item", DataType::Struct(inner), true)));
        Schema::new(vec![
            Column::new("name", DataType::Utf8View, true),
            Column::new("gmv", DataType::Decimal128(16, 2), true),
            Column::new("units", DataType::Decimal128(18, 0), true),
            Column::new("wide", DataType::Decimal128(38, 2), true),
            Column::new("day", DataType::Date32, true),
            Column::new("items", list, true),
            Column::new("raw", DataType::BinaryView, true),
        ])
    }

    #[test]
    fn columns_have_the_types_that_answer_alike() {
        let properties = &mappings(&schema())["properties"];
        let of = |name: &str| properties[name]["type"].as_str();
        assert_eq!(of("name"), Some("keyword"));
        assert_eq!(properties["name"]["fields"]["text"], json!({ "type": "text", "analyzer": "proxima_words" }));
        assert_eq!(properties["gmv"], json!({ "type": "scaled_float", "scaling_factor": 100 }));
        assert_eq!((of("units"), of("wide"), of("day")), (Some("long"), Some("double"), Some("date")));
        assert_eq!(properties["items"], json!({ "properties": { "sku": { "type": "long" } } }));
        assert_eq!(properties["raw"]["enabled"], false);
    }

    #[test]
    fn fields_are_named_as_in_the_embedded_index() {
        let shown: Vec<_> = fields(&schema()).iter().map(|field| format!("{} {}", field.path, field.sql)).collect();
        let expected = [
            "name STRING",
            "gmv DECIMAL(16, 2)",
            "units DECIMAL(18, 0)",
            "wide DECIMAL(38, 2)",
            "day DATE",
            "items.sku BIGINT",
        ];
        assert_eq!(shown, expected);
    }
}
