//! Differences of times: compared with an INTERVAL by how long both are, and in seconds with their fraction.
//!
//! DataFusion would turn the difference into an interval, and compare months, then days, then nanoseconds: ten days of
//! nanoseconds were less than one day.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::{Between, Cast, ScalarFunction};
use datafusion_expr::expr_rewriter::FunctionRewrite;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};

/// Says of intervals beside a difference of times how long they are.
#[derive(Debug)]
pub(crate) struct Spans;

impl FunctionRewrite for Spans {
    fn name(&self) -> &'static str {
        "spans"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
                let (left_unit, right_unit) = (unit(&left, schema), unit(&right, schema));
                let (left, right) = (span(*left, right_unit, schema)?, span(*right, left_unit, schema)?);
                let changed = left.transformed || right.transformed;
                let [left, right] = alike([left.data, right.data], changed);
                Ok(changed_if(changed, Expr::BinaryExpr(BinaryExpr { left, op, right })))
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let of = unit(&expr, schema);
                let (low, high) = (span(*low, of, schema)?, span(*high, of, schema)?);
                let changed = low.transformed || high.transformed;
                let [expr, low, high] = alike([*expr, low.data, high.data], changed);
                Ok(changed_if(changed, Expr::Between(Between { expr, negated, low, high })))
            }
            Expr::ScalarFunction(ref function) => {
                let seconds = seconds(function, schema);
                Ok(changed_if(seconds.is_some(), seconds.unwrap_or(expr)))
            }
            // Where types were made to agree in another way.
            Expr::Cast(Cast { expr: ref from, ref field })
                if matches!(field.data_type(), DataType::Interval(_)) && unit(from, schema).is_some() =>
            {
                Err(refused("a difference of times cannot stand for an INTERVAL"))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn changed_if(changed: bool, expr: Expr) -> Transformed<Expr> {
    if changed { Transformed::yes(expr) } else { Transformed::no(expr) }
}

/// All in nanoseconds where an interval is written that finely.
fn alike<const N: usize>(sides: [Expr; N], changed: bool) -> [Box<Expr>; N] {
    let is_fine = |side: &Expr| matches!(side, Expr::Literal(ScalarValue::DurationNanosecond(_), _));
    let fine = changed && sides.iter().any(is_fine);
    sides.map(|side| Box::new(if fine { cast(side, DataType::Duration(TimeUnit::Nanosecond)) } else { side }))
}

fn refused(what: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{what}: write seconds, extract(epoch FROM later - earlier)"))
}

/// The unit of a difference of times.
fn unit(expr: &Expr, schema: &DFSchema) -> Option<TimeUnit> {
    match expr.get_type(schema) {
        Ok(DataType::Duration(unit)) => Some(unit),
        _ => None,
    }
}

/// An interval beside a difference of times in this unit as such a difference.
fn span(expr: Expr, beside: Option<TimeUnit>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_interval = matches!(expr.get_type(schema), Ok(DataType::Interval(IntervalUnit::MonthDayNano)));
    let Some(unit) = beside.filter(|_| is_interval) else { return Ok(Transformed::no(expr)) };
    let nanos = nanoseconds(&expr).ok_or_else(|| {
        refused("a difference of times is compared with an INTERVAL of days, hours, minutes and seconds alone")
    })?;
    let (of_unit, rest) = (nanos.div_euclid(nanos_of(unit)), nanos.rem_euclid(nanos_of(unit)));
    let value = if rest == 0 { of_unit } else { nanos };
    let value = Some(i64::try_from(value).map_err(|_| refused("the INTERVAL is too long"))?);
    Ok(Transformed::yes(lit(match unit {
        _ if rest != 0 => ScalarValue::DurationNanosecond(value),
        TimeUnit::Second => ScalarValue::DurationSecond(value),
        TimeUnit::Millisecond => ScalarValue::DurationMillisecond(value),
        TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(value),
        TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(value),
    })))
}

/// How long a written interval is; nothing of one with months, which are not of one length.
fn nanoseconds(expr: &Expr) -> Option<i128> {
    const DAY: i128 = 86_400_000_000_000;
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(of)), _) if of.months == 0 => {
            Some(i128::from(of.days) * DAY + i128::from(of.nanoseconds))
        }
        Expr::Negative(inner) => nanoseconds(inner).map(|nanos| -nanos),
        _ => None,
    }
}

fn nanos_of(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// `extract(epoch FROM later - earlier)`; Arrow's leaves out the fraction.
fn seconds(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let [Expr::Literal(part, _), of] = &function.args[..] else { return None };
    let is_epoch = part.try_as_str().flatten().is_some_and(|part| part.eq_ignore_ascii_case("epoch"));
    let unit = unit(of, schema).filter(|_| function.name() == "date_part" && is_epoch)?;
    let per_second = 1_000_000_000 / nanos_of(unit);
    Some(cast(cast(of.clone(), DataType::Int64), DataType::Float64) / lit(per_second as f64))
}

#[cfg(test)]
mod tests {
    use crate::NumberExpression;
    use arrow::array::{RecordBatch, TimestampMillisecondArray};
    use std::sync::Arc;

    /// Ten days and a quarter of a second lie between the two times.
    fn rows() -> RecordBatch {
        let time = |millis: i64| Arc::new(TimestampMillisecondArray::from(vec![millis])) as _;
        RecordBatch::try_from_iter([("a", time(0)), ("b", time(864_000_250))]).unwrap()
    }

    #[test]
    fn differences_of_times_are_compared_by_their_length() {
        let rows = rows();
        for (sql, expected) in [
            ("b - a < INTERVAL '1 day'", 0.0),
            ("b - a >= INTERVAL '7 days'", 1.0),
            ("INTERVAL '241 hours' > b - a", 1.0),
            ("b - a BETWEEN INTERVAL '10 days' AND INTERVAL '10 days 1 second'", 1.0),
            ("b - a > INTERVAL '10 days 249.5 milliseconds'", 1.0),
            ("a - b < INTERVAL '-9 days'", 1.0),
            ("b - a = b - a", 1.0),
            ("b - a IS DISTINCT FROM INTERVAL '10 days'", 1.0),
        ] {
            let sql = format!("CASE WHEN {sql} THEN 1 ELSE 0 END");
            let mut numbers = Vec::new();
            NumberExpression::compile(&sql, &rows.schema(), chrono_tz::UTC).unwrap().numbers(&rows, &mut numbers);
            assert_eq!(numbers, [expected], "{sql}");
        }
    }

    #[test]
    fn seconds_have_their_fraction() {
        let rows = rows();
        for (sql, expected) in [("extract(epoch FROM b - a)", 864_000.25), ("date_part('EPOCH', a - b)", -864_000.25)] {
            let mut numbers = Vec::new();
            NumberExpression::compile(sql, &rows.schema(), chrono_tz::UTC).unwrap().numbers(&rows, &mut numbers);
            assert_eq!(numbers, [expected], "{sql}");
        }
    }

    #[test]
    fn what_has_no_length_is_refused() {
        for sql in ["b - a < INTERVAL '1 month'", "coalesce(b - a, INTERVAL '1 day') < INTERVAL '2 days'"] {
            let sql = format!("CASE WHEN {sql} THEN 1 ELSE 0 END");
            let refused = NumberExpression::compile(&sql, &rows().schema(), chrono_tz::UTC).unwrap_err();
            assert!(refused.contains("extract(epoch FROM later - earlier)"), "{refused}");
        }
    }
}
