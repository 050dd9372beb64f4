//! The first rows of a partition: ROW_NUMBER with a bound, DISTINCT ON, ORDER BY with LIMIT.

use super::{Builder, Built, Order, Scalar, Stream, names};
use crate::operators::SortColumn;
use crate::problem::Refusal;
use crate::tree::{Ix, Kind};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, Operator, WindowFunctionDefinition, logical_plan};
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr};
use std::sync::Arc;

/// The limit of a rank that no filter has bounded yet.
const UNBOUNDED: usize = usize::MAX;

impl Builder<'_> {
    /// Numbers the rows of each partition. The filter behind says how many are wanted; without one it is refused.
    pub(super) fn rank(&mut self, window: &logical_plan::Window) -> Built<Stream> {
        let stream = self.stream(&window.input)?;
        let [expr] = window.window_expr.as_slice() else {
            return Err(Refusal::new("several window functions in one SELECT are not supported")
                .advise("write one view for each"));
        };
        let Expr::WindowFunction(function) = expr.clone().unalias_nested().data else {
            return Err(Refusal::new(format!("{expr} is not a window function")));
        };
        let is_row_number = matches!(&function.fun, WindowFunctionDefinition::WindowUDF(f) if f.name() == "row_number");
        if !is_row_number || function.params.filter.is_some() || function.params.distinct {
            return Err(Refusal::new(format!("window function {} is not supported", function.fun.name()))
                .advise("only ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) with a bound is"));
        }
        if function.params.order_by.is_empty() {
            return Err(
                Refusal::new("ROW_NUMBER() without ORDER BY has no fixed answer").advise("add ORDER BY to its OVER")
            );
        }
        let schema = window.input.schema();
        let order = self.order(&stream, &function.params.order_by, schema)?;
        let partition = function.params.partition_by.iter().map(|expr| self.seen_through(&stream, expr, schema));
        let partition = partition.collect::<Built<Vec<_>>>()?;
        let labels = names(schema);
        self.first_rows(stream, &labels, &partition, &order, UNBOUNDED, Some("row_number".to_string()))
    }

    /// The first rows of each partition; the last column is their number if that has a name.
    pub(super) fn first_rows(
        &mut self,
        stream: Stream,
        labels: &[String],
        partition: &[Scalar],
        order: &[Order],
        limit: usize,
        row_number: Option<String>,
    ) -> Built<Stream> {
        let more = partition.iter().chain(order.iter().map(|order| &order.scalar)).cloned().collect();
        let (input, mut places, more) = self.project_with(stream, labels, more)?;
        let (partition, ordered) = more.split_at(partition.len());
        let order = std::iter::zip(ordered, order)
            .map(|(&column, order)| SortColumn { column, descending: order.descending, nulls_first: order.nulls_first })
            .collect();
        if row_number.is_some() {
            places.push(self.tree.schema(input).fields().len());
        }
        let node = self.tree.add(Kind::TopN { input, partition: dedup(partition), order, limit, row_number });
        Ok(self.seen(node, &places))
    }

    /// The first rows of all, by the stream's order, after skipping some.
    pub(super) fn top(&mut self, mut stream: Stream, labels: &[String], skip: usize, fetch: usize) -> Built<Stream> {
        let order = std::mem::take(&mut stream.order);
        let number = (skip > 0).then(|| "row_number".to_string());
        let mut top = self.first_rows(stream, labels, &[], &order, skip.saturating_add(fetch), number)?;
        if skip > 0 {
            let number = top.columns.pop().expect("the row number is the last column");
            let skip = datafusion_physical_expr::expressions::lit(skip as u64);
            let behind = BinaryExpr::new(number.0, Operator::Gt, skip);
            top.filters.push(Scalar(Arc::new(behind)));
        }
        Ok(top)
    }

    /// Takes a bound on the row number out of a filter; says whether the filter is all taken care of by that.
    pub(super) fn bound_rank(&mut self, stream: &mut Stream, filter: &Scalar) -> bool {
        let Kind::TopN { input, partition, order, limit: UNBOUNDED, row_number: Some(name) } =
            &self.tree.node(stream.node).kind
        else {
            return false;
        };
        let number = self.tree.schema(*input).fields().len();
        let Some((limit, whole)) = bound(filter, number) else { return false };
        let bounded = Kind::TopN {
            input: *input,
            partition: partition.clone(),
            order: order.clone(),
            limit,
            row_number: Some(name.clone()),
        };
        stream.node = self.tree.add(bounded);
        whole
    }

    /// A rank must have been bounded before anything else reads it.
    pub(super) fn refuse_unbounded(&self, node: Ix) -> Built<()> {
        match self.tree.node(node).kind {
            Kind::TopN { limit: UNBOUNDED, .. } => Err(Refusal::new("ROW_NUMBER() without a bound is not supported")
                .advise("keep the first rows only: WHERE n <= 10 in the query around it, or QUALIFY … <= 10")),
            _ => Ok(()),
        }
    }
}

fn dedup(columns: &[usize]) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for &column in columns {
        if !kept.contains(&column) {
            kept.push(column);
        }
    }
    kept
}

/// The greatest row number that a filter lets through, and whether it lets all up to that through.
fn bound(filter: &Scalar, number: usize) -> Option<(usize, bool)> {
    let binary = filter.0.downcast_ref::<BinaryExpr>()?;
    let (left, right) = (Scalar(Arc::clone(binary.left())), Scalar(Arc::clone(binary.right())));
    let (operator, value) = if uncast(&left).as_column() == Some(number) {
        (*binary.op(), as_number(&right)?)
    } else if uncast(&right).as_column() == Some(number) {
        (binary.op().swap()?, as_number(&left)?)
    } else {
        return None;
    };
    let (greatest, exactly) = match operator {
        Operator::LtEq => (value.floor(), true),
        Operator::Lt => (value.ceil() - 1.0, true),
        Operator::Eq => (value, value <= 1.0),
        _ => return None,
    };
    // Below 1 nothing passes: the filter stays behind the first row.
    if greatest < 1.0 || greatest.fract() != 0.0 { Some((1, false)) } else { Some((greatest as usize, exactly)) }
}

fn uncast(scalar: &Scalar) -> Scalar {
    match scalar.0.downcast_ref::<CastExpr>() {
        Some(cast) => uncast(&Scalar(Arc::clone(cast.expr()))),
        None => scalar.clone(),
    }
}

fn as_number(scalar: &Scalar) -> Option<f64> {
    match uncast(scalar).as_literal()?.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(Some(number))) => Some(number),
        _ => None,
    }
}
