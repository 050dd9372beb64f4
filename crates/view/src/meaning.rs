//! What nodes compute, as numbers that stay the same over restarts: by them a job knows its state again.
//!
//! A stream has a *meaning*: which rows it holds and what each column says. It looks through filters and projections,
//! so that it does not depend on what else the job computes, how columns are numbered, or how the SQL is laid out. A
//! node with state has an *identity*: its meaning, the columns that it keeps, and the identities of the state that it
//! rests on. State may only be loaded by a node of the same identity.

use crate::plan::Plan;
use crate::scalar::Scalar;
use crate::tree::{Call, Ix, Kind};
use arrow::datatypes::{DataType, Schema};
use proxima_event::Epoch;
use proxima_event::hash::hash_str;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a stream says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    /// Where its rows come from.
    rows: u64,
    /// The conditions that they meet.
    conditions: BTreeSet<u64>,
    /// What each column says.
    columns: Vec<u64>,
    /// The state nearest to it: by the identities of the nodes that hold it.
    rests_on: BTreeSet<u64>,
    /// The node's identity.
    identity: u64,
}

impl Meaning {
    /// The rows, filtered as they are.
    fn filtered(&self) -> u64 {
        if self.conditions.is_empty() {
            return self.rows;
        }
        hash_str(&format!("rows {:x} where {:x?}", self.rows, self.conditions))
    }

    fn of(&self, columns: &[usize]) -> Vec<u64> {
        columns.iter().map(|&column| self.columns[column]).collect()
    }

    /// The node's identity, in a run that began to fill its state at this epoch.
    pub(crate) fn identity(&self, began: Epoch) -> String {
        format!("{:016x}@{began}", self.identity)
    }

    /// Whether the node holds anything between two epochs.
    pub(crate) fn has_state(&self) -> bool {
        self.rests_on.contains(&self.identity)
    }
}

/// What every node of a plan computes.
pub(crate) fn meanings(plan: &Plan) -> Vec<Meaning> {
    let mut known: Vec<Meaning> = Vec::with_capacity(plan.tree.len());
    for ix in 0..plan.tree.len() {
        let meaning = Reader { plan, known: &known }.node(ix);
        known.push(meaning);
    }
    known
}

/// See [`Plan::meanings`].
pub(crate) fn of_results(plan: &Plan) -> BTreeMap<String, u64> {
    let meanings = meanings(plan);
    let (targets, queries) = plan.results.split_at(plan.targets.len());
    let target = |(target, &ix): (&crate::plan::Target, &Ix)| {
        let key: Vec<_> = target.key.iter().map(|&column| target.schema.field(column).name()).collect();
        (target.name.clone(), result(&meanings[ix], &target.schema, &format!("{key:?}")))
    };
    let query =
        |(query, &ix): (&crate::plan::Query, &Ix)| (query.name.clone(), result(&meanings[ix], &query.schema, ""));
    plan.targets.iter().zip(targets).map(target).chain(plan.queries.iter().zip(queries).map(query)).collect()
}

fn result(meaning: &Meaning, schema: &Schema, key: &str) -> u64 {
    let fields: Vec<_> = schema.fields().iter().map(|field| (field.name(), field.data_type())).collect();
    hash_str(&format!("result {:x} {:x?} {fields:?} {key}", meaning.filtered(), meaning.columns))
}

/// See [`Plan::sources`].
pub(crate) fn sources(plan: &Plan, name: &str) -> BTreeSet<String> {
    let source = |ix: Ix| match plan.tree.node(ix).kind {
        Kind::Table { table, .. } => Some(plan.table(table).source.clone()),
        _ => None,
    };
    nodes(plan, name).into_iter().filter_map(source).collect()
}

/// See [`Plan::state`].
pub(crate) fn state(plan: &Plan, name: &str, began: Epoch) -> BTreeSet<String> {
    let meanings = meanings(plan);
    let held = nodes(plan, name).into_iter().map(|ix| &meanings[ix]).filter(|meaning| meaning.has_state());
    held.map(|meaning| meaning.identity(began)).collect()
}

/// The nodes that a target or query rests on.
fn nodes(plan: &Plan, name: &str) -> BTreeSet<Ix> {
    let names = plan.targets.iter().map(|target| &target.name).chain(plan.queries.iter().map(|query| &query.name));
    let mut open: Vec<Ix> = names.zip(&plan.results).filter(|(known, _)| *known == name).map(|(_, &ix)| ix).collect();
    let mut nodes = BTreeSet::new();
    while let Some(ix) = open.pop() {
        if nodes.insert(ix) {
            open.extend(plan.tree.node(ix).kind.inputs());
        }
    }
    nodes
}

