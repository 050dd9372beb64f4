//! From the graph to the nodes of an engine's topology: makes the specs and connects the streams.

use crate::kernels;
use crate::meaning;
use crate::operators::{
    Aggregate, AggregateCall, AggregateSpec, Distinct, DistinctSpec, DropLate, DropLateSpec, Expiry, FilterProject,
    Join, JoinBounds, JoinSpec, Lookup, LookupSpec, MaxTime, Net, NetSpec, Normalize, NormalizeSpec, TimeBoundSpec,
    TopN, TopNSpec, Union, Unnest, UnnestSpec, newest_time,
};
use crate::plan::{Lowered, Plan};
use crate::scalar::Scalar;
use crate::tree::{Call, Ix, Kind, Tree};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;
use proxima_engine::{NodeId, Route, Topology};
use proxima_event::Epoch;
use std::collections::HashMap;
use std::sync::Arc;

/// See [`Plan::lower`].
pub(crate) fn lower(plan: &Plan, topology: &mut Topology, tables: &HashMap<String, NodeId>, began: Epoch) -> Lowered {
    let meanings = meaning::meanings(plan);
    let (tree, tables_of) = (&plan.tree, &plan.table_names);
    let mut lowering = Lowering { tree, tables: tables_of, owners: owners(plan), topology, nodes: Vec::new() };
    for (ix, meaning) in meanings.iter().enumerate() {
        let node = match &plan.tree.node(ix).kind {
            Kind::Table { table, .. } => {
                let name = &plan.table_names[table];
                *tables.get(name).unwrap_or_else(|| panic!("the rows of table {name} are not given"))
            }
            _ => {
                let node = lowering.operator(ix);
                lowering.topology.identify(node, meaning.identity(began), meaning.has_state());
                node
            }
        };
        lowering.nodes.push(node);
    }
    let node = |&ix: &Ix| lowering.nodes[ix];
    let (targets, queries) = plan.results.split_at(plan.targets.len());
    Lowered {
        targets: plan.targets.iter().map(|target| target.name.clone()).zip(targets.iter().map(node)).collect(),
        queries: plan.queries.iter().map(|query| query.name.clone()).zip(queries.iter().map(node)).collect(),
    }
}

/// For each node the first result that needs it: its operators are named after that.
fn owners(plan: &Plan) -> Vec<String> {
    let names = plan.targets.iter().map(|target| &target.name).chain(plan.queries.iter().map(|query| &query.name));
    let mut owners = vec![None; plan.tree.len()];
    for (name, &result) in names.zip(&plan.results) {
        let mut open = vec![result];
        while let Some(ix) = open.pop() {
            if owners[ix].is_none() {
                owners[ix] = Some(name.clone());
                open.extend(plan.tree.node(ix).kind.inputs());
            }
        }
    }
    owners.into_iter().map(Option::unwrap_or_default).collect()
}

struct Lowering<'a> {
    tree: &'a Tree,
    /// The names of tables, by their number.
    tables: &'a HashMap<usize, String>,
    owners: Vec<String>,
    topology: &'a mut Topology,
    nodes: Vec<NodeId>,
}

