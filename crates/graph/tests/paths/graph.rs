//! A graph of texts: a list of rows, looked through from end to end for each question.

use proxima_graph::{
    Attribute, AttributeKind, Catalogue, Direction, Edge, EdgeRow, Graph, Kind, KindId, ObjectId, PairCount, Relation,
    RelationId, Value, graph::NO_TIME,
};
use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const USER: KindId = KindId(0);
pub(crate) const ITEM: KindId = KindId(1);
pub(crate) const TAG: KindId = KindId(2);

/// Three kinds, and relations of all sorts between them.
pub(crate) fn catalogue() -> Catalogue {
    let kind = |name: &str| Kind { name: name.into(), attributes: Vec::new() };
    let attribute = |name: &str, kind| Attribute { name: name.into(), kind };
    let relation = |name: &str, subject, object, timed, attributes| Relation {
        name: name.into(),
        subject,
        object,
        timed,
        attributes,
    };
    let action = vec![attribute("action", AttributeKind::Text), attribute("stars", AttributeKind::Int)];
    Catalogue {
        kinds: vec![kind("user"), kind("item"), kind("tag")],
        relations: vec![
            relation("viewed", USER, ITEM, true, action),
            relation("liked", USER, ITEM, false, vec![attribute("often", AttributeKind::Bool)]),
            relation("has", ITEM, TAG, false, Vec::new()),
            relation("follows", USER, USER, true, Vec::new()),
        ],
    }
}

/// A row of a relation.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) relation: RelationId,
    pub(crate) subject: String,
    pub(crate) object: String,
    pub(crate) weight: i64,
    pub(crate) time_us: i64,
    pub(crate) attributes: Vec<Value>,
}

impl Row {
    /// The texts at the beginning and at the end of a walk.
    pub(crate) fn ends(&self, direction: Direction) -> (&str, &str) {
        match direction {
            Direction::Forward => (&self.subject, &self.object),
            Direction::Reverse => (&self.object, &self.subject),
        }
    }
}

/// Rows, and ids for the texts in them.
#[derive(Clone, Debug)]
pub(crate) struct TextGraph {
    pub(crate) catalogue: Catalogue,
    pub(crate) rows: Vec<Row>,
    /// The newest time of each relation, where that is of a row that has gone.
    pub(crate) newest_us: Vec<i64>,
    ids: BTreeMap<(KindId, String), ObjectId>,
    texts: BTreeMap<(KindId, ObjectId), Arc<str>>,
    /// Whether it keeps sums, for every second object.
    pub(crate) keep_sums: bool,
}

impl TextGraph {
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let catalogue = catalogue();
        let sizes = [rng.random_range(2..12), rng.random_range(2..12), rng.random_range(1..5)];
        let mut rows = Vec::new();
        for (number, relation) in (0..).zip(&catalogue.relations) {
            let text = |kind: KindId, rng: &mut _| {
                let name = &catalogue[kind].name;
                format!("{name}{}", RngExt::random_range(rng, 0..sizes[kind.0 as usize]))
            };
            let mut seen = BTreeSet::new();
            for _ in 0..rng.random_range(0..60) {
                let row = Row {
                    relation: RelationId(number),
                    subject: text(relation.subject, rng),
                    object: text(relation.object, rng),
                    weight: if rng.random_bool(0.9) { rng.random_range(1..4) } else { rng.random_range(-2..9) },
                    time_us: if relation.timed { rng.random_range(0..20) * 600_000_000 } else { NO_TIME },
                    attributes: relation.attributes.iter().map(|attribute| value(attribute.kind, rng)).collect(),
                };
                let given = format!("{} {} {:?}", row.subject, row.object, row.attributes);
                if relation.timed || (seen.insert(given) && row.weight != 0) {
                    rows.push(row);
                }
            }
        }
        Self::new(catalogue, rows, rng)
    }

    pub(crate) fn new(catalogue: Catalogue, rows: Vec<Row>, rng: &mut impl Rng) -> Self {
        let (newest_us, ids, texts) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut graph = Self { catalogue, rows, newest_us, ids, texts, keep_sums: false };
        for kind in (0..).map(KindId).take(graph.catalogue.kinds.len()) {
            let mut names = graph.names(kind);
            shuffle(&mut names, rng);
            let ids = (0_u32..).map(|number| ObjectId(number * 3 + 1));
            for (name, id) in names.into_iter().zip(ids) {
                graph.texts.insert((kind, id), name.as_str().into());
                graph.ids.insert((kind, name), id);
            }
        }
        graph
    }

    /// The same rows in another order, under other ids.
    pub(crate) fn shuffled(&self, rng: &mut impl Rng) -> Self {
        let mut rows = self.rows.clone();
        shuffle(&mut rows, rng);
        Self::new(self.catalogue.clone(), rows, rng)
    }

    /// The texts of a kind that some row names.
    pub(crate) fn names(&self, kind: KindId) -> Vec<String> {
        let mut names = BTreeSet::new();
        for row in &self.rows {
            let relation = &self.catalogue[row.relation];
            let ends = [(relation.subject, &row.subject), (relation.object, &row.object)];
            names.extend(ends.into_iter().filter(|(end, _)| *end == kind).map(|(_, name)| name.clone()));
        }
        names.into_iter().collect()
    }
}

