//! Conditions that several projections of one stream have in common are evaluated once for all of them.
//!
//! Views over views repeat the conditions of the views below. Each round takes the condition that most projections of
//! a stream share, with whatever else those have in common, and puts it in front of them.

use crate::build::all;
use crate::scalar::Scalar;
use crate::tree::{Ix, Kind, Tree};
use std::sync::Arc;

/// Shares conditions until no two projections of a stream have one in common.
pub(crate) fn share_filters(mut tree: Tree, mut results: Vec<Ix>) -> (Tree, Vec<Ix>) {
    while let Some(group) = find(&tree) {
        (tree, results) = share(&tree, &results, &group);
    }
    (tree, results)
}

/// Projections of one stream, and the conditions that all of them have.
struct Group {
    input: Ix,
    readers: Vec<Ix>,
    common: Vec<Scalar>,
}

/// The conditions of a projection, by its input; `None` if it has none.
fn filtered(tree: &Tree, ix: Ix) -> Option<(Ix, Vec<Scalar>)> {
    match &tree.node(ix).kind {
        Kind::Project { input, filter: Some(filter), .. } => Some((*input, filter.parts())),
        _ => None,
    }
}

/// The largest group that shares a condition, the first of equals.
fn find(tree: &Tree) -> Option<Group> {
    let filtered: Vec<(Ix, Ix, Vec<Scalar>)> =
        (0..tree.len()).filter_map(|ix| filtered(tree, ix).map(|(input, parts)| (ix, input, parts))).collect();
    let mut largest: Option<Group> = None;
    for (_, input, parts) in &filtered {
        for part in parts {
            let having = |(_, from, parts): &&(Ix, Ix, Vec<Scalar>)| from == input && parts.contains(part);
            let group: Vec<_> = filtered.iter().filter(having).collect();
            if group.len() > largest.as_ref().map_or(1, |largest| largest.readers.len()) {
                let in_all = |part: &&Scalar| group.iter().all(|(_, _, parts)| parts.contains(part));
                let common = parts.iter().filter(in_all).cloned().collect();
                largest = Some(Group { input: *input, readers: group.iter().map(|(ix, ..)| *ix).collect(), common });
            }
        }
    }
    largest
}

/// The graph with the common conditions of a group in a node in front of it.
fn share(tree: &Tree, results: &[Ix], group: &Group) -> (Tree, Vec<Ix>) {
    let mut new = Tree::default();
    let mut at: Vec<Ix> = Vec::new();
    for ix in 0..tree.len() {
        let kind = match &tree.node(ix).kind {
            Kind::Project { filter: Some(filter), columns, .. } if group.readers.contains(&ix) => {
                let (node, leaves) = in_front(tree, &mut new, group, at[group.input]);
                let schema = Arc::clone(new.schema(node));
                let place = |leaf: &Scalar| {
                    let place = leaves.iter().position(|known| known == leaf).expect("all that is read is kept");
                    Scalar::column(place, &schema)
                };
                let moved = |scalar: &Scalar| scalar.replace_leaves(place);
                let rest: Vec<Scalar> =
                    filter.parts().iter().filter(|part| !group.common.contains(part)).map(moved).collect();
                let columns = columns.iter().map(|(scalar, name)| (moved(scalar), name.clone())).collect();
                Kind::Project { input: node, filter: all(&rest), columns }
            }
            kind => moved_inputs(kind, &at),
        };
        at.push(new.add(kind));
    }
    let results = results.iter().map(|&result| at[result]).collect();
    (new, results)
}

/// The rows that meet the common conditions, with all columns and nested fields that any of the group reads.
fn in_front(tree: &Tree, new: &mut Tree, group: &Group, input: Ix) -> (Ix, Vec<Scalar>) {
    let schema = Arc::clone(tree.schema(group.input));
    let mut leaves = Vec::new();
    for &reader in &group.readers {
        let Kind::Project { filter: Some(filter), columns, .. } = &tree.node(reader).kind else {
            unreachable!("a group is of projections with filters")
        };
        columns.iter().for_each(|(scalar, _)| scalar.leaves(&mut leaves));
        let rest = filter.parts().into_iter().filter(|part| !group.common.contains(part));
        rest.for_each(|part| part.leaves(&mut leaves));
    }
    if leaves.is_empty() {
        leaves.push(Scalar::column(0, &schema));
    }
    let name = |leaf: &Scalar| match leaf.as_column() {
        Some(column) => schema.field(column).name().clone(),
        None => leaf.to_string(),
    };
    let columns = leaves.iter().map(|leaf| (leaf.clone(), name(leaf))).collect();
    let node = new.add(Kind::Project { input, filter: all(&group.common), columns });
    (node, leaves)
}

/// The same operator over the moved inputs.
pub(crate) fn moved_inputs(kind: &Kind, at: &[Ix]) -> Kind {
    let mut kind = kind.clone();
    match &mut kind {
        Kind::Table { .. } => {}
        Kind::Bounds { input, .. }
        | Kind::Project { input, .. }
        | Kind::Unnest { input, .. }
        | Kind::Aggregate { input, .. }
        | Kind::TopN { input, .. }
        | Kind::Normalize { input, .. }
        | Kind::Net { input, .. } => *input = at[*input],
        Kind::DropLate { input, bounds, .. } => (*input, *bounds) = (at[*input], at[*bounds]),
        Kind::JoinBounds { bounds, .. } => *bounds = bounds.map(|bounds| at[bounds]),
        Kind::Join { left, right, bounds, .. } => {
            (*left, *right, *bounds) = (at[*left], at[*right], bounds.map(|bounds| at[bounds]));
        }
        Kind::Lookup { left, dimension, .. } => {
            (*left, *dimension) = (at[*left], at[*dimension]);
        }
        Kind::Union { inputs } => inputs.iter_mut().for_each(|input| *input = at[*input]),
    }
    kind
}
