//! A checked job becomes a topology: sources, tables, views, paths and sinks, joined. It only connects.

use crate::data::DataFolder;
use crate::ingest::LogIngest;
use crate::job::models::query_name;
use crate::job::{JobPlan, PathPlan, SinkKind, SourcePlan, index_name};
use anyhow::{Context, Result, ensure};
use arrow::datatypes::SchemaRef;
use proxima_elastic::{Cluster, ElasticReader, ElasticSink};
use proxima_engine::{MakeSourceDecoder, NodeId, Route, SinkNode, SourceNode, Topology};
use proxima_event::Sink;
use proxima_event::decode::{Format, source_decoder};
use proxima_graph::{
    Catalogue, ColumnError, LiveGraph, ObjectInput, ObjectSpec, PathReader, PathSpec, RelationColumns, RelationInput,
    lower_live, object_attributes,
};
use proxima_kafka::{KafkaSink, KafkaSource};
use proxima_model::LiveModel;
use proxima_redis::RedisSink;
use proxima_serve::{IngestRoute, Search};
use proxima_sink::{Counters, DiscardSink, IndexConfig, IndexSink, KvReader, KvStore};
use proxima_source::{FileConfig, FileSource, Framing, HttpLog, HttpSource};
use proxima_view::operators::{Net, NetSpec};
use proxima_view::{Lowered, Plan, Table};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Rows of a decoded batch: few enough to stay in the cache from step to step.
const BATCH_ROWS: usize = 2_048;

/// A topology that is ready to run, and the handles that read its results.
#[derive(Default)]
pub struct Assembly {
    /// The graph to run.
    pub topology: Topology,
    /// The indexes that are written, embedded or in a cluster, by name.
    pub indexes: BTreeMap<String, Arc<dyn Search>>,
    /// The graph that relations and objects fill, if the job has any.
    pub graph: Option<Arc<LiveGraph>>,
    /// Where paths and objects are published, if the job has any.
    pub store: Option<KvReader>,
    /// The paths that are kept, by name.
    pub paths: BTreeMap<String, Arc<PathReader>>,
    /// The models that are kept, by name.
    pub models: BTreeMap<String, Arc<LiveModel>>,
    /// The sources that take records over HTTP, by name.
    pub ingests: BTreeMap<String, IngestRoute>,
    /// What discarding sinks have counted, by target.
    pub discarded: BTreeMap<String, Arc<Counters>>,
}

/// What a job computes, before its results have a place.
pub struct Draft<'a> {
    job: &'a JobPlan,
    topology: Topology,
    lowered: Lowered,
    ingests: BTreeMap<String, IngestRoute>,
    graph: Option<Arc<LiveGraph>>,
    /// The streams that fill tables of the key-value store.
    objects: Vec<(String, NodeId)>,
    paths: Vec<(String, NodeId)>,
    models: BTreeMap<String, Arc<LiveModel>>,
}

/// Joins what a job reads to what it computes, on so many workers.
///
/// # Errors
/// When a source cannot be read.
pub fn draft<'a>(job: &'a JobPlan, data: &DataFolder, workers: usize) -> Result<Draft<'a>> {
    let mut topology = Topology::new();
    let mut ingests = BTreeMap::new();
    let tables = add_tables(job, data, &mut topology, &mut ingests)?;
    let lowered = job.views.lower(&mut topology, &tables);
    let inputs = add_objects(job, &lowered, &mut topology)?;
    let (mut objects, mut paths) = (Vec::new(), Vec::new());
    if !job.paths.is_empty() {
        objects = add_documents(&inputs, &job.catalogue, &mut topology);
        paths = add_paths(job, &lowered, &mut topology)?;
    }
    let graph = add_graph(job, (&lowered, &inputs), &mut topology, workers)?;
    let models = add_models(job, &lowered, &mut topology)?;
    Ok(Draft { job, topology, lowered, ingests, graph, objects, paths, models })
}

/// What the places of the results hold when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing of this job, or what it shall forget.
    Nothing,
    /// Parts of what a run has written that ended before its first checkpoint.
    Parts,
    /// What a checkpoint goes on from.
    Checkpoint,
}

