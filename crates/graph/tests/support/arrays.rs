//! A graph of arrays, as fast as one can be read: what a path costs over it is what evaluating costs.
#![allow(dead_code, clippy::unwrap_used)]

use proxima_graph::graph::NO_TIME;
use proxima_graph::{
    Catalogue, Direction, Edge, EdgeRow, Gather, Graph, Kind, KindId, ObjectId, Relation, RelationId, Value,
};
use std::collections::HashMap;
use std::sync::Arc;

/// An edge: the other end, weight and time.
pub(crate) type Arrow = (u32, i64, i64);

/// Edges by object, both ways, and the texts of ids.
#[derive(Default)]
pub(crate) struct ArrayGraph {
    pub(crate) catalogue: Catalogue,
    texts: Vec<Vec<Arc<str>>>,
    ids: Vec<HashMap<Arc<str>, u32>>,
    pub(crate) forward: Vec<Vec<Vec<Arrow>>>,
    pub(crate) reverse: Vec<Vec<Vec<Arrow>>>,
    norms: Vec<[Vec<i128>; 2]>,
    newest_us: Vec<i64>,
}

impl ArrayGraph {
    /// Kinds, and relations as (name, subject, object, whether they have times).
    pub(crate) fn new(kinds: &[&str], relations: &[(&str, u16, u16, bool)]) -> Self {
        let kind = |name: &&str| Kind { name: (*name).to_owned(), attributes: Vec::new() };
        let relation = |&(name, subject, object, timed): &(&str, u16, u16, bool)| {
            let (subject, object) = (KindId(subject), KindId(object));
            Relation { name: name.to_owned(), subject, object, timed, attributes: Vec::new() }
        };
        let catalogue =
            Catalogue { kinds: kinds.iter().map(kind).collect(), relations: relations.iter().map(relation).collect() };
        Self {
            catalogue,
            texts: vec![Vec::new(); kinds.len()],
            ids: vec![HashMap::new(); kinds.len()],
            forward: vec![Vec::new(); relations.len()],
            reverse: vec![Vec::new(); relations.len()],
            norms: vec![Default::default(); relations.len()],
            newest_us: vec![NO_TIME; relations.len()],
        }
    }

    /// The id of a text, new if need be.
    pub(crate) fn intern(&mut self, kind: u16, text: &str) -> u32 {
        let kind = usize::from(kind);
        if let Some(&id) = self.ids[kind].get(text) {
            return id;
        }
        let (id, text) = (self.texts[kind].len() as u32, Arc::<str>::from(text));
        self.texts[kind].push(Arc::clone(&text));
        self.ids[kind].insert(text, id);
        id
    }

    /// Adds an edge; one that is there gets this time.
    pub(crate) fn relate(&mut self, relation: u16, subject: u32, object: u32, time_us: i64) {
        let place = usize::from(relation);
        self.newest_us[place] = self.newest_us[place].max(time_us);
        for (arrows, from, to, way) in
            [(&mut self.forward[place], subject, object, 0), (&mut self.reverse[place], object, subject, 1)]
        {
            let from = from as usize;
            if arrows.len() <= from {
                arrows.resize(from + 1, Vec::new());
            }
            let norms = &mut self.norms[place][way];
            norms.resize(norms.len().max(from + 1), 0);
            match arrows[from].iter_mut().find(|arrow| arrow.0 == to) {
                Some(arrow) => arrow.2 = time_us,
                None => {
                    arrows[from].push((to, 1, time_us));
                    norms[from] += 1;
                }
            }
        }
    }

    fn arrows(&self, relation: RelationId, direction: Direction, id: ObjectId) -> &[Arrow] {
        let all = match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        };
        all[usize::from(relation.0)].get(id.0 as usize).map_or(&[], Vec::as_slice)
    }
}

impl Graph for ArrayGraph {
    fn id(&self, kind: KindId, name: &str) -> Option<ObjectId> {
        self.ids[usize::from(kind.0)].get(name).map(|&id| ObjectId(id))
    }

    fn name(&self, kind: KindId, id: ObjectId) -> Option<Arc<str>> {
        self.texts[usize::from(kind.0)].get(id.0 as usize).cloned()
    }

    fn compare_names(&self, kind: KindId, left: ObjectId, right: ObjectId) -> std::cmp::Ordering {
        let texts = &self.texts[usize::from(kind.0)];
        texts[left.0 as usize].cmp(&texts[right.0 as usize])
    }

    fn edges(&self, relation: RelationId, direction: Direction, id: ObjectId, edges: &mut Vec<Edge>) {
        let edge = |&(other, weight, time_us): &Arrow| Edge {
            other: ObjectId(other),
            weight,
            time_us,
            row: EdgeRow::default(),
        };
        edges.extend(self.arrows(relation, direction, id).iter().map(edge));
    }

    fn gather(&self, relation: RelationId, direction: Direction, id: ObjectId, gather: &mut Gather) {
        let arrows = self.arrows(relation, direction, id);
        gather.extend(arrows.iter().map(|&(other, weight, _)| (ObjectId(other), weight)));
    }

    fn newest_us(&self, relation: RelationId) -> i64 {
        self.newest_us[usize::from(relation.0)]
    }

    fn attribute(&self, _kind: KindId, _id: ObjectId, _attribute: usize) -> Value {
        Value::Null
    }

    fn edge_attribute(&self, _relation: RelationId, _row: EdgeRow, _attribute: usize) -> Value {
        Value::Null
    }

    fn objects(&self, kind: KindId) -> Vec<ObjectId> {
        (0..self.texts[usize::from(kind.0)].len() as u32).map(ObjectId).collect()
    }

    fn population(&self, kind: KindId) -> u64 {
        self.texts[usize::from(kind.0)].len() as u64
    }

    fn degree(&self, relation: RelationId, direction: Direction, id: ObjectId) -> u64 {
        self.arrows(relation, direction, id).len() as u64
    }

    fn norm2(&self, relation: RelationId, direction: Direction, id: ObjectId) -> i128 {
        let way = usize::from(direction == Direction::Reverse);
        self.norms[usize::from(relation.0)][way].get(id.0 as usize).copied().unwrap_or(0)
    }
}
