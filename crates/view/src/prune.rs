//! Takes out of the graph what nobody reads: columns, aggregate calls, whole operators. It is built again without them.

use crate::build::nothing;
use crate::needs::{Uses, demands, uses};
use crate::scalar::{Scalar, Use};
use crate::share::share_filters;
use crate::tree::{Ix, Kind, Tree};
use crate::upsert::net_early;
use arrow::datatypes::{DataType, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// The graph with only what the results need.
pub(crate) struct Pruned {
    pub(crate) tree: Tree,
    /// The results, in the order given.
    pub(crate) results: Vec<Ix>,
    /// The columns that are left of each table that is read, by the table's number.
    pub(crate) tables: HashMap<usize, Vec<usize>>,
}

/// Builds the graph again without unused columns, then evaluates filters once that several projections share. Tables of
/// changes keep the columns that `held` names, by the table's number: their state has them.
pub(crate) fn prune(tree: &Tree, results: &[Ix], held: &HashMap<usize, Vec<usize>>) -> Pruned {
    let mut pruner = Pruner { old: tree, new: Tree::default(), places: vec![None; tree.len()], tables: HashMap::new() };
    let mut uses = uses(tree, results);
    hold(tree, held, &mut uses);
    for (ix, of_node) in uses.iter().enumerate() {
        if let Some(of_node) = of_node {
            pruner.places[ix] = Some(pruner.rebuild(ix, of_node));
        }
    }
    let at = |&result: &Ix| pruner.places[result].as_ref().expect("results are used").node;
    let placed: Vec<Ix> = results.iter().map(at).collect();
    let (tree, results) = share_filters(pruner.new, placed);
    let (tree, results) = net_early(&tree, &results);
    Pruned { tree, results, tables: pruner.tables }
}

/// Marks columns of tables of changes as used.
fn hold(tree: &Tree, held: &HashMap<usize, Vec<usize>>, uses: &mut Uses) {
    for ix in 0..tree.len() {
        let Kind::Normalize { input, .. } = tree.node(ix).kind else { continue };
        let Kind::Table { table, .. } = tree.node(input).kind else { unreachable!("only tables are normalised") };
        let (Some(columns), Some(of_table)) = (held.get(&table), &mut uses[input]) else { continue };
        columns.iter().for_each(|&column| of_table[column] = Use::All);
    }
}

/// Where a node of the old graph is in the new one, and each of its columns.
#[derive(Clone)]
struct Placed {
    node: Ix,
    columns: Vec<Option<usize>>,
}

impl Placed {
    fn column(&self, old: usize) -> usize {
        self.columns[old].expect("a used column is kept")
    }

    fn all(&self, old: &[usize]) -> Vec<usize> {
        old.iter().map(|&column| self.column(column)).collect()
    }
}

struct Pruner<'a> {
    old: &'a Tree,
    new: Tree,
    places: Vec<Option<Placed>>,
    tables: HashMap<usize, Vec<usize>>,
}