impl Lowering<'_> {
    fn operator(&mut self, ix: Ix) -> NodeId {
        let (tree, owner) = (self.tree, &self.owners[ix]);
        let output = Arc::clone(tree.schema(ix));
        let schema = |input: Ix| Arc::clone(tree.schema(input));
        let name = |what: &str| format!("{owner}/{what}");
        let local = |input: Ix| (self.nodes[input], Route::Local);
        let by_key = |input: Ix, key: &[usize]| (self.nodes[input], Route::ByKey(key.to_vec()));
        let broadcast = |input: Ix| (self.nodes[input], Route::Broadcast);
        match tree.node(ix).kind.clone() {
            Kind::Table { .. } => unreachable!("tables are given"),
            Kind::Normalize { input, key } => {
                let inputs = vec![by_key(input, &key)];
                let spec = NormalizeSpec { output, key };
                // Named after its table, whose rows it holds whatever is made of them.
                let Kind::Table { table, .. } = &tree.node(input).kind else {
                    unreachable!("only tables are normalised")
                };
                let name = format!("{}/normalize", self.tables[table]);
                self.topology.operator(name, inputs, move || Box::new(Normalize::new(spec.clone())))
            }
            Kind::Bounds { input, time, lifetime_us } => {
                let spec = TimeBoundSpec { time, lifetime_us };
                let inputs = vec![local(input)];
                self.topology.operator(name("max_time"), inputs, move || Box::new(MaxTime::new(spec.clone())))
            }
            Kind::JoinBounds { bounds, back_us } => {
                let inputs = bounds.iter().map(|&bounds| self.bounds(bounds)).collect();
                self.topology.operator(name("join_bounds"), inputs, move || Box::new(JoinBounds::new(back_us)))
            }
            Kind::DropLate { input, bounds, time } => {
                let Kind::Bounds { lifetime_us, .. } = tree.node(bounds).kind else {
                    unreachable!("what is late is told by bounds")
                };
                let spec = DropLateSpec { input: schema(input), bound: TimeBoundSpec { time, lifetime_us } };
                let inputs = vec![local(input), broadcast(bounds)];
                if let Kind::Table { .. } = tree.node(input).kind {
                    self.topology.read_in_order(self.nodes[input], newest_time(time));
                }
                self.topology.operator(name("drop_late"), inputs, move || Box::new(DropLate::new(spec.clone())))
            }
            Kind::Project { input, filter, columns } => {
                let inputs = vec![local(input)];
                let make = filter_project(filter.as_ref(), &columns, tree.schema(input), output);
                self.topology.operator(name("filter_project"), inputs, move || Box::new(make()))
            }
            Kind::Unnest { input, column, outer } => {
                let spec = UnnestSpec { column, outer, output };
                let inputs = vec![local(input)];
                self.topology.operator(name("unnest"), inputs, move || Box::new(Unnest::new(spec.clone())))
            }
            Kind::Aggregate { input, keys, calls, .. } if is_distinct(tree.schema(input), &keys, &calls) => {
                let mut inputs = vec![by_key(input, &keys)];
                let expiry = self.expiry(input, &keys, &mut inputs);
                let append_only = tree.facts(input).append_only;
                let spec = DistinctSpec { input: schema(input), columns: keys, output, append_only, expiry };
                self.topology.operator(name("distinct"), inputs, move || Box::new(Distinct::new(spec.clone())))
            }
            Kind::Aggregate { input, keys, calls, upserts } => {
                let mut inputs = vec![by_key(input, &keys)];
                let expiry = self.expiry(input, &keys, &mut inputs);
                let calls = calls.into_iter().map(|call| AggregateCall {
                    function: call.function,
                    argument: call.argument,
                    filter: call.filter,
                    output: call.output,
                });
                let append_only = tree.facts(input).append_only;
                let calls = calls.collect();
                let spec = AggregateSpec { input: schema(input), keys, calls, output, append_only, upserts, expiry };
                self.topology.operator(name("aggregate"), inputs, move || Box::new(Aggregate::new(spec.clone())))
            }
            Kind::TopN { input, partition, order, limit, row_number } => {
                let mut inputs = vec![by_key(input, &partition)];
                let expiry = self.expiry(input, &partition, &mut inputs);
                let row_number = row_number.is_some();
                let append_only = tree.facts(input).append_only;
                let input = schema(input);
                let spec = TopNSpec { input, partition, order, limit, row_number, output, append_only, expiry };
                self.topology.operator(name("top_n"), inputs, move || Box::new(TopN::new(spec.clone())))
            }
            Kind::Join { left, right, left_keys, right_keys, kind, bounds } => {
                let mut inputs = vec![by_key(left, &left_keys), by_key(right, &right_keys)];
                let expiry = [left, right].map(|side| {
                    let (column, time) = tree.facts(side).finest_time()?;
                    let bounds = self.bounds(bounds.unwrap_or(time.bounds));
                    Some(Expiry { column, span_us: time.span_us, input: place(&mut inputs, bounds) })
                });
                let reaches_us = bounds.and(tree.reaches_us(left, right));
                let (left, right) = (schema(left), schema(right));
                let spec = JoinSpec { left, right, left_keys, right_keys, kind, output, expiry, reaches_us };
                self.topology.operator(name("join"), inputs, move || Box::new(Join::new(spec.clone())))
            }
            Kind::Lookup { left, dimension, left_keys, dimension_keys, outer } => {
                let inputs = vec![by_key(left, &left_keys), by_key(dimension, &dimension_keys)];
                let left_append_only = tree.facts(left).append_only;
                let (left, dimension) = (schema(left), schema(dimension));
                let spec = LookupSpec { left, dimension, left_keys, dimension_keys, outer, left_append_only, output };
                self.topology.operator(name("lookup"), inputs, move || Box::new(Lookup::new(spec.clone())))
            }
            Kind::Union { inputs } => {
                let inputs = inputs.iter().map(|&input| local(input)).collect();
                self.topology.operator(name("union"), inputs, || Box::new(Union))
            }
            Kind::Net { input, key, trusted } => {
                let mut inputs = vec![by_key(input, &key)];
                let facts = tree.facts(input);
                let (unique, append_only) = (trusted || facts.is_unique(&key), facts.append_only);
                let expiry = if unique { None } else { self.expiry(input, &key, &mut inputs) };
                let spec = NetSpec { input: schema(input), key, unique, append_only, expiry };
                self.topology.operator(name("net"), inputs, move || Box::new(Net::new(spec.clone())))
            }
        }
    }

    /// When the rows of an input can be forgotten by one of these columns; adds the input for the bound.
    fn expiry(&self, input: Ix, columns: &[usize], inputs: &mut Vec<(NodeId, Route)>) -> Option<Expiry> {
        let (column, time) = self.tree.facts(input).time_among(columns.iter().copied())?;
        Some(Expiry { column, span_us: time.span_us, input: place(inputs, self.bounds(time.bounds)) })
    }

    /// How bounds are read: each worker tells those of its rows, and every worker works out those of joins.
    fn bounds(&self, ix: Ix) -> (NodeId, Route) {
        let is_everywhere = matches!(self.tree.node(ix).kind, Kind::JoinBounds { .. });
        (self.nodes[ix], if is_everywhere { Route::Local } else { Route::Broadcast })
    }
}