struct Reader<'a> {
    plan: &'a Plan,
    /// The nodes before.
    known: &'a [Meaning],
}

impl Reader<'_> {
    fn node(&self, ix: Ix) -> Meaning {
        match &self.plan.tree.node(ix).kind {
            Kind::Table { table, schema, .. } => self.table(*table, schema),
            Kind::Project { input, filter, columns } => self.project(*input, filter.as_ref(), columns),
            Kind::Unnest { input, column, outer } => {
                let from = &self.known[*input];
                let rows = format!("unnest {:x} {:x} {outer}", from.filtered(), from.columns[*column]);
                let mut columns = from.columns.clone();
                columns[*column] = hash_str(&format!("item {:x}", columns[*column]));
                passing(&rows, columns, from.rests_on.clone())
            }
            Kind::Union { inputs } => {
                let rows: Vec<u64> = inputs.iter().map(|&input| self.known[input].filtered()).collect();
                let column = |at: usize| {
                    let columns: Vec<u64> = inputs.iter().map(|&input| self.known[input].columns[at]).collect();
                    hash_str(&format!("any of {columns:x?}"))
                };
                let columns = (0..self.known[inputs[0]].columns.len()).map(column).collect();
                let rests_on = inputs.iter().flat_map(|&input| self.known[input].rests_on.clone()).collect();
                passing(&format!("union {rows:x?}"), columns, rests_on)
            }
            kind => self.with_state(kind),
        }
    }

    fn table(&self, number: usize, schema: &Schema) -> Meaning {
        let table = self.plan.table(number);
        let time = table.event_time.as_ref().map(|time| &time.name);
        let rows = format!(
            "table {} {} {} {:?} {time:?} {:?} {:?} {}",
            self.plan.zone,
            table.source,
            table.format,
            table.options,
            table.lifetime,
            table.epoch_unit,
            table.dimension
        );
        let column = |field: &Arc<arrow::datatypes::Field>| {
            // What may not be NULL was rejected where it was.
            let needed = if field.is_nullable() { "" } else { " NOT NULL" };
            hash_str(&format!("column {} {}{needed}", field.name(), plain(field.data_type())))
        };
        passing(&rows, schema.fields().iter().map(column).collect(), BTreeSet::new())
    }

    fn project(&self, input: Ix, filter: Option<&Scalar>, columns: &[(Scalar, String)]) -> Meaning {
        let (from, schema) = (&self.known[input], self.plan.tree.schema(input));
        let says = |scalar: &Scalar| expression(scalar, schema, &from.columns);
        let mut meaning = from.clone();
        meaning.conditions.extend(filter.iter().flat_map(|filter| filter.parts()).map(|part| says(&part)));
        meaning.columns = columns.iter().map(|(scalar, _)| says(scalar)).collect();
        meaning.identity =
            hash_str(&format!("project {:x} {:x?} {:x?}", meaning.filtered(), meaning.columns, meaning.rests_on));
        meaning
    }

    /// A node that holds something between two epochs.
    fn with_state(&self, kind: &Kind) -> Meaning {
        let inputs = kind.inputs();
        let from = &self.known[inputs[0]];
        let read: Vec<u64> = inputs.iter().map(|&input| self.known[input].filtered()).collect();
        let (what, calls) = self.describe(kind);
        let mut rows = hash_str(&format!("{what} of {read:x?}"));
        let mut conditions = BTreeSet::new();
        let behind = |column: &u64| hash_str(&format!("{column:x} in {rows:x}"));
        let mut columns: Vec<u64> = match kind {
            // A target takes the same rows, whether they were netted or its aggregate puts out what it takes.
            Kind::Net { .. } => {
                (rows, conditions) = (from.rows, from.conditions.clone());
                from.columns.clone()
            }
            Kind::Normalize { .. } | Kind::DropLate { .. } => from.columns.clone(),
            Kind::Aggregate { keys, .. } => from.of(keys).iter().chain(&calls).map(behind).collect(),
            Kind::Bounds { .. } | Kind::JoinBounds { .. } => vec![behind(&0)],
            Kind::Join { .. } | Kind::Lookup { .. } => {
                let right = self.known[inputs[1]].columns.iter().map(|column| column.rotate_left(1));
                from.columns.iter().copied().chain(right).map(|column| behind(&column)).collect()
            }
            _ => from.columns.iter().map(behind).collect(),
        };
        if let Kind::TopN { row_number: Some(_), .. } = kind {
            columns.push(hash_str(&format!("number in {rows:x}")));
        }
        let identity = self.identity(kind, &what, &calls);
        let is_pure = matches!(kind, Kind::Net { input, key, trusted } if *trusted || self.plan.tree.facts(*input).is_unique(key));
        let rests_on = if is_pure { from.rests_on.clone() } else { [identity].into() };
        Meaning { rows, conditions, columns, rests_on, identity }
    }

    /// What a node with state does with its rows, and what its calls say.
    fn describe(&self, kind: &Kind) -> (String, Vec<u64>) {
        let of = |input: &Ix, columns: &[usize]| self.known[*input].of(columns);
        let text = match kind {
            Kind::Normalize { input, key } => format!("newest of each {:x?}", of(input, key)),
            Kind::Bounds { input, time, lifetime_us } => format!("bound {:x?} {lifetime_us}", of(input, &[*time])),
            Kind::JoinBounds { back_us, .. } => format!("earlier bound {back_us:?}"),
            Kind::DropLate { input, time, .. } => format!("in time by {:x?}", of(input, &[*time])),
            Kind::Aggregate { input, keys, calls, .. } => {
                let call = |call: &Call| {
                    let [argument, filter] =
                        [call.argument, call.filter].map(|column| column.map(|at| of(input, &[at])));
                    hash_str(&format!("{:?} {argument:x?} {filter:x?} {:?}", call.function, call.output))
                };
                return (format!("groups by {:x?}", of(input, keys)), calls.iter().map(call).collect());
            }
            Kind::TopN { input, partition, order, limit, .. } => {
                let order: Vec<_> = order
                    .iter()
                    .map(|order| (of(input, &[order.column]), order.descending, order.nulls_first))
                    .collect();
                format!("top {limit} of each {:x?} by {order:x?}", of(input, partition))
            }
            Kind::Join { left, right, left_keys, right_keys, kind, bounds } => {
                let reaches = bounds.and(self.plan.tree.reaches_us(*left, *right));
                let reaches = reaches.map(|us| format!(" {us:?}")).unwrap_or_default();
                format!("{kind:?} join {:x?} {:x?}{reaches}", of(left, left_keys), of(right, right_keys))
            }
            Kind::Lookup { left, dimension, left_keys, dimension_keys, outer } => {
                format!("lookup {outer} {:x?} {:x?}", of(left, left_keys), of(dimension, dimension_keys))
            }
            Kind::Net { input, key, .. } => format!("net by {:x?}", of(input, key)),
            Kind::Table { .. } | Kind::Project { .. } | Kind::Unnest { .. } | Kind::Union { .. } => {
                unreachable!("it holds nothing")
            }
        };
        (text, Vec::new())
    }

    /// What a node does, what it keeps of its inputs, when it forgets that, and the state that it rests on.
    fn identity(&self, kind: &Kind, what: &str, calls: &[u64]) -> u64 {
        let tree = &self.plan.tree;
        let mut text = format!("{what} {calls:x?}");
        for input in kind.inputs() {
            let (from, facts) = (&self.known[input], tree.facts(input));
            let types: Vec<_> = tree.schema(input).fields().iter().map(|field| field.data_type()).collect();
            let expiry = facts.time_among(0..facts.times.len()).map(|(column, time)| (column, time.span_us));
            text += &format!(
                " {:x} {:x?} {types:?} {} {expiry:?} {:x?}",
                from.filtered(),
                from.columns,
                facts.append_only,
                from.rests_on
            );
        }
        hash_str(&text)
    }
}

