//! The plan as a graph of operators, before it is a topology: what each reads, and what is known of its stream.
//!
//! Nodes are only added behind those they read, and equal nodes are one: two views that compute the same share it.

use crate::operators::{AggregateFunction, JoinKind, SortColumn};
use crate::scalar::Scalar;
use crate::times::{self, Time};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The number of a node.
pub(crate) type Ix = usize;

/// An operator with what it reads. Columns are numbers in the stream it reads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The decoded rows of a table of the plan.
    Table { table: usize, schema: SchemaRef, key: Vec<usize>, append_only: bool },
    /// The newest row of each key, of a table of changes. The rows that come in have a column more, their sequence.
    Normalize { input: Ix, key: Vec<usize> },
    /// The time before which rows of a table are late.
    Bounds { input: Ix, time: usize, lifetime_us: i64 },
    /// The earlier of two bounds, each put back by some microseconds: before it lies what a join of two tables with bounds
    /// is done with.
    JoinBounds { bounds: [Ix; 2], back_us: [i64; 2] },
    /// Rows of a table without the late ones.
    DropLate { input: Ix, bounds: Ix, time: usize },
    /// Rows for which the filter is true, and columns computed from them.
    Project { input: Ix, filter: Option<Scalar>, columns: Vec<(Scalar, String)> },
    /// One row for each item of a list column.
    Unnest { input: Ix, column: usize, outer: bool },
    /// One row for each group: keys, then calls. With `upserts` it puts out what a target takes: see [`crate::upsert`].
    Aggregate { input: Ix, keys: Vec<usize>, calls: Vec<Call>, upserts: bool },
    /// The first rows of each partition, with their number appended if it has a name.
    TopN { input: Ix, partition: Vec<usize>, order: Vec<SortColumn>, limit: usize, row_number: Option<String> },
    /// Pairs of rows with equal keys. Where both sides have times, of rows neither of which was over at the time of the
    /// other: then `bounds` are those of the pairs.
    Join { left: Ix, right: Ix, left_keys: Vec<usize>, right_keys: Vec<usize>, kind: JoinKind, bounds: Option<Ix> },
    /// Rows with what a dimension says at that time.
    Lookup { left: Ix, dimension: Ix, left_keys: Vec<usize>, dimension_keys: Vec<usize>, outer: bool },
    /// All rows of all inputs.
    Union { inputs: Vec<Ix> },
    /// At most one row for each key: what a target takes. `trusted`: the query is said to give no more.
    Net { input: Ix, key: Vec<usize>, trusted: bool },
}

/// One call of an aggregate function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) function: AggregateFunction,
    pub(crate) argument: Option<usize>,
    pub(crate) filter: Option<usize>,
    pub(crate) output: DataType,
    pub(crate) name: String,
}

impl Kind {
    /// The nodes it reads.
    pub(crate) fn inputs(&self) -> Vec<Ix> {
        match self {
            Self::Table { .. } => Vec::new(),
            Self::Bounds { input, .. }
            | Self::Project { input, .. }
            | Self::Unnest { input, .. }
            | Self::Aggregate { input, .. }
            | Self::TopN { input, .. }
            | Self::Normalize { input, .. }
            | Self::Net { input, .. } => vec![*input],
            Self::DropLate { input, bounds, .. } => vec![*input, *bounds],
            Self::JoinBounds { bounds, .. } => bounds.to_vec(),
            Self::Join { left, right, bounds, .. } => [*left, *right].into_iter().chain(*bounds).collect(),
            Self::Lookup { left, dimension, .. } => vec![*left, *dimension],
            Self::Union { inputs } => inputs.clone(),
        }
    }
}

/// A node: an operator, the columns of its stream, and what is known of that.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) schema: SchemaRef,
    pub(crate) facts: Facts,
}

/// What is known of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Nothing is ever taken back.
    pub(crate) append_only: bool,
    /// Sets of columns of which no two rows have the same values at a time.
    pub(crate) unique: Vec<BTreeSet<usize>>,
    /// By column, how it bounds the time after which its rows do not change.
    pub(crate) times: Vec<Option<Time>>,
}

impl Facts {
    /// Whether a key holds at most one row at a time.
    pub(crate) fn is_unique(&self, key: &[usize]) -> bool {
        self.unique.iter().any(|unique| unique.iter().all(|column| key.contains(column)))
    }

    /// The first of the columns that bounds the time of its rows.
    pub(crate) fn time_among(&self, columns: impl IntoIterator<Item = usize>) -> Option<(usize, Time)> {
        columns.into_iter().find_map(|column| self.times[column].map(|time| (column, time)))
    }

    /// The column that bounds the time of its rows most closely.
    pub(crate) fn finest_time(&self) -> Option<(usize, Time)> {
        let times = self.times.iter().enumerate().filter_map(|(column, time)| Some((column, (*time)?)));
        times.min_by_key(|(_, time)| time.span_us)
    }
}

