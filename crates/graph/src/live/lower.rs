//! Relations and objects become operators that write the live graph: this connects and decides nothing.

use super::forget::TellForgotten;
use super::relate::TellNewest;
use super::{Describe, LiveGraph, NameObjects, Relate, SaveNames};
use crate::config::RelationColumns;
use crate::graph::{KindId, RelationId};
use proxima_engine::{NodeId, Route, Topology};
use std::sync::Arc;

/// A relation's stream of rows, and where its columns are.
#[derive(Clone, Debug)]
pub struct RelationInput {
    /// The relation.
    pub relation: RelationId,
    /// Its rows.
    pub rows: NodeId,
    /// Its columns.
    pub columns: RelationColumns,
    /// The columns of its attributes, in the order of the catalogue.
    pub attributes: Vec<usize>,
}

/// A stream with the attributes of a kind, which is netted by the id and on the worker that owns it.
#[derive(Clone, Debug)]
pub struct ObjectInput {
    /// The kind.
    pub kind: KindId,
    /// The rows.
    pub rows: NodeId,
    /// The column with the id's text.
    pub id: usize,
    /// The columns of the attributes, in the order of the catalogue.
    pub attributes: Vec<usize>,
}

/// Adds the operators that write a live graph. `forget` is the stream of objects to forget: the kind's name and the id's
/// text, in this order. When the nodes that are returned have ended an epoch, all of it is in the graph.
pub fn lower_live(
    topology: &mut Topology,
    graph: &Arc<LiveGraph>,
    relations: &[RelationInput],
    objects: &[ObjectInput],
    forget: Option<NodeId>,
) -> Vec<NodeId> {
    let mut givers: Vec<(KindId, NodeId)> = Vec::new();
    for input in relations {
        let relation = &graph.catalogue()[input.relation];
        let (named, related) = add_relation(topology, graph, input, forget);
        // Texts are taken back only behind what still looks for them: edges to an object go in `Relate`.
        givers.extend([(relation.object, named), (relation.object, related), (relation.subject, related)]);
    }
    givers.extend(objects.iter().map(|input| (input.kind, add_objects(topology, graph, input, forget))));
    let names = (0..).zip(&graph.catalogue().kinds).map(|(number, kind)| {
        let id = KindId(number);
        let givers = givers.iter().filter(|(kind, _)| *kind == id).map(|(_, node)| (*node, Route::Local));
        let mut given: Vec<_> = givers.collect();
        let last = forget.map(|_| given.len());
        given.extend(by_text(forget));
        let graph = Arc::clone(graph);
        topology
            .operator(format!("{}/names", kind.name), given, move || Box::new(SaveNames::new(graph.clone(), id, last)))
    });
    names.collect()
}

/// Puts out the rows of objects to forget again, when all workers have: `ends` are the nodes that [`lower_live`] gave.
pub fn lower_forgotten(topology: &mut Topology, forget: NodeId, ends: &[NodeId]) -> NodeId {
    // Nothing comes from the ends but that they have finished an epoch, on all workers.
    let ends = ends.iter().map(|&node| (node, Route::Broadcast));
    let inputs = by_text(Some(forget)).into_iter().chain(ends).collect();
    topology.operator("forgotten".to_owned(), inputs, || Box::new(TellForgotten::default()))
}

/// Objects to forget, where their key groups are.
fn by_text(forget: Option<NodeId>) -> Option<(NodeId, Route)> {
    forget.map(|rows| (rows, Route::ByKey(vec![super::forget::columns::ID])))
}

/// The nodes that give ids to objects and to subjects.
fn add_relation(
    topology: &mut Topology,
    graph: &Arc<LiveGraph>,
    input: &RelationInput,
    forget: Option<NodeId>,
) -> (NodeId, NodeId) {
    let (relation, columns, name) = (input.relation, input.columns, &graph.catalogue()[input.relation].name);
    let (attributes, held) = (input.attributes.clone(), Arc::clone(graph));
    let named = topology.operator(
        format!("{name}/objects"),
        [(input.rows, Route::ByKey(vec![columns.object]))].into_iter().chain(by_text(forget)).collect(),
        move || Box::new(NameObjects::new(held.clone(), relation, columns, attributes.clone())),
    );
    let mut inputs = vec![(named, Route::ByKey(vec![super::name::output::SUBJECT]))];
    if graph.store(relation).rules.lifetime_us.is_some() {
        let newest = topology
            .operator(format!("{name}/newest"), vec![(named, Route::Local)], || Box::new(TellNewest::default()));
        inputs.push((newest, Route::Broadcast));
    }
    inputs.extend(forget.map(|rows| (rows, Route::Broadcast)));
    let held = Arc::clone(graph);
    let related =
        topology.operator(format!("{name}/relate"), inputs, move || Box::new(Relate::new(held.clone(), relation)));
    (named, related)
}

fn add_objects(topology: &mut Topology, graph: &Arc<LiveGraph>, input: &ObjectInput, forget: Option<NodeId>) -> NodeId {
    let ObjectInput { kind, rows, id, attributes } = input.clone();
    let (name, held) = (&graph.catalogue()[kind].name, Arc::clone(graph));
    let inputs = [(rows, Route::Local)].into_iter().chain(by_text(forget)).collect();
    topology.operator(format!("{name}/describe"), inputs, move || {
        Box::new(Describe::new(held.clone(), kind, id, attributes.clone()))
    })
}
