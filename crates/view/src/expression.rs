//! One expression over given columns, for whoever wants a number for each row without a view around it.

use crate::catalog::{Catalog, Relation};
use crate::dialect::{Parsed, parse};
use crate::frontend::analyse;
use crate::functions;
use crate::problem::Refusal;
use crate::scalar::Scalar;
use crate::syntax;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, SchemaRef};
use datafusion_common::Result;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_physical_expr::create_physical_expr;
use datafusion_sql::sqlparser::ast::{Query, Statement};
use std::fmt;
use std::sync::Arc;

/// What the columns are called together.
const ROWS: &str = "rows";

/// A number for each row, written in SQL.
///
/// ```
/// use arrow::array::{Float64Array, Int64Array, RecordBatch};
/// use proxima_view::NumberExpression;
/// use std::sync::Arc;
///
/// let rows = RecordBatch::try_from_iter([
///     ("weight", Arc::new(Int64Array::from(vec![3, 4])) as _),
///     ("age", Arc::new(Float64Array::from(vec![Some(2.0), None])) as _),
/// ])?;
/// let expression = NumberExpression::compile("weight / (1 + age)", &rows.schema(), chrono_tz::UTC)?;
/// let mut numbers = Vec::new();
/// expression.numbers(&rows, &mut numbers);
/// assert_eq!(numbers[0], 1.0);
/// assert!(numbers[1].is_nan(), "null is no number");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NumberExpression(Scalar);

impl fmt::Debug for NumberExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl NumberExpression {
    /// Compiles an expression over columns of this schema.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead where that is known.
    pub fn compile(sql: &str, schema: &SchemaRef, zone: chrono_tz::Tz) -> Result<Self, String> {
        let said = |refusal: Refusal| match refusal.advice {
            Some(advice) => format!("{} ({advice})", refusal.message),
            None => refusal.message,
        };
        number(sql, schema, zone.name()).map(Self).map_err(said)
    }

    /// Appends a number for each row; not-a-number where the expression is null or fails.
    pub fn numbers(&self, rows: &RecordBatch, numbers: &mut Vec<f64>) {
        if rows.num_rows() > 0 {
            self.append(rows, numbers);
        }
    }

    fn append(&self, rows: &RecordBatch, numbers: &mut Vec<f64>) {
        let evaluated = self.0.0.evaluate(rows).and_then(|value| value.into_array(rows.num_rows()));
        match evaluated {
            Ok(values) => {
                let values = values.as_primitive::<Float64Type>();
                let number = |row| if values.is_valid(row) { values.value(row) } else { f64::NAN };
                numbers.extend((0..rows.num_rows()).map(number));
            }
            // The rows that fail must not take the others with them.
            Err(_) if rows.num_rows() == 1 => numbers.push(f64::NAN),
            Err(_) => (0..rows.num_rows()).for_each(|row| self.append(&rows.slice(row, 1), numbers)),
        }
    }
}

fn number(sql: &str, schema: &SchemaRef, zone: &str) -> Result<Scalar, Refusal> {
    let mut catalog = Catalog::new(zone);
    catalog.add(ROWS, Relation::Table(0, Arc::clone(schema)));
    let query = query(&format!("SELECT CAST(({sql}\n) AS DOUBLE) AS number FROM {ROWS}"))?;
    if let Some(refusal) = syntax::check(&query, &catalog).into_iter().next() {
        return Err(refusal);
    }
    let plan = analyse(&catalog, *query)?;
    let LogicalPlan::Projection(projection) = &plan else { return Err(no_expression()) };
    let ([expr], LogicalPlan::TableScan(_)) = (&projection.expr[..], projection.input.as_ref()) else {
        return Err(no_expression());
    };
    let mut props = ExecutionProps::new();
    props.config_options = Some(Arc::new(catalog.config().clone()));
    let expr: Expr = expr.clone().unalias();
    let context = PhysicalPlanningContext::default();
    let scalar = Scalar(create_physical_expr(&expr, projection.input.schema(), &props, &context)?);
    functions::check(&scalar, schema)?;
    Ok(scalar)
}

fn query(sql: &str) -> Result<Box<Query>, Refusal> {
    let (mut parsed, refused) = parse(sql);
    if let Some((refusal, _)) = refused.into_iter().next() {
        return Err(refusal);
    }
    match (parsed.pop(), parsed.is_empty()) {
        (Some(Parsed { statement: Statement::Query(query), .. }), true) => Ok(query),
        _ => Err(no_expression()),
    }
}

fn no_expression() -> Refusal {
    Refusal::new("this is no expression over the columns of one row").advise("write such as weight * exp(-age / 86400)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringViewArray};

    fn rows() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("weight", Arc::new(Int64Array::from(vec![1, 0, 3])) as _),
            ("age", Arc::new(Float64Array::from(vec![0.0, 10.0, 20.0])) as _),
            ("action", Arc::new(StringViewArray::from(vec![Some("view"), Some("buy"), None])) as _),
        ])
        .unwrap()
    }

    fn numbers(sql: &str) -> Vec<f64> {
        let expression = NumberExpression::compile(sql, &rows().schema(), chrono_tz::UTC).unwrap();
        let mut numbers = vec![-1.0];
        expression.numbers(&rows(), &mut numbers);
        numbers.split_off(1)
    }

    fn refused(sql: &str) -> String {
        NumberExpression::compile(sql, &rows().schema(), chrono_tz::UTC).unwrap_err()
    }

    #[test]
    fn expressions_give_a_number_a_row() {
        assert_eq!(numbers("weight * 2 + age"), [2.0, 10.0, 26.0]);
        assert_eq!(numbers("CASE action WHEN 'buy' THEN 5 WHEN 'view' THEN 1 ELSE 0 END"), [1.0, 5.0, 0.0]);
        assert_eq!(numbers("7"), [7.0; 3]);
        for (condition, holds) in [
            ("weight > 0 IS DISTINCT FROM TRUE AND weight > 1000", 0.0),
            ("weight > 1000 IS NOT DISTINCT FROM TRUE OR weight IS NOT NULL", 1.0),
            ("weight + 1 IS DISTINCT FROM weight * 0 AND action IS NOT DISTINCT FROM action", 1.0),
            ("NOT action IS DISTINCT FROM 'none'", 0.0),
        ] {
            assert_eq!(numbers(&format!("CASE WHEN {condition} THEN 1 ELSE 0 END")), [holds; 3], "{condition}");
        }
    }

    #[test]
    fn a_row_that_fails_is_no_number_alone() {
        let found = numbers("10 / weight");
        assert_eq!((found[0], found[1].is_nan(), found[2]), (10.0, true, 3.0));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert!(refused("wait * 2").contains("wait"), "{}", refused("wait * 2"));
        assert!(refused("now()").contains("now"), "{}", refused("now()"));
        for sql in ["sum(age)", "weight) FROM rows; SELECT (1", "weight) AS a, (age", "weight +"] {
            assert!(!refused(sql).is_empty(), "{sql}");
        }
    }
}
