//! A query meets the target that it fills: its columns are matched with the declared ones, or refused.

use crate::build::Builder;
use crate::plan::Target;
use crate::problem::Refusal;
use crate::tree::Ix;
use crate::types::in_sql;
use arrow::datatypes::DataType;
use datafusion_expr::LogicalPlan;

/// Matches a query's columns with those of its target.
pub(crate) fn insert(
    builder: &mut Builder<'_>,
    plan: &LogicalPlan,
    target: &Target,
    columns: &[String],
) -> Result<Ix, Vec<Refusal>> {
    let given = plan.schema().fields();
    let fields = target.schema.fields();
    let named: Vec<usize> = if columns.is_empty() {
        (0..fields.len()).collect()
    } else {
        let (found, unknown): (Vec<_>, Vec<_>) =
            columns.iter().map(|name| target.schema.index_of(name).map_err(|_| name)).partition(Result::is_ok);
        let refuse = |name: &String| Refusal::new(format!("target {} has no column {name}", target.name));
        let unknown: Vec<Refusal> = unknown.into_iter().filter_map(Result::err).map(refuse).collect();
        refuse_any(unknown)?;
        found.into_iter().flatten().collect()
    };
    if named.len() != given.len() {
        let names: Vec<&str> = named.iter().map(|&column| fields[column].name().as_str()).collect();
        let message = format!("{} columns are selected, {} are wanted", given.len(), named.len());
        return Err(vec![Refusal::new(message).advise(format!("select {}, in this order", names.join(", ")))]);
    }
    let (mut from, mut refusals) = (vec![None; fields.len()], Vec::new());
    for (place, &column) in named.iter().enumerate() {
        let (given, wanted) = (given[place].data_type(), fields[column].data_type());
        if !is_assignable(given, wanted) {
            let name = fields[column].name();
            let message =
                format!("column {name} of {} is {}, but {} is selected", target.name, in_sql(wanted), in_sql(given));
            let advice = format!("declare {name} as the type that is selected, or write CAST(… AS …)");
            refusals.push(Refusal::new(message).advise(advice));
        }
        from[column] = Some(place);
    }
    for &missing in target.key.iter().filter(|&&column| from[column].is_none()) {
        let message = format!("key column {} of {} is not given", fields[missing].name(), target.name);
        refusals.push(Refusal::new(message).advise("select it too"));
    }
    refuse_any(refusals)?;
    builder.target(plan, &from, target).map_err(|refusal| vec![refusal])
}

fn refuse_any(refusals: Vec<Refusal>) -> Result<(), Vec<Refusal>> {
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

/// Whether every value of a type, or all but the extreme ones of a decimal, can be stored as another.
fn is_assignable(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8,
        Null, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let digits = |data_type: &DataType| match data_type {
        Int8 | UInt8 => Some(3),
        Int16 | UInt16 => Some(5),
        Int32 | UInt32 => Some(10),
        // A row number or an estimate never reaches the digits that the unsigned type has more.
        Int64 | UInt64 => Some(19),
        _ => None,
    };
    match (from, to) {
        (from, to) if from.equals_datatype(to) => true,
        (Null, _) => true,
        (Float32, Float64) | (Decimal128(..), Float64) | (Date32, Timestamp(_, None)) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8View) | (Binary | LargeBinary | BinaryView, BinaryView) => true,
        (Timestamp(_, None), Timestamp(_, None)) | (Timestamp(_, Some(_)), Timestamp(_, Some(_))) => true,
        (Time32(_) | Time64(_), Time64(_)) => true,
        (Decimal128(_, from), Decimal128(_, to)) => from <= to,
        (from, Float64) => digits(from).is_some(),
        (from, Decimal128(precision, scale)) => {
            digits(from).is_some_and(|digits| i16::from(*precision) - i16::from(*scale) >= digits)
        }
        (from, to) => matches!((digits(from), digits(to)), (Some(from), Some(to)) if from <= to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn only_what_fits_is_assignable() {
        let timestamp = |unit| DataType::Timestamp(unit, None);
        for (from, to) in [
            (DataType::Int32, DataType::Int64),
            (DataType::UInt64, DataType::Int64),
            (DataType::Int64, DataType::Decimal128(38, 3)),
            (DataType::Decimal128(38, 3), DataType::Decimal128(18, 3)),
            (DataType::Utf8, DataType::Utf8View),
            (DataType::Date32, timestamp(TimeUnit::Millisecond)),
            (timestamp(TimeUnit::Nanosecond), timestamp(TimeUnit::Millisecond)),
            (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(TimeUnit::Microsecond)),
        ] {
            assert!(is_assignable(&from, &to), "{from} to {to}");
        }
        for (from, to) in [
            (DataType::Int64, DataType::Int32),
            (DataType::Int64, DataType::Decimal128(10, 3)),
            (DataType::Decimal128(18, 4), DataType::Decimal128(18, 3)),
            (DataType::Float64, DataType::Int64),
            (DataType::Utf8View, DataType::Int64),
            (timestamp(TimeUnit::Millisecond), DataType::Date32),
        ] {
            assert!(!is_assignable(&from, &to), "{from} to {to}");
        }
    }
}
