//! The columns of `CREATE TABLE` as an Arrow schema.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, ColumnDef, DataType as Sql, ExactNumberInfo, TimezoneInfo};
use std::sync::Arc;

/// The schema of the columns; `zone` is the job's, for timestamps that are instants.
pub(super) fn schema_of(columns: &[ColumnDef], zone: &str) -> Result<SchemaRef> {
    let fields = columns.iter().map(|column| field(&column.name.value, &column.data_type, zone));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

fn field(name: &str, sql: &Sql, zone: &str) -> Result<Field> {
    Ok(Field::new(name, data_type(sql, zone)?, true))
}

fn data_type(sql: &Sql, zone: &str) -> Result<DataType> {
    Ok(match sql {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) => DataType::Int32,
        Sql::BigInt(_) => DataType::Int64,
        Sql::Float(_) | Sql::Real => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision => DataType::Float64,
        Sql::Decimal(info) | Sql::Numeric(info) | Sql::Dec(info) => decimal(info),
        Sql::String(_) | Sql::Varchar(_) | Sql::Text | Sql::Char(_) => DataType::Utf8View,
        Sql::Bytes(_) | Sql::Binary(_) => DataType::BinaryView,
        Sql::Date => DataType::Date32,
        Sql::Time(..) => DataType::Time64(TimeUnit::Microsecond),
        Sql::Timestamp(precision, zoned) => {
            let plain = matches!(zoned, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone);
            DataType::Timestamp(time_unit(*precision), (!plain).then(|| zone.into()))
        }
        Sql::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("timestamp_ltz") => {
            let precision = arguments.first().and_then(|digits| digits.parse().ok());
            DataType::Timestamp(time_unit(precision), Some(zone.into()))
        }
        Sql::Array(ArrayElemTypeDef::AngleBracket(item)) => DataType::List(Arc::new(field("item", item, zone)?)),
        Sql::Struct(fields, _) => {
            let named = fields.iter().map(|part| {
                let name = part.field_name.as_ref().map_or("", |name| name.value.as_str());
                field(name, &part.field_type, zone)
            });
            DataType::Struct(named.collect::<Result<_>>()?)
        }
        other => return Err(DataFusionError::Plan(format!("no column type: {other}"))),
    })
}

/// DECIMAL alone is DECIMAL(10, 0), as in standard SQL.
fn decimal(info: &ExactNumberInfo) -> DataType {
    match info {
        ExactNumberInfo::None => DataType::Decimal128(10, 0),
        ExactNumberInfo::Precision(precision) => DataType::Decimal128(*precision as u8, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => DataType::Decimal128(*precision as u8, *scale as i8),
    }
}

fn time_unit(precision: Option<u64>) -> TimeUnit {
    match precision.unwrap_or(6) {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}