impl Pruner<'_> {
    fn placed(&self, old: Ix) -> Placed {
        self.places[old].clone().expect("inputs come before their readers, and are used by them")
    }

    /// An input of which only the columns that `needed` says are there.
    fn narrow(&mut self, old: Ix, needed: &[Use]) -> Placed {
        let placed = self.placed(old);
        let kept: Vec<usize> = (0..needed.len()).filter(|&column| needed[column].is_used()).collect();
        let schema = Arc::clone(self.new.schema(placed.node));
        let same = kept.len() == schema.fields().len()
            && kept.iter().enumerate().all(|(place, &column)| placed.columns[column] == Some(place));
        if same || kept.is_empty() {
            return placed;
        }
        let column = |&old: &usize| {
            let at = placed.column(old);
            (Scalar::column(at, &schema), schema.field(at).name().clone())
        };
        let columns = kept.iter().map(column).collect();
        let node = self.new.add(Kind::Project { input: placed.node, filter: None, columns });
        Placed { node, columns: numbered(needed.len(), &kept) }
    }

    fn rebuild(&mut self, ix: Ix, of_node: &[Use]) -> Placed {
        let demands: HashMap<Ix, Vec<Use>> = demands(self.old, ix, of_node).into_iter().collect();
        let kind = self.old.node(ix).kind.clone();
        let kept: Vec<usize> = (0..of_node.len()).filter(|&column| of_node[column].is_used()).collect();
        match kind {
            Kind::Table { table, schema, key, append_only } => self.table((table, append_only), &schema, &key, kept),
            Kind::Normalize { input, key } => {
                let input = self.placed(input);
                let node = self.new.add(Kind::Normalize { input: input.node, key: input.all(&key) });
                Placed { node, columns: input.columns }
            }
            Kind::Bounds { input, time, lifetime_us } => {
                let input = self.placed(input);
                let time = input.column(time);
                let node = self.new.add(Kind::Bounds { input: input.node, time, lifetime_us });
                Placed { node, columns: vec![Some(0)] }
            }
            Kind::DropLate { input, bounds, time } => {
                let (input, bounds) = (self.placed(input), self.placed(bounds));
                let time = input.column(time);
                let node = self.new.add(Kind::DropLate { input: input.node, bounds: bounds.node, time });
                Placed { node, columns: input.columns }
            }
            Kind::Project { input, filter, columns } => self.project(input, filter.as_ref(), &columns, kept),
            Kind::Unnest { input, column, outer } => {
                let input = self.placed(input);
                let column = input.column(column);
                let node = self.new.add(Kind::Unnest { input: input.node, column, outer });
                Placed { node, columns: input.columns }
            }
            Kind::Aggregate { input, keys, calls, upserts } => {
                let input = self.placed(input);
                let used: Vec<usize> = (0..calls.len()).filter(|call| of_node[keys.len() + call].is_used()).collect();
                let mut left = Vec::new();
                for &call in &used {
                    let mut call = calls[call].clone();
                    call.argument = call.argument.map(|column| input.column(column));
                    call.filter = call.filter.map(|column| input.column(column));
                    left.push(call);
                }
                let node =
                    self.new.add(Kind::Aggregate { input: input.node, keys: input.all(&keys), calls: left, upserts });
                let kept: Vec<usize> = (0..keys.len()).chain(used.iter().map(|call| keys.len() + call)).collect();
                Placed { node, columns: numbered(of_node.len(), &kept) }
            }
            Kind::TopN { input, partition, mut order, limit, row_number } => {
                let input = self.narrow(input, &demands[&input]);
                order.iter_mut().for_each(|order| order.column = input.column(order.column));
                let numbered = row_number.is_some();
                let row_number = row_number.filter(|_| of_node.last().is_some_and(Use::is_used));
                let number = row_number.as_ref().map(|_| self.new.schema(input.node).fields().len());
                let partition = input.all(&partition);
                let node = self.new.add(Kind::TopN { input: input.node, partition, order, limit, row_number });
                let mut columns = input.columns;
                columns.extend(numbered.then_some(number));
                Placed { node, columns }
            }
            Kind::JoinBounds { bounds, back_us } => {
                let bounds = bounds.map(|bounds| self.placed(bounds).node);
                Placed { node: self.new.add(Kind::JoinBounds { bounds, back_us }), columns: vec![Some(0)] }
            }
            Kind::Join { left, right, left_keys, right_keys, kind, bounds } => {
                let (of_left, of_right) = both(self.old, ix, of_node, left, right);
                let (left, right) = (self.narrow(left, &of_left), self.narrow(right, &of_right));
                let (left_keys, right_keys) = (left.all(&left_keys), right.all(&right_keys));
                let bounds = bounds.map(|bounds| self.placed(bounds).node);
                let (of_left, of_right) = (left.node, right.node);
                let join = Kind::Join { left: of_left, right: of_right, left_keys, right_keys, kind, bounds };
                let node = self.new.add(join);
                self.beside(node, left, right)
            }
            Kind::Lookup { left, dimension, left_keys, dimension_keys, outer } => {
                let (of_left, of_dimension) = both(self.old, ix, of_node, left, dimension);
                let (left, dimension) = (self.narrow(left, &of_left), self.narrow(dimension, &of_dimension));
                let (left_keys, dimension_keys) = (left.all(&left_keys), dimension.all(&dimension_keys));
                let node = self.new.add(Kind::Lookup {
                    left: left.node,
                    dimension: dimension.node,
                    left_keys,
                    dimension_keys,
                    outer,
                });
                self.beside(node, left, dimension)
            }
            Kind::Union { inputs } => {
                let inputs = inputs.iter().map(|&input| self.narrow(input, of_node).node).collect();
                let node = self.new.add(Kind::Union { inputs });
                Placed { node, columns: numbered(of_node.len(), &kept) }
            }
            Kind::Net { input, key, trusted } => {
                let input = self.placed(input);
                let node = self.new.add(Kind::Net { input: input.node, key: input.all(&key), trusted });
                Placed { node, columns: input.columns }
            }
        }
    }

    /// A table keeps at least one column, or its rows could not be counted.
    fn table(
        &mut self,
        (table, append_only): (usize, bool),
        schema: &Schema,
        key: &[usize],
        mut kept: Vec<usize>,
    ) -> Placed {
        if kept.is_empty() {
            let is_text = |field: &Arc<arrow::datatypes::Field>| *field.data_type() == DataType::Utf8View;
            kept.push(schema.fields().iter().position(is_text).unwrap_or(0));
        }
        let columns = numbered(schema.fields().len(), &kept);
        let key: Option<Vec<usize>> = key.iter().map(|&column| columns[column]).collect();
        let schema = Arc::new(schema.project(&kept).expect("kept columns are columns of the table"));
        let node = self.new.add(Kind::Table { table, schema, key: key.unwrap_or_default(), append_only });
        self.tables.insert(table, kept);
        Placed { node, columns }
    }

    fn project(
        &mut self,
        input: Ix,
        filter: Option<&Scalar>,
        columns: &[(Scalar, String)],
        kept: Vec<usize>,
    ) -> Placed {
        let input = self.placed(input);
        let schema = Arc::clone(self.new.schema(input.node));
        let moved = |scalar: &Scalar| scalar.replace(|column| Scalar::column(input.column(column), &schema));
        let filter = filter.map(moved);
        let mut projected: Vec<_> =
            kept.iter().map(|&column| (moved(&columns[column].0), columns[column].1.clone())).collect();
        let places = numbered(columns.len(), &kept);
        if projected.is_empty() {
            projected.push(nothing());
        }
        let unchanged = projected.len() == schema.fields().len()
            && projected
                .iter()
                .enumerate()
                .all(|(place, (scalar, name))| scalar.as_column() == Some(place) && schema.field(place).name() == name);
        if unchanged && filter.is_none() && schema.fields().iter().all(|field| field.is_nullable()) {
            return Placed { node: input.node, columns: places };
        }
        let node = self.new.add(Kind::Project { input: input.node, filter, columns: projected });
        Placed { node, columns: places }
    }

    /// The columns of two inputs beside each other.
    fn beside(&self, node: Ix, left: Placed, right: Placed) -> Placed {
        let width = self.new.schema(left.node).fields().len();
        let shifted = right.columns.into_iter().map(|column| column.map(|column| column + width));
        Placed { node, columns: left.columns.into_iter().chain(shifted).collect() }
    }
}

/// What a node with two inputs, which may be one and the same, needs of each.
fn both(tree: &Tree, ix: Ix, of_node: &[Use], left: Ix, right: Ix) -> (Vec<Use>, Vec<Use>) {
    let mut demands = demands(tree, ix, of_node).into_iter();
    let mut next = |input: Ix| match demands.next() {
        Some((at, uses)) if at == input => uses,
        _ => unreachable!("a node's demands are in the order of its inputs"),
    };
    (next(left), next(right))
}

/// The new number of each of `width` old columns, when only `kept` are left.
fn numbered(width: usize, kept: &[usize]) -> Vec<Option<usize>> {
    (0..width).map(|column| kept.iter().position(|&kept| kept == column)).collect()
}