impl Draft<'_> {
    /// The names of the operators.
    #[must_use]
    pub fn operators(&self) -> Vec<String> {
        self.topology.operators()
    }

    /// Gives the results their places.
    ///
    /// # Errors
    /// When a store cannot be opened, or what the run goes on from is gone.
    pub fn place(mut self, data: &DataFolder, before: Before) -> Result<Assembly> {
        let (topology, ingests) = (std::mem::take(&mut self.topology), std::mem::take(&mut self.ingests));
        let (graph, models) = (self.graph.take(), std::mem::take(&mut self.models));
        let mut assembly = Assembly { topology, ingests, graph, models, ..Assembly::default() };
        add_targets(self.job, data, before, &self.lowered, &mut assembly)?;
        if !self.paths.is_empty() {
            self.add_store(data, before, &mut assembly)?;
        }
        Ok(assembly)
    }

    fn add_store(&self, data: &DataFolder, before: Before, assembly: &mut Assembly) -> Result<()> {
        let file = data.key_values();
        check_there(&file, before)?;
        let store = KvStore::open(&file)?;
        for (table, _) in &self.paths {
            // A path that is loaded publishes all that it holds, in parts that depend on the number of workers.
            store.clear(table)?;
        }
        for (table, input) in self.objects.iter().chain(&self.paths).cloned() {
            let sink = Box::new(store.sink(table.clone()));
            assembly.topology.sink(SinkNode { name: table, input, sink });
        }
        for (name, path) in &self.job.paths {
            let reader = PathReader::new(Arc::new(store.reader()), name, &path.config());
            assembly.paths.insert(name.clone(), Arc::new(reader));
        }
        assembly.store = Some(store.reader());
        Ok(())
    }
}

/// Refuses to go on from a checkpoint whose results are gone: it holds what the operators know, not what they wrote.
fn check_there(results: &Path, before: Before) -> Result<()> {
    ensure!(
        before != Before::Checkpoint || results.exists(),
        "{} is gone, and no checkpoint holds it: put it back, or start anew with --fresh",
        results.display()
    );
    Ok(())
}

/// Adds the sources that some table reads, and the tables. The tables of a source share one decoder.
fn add_tables(
    job: &JobPlan,
    data: &DataFolder,
    topology: &mut Topology,
    ingests: &mut BTreeMap<String, IngestRoute>,
) -> Result<HashMap<String, NodeId>> {
    let mut nodes = HashMap::new();
    for name in sources_read(job) {
        let readers: Vec<_> = job.views.tables.iter().filter(|table| table.source == name).collect();
        let format = common_format(name, &readers)?;
        let node = source_node(job, data, name, format, &readers, ingests)?;
        let source = topology.source(node);
        let decoder = make_decoder(job, format, &readers);
        let names: Vec<String> = readers.iter().map(|table| table.name.clone()).collect();
        nodes.extend(names.clone().into_iter().zip(topology.tables(names, source, decoder)));
    }
    Ok(nodes)
}

/// The sources that tables read, in the order of their first tables.
fn sources_read(job: &JobPlan) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for table in &job.views.tables {
        if !names.contains(&table.source.as_str()) {
            names.push(&table.source);
        }
    }
    names
}

/// The format that all tables of a source read it in.
fn common_format(source: &str, readers: &[&Table]) -> Result<Format> {
    let format = format_of(readers[0])?;
    for table in readers {
        ensure!(
            format_of(table)? == format,
            "tables {} and {} read source \"{source}\" in different formats; give each a source of its own",
            readers[0].name,
            table.name
        );
    }
    Ok(format)
}

