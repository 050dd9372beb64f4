//! A path and its objects inside the engine: the same lists as from the definition, on 1, 2 and 4 workers.
#![allow(clippy::unwrap_used)]

mod support;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use proxima_engine::{EpochConfig, Route, RunConfig, SinkNode, SourceNode, Topology, run};
use proxima_event::{
    Changes, Chunk, Intake, PartitionId, Payload, Position, Sink, SinkError, Source, SourceError, Version,
};
use proxima_graph::{
    Attribute, AttributeKind, Catalogue, Graph, Kind, KindId, LiveGraph, Merger, ObjectInput, ObjectSpec, PathConfig,
    PathReader, PathSpec, RelationInput, RelationRules, Union, Value, lower, lower_live, lower_objects, object_table,
    path_table,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use support::live::{
    ITEMS, Row, Shape, USERS, VIEWED, assert_graph, assert_graph_but_newest, batch, catalogue, columns, random_rows,
};
use support::naive::{COLUMNS, assert_equal, random_stream, reader};
use support::{MemoryStore, relation};

/// Offers batches, each as one chunk.
struct Batches {
    name: &'static str,
    batches: Vec<Changes>,
}

impl Source for Batches {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let partition = Arc::new(PartitionId { source: self.name.into(), name: "0".into() });
        intake.open(Position { partition: Arc::clone(&partition), identity: String::new(), offset: 0 });
        for (index, changes) in self.batches.into_iter().enumerate() {
            let (start, end, records) = (index as u64, index as u64 + 1, changes.len());
            let payload = Payload::Changes(changes);
            let chunk = Chunk { partition: Arc::clone(&partition), start, end, records, order: 0, payload };
            if intake.offer(chunk).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Writes one table of the store.
struct Table {
    store: Arc<MemoryStore>,
    table: String,
}

impl Sink for Table {
    fn write(&mut self, _version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        changes.iter().for_each(|changes| self.store.write(&self.table, changes));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn source(topology: &mut Topology, name: &'static str, batches: Vec<Changes>) -> proxima_engine::NodeId {
    let node = SourceNode { name: name.into(), source: Box::new(Batches { name, batches }), dimension: false };
    let source = topology.source(node);
    topology.table(name, source, None)
}

fn sink(topology: &mut Topology, input: proxima_engine::NodeId, store: &Arc<MemoryStore>, table: String) {
    let sink = Table { store: Arc::clone(store), table: table.clone() };
    topology.sink(SinkNode { name: table, input, sink: Box::new(sink) });
}

fn run_to_end(topology: Topology, workers: usize, records: usize) {
    let epochs = EpochConfig { records, ..EpochConfig::default() };
    run(topology, RunConfig { workers, epochs, ..RunConfig::default() }).unwrap().wait().unwrap();
}

#[test]
fn a_path_in_the_engine_equals_its_definition() {
    for (seed, workers, records) in [(1, 1, 7), (2, 2, 100_000), (3, 2, 50), (4, 4, 20), (5, 4, 1)] {
        let rows = random_stream(&mut ChaCha8Rng::seed_from_u64(seed));
        let store = Arc::new(MemoryStore::default());
        let mut topology = Topology::new();
        let bought = source(&mut topology, "bought", rows.chunks(13).map(relation).collect());
        let path = PathSpec { name: "p".into(), columns: COLUMNS, publish_epochs: 3, hot_above: 2 };
        let results = lower(&mut topology, &path, bought);
        sink(&mut topology, results, &store, path_table("p"));
        run_to_end(topology, workers, records);
        let case = format!("seed {seed}, {workers} workers");
        assert_equal(&reader(&store, Merger::Cosine), &rows, Merger::Cosine, &case);
    }
}

#[test]
fn objects_bring_their_attributes() {
    let column = |values: [&str; 2]| Arc::new(StringViewArray::from_iter_values(values)) as ArrayRef;
    let products = [("id", column(["a", "b"])), ("description", column(["WHITE HEART", "RED CLOCK"]))];
    let products = Changes::inserts(RecordBatch::try_from_iter(products).unwrap());
    let store = Arc::new(MemoryStore::default());
    let mut topology = Topology::new();
    let rows = [("u".into(), "a".into(), 1), ("u".into(), "b".into(), 1)];
    let bought = source(&mut topology, "bought", vec![relation(&rows)]);
    let products = source(&mut topology, "products", vec![products]);
    let path = PathSpec { name: "p".into(), columns: COLUMNS, publish_epochs: 20, hot_above: 256 };
    let results = lower(&mut topology, &path, bought);
    let documents = lower_objects(&mut topology, &ObjectSpec { name: "product".into(), id: 0 }, products);
    sink(&mut topology, results, &store, path_table("p"));
    sink(&mut topology, documents, &store, object_table("product"));
    run_to_end(topology, 2, 100);

    let config: PathConfig =
        serde_json::from_str(r#"{"kind": "pairs", "relation": "bought", "object": "product"}"#).unwrap();
    let similar = PathReader::new(store, "p", &config).similar("a", 5).unwrap().unwrap();
    assert_eq!(similar.attributes.unwrap().get(), r#"{"description":"WHITE HEART"}"#);
    assert_eq!(similar.neighbours[0].attributes.as_ref().unwrap().get(), r#"{"description":"RED CLOCK"}"#);
}

#[test]
fn a_live_graph_in_the_engine_equals_its_definition() {
    let rules = RelationRules {
        lifetime_us: Some(50_000_000),
        keep: Some(3),
        hot_work: Some(6),
        hot_counts: Some(6),
        ..Default::default()
    };
    let shape = Shape { timed: true, attributed: true, rules };
    for (seed, workers, records) in [(1, 1, 7), (2, 2, 100_000), (3, 2, 50), (4, 4, 20), (5, 4, 1)] {
        let rows = random_rows(&mut ChaCha8Rng::seed_from_u64(seed), &shape);
        let graph = Arc::new(LiveGraph::new(catalogue(&shape), &[rules], workers));
        let mut topology = Topology::new();
        let viewed = source(&mut topology, "viewed", rows.chunks(13).map(|rows| batch(rows, &shape)).collect());
        let (columns, attributes) = columns(&shape);
        let input = RelationInput { relation: VIEWED, rows: viewed, columns, attributes };
        lower_live(&mut topology, &graph, &[input], &[], None);
        run_to_end(topology, workers, records);
        assert_graph(&graph, &rows, &shape, &format!("seed {seed}, {workers} workers"));
    }
}

#[test]
fn objects_describe_themselves_in_the_live_graph() {
    let attributes = vec![Attribute { name: "price".into(), kind: AttributeKind::Float }];
    let catalogue = Catalogue { kinds: vec![Kind { name: "item".into(), attributes }], relations: Vec::new() };
    let rows = |rows: &[(&str, Option<f64>)], weights: Vec<i64>| {
        let ids = Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef;
        let prices = Arc::new(rows.iter().map(|row| row.1).collect::<arrow::array::Float64Array>()) as ArrayRef;
        Changes::weighted(RecordBatch::try_from_iter([("id", ids), ("price", prices)]).unwrap(), weights)
    };
    for workers in [1, 3] {
        let graph = Arc::new(LiveGraph::new(catalogue.clone(), &[], workers));
        let mut topology = Topology::new();
        let first = rows(&[("a", Some(1.5)), ("b", None), ("c", Some(2.0))], vec![1; 3]);
        let then = rows(&[("a", Some(9.0)), ("c", Some(2.0))], vec![1, -1]);
        let items = source(&mut topology, "items", vec![first, then]);
        let owned = topology.operator("owned", vec![(items, Route::ByKey(vec![0]))], || Box::new(Union));
        let input = ObjectInput { kind: KindId(0), rows: owned, id: 0, attributes: vec![1] };
        lower_live(&mut topology, &graph, &[], &[input], None);
        run_to_end(topology, workers, 1);
        let value = |name| graph.attribute(KindId(0), graph.id(KindId(0), name).unwrap(), 0);
        assert_eq!((value("a"), value("b"), value("c")), (Value::Float(9.0), Value::Null, Value::Null));
        let there: Vec<_> = graph.objects(KindId(0)).iter().map(|&id| graph.name(KindId(0), id).unwrap()).collect();
        assert_eq!(there.len(), 2, "{there:?}");
    }
}

/// Offers a batch once the graph holds so many edges.
struct Afterwards {
    graph: Arc<LiveGraph>,
    edges: u64,
    batch: Changes,
}

impl Source for Afterwards {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        while self.graph.edge_count(VIEWED) < self.edges {
            std::thread::yield_now();
        }
        Box::new(Batches { name: "erasures", batches: vec![self.batch] }).run(intake)
    }
}

#[test]
fn who_is_forgotten_in_the_engine_is_gone() {
    for workers in [1, 2, 4] {
        let shape =
            Shape { timed: true, attributed: true, rules: RelationRules { keep: Some(2), ..Default::default() } };
        let row = |subject: usize, object: usize| Row {
            subject: format!("u{subject}"),
            object: format!("i{object}"),
            weight: 1,
            time_us: (subject * object) as i64,
            device: None,
            times: 1,
        };
        let rows: Vec<Row> = (0..100).map(|number| row(number % 10, number / 10)).collect();
        let graph = Arc::new(LiveGraph::new(catalogue(&shape), &[shape.rules], workers));
        let mut topology = Topology::new();
        let viewed = source(&mut topology, "viewed", rows.chunks(9).map(|rows| batch(rows, &shape)).collect());
        let texts = |texts: [&str; 3]| Arc::new(StringViewArray::from_iter_values(texts)) as ArrayRef;
        let gone = [("kind", texts(["user", "item", "nothing"])), ("id", texts(["u3", "i9", "u1"]))];
        let batch = Changes::inserts(RecordBatch::try_from_iter(gone).unwrap());
        let after = Box::new(Afterwards { graph: Arc::clone(&graph), edges: 100, batch });
        let erasures = topology.source(SourceNode { name: "erasures".into(), source: after, dimension: false });
        let erasures = topology.table("erasures", erasures, None);
        let (columns, attributes) = columns(&shape);
        let input = RelationInput { relation: VIEWED, rows: viewed, columns, attributes };
        lower_live(&mut topology, &graph, &[input], &[], Some(erasures));
        run_to_end(topology, workers, 10);
        let left: Vec<Row> = rows.into_iter().filter(|row| row.subject != "u3" && row.object != "i9").collect();
        assert_graph_but_newest(&graph, &left, &shape, &format!("{workers} workers"));
        assert_eq!((graph.id(USERS, "u3"), graph.id(ITEMS, "i9")), (None, None));
        assert!(graph.id(USERS, "u1").is_some());
    }
}
