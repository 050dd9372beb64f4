//! What a path is evaluated over: typed objects with dense ids, and relations between them that can be walked both ways.

use crate::gather::Gather;
use proxima_event::KeyGroup;
use std::cmp::Ordering;
use std::collections::HashMap;

/// A kind of objects, by its place among the job's kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindId(pub u16);

/// A relation, by its place among the job's relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId(pub u16);

/// An object, dense within its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

impl ObjectId {
    /// The key group that the object's text belongs to, in a [`LiveGraph`](crate::LiveGraph).
    #[must_use]
    pub fn key_group(self) -> KeyGroup {
        crate::live::group_of(self.0)
    }
}

/// Which way a relation is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From subject to object.
    Forward,
    /// From object to subject.
    Reverse,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn back(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

/// One row of a relation, seen from one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The object at the other end.
    pub other: ObjectId,
    /// The row's weight; 1 where the relation has none.
    pub weight: i64,
    /// The row's event time in microseconds since 1970; [`NO_TIME`] where the relation has none.
    pub time_us: i64,
    /// Where the row's attributes are, for [`Graph::edge_attribute`].
    pub row: EdgeRow,
}

/// The time of edges of a relation without times.
pub const NO_TIME: i64 = i64::MIN;

/// A row of a relation: names its attributes while the graph is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeRow {
    /// The shard that holds it.
    pub shard: u16,
    /// Its place there.
    pub place: u32,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not known.
    Null,
    /// Yes or no.
    Bool(bool),
    /// An integer, or a time in microseconds since 1970.
    Int(i64),
    /// A float, or a decimal as the nearest one.
    Float(f64),
    /// A text.
    Text(std::sync::Arc<str>),
}

/// Counts what has happened to a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Changes of any kind.
    pub changes: u64,
    /// Objects that were forgotten, about.
    pub forgotten: u64,
}

/// A graph that paths are evaluated over. The same object may be reached by several edges of one relation.
///
/// All answers given while one `&self` is held need not be of one moment: other threads may write between two calls.
pub trait Graph {
    /// The id of an object's text, if any relation or attribute has named it.
    fn id(&self, kind: KindId, name: &str) -> Option<ObjectId>;

    /// The text of an id.
    fn name(&self, kind: KindId, id: ObjectId) -> Option<std::sync::Arc<str>>;

    /// The order of the texts of two ids of a kind; an id without a text comes first.
    fn compare_names(&self, kind: KindId, left: ObjectId, right: ObjectId) -> Ordering {
        if left == right { Ordering::Equal } else { self.name(kind, left).cmp(&self.name(kind, right)) }
    }

    /// Appends the edges of an object, in no particular order.
    fn edges(&self, relation: RelationId, direction: Direction, id: ObjectId, edges: &mut Vec<Edge>);

    /// Hands the edges of an object over to be added up. The same as [`Graph::edges`], for graphs that need no list to do so.
    fn gather(&self, relation: RelationId, direction: Direction, id: ObjectId, gather: &mut Gather) {
        gather.extend_listed(|edges| self.edges(relation, direction, id, edges));
    }

    /// Rises behind every change of what the other functions answer; `None` where nobody counts. What was read since it
    /// was asked for, while it stayed as it was, has not changed.
    fn version(&self) -> Option<Version> {
        None
    }

    /// The newest event time in a relation, in microseconds since 1970; [`NO_TIME`] where it has none.
    fn newest_us(&self, relation: RelationId) -> i64;

    /// An attribute of an object, by its place among the kind's attributes.
    fn attribute(&self, kind: KindId, id: ObjectId, attribute: usize) -> Value;

    /// Appends an attribute of objects, as [`Graph::attribute`] gives them one by one.
    fn attributes(&self, kind: KindId, ids: &[ObjectId], attribute: usize, values: &mut Vec<Value>) {
        values.extend(ids.iter().map(|&id| self.attribute(kind, id, attribute)));
    }

    /// An attribute of an edge, by its place among the relation's attributes.
    fn edge_attribute(&self, relation: RelationId, row: EdgeRow, attribute: usize) -> Value;

    /// All ids of a kind that any edge or attribute row names now, by rising id.
    fn objects(&self, kind: KindId) -> Vec<ObjectId>;

    /// How many ids of a kind any edge or attribute row names now.
    fn population(&self, kind: KindId) -> u64 {
        self.objects(kind).len() as u64
    }

    /// How many different objects an object is related to with a sum of weights that is not zero.
    fn degree(&self, relation: RelationId, direction: Direction, id: ObjectId) -> u64 {
        merged(self, relation, direction, id).len() as u64
    }

    /// Appends the degrees of objects, as [`Graph::degree`] gives them one by one.
    fn degrees(&self, relation: RelationId, direction: Direction, ids: &[ObjectId], degrees: &mut Vec<u64>) {
        degrees.extend(ids.iter().map(|&id| self.degree(relation, direction, id)));
    }

    /// The sum of the squares of an object's weights, those to the same object added first.
    fn norm2(&self, relation: RelationId, direction: Direction, id: ObjectId) -> i128 {
        merged(self, relation, direction, id).values().map(|&weight| i128::from(weight) * i128::from(weight)).sum()
    }

    /// Appends, for every object that is reached from `id` by a walk there and back over one relation, the sum over the
    /// objects in the middle of the products of both weights, those to the same object added first; `id` itself too.
    /// Gives false, and appends nothing, when the graph keeps no sums for this object: then they must be gathered. No sum is
    /// kept with a product above 2^54, which paths round.
    fn pair_sums(
        &self,
        _relation: RelationId,
        _direction: Direction,
        _id: ObjectId,
        _sums: &mut Vec<(ObjectId, i128)>,
    ) -> bool {
        false
    }

    /// As [`Graph::pair_sums`], how many objects in the middle are related to both with sums of weights that are not zero.
    fn pair_counts(
        &self,
        _relation: RelationId,
        _direction: Direction,
        _id: ObjectId,
        _counts: &mut Vec<PairCount>,
    ) -> bool {
        false
    }

    /// Appends those of [`Graph::pair_sums`] that may be among the `n` with the highest cosines, and others, but not `id`
    /// itself. Which ones may follows from scores being rounded to units of 2^-40 and from ties being broken by texts.
    /// Gives false, and appends nothing, where the graph has no quicker way than to give all sums.
    fn best_pairs(
        &self,
        _relation: RelationId,
        _direction: Direction,
        _id: ObjectId,
        _n: usize,
        _pairs: &mut Vec<Pair>,
    ) -> bool {
        false
    }
}

/// An object that is related to the same objects as another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The object.
    pub object: ObjectId,
    /// The sum of the products of both weights over the objects in the middle.
    pub sum: i64,
    /// The sum of the squares of its weights, as [`Graph::norm2`] has it.
    pub norm2: i64,
}

/// An object that is related to the same objects as another one: how many these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairCount {
    /// The object.
    pub object: ObjectId,
    /// How many objects in the middle there are.
    pub count: u64,
    /// To how many objects it is related, as [`Graph::degree`] has it.
    pub degree: u64,
}

fn merged<G: Graph + ?Sized>(
    graph: &G,
    relation: RelationId,
    direction: Direction,
    id: ObjectId,
) -> HashMap<ObjectId, i64> {
    let mut edges = Vec::new();
    graph.edges(relation, direction, id, &mut edges);
    let mut weights = HashMap::new();
    for edge in edges {
        *weights.entry(edge.other).or_insert(0) += edge.weight;
    }
    weights.retain(|_, weight| *weight != 0);
    weights
}
