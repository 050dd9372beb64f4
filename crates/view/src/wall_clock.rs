//! `CAST(instant AS TIMESTAMP)`: the wall clock of the job's zone. Arrow's cast would give that of UTC.

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Cast, TryCast};
use datafusion_expr::expr_rewriter::FunctionRewrite;
use datafusion_expr::{Expr, ExprSchemable};

/// Reads the clock of the instant's zone before the cast.
#[derive(Debug)]
pub(crate) struct WallClock;

impl FunctionRewrite for WallClock {
    fn name(&self) -> &'static str {
        "wall_clock"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (Expr::Cast(Cast { expr: instant, field }) | Expr::TryCast(TryCast { expr: instant, field })) = &expr
        else {
            return Ok(Transformed::no(expr));
        };
        let is_wall_clock = matches!(field.data_type(), DataType::Timestamp(_, None));
        if !is_wall_clock || !matches!(instant.get_type(schema), Ok(DataType::Timestamp(_, Some(_)))) {
            return Ok(Transformed::no(expr));
        }
        let local = datafusion_functions::datetime::to_local_time().call(vec![instant.as_ref().clone()]);
        Ok(Transformed::yes(match &expr {
            Expr::TryCast(_) => Expr::TryCast(TryCast { expr: Box::new(local), field: field.clone() }),
            _ => Expr::Cast(Cast { expr: Box::new(local), field: field.clone() }),
        }))
    }
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