/// A node that holds nothing.
fn passing(rows: &str, columns: Vec<u64>, rests_on: BTreeSet<u64>) -> Meaning {
    let rows = hash_str(rows);
    let identity = hash_str(&format!("{rows:x} {columns:x?} {rests_on:x?}"));
    Meaning { rows, conditions: BTreeSet::new(), columns, rests_on, identity }
}

/// A type, unless it has parts: of those only what is used is there, which others decide too.
fn plain(data_type: &DataType) -> String {
    if data_type.is_nested() { String::new() } else { data_type.to_string() }
}

/// What an expression says, given what the columns say that it reads.
fn expression(scalar: &Scalar, schema: &Schema, columns: &[u64]) -> u64 {
    if scalar.as_path().is_some() {
        return leaf(scalar, schema, columns);
    }
    // The text of a literal does not say its type.
    let literal = scalar.as_literal().map(|value| format!("{value:?}"));
    let parts: Vec<u64> = scalar.children().iter().map(|part| expression(part, schema, columns)).collect();
    hash_str(&format!("{} {literal:?} of {parts:x?}", scalar.without_parts()))
}

/// What a column says, or a nested field of it.
fn leaf(scalar: &Scalar, schema: &Schema, columns: &[u64]) -> u64 {
    match scalar.as_path().expect("a leaf is a path") {
        (column, path) if path.is_empty() => columns[column],
        (column, path) => hash_str(&format!("{:x} {path:?} {}", columns[column], plain(&scalar.data_type(schema)))),
    }
}
