//! The types of declared columns: from SQL to Arrow.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion_sql::sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, StructField, TimezoneInfo,
};
use std::sync::Arc;

/// The digits of a DECIMAL without a precision, and of a TIMESTAMP, are those of Flink.
const DECIMAL_DEFAULT: (u64, i64) = (10, 0);
const TIMESTAMP_DEFAULT: u64 = 6;

/// A type as SQL has it, for people.
pub(crate) fn in_sql(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => "STRING",
        DataType::BinaryView | DataType::Binary => "BYTES",
        DataType::Date32 => "DATE",
        DataType::Time64(_) => "TIME",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(unit, zone) => {
            let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            let digits = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                TimeUnit::Nanosecond => 9,
            };
            return format!("{name}({digits})");
        }
        DataType::List(element) => return format!("ARRAY<{}>", in_sql(element.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| format!("{} {}", field.name(), in_sql(field.data_type()));
            return format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "));
        }
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The Arrow type of a declared column; `zone` is that of the job.
///
/// # Errors
/// With a message that names the type when there is none for it.
pub(crate) fn arrow_type(sql: &SqlType, zone: &str) -> Result<DataType, String> {
    let unknown = || format!("type {sql} is not supported");
    Ok(match sql {
        SqlType::Bool | SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) | SqlType::Int2(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) => DataType::Int32,
        SqlType::BigInt(_) | SqlType::Int8(_) => DataType::Int64,
        SqlType::Float(_) | SqlType::Real | SqlType::Float4 => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 => DataType::Float64,
        SqlType::Decimal(digits) | SqlType::Numeric(digits) | SqlType::Dec(digits) => decimal(digits)?,
        SqlType::String(_)
        | SqlType::Varchar(_)
        | SqlType::Text
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::CharacterVarying(_)
        | SqlType::CharVarying(_) => DataType::Utf8View,
        SqlType::Bytes(_) | SqlType::Binary(_) | SqlType::Varbinary(_) | SqlType::Bytea => DataType::BinaryView,
        SqlType::Date => DataType::Date32,
        SqlType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => DataType::Time64(TimeUnit::Microsecond),
        SqlType::Timestamp(digits, info) => timestamp(*digits, info, zone)?,
        SqlType::TimestampNtz(digits) => timestamp(*digits, &TimezoneInfo::None, zone)?,
        SqlType::Datetime(digits) => timestamp(*digits, &TimezoneInfo::None, zone)?,
        SqlType::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let digits = arguments.first().map(|digits| digits.parse()).transpose().map_err(|_| unknown())?;
            timestamp(digits, &TimezoneInfo::WithTimeZone, zone)?
        }
        SqlType::Array(
            ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::Parenthesis(element),
        ) => DataType::List(Arc::new(Field::new("item", arrow_type(element, zone)?, true))),
        SqlType::Struct(fields, _) => DataType::Struct(struct_fields(fields, zone)?),
        _ => return Err(unknown()),
    })
}

fn decimal(info: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => DECIMAL_DEFAULT,
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale >= 0 && scale <= precision as i8 => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(format!("DECIMAL({precision}, {scale}) is out of range: at most 38 digits, and a scale within them")),
    }
}

fn timestamp(digits: Option<u64>, info: &TimezoneInfo, zone: &str) -> Result<DataType, String> {
    let unit = match digits.unwrap_or(TIMESTAMP_DEFAULT) {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        7..=9 => TimeUnit::Nanosecond,
        digits => return Err(format!("TIMESTAMP({digits}) is out of range: at most 9 digits")),
    };
    let zone = match info {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => None,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Some(Arc::from(zone)),
    };
    Ok(DataType::Timestamp(unit, zone))
}

fn struct_fields(fields: &[StructField], zone: &str) -> Result<Fields, String> {
    fields
        .iter()
        .map(|field| {
            let name = field.field_name.as_ref().ok_or("each field of a STRUCT needs a name")?;
            Ok(Field::new(&name.value, arrow_type(&field.field_type, zone)?, true))
        })
        .collect()
}