/// The graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, ix: Ix) -> &Node {
        &self.nodes[ix]
    }

    pub(crate) fn schema(&self, ix: Ix) -> &SchemaRef {
        &self.nodes[ix].schema
    }

    pub(crate) fn facts(&self, ix: Ix) -> &Facts {
        &self.nodes[ix].facts
    }

    /// Adds a node, unless there is an equal one.
    pub(crate) fn add(&mut self, kind: Kind) -> Ix {
        if let Some(same) = self.nodes.iter().position(|node| node.kind == kind) {
            return same;
        }
        let schema = self.schema_of(&kind);
        let facts = self.facts_of(&kind);
        self.nodes.push(Node { kind, schema, facts });
        self.nodes.len() - 1
    }

    fn schema_of(&self, kind: &Kind) -> SchemaRef {
        match kind {
            Kind::Table { schema, .. } => Arc::clone(schema),
            Kind::Bounds { .. } | Kind::JoinBounds { .. } => crate::operators::bound_schema(),
            Kind::DropLate { input, .. } | Kind::Normalize { input, .. } | Kind::Net { input, .. } => {
                Arc::clone(self.schema(*input))
            }
            Kind::Project { input, columns, .. } => {
                let input = self.schema(*input);
                let field = |(column, name): &(Scalar, String)| Field::new(name, column.data_type(input), true);
                Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
            }
            Kind::Unnest { input, column, .. } => {
                let mut fields: Vec<_> = self.schema(*input).fields().iter().cloned().collect();
                let DataType::List(item) = fields[*column].data_type() else { unreachable!("only lists are unnested") };
                fields[*column] = Arc::new(Field::new(fields[*column].name(), item.data_type().clone(), true));
                Arc::new(Schema::new(fields))
            }
            Kind::Aggregate { input, keys, calls, .. } => {
                let input = self.schema(*input);
                let keys = keys.iter().map(|&key| input.field(key).clone());
                let calls = calls.iter().map(|call| Field::new(&call.name, call.output.clone(), true));
                Arc::new(Schema::new(keys.chain(calls).collect::<Vec<_>>()))
            }
            Kind::TopN { input, row_number, .. } => {
                let fields = self.schema(*input).fields().iter().map(|field| field.as_ref().clone());
                let number = row_number.iter().map(|name| Field::new(name, DataType::UInt64, true));
                Arc::new(Schema::new(fields.chain(number).collect::<Vec<_>>()))
            }
            Kind::Join { left, right, .. } | Kind::Lookup { left, dimension: right, .. } => {
                let both = self.schema(*left).fields().iter().chain(self.schema(*right).fields());
                let nullable = both.map(|field| field.as_ref().clone().with_nullable(true));
                Arc::new(Schema::new(nullable.collect::<Vec<_>>()))
            }
            Kind::Union { inputs } => Arc::clone(self.schema(inputs[0])),
        }
    }

    fn facts_of(&self, kind: &Kind) -> Facts {
        match kind {
            Kind::Table { schema, key, append_only, .. } => Facts {
                append_only: *append_only,
                unique: if key.is_empty() { Vec::new() } else { vec![key.iter().copied().collect()] },
                times: vec![None; schema.fields().len()],
            },
            Kind::Bounds { .. } | Kind::JoinBounds { .. } => {
                Facts { append_only: true, unique: Vec::new(), times: vec![None] }
            }
            Kind::DropLate { input, bounds, time } => {
                let mut facts = self.facts(*input).clone();
                facts.times[*time] = Some(Time { bounds: *bounds, span_us: 0 });
                facts
            }
            Kind::Project { input, columns, .. } => self.project_facts(*input, columns),
            Kind::Unnest { input, .. } => Facts { unique: Vec::new(), ..self.facts(*input).clone() },
            Kind::Aggregate { input, keys, calls, .. } => {
                let input = self.facts(*input);
                let times = keys.iter().map(|&key| input.times[key]).chain(calls.iter().map(|_| None));
                Facts {
                    // A group that only says "there is one" is never taken back if no row is.
                    append_only: input.append_only && calls.is_empty(),
                    unique: vec![(0..keys.len()).collect()],
                    times: times.collect(),
                }
            }
            Kind::TopN { input, partition, limit, row_number, .. } => {
                self.top_n_facts(*input, partition, *limit, row_number.is_some())
            }
            Kind::Join { left, right, left_keys, right_keys, kind, bounds } => {
                self.join_facts((*left, left_keys), (*right, right_keys), *kind, *bounds)
            }
            Kind::Lookup { left, dimension, dimension_keys, .. } => {
                let (left, dimension) = (self.facts(*left), self.facts(*dimension));
                let one = dimension.is_unique(dimension_keys);
                let times = left.times.iter().copied().chain(dimension.times.iter().map(|_| None));
                Facts {
                    append_only: left.append_only,
                    unique: if one { left.unique.clone() } else { Vec::new() },
                    times: times.collect(),
                }
            }
            Kind::Union { inputs } => {
                let all: Vec<&Facts> = inputs.iter().map(|&input| self.facts(input)).collect();
                let times =
                    (0..all[0].times.len()).map(|column| times::common(all.iter().map(|one| one.times[column])));
                Facts { append_only: all.iter().all(|one| one.append_only), unique: Vec::new(), times: times.collect() }
            }
            Kind::Normalize { input, key } | Kind::Net { input, key, .. } => Facts {
                append_only: false,
                unique: vec![key.iter().copied().collect()],
                times: vec![None; self.schema(*input).fields().len()],
            },
        }
    }

    /// How long a row lasts behind its time, by the node that bounds it.
    fn lifetime_us(&self, bounds: Ix) -> i64 {
        match &self.node(bounds).kind {
            Kind::Bounds { lifetime_us, .. } => *lifetime_us,
            Kind::JoinBounds { bounds, .. } => bounds.map(|ix| self.lifetime_us(ix)).into_iter().max().unwrap_or(0),
            other => unreachable!("{other:?} bounds no times"),
        }
    }

    /// For the sides of a join that both have times: how far the time of the other's row may lie behind a row's own, or
    /// behind the beginning of its bucket.
    pub(crate) fn reaches_us(&self, left: Ix, right: Ix) -> Option<[i64; 2]> {
        let [left, right] = [left, right].map(|side| {
            let (column, time) = self.facts(side).finest_time()?;
            let reach_us = time.span_us.saturating_add(self.lifetime_us(time.bounds));
            Some((reach_us, times::has_zone(self.schema(side).field(column).data_type())))
        });
        let (left, right) = (left?, right?);
        // An instant and a wall clock are compared as they are.
        let zone_us = if left.1 == right.1 { 0 } else { times::ZONE_US };
        Some([left.0, right.0].map(|reach_us| reach_us.saturating_add(zone_us)))
    }

    /// Adds what bounds the pairs of a join whose sides both have times. A row that comes in time meets rows as old as
    /// its own bound less what those reach.
    pub(crate) fn join_bounds(&mut self, left: Ix, right: Ix) -> Option<Ix> {
        let reaches = self.reaches_us(left, right)?;
        let times = [left, right].map(|side| self.facts(side).finest_time().expect("both reach somewhere").1);
        let back_us = [0, 1].map(|side: usize| times[side].span_us.saturating_add(reaches[1 - side]));
        Some(self.add(Kind::JoinBounds { bounds: times.map(|time| time.bounds), back_us }))
    }

    fn project_facts(&self, input: Ix, columns: &[(Scalar, String)]) -> Facts {
        let (schema, facts) = (self.schema(input), self.facts(input));
        let place = |column: &usize| columns.iter().position(|(scalar, _)| scalar.as_renamed(schema) == Some(*column));
        Facts {
            append_only: facts.append_only,
            unique: facts.unique.iter().filter_map(|unique| unique.iter().map(place).collect()).collect(),
            times: columns.iter().map(|(scalar, _)| times::of(scalar, schema, &facts.times)).collect(),
        }
    }

    /// Only the times of the partition hold on: another row may push out one whose time is long past.
    fn top_n_facts(&self, input: Ix, partition: &[usize], limit: usize, numbered: bool) -> Facts {
        let facts = self.facts(input);
        let mut unique = facts.unique.clone();
        if limit == 1 {
            unique.push(partition.iter().copied().collect());
        }
        if numbered {
            unique.push(partition.iter().copied().chain([facts.times.len()]).collect());
        }
        let kept = |(column, time): (usize, &Option<Time>)| time.filter(|_| partition.contains(&column));
        let mut times: Vec<_> = facts.times.iter().enumerate().map(kept).collect();
        times.extend(numbered.then_some(None));
        Facts { append_only: false, unique, times }
    }

    fn join_facts(&self, left: (Ix, &[usize]), right: (Ix, &[usize]), kind: JoinKind, bounds: Option<Ix>) -> Facts {
        let (left_facts, right_facts) = (self.facts(left.0), self.facts(right.0));
        let width = left_facts.times.len();
        let shifted = |unique: &BTreeSet<usize>| unique.iter().map(|column| column + width).collect::<BTreeSet<_>>();
        let mut unique = Vec::new();
        if matches!(kind, JoinKind::Inner | JoinKind::Left) && right_facts.is_unique(right.1) {
            unique.extend(left_facts.unique.iter().cloned());
        }
        if matches!(kind, JoinKind::Inner | JoinKind::Right) && left_facts.is_unique(left.1) {
            unique.extend(right_facts.unique.iter().map(shifted));
        }
        for left in &left_facts.unique {
            unique.extend(right_facts.unique.iter().map(|right| left | &shifted(right)));
        }
        // A side's rows leave the state by one of their times; the others may lag behind it.
        let kept = |facts: &Facts| {
            let mut times = vec![None; facts.times.len()];
            if let Some((column, time)) = facts.finest_time() {
                times[column] = Some(Time { bounds: bounds.unwrap_or(time.bounds), ..time });
            }
            times
        };
        Facts {
            append_only: kind == JoinKind::Inner && left_facts.append_only && right_facts.append_only,
            unique,
            times: [kept(left_facts), kept(right_facts)].concat(),
        }
    }
}