fn source_node(
    job: &JobPlan,
    data: &DataFolder,
    name: &str,
    format: Format,
    readers: &[&Table],
    ingests: &mut BTreeMap<String, IngestRoute>,
) -> Result<SourceNode> {
    let plan = job.sources.get(name).with_context(|| format!("no source is named \"{name}\""))?;
    let dimension = readers.iter().all(|table| table.dimension);
    let (path, follow) = match plan {
        SourcePlan::File { path, follow } => (path, follow),
        SourcePlan::Kafka(config) => {
            let source = Box::new(KafkaSource::new((**config).clone()));
            return Ok(SourceNode { name: name.into(), source, dimension });
        }
        SourcePlan::Http(plan) => {
            ensure!(format != Format::Csv, "source \"{name}\" takes JSON, but table {} reads CSV", readers[0].name);
            let log = Arc::new(HttpLog::open(plan.log(name, data.ingested(name)))?);
            let ingest = Arc::new(LogIngest(Arc::clone(&log)));
            let (token, origins) = (plan.token.clone(), plan.origins.clone());
            ingests.insert(name.to_owned(), IngestRoute { log: ingest, token, origins });
            return Ok(SourceNode { name: name.into(), source: Box::new(HttpSource::new(log)), dimension });
        }
    };
    let framing = match format {
        Format::Csv => Framing::Csv { delimiter: b',', quote: b'"' },
        Format::Json | Format::Maxwell | Format::Debezium | Format::Canal => Framing::Lines,
    };
    let mut config = FileConfig::new(name, path, framing);
    config.follow = *follow;
    let source = FileSource::new(config).with_context(|| format!("source \"{name}\" cannot be read"))?;
    Ok(SourceNode { name: name.into(), source: Box::new(source), dimension })
}

fn format_of(table: &Table) -> Result<Format> {
    table.format.parse().map_err(|error: String| anyhow::anyhow!("table {}: {error}", table.name))
}

fn make_decoder(job: &JobPlan, format: Format, readers: &[&Table]) -> MakeSourceDecoder {
    let configs: Vec<_> = readers.iter().map(|table| table.decode_config(job.zone, BATCH_ROWS)).collect();
    Arc::new(move || source_decoder(format, configs.clone()))
}

fn add_targets(
    job: &JobPlan,
    data: &DataFolder,
    before: Before,
    lowered: &Lowered,
    assembly: &mut Assembly,
) -> Result<()> {
    let mut clusters = BTreeMap::<&str, Arc<Cluster>>::new();
    for target in &job.views.targets {
        let kind = job.sinks.get(&target.sink).with_context(|| format!("no sink is named \"{}\"", target.sink))?;
        let sink: Box<dyn Sink> = match kind {
            SinkKind::Index => {
                let name = index_name(&target.index);
                let config = IndexConfig::new(&name, Arc::clone(&target.schema), target.key.clone());
                check_there(&data.indexes().join(&name), before)?;
                let sink = IndexSink::open(&data.indexes(), &config)?;
                assembly.indexes.insert(name, Arc::new(sink.reader()));
                Box::new(sink)
            }
            SinkKind::Elastic(plan) => {
                let cluster = match clusters.get(target.sink.as_str()) {
                    Some(cluster) => Arc::clone(cluster),
                    None => Cluster::new(plan.cluster.clone())?,
                };
                clusters.insert(&target.sink, Arc::clone(&cluster));
                let fits = |error| anyhow::anyhow!("table {}: {error}", target.name);
                let first = before == Before::Nothing;
                let config = plan.target(&target.index, &target.schema, &target.key, first).map_err(fits)?;
                let reader = ElasticReader::new(&cluster, config.clone());
                assembly.indexes.insert(index_name(&target.index), Arc::new(reader));
                Box::new(ElasticSink::new(&cluster, config).map_err(fits)?)
            }
            SinkKind::Kafka(plan) => {
                let config = plan.target(&job.name, &target.index, &target.schema, &target.key);
                Box::new(KafkaSink::open(config)?)
            }
            SinkKind::Redis(plan) => {
                let config = plan.target(&target.index, &target.key);
                Box::new(RedisSink::open(plan.servers.clone(), config)?)
            }
            SinkKind::Discard => {
                let counters = Arc::new(Counters::default());
                assembly.discarded.insert(target.name.clone(), Arc::clone(&counters));
                Box::new(DiscardSink::new(counters))
            }
        };
        let input = lowered.targets[&target.name];
        assembly.topology.sink(SinkNode { name: target.name.clone(), input, sink });
    }
    Ok(())
}

