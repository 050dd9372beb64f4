//! GROUP BY and DISTINCT.

use super::{Builder, Built, Stream, names};
use crate::operators::AggregateFunction;
use crate::problem::Refusal;
use crate::tree::{Call, Kind};
use arrow::datatypes::DataType;
use datafusion_expr::expr::{AggregateFunction as AggregateExpr, AggregateFunctionParams};
use datafusion_expr::{Expr, logical_plan};

/// A call before its argument has a place.
struct Planned<'a> {
    function: AggregateFunction,
    argument: Option<&'a Expr>,
    filter: Option<&'a Expr>,
}

impl Builder<'_> {
    /// A node that groups, over one that computes keys, arguments and filters.
    pub(super) fn aggregate(&mut self, aggregate: &logical_plan::Aggregate) -> Built<Stream> {
        let stream = self.stream(&aggregate.input)?;
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Err(Refusal::new("GROUPING SETS, CUBE and ROLLUP are not supported")
                .advise("write one UNION ALL branch for each grouping"));
        }
        let planned = aggregate.aggr_expr.iter().map(plan_call).collect::<Built<Vec<_>>>()?;
        // A key that is named twice is one, in the schema as well.
        let mut exprs: Vec<Expr> = Vec::new();
        for key in &aggregate.group_expr {
            if !exprs.contains(key) {
                exprs.push(key.clone());
            }
        }
        let keys = exprs.len();
        for call in &planned {
            exprs.extend(call.argument.into_iter().chain(call.filter).cloned());
        }
        let schema = aggregate.input.schema();
        let (stream, scalars) = self.compose(stream, &exprs, schema)?;
        let labels: Vec<String> = scalars.iter().map(ToString::to_string).collect();
        let (input, places) = self.project(stream, scalars, &labels)?;
        let (keys, rest) = places.split_at(keys);
        let mut rest = rest.iter().copied();
        let outputs = &aggregate.schema.fields()[keys.len()..];
        let calls = std::iter::zip(planned, outputs).map(|(call, output)| Call {
            function: call.function,
            argument: call.argument.and_then(|_| rest.next()),
            filter: call.filter.and_then(|_| rest.next()),
            output: output.data_type().clone(),
            name: output.name().clone(),
        });
        let calls: Vec<Call> = calls.collect();
        for call in &calls {
            let argument = call.argument.map(|column| self.tree.schema(input).field(column).data_type());
            check_types(call, argument)?;
        }
        let node = self.tree.add(Kind::Aggregate { input, keys: keys.to_vec(), calls, upserts: false });
        Ok(self.all_of(node))
    }

    /// Each row once: groups by all columns.
    pub(super) fn distinct(&mut self, stream: Stream, names: &[String]) -> Built<Stream> {
        let columns = stream.columns.clone();
        let (input, places) = self.project(stream, columns, names)?;
        let keys: Vec<usize> = (0..self.tree.schema(input).fields().len()).collect();
        let node = self.tree.add(Kind::Aggregate { input, keys, calls: Vec::new(), upserts: false });
        Ok(self.seen(node, &places))
    }

    /// The first row of each partition.
    pub(super) fn distinct_on(&mut self, distinct: &logical_plan::DistinctOn) -> Built<Stream> {
        let stream = self.stream(&distinct.input)?;
        let schema = distinct.input.schema();
        let order = match &distinct.sort_expr {
            Some(sorts) => self.order(&stream, sorts, schema)?,
            None => Vec::new(),
        };
        if order.len() <= distinct.on_expr.len() {
            return Err(Refusal::new("DISTINCT ON without an order has no fixed answer")
                .advise("add ORDER BY with the same expressions first, then what decides: a time, a version"));
        }
        let see = |exprs: &[Expr]| -> Built<Vec<_>> {
            exprs.iter().map(|expr| self.seen_through(&stream, expr, schema)).collect()
        };
        let (partition, columns) = (see(&distinct.on_expr)?, see(&distinct.select_expr)?);
        let selected = Stream { columns, order: Vec::new(), ..stream };
        // The expressions of ON are the same in all rows of a partition: only the rest orders.
        let rest = &order[partition.len()..];
        self.first_rows(selected, &names(&distinct.schema), &partition, rest, 1, None)
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        expr => expr,
    }
}

fn plan_call(expr: &Expr) -> Built<Planned<'_>> {
    let Expr::AggregateFunction(AggregateExpr { func, params }) = unaliased(expr) else {
        return Err(Refusal::new(format!("{expr} is not an aggregate")));
    };
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
    let name = func.name();
    if !order_by.is_empty() || null_treatment.is_some() {
        return Err(
            Refusal::new(format!("{name}() with an order of its values is not supported")).advise("leave it out")
        );
    }
    let function = match (name, distinct) {
        ("count", false) => AggregateFunction::Count,
        ("count", true) => AggregateFunction::CountDistinct,
        ("sum", false) => AggregateFunction::Sum,
        ("avg", false) => AggregateFunction::Avg,
        ("min", _) => AggregateFunction::Min,
        ("max", _) => AggregateFunction::Max,
        ("approx_distinct", _) => AggregateFunction::ApproxDistinct,
        ("sum" | "avg", true) => {
            return Err(Refusal::new(format!("{name}(DISTINCT …) is not supported"))
                .advise("select the DISTINCT values in a subquery first"));
        }
        _ => {
            return Err(Refusal::new(format!("aggregate {name}() is not supported"))
                .advise(format!("use {}", crate::aggregates::SUPPORTED.join(", "))));
        }
    };
    let argument = match (function, args.as_slice()) {
        (AggregateFunction::Count, []) => None,
        (AggregateFunction::Count, [Expr::Literal(value, _)]) if !value.is_null() => None,
        (_, [argument]) => Some(argument),
        _ => {
            return Err(Refusal::new(format!("{name}() over several values is not supported"))
                .advise("join them into one, or write count(*) over a subquery with DISTINCT"));
        }
    };
    Ok(Planned { function, argument, filter: filter.as_deref() })
}

fn check_types(call: &Call, argument: Option<&DataType>) -> Built<()> {
    let Some(argument) = argument else { return Ok(()) };
    let fits = match call.function {
        AggregateFunction::Sum | AggregateFunction::Avg => argument.is_numeric(),
        AggregateFunction::Min | AggregateFunction::Max => !argument.is_nested(),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    Err(Refusal::new(format!("{} is not supported over {argument}", call.name)).advise("cast it to a plain type first"))
}
