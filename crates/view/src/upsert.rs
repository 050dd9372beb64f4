//! Where a target is the groups of one aggregate, the aggregate itself puts out what the target takes.
//!
//! A target wants at most one change for each key in an epoch. An aggregate knows each group's new row, so it need not
//! put out the old one only for a netting step to find the two again: that step is left out.

use crate::scalar::Scalar;
use crate::share::moved_inputs;
use crate::tree::{Ix, Kind, Tree};
use std::collections::HashSet;

/// Leaves out netting where the aggregate below can do it.
pub(crate) fn net_early(tree: &Tree, results: &[Ix]) -> (Tree, Vec<Ix>) {
    let readers = readers(tree, results);
    let netted: Vec<(Ix, Ix)> =
        (0..tree.len()).filter_map(|net| aggregate_below(tree, &readers, net).map(|below| (net, below))).collect();
    let aggregates: HashSet<Ix> = netted.iter().map(|(_, aggregate)| *aggregate).collect();
    let mut new = Tree::default();
    let mut at: Vec<Ix> = Vec::new();
    for ix in 0..tree.len() {
        let mut kind = moved_inputs(&tree.node(ix).kind, &at);
        if let (Kind::Net { input, .. }, true) = (&kind, netted.iter().any(|(net, _)| *net == ix)) {
            at.push(*input);
            continue;
        }
        if let Kind::Aggregate { upserts, .. } = &mut kind {
            *upserts = aggregates.contains(&ix);
        }
        at.push(new.add(kind));
    }
    (new, results.iter().map(|&result| at[result]).collect())
}

/// How many read each node.
pub(crate) fn readers(tree: &Tree, results: &[Ix]) -> Vec<usize> {
    let mut readers = vec![0; tree.len()];
    (0..tree.len()).flat_map(|ix| tree.node(ix).kind.inputs()).for_each(|input| readers[input] += 1);
    results.iter().for_each(|&result| readers[result] += 1);
    readers
}

/// The aggregate whose groups are the rows of a target, if nobody else reads it and nothing on the way computes: an
/// expression that failed on a new row would leave the old one standing.
fn aggregate_below(tree: &Tree, readers: &[usize], net: Ix) -> Option<Ix> {
    let Kind::Net { input, key, .. } = &tree.node(net).kind else { return None };
    let (mut ix, mut key) = (*input, key.clone());
    loop {
        match &tree.node(ix).kind {
            _ if readers[ix] != 1 => return None,
            Kind::Project { input, filter: None, columns } if columns.iter().all(|(scalar, _)| is_plain(scalar)) => {
                key = key.iter().map(|&column| columns[column].0.as_column()).collect::<Option<_>>()?;
                ix = *input;
            }
            Kind::Aggregate { keys, .. } => {
                let whole = !keys.is_empty() && key.len() == keys.len() && (0..keys.len()).all(|at| key.contains(&at));
                return whole.then_some(ix);
            }
            _ => return None,
        }
    }
}

fn is_plain(scalar: &Scalar) -> bool {
    scalar.as_column().is_some() || scalar.as_literal().is_some()
}