/// The rows of objects, netted.
fn add_objects(job: &JobPlan, lowered: &Lowered, topology: &mut Topology) -> Result<Vec<ObjectInput>> {
    let mut inputs = Vec::new();
    for (name, object) in &job.objects {
        let schema = query_schema(&job.views, &object.query);
        let id = proxima_graph::object_id_column(&schema)?;
        // Of several rows with one id, one stands: the greatest.
        let net = NetSpec { input: Arc::clone(&schema), key: vec![id], unique: false };
        let rows = topology.operator(
            format!("{name}/net"),
            vec![(lowered.queries[&object.query], Route::ByKey(vec![id]))],
            move || Box::new(Net::new(net.clone())),
        );
        let kind = job.catalogue.kind(name).with_context(|| format!("no kind is named \"{name}\""))?;
        let attributes = object_attributes(&schema).into_iter().map(|(column, _)| column).collect();
        inputs.push(ObjectInput { kind, rows, id, attributes });
    }
    Ok(inputs)
}

fn add_documents(inputs: &[ObjectInput], catalogue: &Catalogue, topology: &mut Topology) -> Vec<(String, NodeId)> {
    let documents = inputs.iter().map(|input| {
        let spec = ObjectSpec { name: catalogue[input.kind].name.clone(), id: input.id };
        let documents = proxima_graph::lower_objects(topology, &spec, input.rows);
        (proxima_graph::object_table(&spec.name), documents)
    });
    documents.collect()
}

/// The graph of the job's relations and objects, and the operators that write it.
fn add_graph(
    job: &JobPlan,
    (lowered, objects): (&Lowered, &[ObjectInput]),
    topology: &mut Topology,
    workers: usize,
) -> Result<Option<Arc<LiveGraph>>> {
    if job.catalogue.kinds.is_empty() {
        return Ok(None);
    }
    let rules: Vec<_> = job.catalogue.relations.iter().map(|relation| job.relations[&relation.name].rules).collect();
    let graph = Arc::new(LiveGraph::new(job.catalogue.clone(), &rules, workers));
    let mut relations = Vec::new();
    for (name, plan) in &job.relations {
        let schema = query_schema(&job.views, &plan.query);
        let wrong = |errors: Vec<ColumnError>| anyhow::anyhow!("{}: {}", plan.query, errors[0]);
        let attributes = RelationColumns::attributes(&schema).map_err(wrong)?;
        relations.push(RelationInput {
            relation: job.catalogue.relation(name).with_context(|| format!("no relation is named \"{name}\""))?,
            rows: lowered.queries[&plan.query],
            columns: RelationColumns::of(&schema).map_err(wrong)?,
            attributes: attributes.into_iter().map(|(column, _)| column).collect(),
        });
    }
    lower_live(topology, &graph, &relations, objects);
    Ok(Some(graph))
}

fn add_paths(job: &JobPlan, lowered: &Lowered, topology: &mut Topology) -> Result<Vec<(String, NodeId)>> {
    let mut outputs = Vec::new();
    for (name, path) in &job.paths {
        let query = &job.relations[&path.relation].query;
        let schema = query_schema(&job.views, query);
        let columns = RelationColumns::of(&schema).map_err(|errors| anyhow::anyhow!("{query}: {}", errors[0]))?;
        let spec = PathSpec {
            name: name.clone(),
            columns,
            publish_epochs: publish_epochs(job, path),
            hot_above: path.hot_above,
        };
        let input = proxima_graph::lower(topology, &spec, lowered.queries[query]);
        outputs.push((proxima_graph::path_table(name), input));
    }
    Ok(outputs)
}

fn add_models(job: &JobPlan, lowered: &Lowered, topology: &mut Topology) -> Result<BTreeMap<String, Arc<LiveModel>>> {
    let mut models = BTreeMap::new();
    for (name, spec) in &job.models {
        let query = query_name(name);
        let live = Arc::new(LiveModel::new(spec.clone()));
        proxima_model::lower(topology, &live, lowered.queries[&query], &query_schema(&job.views, &query))
            .map_err(|errors| anyhow::anyhow!("{query}: {}", errors[0]))?;
        models.insert(name.clone(), live);
    }
    Ok(models)
}

/// How many epochs the path's interval is, at least one.
fn publish_epochs(job: &JobPlan, path: &PathPlan) -> u64 {
    let epochs = path.publish.as_nanos() / job.epoch.interval.as_nanos().max(1);
    u64::try_from(epochs).unwrap_or(u64::MAX).max(1)
}

fn query_schema(plan: &Plan, name: &str) -> SchemaRef {
    let query = plan.queries.iter().find(|query| query.name == name).expect("every query of the job was compiled");
    Arc::clone(&query.schema)
}