/// The place of an input among those of an operator; it is added if it is not there.
fn place(inputs: &mut Vec<(NodeId, Route)>, input: (NodeId, Route)) -> usize {
    inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
        inputs.push(input);
        inputs.len() - 1
    })
}

/// Whether groups are no more than rows that are told apart, which need not be kept for that.
fn is_distinct(input: &Schema, keys: &[usize], calls: &[Call]) -> bool {
    let types: Vec<DataType> = keys.iter().map(|&key| input.field(key).data_type().clone()).collect();
    calls.is_empty() && DistinctSpec::takes(&types)
}

/// Makes a projection. One that filters first narrows its rows to what its columns read.
fn filter_project(
    filter: Option<&Scalar>,
    columns: &[(Scalar, String)],
    input: &Schema,
    output: SchemaRef,
) -> impl Fn() -> FilterProject + Send + Sync + 'static {
    let filter = filter.map(|filter| evaluated(filter, input));
    let mut leaves = Vec::new();
    columns.iter().for_each(|(scalar, _)| scalar.leaves(&mut leaves));
    let narrows = filter.is_some() && !leaves.is_empty();
    let read = narrows.then(|| {
        let fields: Vec<_> =
            leaves.iter().map(|leaf| Field::new(leaf.to_string(), leaf.data_type(input), true)).collect();
        (leaves.iter().map(|leaf| Arc::clone(&leaf.0)).collect::<Vec<_>>(), Arc::new(Schema::new(fields)))
    });
    let columns: Vec<_> = match &read {
        None => columns.iter().map(|(scalar, _)| evaluated(scalar, input)).collect(),
        Some((_, schema)) => {
            let place =
                |leaf: &Scalar| leaves.iter().position(|known| known == leaf).expect("leaves are of the columns");
            let over_leaves = |scalar: &Scalar| scalar.replace_leaves(|leaf| Scalar::column(place(leaf), schema));
            columns.iter().map(|(scalar, _)| evaluated(&over_leaves(scalar), schema)).collect()
        }
    };
    move || {
        let operator = FilterProject::new(filter.clone(), Some(columns.clone()), Arc::clone(&output));
        match &read {
            None => operator,
            Some((leaves, schema)) => operator.reading(leaves.clone(), Arc::clone(schema)),
        }
    }
}

/// An expression as it runs: with our own kernels.
fn evaluated(scalar: &Scalar, schema: &Schema) -> Arc<dyn PhysicalExpr> {
    kernels::replace(scalar, schema)
}
