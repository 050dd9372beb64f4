//! `CAST(instant AS TIMESTAMP)`: the wall clock of the job's zone. Arrow's cast would give that of UTC, as would the functions
//! that make times of numbers and numbers of times.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion_expr::expr_rewriter::FunctionRewrite;
use datafusion_expr::{Expr, ExprSchemable, cast, lit};
use datafusion_functions::datetime::{to_local_time, to_unixtime};
use std::sync::Arc;

/// Reads the clock of the instant's zone before the cast.
#[derive(Debug)]
pub(crate) struct WallClock;

impl FunctionRewrite for WallClock {
    fn name(&self) -> &'static str {
        "wall_clock"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, config: &ConfigOptions) -> Result<Transformed<Expr>> {
        if let (Expr::ScalarFunction(function), Some(zone)) = (&expr, &config.execution.time_zone) {
            let by_clock = by_clock(function, schema, zone);
            return Ok(by_clock.map_or_else(|| Transformed::no(expr), Transformed::yes));
        }
        let (Expr::Cast(Cast { expr: instant, field }) | Expr::TryCast(TryCast { expr: instant, field })) = &expr
        else {
            return Ok(Transformed::no(expr));
        };
        let is_wall_clock = matches!(field.data_type(), DataType::Timestamp(_, None));
        if !is_wall_clock || !matches!(instant.get_type(schema), Ok(DataType::Timestamp(_, Some(_)))) {
            return Ok(Transformed::no(expr));
        }
        let local = to_local_time().call(vec![instant.as_ref().clone()]);
        Ok(Transformed::yes(match &expr {
            Expr::TryCast(_) => Expr::TryCast(TryCast { expr: Box::new(local), field: field.clone() }),
            _ => Expr::Cast(Cast { expr: Box::new(local), field: field.clone() }),
        }))
    }
}

/// `to_timestamp(number)` and its like, and `to_unixtime(time)`, by the clock of the job's zone.
fn by_clock(function: &ScalarFunction, schema: &DFSchema, zone: &str) -> Option<Expr> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let [of] = &function.args[..] else { return None };
    let data_type = of.get_type(schema).ok()?;
    let instant = |unit, of| cast(of, DataType::Timestamp(unit, Some(Arc::from(zone))));
    if function.name() == "to_unixtime" {
        let is_clock = matches!(data_type, DataType::Timestamp(_, None) | DataType::Date32);
        let clock = || cast(of.clone(), DataType::Timestamp(Nanosecond, None));
        return is_clock.then(|| to_unixtime().call(vec![instant(Nanosecond, clock())]));
    }
    let (counts, gives) = match function.name() {
        "to_timestamp" => (Second, Nanosecond),
        "to_timestamp_seconds" | "from_unixtime" => (Second, Second),
        "to_timestamp_millis" => (Millisecond, Millisecond),
        "to_timestamp_micros" => (Microsecond, Microsecond),
        "to_timestamp_nanos" => (Nanosecond, Nanosecond),
        _ => return None,
    };
    let (unit, number) = match data_type {
        data_type if data_type.is_integer() => (counts, of.clone()),
        data_type if !data_type.is_numeric() => return None,
        // A number of seconds may have a fraction.
        _ if counts == Second => (Microsecond, cast(of.clone(), DataType::Float64) * lit(1e6)),
        _ => (counts, of.clone()),
    };
    let local = to_local_time().call(vec![instant(unit, cast(number, DataType::Int64))]);
    Some(cast(local, DataType::Timestamp(gives, None)))
}

#[cfg(test)]
mod tests {
    use crate::NumberExpression;
    use arrow::array::{RecordBatch, TimestampMillisecondArray};
    use std::sync::Arc;

    #[test]
    fn an_instant_becomes_the_time_that_its_clock_shows() {
        // 2024-03-10T03:00:00Z: 22:00 of the day before in New York.
        let instants = TimestampMillisecondArray::from(vec![1_710_039_600_000]).with_timezone("America/New_York");
        let rows = RecordBatch::try_from_iter([("at", Arc::new(instants) as _)]).unwrap();
        for (sql, expected) in [
            ("date_part('hour', CAST(at AS TIMESTAMP(3)))", 22.0),
            ("date_part('day', date_trunc('day', CAST(at AS TIMESTAMP)))", 9.0),
            ("date_part('day', TRY_CAST(at AS TIMESTAMP))", 9.0),
            ("date_part('day', CAST(at AS DATE))", 9.0),
            // Where the types ask for it, nobody has to write it.
            ("CASE WHEN at >= DATE '2024-03-09' AND at < DATE '2024-03-10' THEN 9 ELSE 0 END", 9.0),
            ("date_part('day', coalesce(at, DATE '2024-01-01'))", 9.0),
            ("date_part('epoch', at - TIMESTAMP '2024-03-09 22:00:00')", 0.0),
            // 1,710,039,600 s are 22:00 in New York.
            ("date_part('hour', to_timestamp_millis(1710039600000))", 22.0),
            ("date_part('hour', to_timestamp_seconds(1710039600))", 22.0),
            ("date_part('hour', from_unixtime(1710039600))", 22.0),
            ("date_part('hour', to_timestamp(1710039600))", 22.0),
            ("date_part('millisecond', to_timestamp(1710039600.25))", 250.0),
            ("CASE WHEN to_timestamp_millis(1710039600000) = at THEN 1 ELSE 0 END", 1.0),
            ("to_unixtime(TIMESTAMP '2024-03-09 22:00:00')", 1_710_039_600.0),
            ("to_unixtime(DATE '2024-03-09')", 1_709_960_400.0),
            ("to_unixtime(at)", 1_710_039_600.0),
            ("date_part('hour', to_timestamp('2024-03-09 22:00:00'))", 22.0),
            // There and back again.
            ("date_part('epoch', CAST(CAST(at AS TIMESTAMP(3)) AS TIMESTAMP_LTZ(3)))", 1_710_039_600.0),
        ] {
            let zone = chrono_tz::America::New_York;
            let mut numbers = Vec::new();
            NumberExpression::compile(sql, &rows.schema(), zone).unwrap().numbers(&rows, &mut numbers);
            assert_eq!(numbers, [expected], "{sql}");
        }
    }
}
