//! What the results of a job need of every node: which columns, and which fields of nested ones.
//!
//! Found from the results backwards.

use crate::scalar::Use;
use crate::tree::{Ix, Kind, Tree};
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::HashMap;
use std::sync::Arc;

/// For each node, how much of each of its columns is used; `None` for a node that nobody reads.
pub(crate) type Uses = Vec<Option<Vec<Use>>>;

/// What the results, all of whose columns are used, need of every node.
pub(crate) fn uses(tree: &Tree, results: &[Ix]) -> Uses {
    let mut uses: Uses = vec![None; tree.len()];
    for &result in results {
        uses[result] = Some(vec![Use::All; tree.schema(result).fields().len()]);
    }
    for ix in (0..tree.len()).rev() {
        let Some(of_node) = uses[ix].clone() else { continue };
        for (input, demand) in demands(tree, ix, &of_node) {
            let of_input = uses[input].get_or_insert_with(|| vec![Use::None; tree.schema(input).fields().len()]);
            std::iter::zip(of_input, &demand).for_each(|(known, more)| known.merge(more));
        }
    }
    uses
}

/// What a node needs of those it reads, when `of_node` is needed of it.
pub(crate) fn demands(tree: &Tree, ix: Ix, of_node: &[Use]) -> Vec<(Ix, Vec<Use>)> {
    let none = |input: Ix| vec![Use::None; tree.schema(input).fields().len()];
    let with_all = |mut uses: Vec<Use>, columns: &[usize]| {
        columns.iter().for_each(|&column| uses[column] = Use::All);
        uses
    };
    match &tree.node(ix).kind {
        Kind::Table { .. } => Vec::new(),
        Kind::Bounds { input, time, .. } => vec![(*input, with_all(none(*input), &[*time]))],
        Kind::JoinBounds { bounds, .. } => bounds.iter().map(|&bounds| (bounds, vec![Use::All])).collect(),
        Kind::DropLate { input, bounds, time } => {
            vec![(*input, with_all(of_node.to_vec(), &[*time])), (*bounds, vec![Use::All])]
        }
        Kind::Normalize { input, key } => vec![(*input, with_all(of_node.to_vec(), key))],
        Kind::Project { input, filter, columns } => {
            let mut uses = none(*input);
            filter.iter().for_each(|filter| filter.demand(&Use::All, &mut uses));
            for ((scalar, _), demand) in columns.iter().zip(of_node).filter(|(_, demand)| demand.is_used()) {
                scalar.demand(demand, &mut uses);
            }
            vec![(*input, uses)]
        }
        Kind::Unnest { input, column, .. } => {
            let mut uses = of_node.to_vec();
            // However little of the items is wanted, how many there are is.
            uses[*column].merge(&Use::Fields(Default::default()));
            vec![(*input, uses)]
        }
        Kind::Aggregate { input, keys, calls, .. } => {
            let used = calls.iter().zip(&of_node[keys.len()..]).filter(|(_, demand)| demand.is_used());
            let arguments = used.flat_map(|(call, _)| call.argument.into_iter().chain(call.filter));
            vec![(*input, with_all(none(*input), &keys.iter().copied().chain(arguments).collect::<Vec<_>>()))]
        }
        Kind::TopN { input, partition, order, .. } => {
            let width = tree.schema(*input).fields().len();
            let uses = with_all(of_node[..width].to_vec(), partition);
            vec![(*input, with_all(uses, &order.iter().map(|order| order.column).collect::<Vec<_>>()))]
        }
        Kind::Join { left, right, left_keys, right_keys, bounds, .. } => {
            let (of_left, of_right) = of_node.split_at(tree.schema(*left).fields().len());
            let side = |input: Ix, uses: &[Use], keys: &[usize]| {
                let time = tree.facts(input).finest_time().map(|(column, _)| column);
                (input, with_all(uses.to_vec(), &keys.iter().copied().chain(time).collect::<Vec<_>>()))
            };
            let sides = [side(*left, of_left, left_keys), side(*right, of_right, right_keys)];
            sides.into_iter().chain(bounds.map(|bounds| (bounds, vec![Use::All]))).collect()
        }
        Kind::Lookup { left, dimension, left_keys, dimension_keys, .. } => {
            let (of_left, of_dimension) = of_node.split_at(tree.schema(*left).fields().len());
            vec![
                (*left, with_all(of_left.to_vec(), left_keys)),
                (*dimension, with_all(of_dimension.to_vec(), dimension_keys)),
            ]
        }
        Kind::Union { inputs } => {
            // The branches must keep one type: nested columns stay whole.
            let whole = |demand: &Use| if demand.is_used() { Use::All } else { Use::None };
            inputs.iter().map(|&input| (input, of_node.iter().map(whole).collect())).collect()
        }
        Kind::Net { input, .. } => vec![(*input, vec![Use::All; of_node.len()])],
    }
}

/// The schema of each table with nested fields that nobody uses taken out, by the table's number.
pub(crate) fn nested_fields(tree: &Tree, results: &[Ix]) -> HashMap<usize, SchemaRef> {
    let uses = uses(tree, results);
    let mut pruned = HashMap::new();
    for (ix, of_node) in uses.iter().enumerate() {
        if let (Kind::Table { table, schema, .. }, Some(of_node)) = (&tree.node(ix).kind, of_node) {
            let field = |(field, used): (&Arc<arrow::datatypes::Field>, &Use)| {
                field.as_ref().clone().with_data_type(used.prune(field.data_type()))
            };
            let fields: Vec<_> = schema.fields().iter().zip(of_node).map(field).collect();
            pruned.insert(*table, Arc::new(Schema::new(fields)));
        }
    }
    pruned
}