impl TextGraph {
    /// The sums of weights, not zero, to other objects.
    fn weights(&self, relation: RelationId, direction: Direction, id: ObjectId) -> BTreeMap<ObjectId, i128> {
        let (mut edges, mut weights) = (Vec::new(), BTreeMap::<_, i128>::new());
        self.edges(relation, direction, id, &mut edges);
        edges.iter().for_each(|edge| *weights.entry(edge.other).or_default() += i128::from(edge.weight));
        weights.retain(|_, weight| *weight != 0);
        weights
    }

    /// The objects in the middle, with the weights there and those back.
    fn middles(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
    ) -> impl Iterator<Item = (i128, BTreeMap<ObjectId, i128>)> {
        let there = self.weights(relation, direction, id);
        there.into_iter().map(move |(middle, there)| (there, self.weights(relation, direction.back(), middle)))
    }
}

fn value(kind: AttributeKind, rng: &mut impl Rng) -> Value {
    if rng.random_bool(0.1) {
        return Value::Null;
    }
    match kind {
        AttributeKind::Text => Value::Text(["view", "cart", "buy"][rng.random_range(0..3)].into()),
        AttributeKind::Int | AttributeKind::Time => Value::Int(rng.random_range(1..4)),
        AttributeKind::Bool => Value::Bool(rng.random_bool(0.5)),
        AttributeKind::Float => Value::Float(rng.random_range(0.0..1.0)),
    }
}

fn shuffle<T>(list: &mut [T], rng: &mut impl Rng) {
    for last in (1..list.len()).rev() {
        list.swap(last, rng.random_range(0..=last));
    }
}

impl Graph for TextGraph {
    fn id(&self, kind: KindId, name: &str) -> Option<ObjectId> {
        self.ids.get(&(kind, name.to_owned())).copied()
    }

    fn name(&self, kind: KindId, id: ObjectId) -> Option<Arc<str>> {
        self.texts.get(&(kind, id)).cloned()
    }

    fn edges(&self, relation: RelationId, direction: Direction, id: ObjectId, edges: &mut Vec<Edge>) {
        let (from, to) = self.catalogue[relation].ends(direction);
        let Some(start) = self.name(from, id) else { return };
        for (place, row) in (0..).zip(&self.rows) {
            let (begin, end) = row.ends(direction);
            if row.relation == relation && begin == &*start {
                let other = self.ids[&(to, end.to_owned())];
                let row = EdgeRow { shard: 0, place };
                edges.push(Edge {
                    other,
                    weight: self.rows[place as usize].weight,
                    time_us: self.rows[place as usize].time_us,
                    row,
                });
            }
        }
    }

    fn newest_us(&self, relation: RelationId) -> i64 {
        let there = self.rows.iter().filter(|row| row.relation == relation).map(|row| row.time_us);
        there.chain(self.newest_us.get(usize::from(relation.0)).copied()).max().unwrap_or(NO_TIME)
    }

    fn attribute(&self, _kind: KindId, _id: ObjectId, _attribute: usize) -> Value {
        Value::Null
    }

    fn edge_attribute(&self, relation: RelationId, row: EdgeRow, attribute: usize) -> Value {
        let row = &self.rows[row.place as usize];
        assert_eq!(row.relation, relation);
        row.attributes[attribute].clone()
    }

    fn objects(&self, kind: KindId) -> Vec<ObjectId> {
        let mut ids: Vec<ObjectId> = self.names(kind).into_iter().map(|name| self.ids[&(kind, name)]).collect();
        ids.sort_unstable();
        ids
    }

    fn pair_sums(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        sums: &mut Vec<(ObjectId, i128)>,
    ) -> bool {
        if !self.keep_sums || id.0.is_multiple_of(2) {
            return false;
        }
        let mut all: BTreeMap<ObjectId, i128> = BTreeMap::new();
        for (there, ends) in self.middles(relation, direction, id) {
            ends.into_iter().for_each(|(end, back)| *all.entry(end).or_default() += there * back);
        }
        sums.extend(all);
        true
    }

    fn pair_counts(
        &self,
        relation: RelationId,
        direction: Direction,
        id: ObjectId,
        counts: &mut Vec<PairCount>,
    ) -> bool {
        if !self.keep_sums || id.0.is_multiple_of(2) {
            return false;
        }
        let mut all: BTreeMap<ObjectId, u64> = BTreeMap::new();
        for (_, ends) in self.middles(relation, direction, id) {
            ends.into_keys().for_each(|end| *all.entry(end).or_default() += 1);
        }
        let degree = |object| self.degree(relation, direction, object);
        counts.extend(all.into_iter().map(|(object, count)| PairCount { object, count, degree: degree(object) }));
        true
    }
}
