//! The graph as text: results first, what each reads indented below it.

use crate::operators::{AggregateFunction, JoinKind};
use crate::plan::Plan;
use crate::tree::{Call, Ix, Kind, Tree};
use crate::upsert::readers;
use arrow::datatypes::Schema;
use std::collections::HashMap;
use std::fmt::Write as _;

/// See [`Plan::explain`].
pub(crate) fn explain(plan: &Plan) -> String {
    let mut printer =
        Printer { plan, readers: readers(&plan.tree, &plan.results), printed: HashMap::new(), text: String::new() };
    let (targets, queries) = plan.results.split_at(plan.targets.len());
    for (target, &ix) in plan.targets.iter().zip(targets) {
        printer.line(0, &format!("target {}", target.name));
        printer.node(ix, 1);
    }
    for (query, &ix) in plan.queries.iter().zip(queries) {
        printer.line(0, &format!("query {}", query.name));
        printer.node(ix, 1);
    }
    printer.text
}

struct Printer<'a> {
    plan: &'a Plan,
    readers: Vec<usize>,
    /// The numbers of shared nodes that have been printed.
    printed: HashMap<Ix, usize>,
    text: String,
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        writeln!(self.text, "{:width$}{text}", "", width = depth * 2).expect("a String takes everything");
    }

    /// A node and what it reads; what several read is printed once and named by its number.
    fn node(&mut self, ix: Ix, depth: usize) {
        let shared = self.readers[ix] > 1 && !matches!(self.plan.tree.node(ix).kind, Kind::Table { .. });
        if let Some(number) = self.printed.get(&ix) {
            return self.line(depth, &format!("see #{number}"));
        }
        let mut number = String::new();
        if shared {
            self.printed.insert(ix, self.printed.len() + 1);
            number = format!("#{} ", self.printed.len());
        }
        let described = describe(self.plan, ix);
        self.line(depth, &format!("{number}{described}"));
        for input in self.plan.tree.node(ix).kind.inputs() {
            self.node(input, depth + 1);
        }
    }
}

fn describe(plan: &Plan, ix: Ix) -> String {
    let tree = &plan.tree;
    let schema = |input: Ix| tree.schema(input).as_ref();
    match &tree.node(ix).kind {
        Kind::Table { table, schema, .. } => {
            let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            format!("table {} [{}]", plan.table_names[table], columns.join(", "))
        }
        Kind::Normalize { input, key } => format!("newest of each [{}]", names(schema(*input), key)),
        Kind::Bounds { input, time, lifetime_us } => {
            format!("max time of {} less {lifetime_us} us", names(schema(*input), &[*time]))
        }
        Kind::JoinBounds { back_us: [left, right], .. } => {
            format!("earlier of the bounds, the left less {left} us, the right less {right} us")
        }
        Kind::DropLate { input, time, .. } => format!("drop late by {}", names(schema(*input), &[*time])),
        Kind::Project { filter, columns, .. } => {
            let computed = columns.iter().map(|(scalar, name)| {
                let text = scalar.to_string();
                if text == *name { name.clone() } else { format!("{text} AS {name}") }
            });
            let filter = filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
            format!("project [{}]{filter}", computed.collect::<Vec<_>>().join(", "))
        }
        Kind::Unnest { input, column, outer } => {
            format!("unnest {}{}", names(schema(*input), &[*column]), if *outer { " outer" } else { "" })
        }
        Kind::Aggregate { input, keys, calls, upserts } => {
            let calls: Vec<String> = calls.iter().map(|call| call_text(call, schema(*input))).collect();
            let upserts = if *upserts { ", upserts" } else { "" };
            let notes = format!("{}{}{upserts}", append_only(tree, *input), expiry(tree, *input, keys));
            format!("aggregate by [{}] [{}]{notes}", names(schema(*input), keys), calls.join(", "))
        }
        Kind::TopN { input, partition, order, limit, row_number } => {
            let ordered = order.iter().map(|order| {
                let direction = if order.descending { " desc" } else { "" };
                format!("{}{direction}", names(schema(*input), &[order.column]))
            });
            let numbered = row_number.as_ref().map(|_| ", numbered").unwrap_or_default();
            let notes = format!("{}{}", append_only(tree, *input), expiry(tree, *input, partition));
            let partition = names(schema(*input), partition);
            let ordered = ordered.collect::<Vec<_>>().join(", ");
            format!("top {limit} of each [{partition}] by [{ordered}]{numbered}{notes}")
        }
        Kind::Join { left, right, left_keys, right_keys, kind, bounds } => {
            let kind = match kind {
                JoinKind::Inner => "join",
                JoinKind::Left => "left join",
                JoinKind::Right => "right join",
                JoinKind::Full => "full join",
            };
            let expiry = |side: Ix| {
                let time = tree.facts(side).finest_time();
                time.map(|(column, _)| expiry(tree, side, &[column])).unwrap_or_default()
            };
            let reach =
                |[left, right]: [i64; 2]| format!(", within {left} us behind the left, {right} us behind the right");
            let within = bounds.and(tree.reaches_us(*left, *right)).map(reach).unwrap_or_default();
            let notes = format!("{within}{}{}", expiry(*left), expiry(*right));
            format!("{kind} [{}] = [{}]{notes}", names(schema(*left), left_keys), names(schema(*right), right_keys))
        }
        Kind::Lookup { left, dimension, left_keys, dimension_keys, outer } => {
            let kind = if *outer { "left lookup" } else { "lookup" };
            let keys = names(schema(*dimension), dimension_keys);
            format!("{kind} [{}] = [{keys}]{}", names(schema(*left), left_keys), append_only(tree, *left))
        }
        Kind::Union { .. } => "union".to_string(),
        Kind::Net { input, key, trusted } => {
            let notes = if tree.facts(*input).is_unique(key) {
                ", unique".to_owned()
            } else if *trusted {
                ", said to be unique".to_owned()
            } else {
                format!("{}{}", append_only(tree, *input), expiry(tree, *input, key))
            };
            format!("net by [{}]{notes}", names(schema(*input), key))
        }
    }
}

fn call_text(call: &Call, schema: &Schema) -> String {
    let function = match call.function {
        AggregateFunction::Count => "count",
        AggregateFunction::CountDistinct => "count distinct",
        AggregateFunction::Sum => "sum",
        AggregateFunction::Min => "min",
        AggregateFunction::Max => "max",
        AggregateFunction::Avg => "avg",
        AggregateFunction::ApproxDistinct => "approx distinct",
    };
    let argument = call.argument.map_or_else(|| "*".to_string(), |column| schema.field(column).name().clone());
    let filter = call.filter.map(|column| format!(" where {}", schema.field(column).name())).unwrap_or_default();
    format!("{function}({argument}){filter}")
}

fn names(schema: &Schema, columns: &[usize]) -> String {
    columns.iter().map(|&column| schema.field(column).name().as_str()).collect::<Vec<_>>().join(", ")
}

fn append_only(tree: &Tree, input: Ix) -> &'static str {
    if tree.facts(input).append_only { ", append only" } else { "" }
}

fn expiry(tree: &Tree, input: Ix, columns: &[usize]) -> String {
    match tree.facts(input).time_among(columns.iter().copied()) {
        Some((column, time)) => {
            format!(", expires by {} + {} us", names(tree.schema(input), &[column]), time.span_us)
        }
        None => String::new(),
    }
}
