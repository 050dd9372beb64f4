//! A checked job becomes a topology: sources, tables, views, paths and sinks, joined. It only connects.

mod judges;
mod lists;
mod models;
mod paths;
mod recommendations;
mod streams;
mod tables;
mod targets;

pub use judges::{JUDGES, Judged};
pub use paths::empty_graph;
pub use recommendations::recommenders;
pub use streams::{GraphStreams, ModelStream, graph_streams};

use crate::data::DataFolder;
use crate::forget;
use crate::job::JobPlan;
use crate::job::forget::{QUERY, REQUESTS};
use crate::remains::Remains;
use crate::upgrade::{self, Cohort, Layout};
use anyhow::{Result, ensure};
use lists::Lists;
use paths::Filled;
use proxima_engine::{NodeId, OperatorInfo, SinkNode, Topology};
use proxima_graph::path::{Memo, WalkReader, clock};
use proxima_graph::{LiveGraph, PathReader, lower_forgotten};
use proxima_model::LiveModel;
use proxima_publish::Evaluators;
use proxima_recommend::Service;
use proxima_serve::{ForgetRoute, IngestRoute, Search};
use proxima_sink::{Counters, KvReader, KvStore};
use proxima_view::Lowered;
use std::collections::BTreeMap;
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
    /// The graph that relations and objects fill, if anything asks it.
    pub graph: Option<Arc<LiveGraph>>,
    /// Where paths and objects are published, if the job has any.
    pub store: Option<KvReader>,
    /// The same for who writes it.
    written: Option<KvStore>,
    /// What keeps lists in stores true, if the job has any.
    pub evaluators: Option<Evaluators>,
    /// The paths that are kept, by name.
    pub paths: BTreeMap<String, Arc<PathReader>>,
    /// What answers for the recommendations.
    pub recommendations: Arc<Service>,
    /// The paths that are evaluated when they are asked for, by name.
    pub walks: BTreeMap<String, Arc<WalkReader>>,
    /// The models that are kept, by name.
    pub models: BTreeMap<String, Arc<LiveModel>>,
    /// What judges the recommendations.
    pub judges: Vec<Judged>,
    /// The sources that take records over HTTP, by name.
    pub ingests: BTreeMap<String, IngestRoute>,
    /// What takes requests to forget, if the job does, and what answers them.
    pub requests: Option<(ForgetRoute, Remains)>,
    /// What discarding sinks have counted, by target.
    pub discarded: BTreeMap<String, Arc<Counters>>,
}

/// What a job computes, before its results have a place.
pub struct Draft<'a> {
    job: &'a JobPlan,
    layout: &'a Layout,
    topology: Topology,
    /// The results of each cohort.
    lowered: Vec<Lowered>,
    ingests: BTreeMap<String, IngestRoute>,
    workers: usize,
    requests: Option<(ForgetRoute, Remains)>,
    graph: Option<Arc<LiveGraph>>,
    lists: Option<Lists>,
    /// The streams that fill tables of the key-value store.
    objects: Vec<(String, NodeId)>,
    paths: Vec<(String, NodeId)>,
    models: BTreeMap<String, Arc<LiveModel>>,
    judges: Vec<Judged>,
}

/// Joins what a job reads to what it computes, on so many workers.
///
/// # Errors
/// When a source cannot be read.
pub fn draft<'a>(job: &'a JobPlan, layout: &'a Layout, data: &DataFolder, workers: usize) -> Result<Draft<'a>> {
    let mut topology = Topology::new();
    let mut ingests = BTreeMap::new();
    let tables = tables::add_tables(job, &layout.cohorts, data, &mut topology, &mut ingests)?;
    let lower = |(cohort, tables): (&Cohort, _)| cohort.plan.lower_begun(&mut topology, tables, cohort.began);
    let lowered: Vec<_> = layout.cohorts.iter().zip(&tables).map(lower).collect();
    let (mut graph, mut lists) = (None, None);
    let (mut objects, mut paths, mut models) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut judges = Vec::new();
    let mut requests = None;
    for (cohort, lowered) in layout.cohorts.iter().zip(&lowered) {
        paths.extend(paths::add_paths(job, cohort, lowered, &mut topology)?);
        models.extend(models::add_models(job, cohort, lowered, &mut topology)?);
        if !paths::holds_objects(job, cohort) {
            continue;
        }
        let inputs = paths::add_objects(job, lowered, &mut topology)?;
        if !job.paths.is_empty() {
            objects = paths::add_documents(&inputs, &job.catalogue, &mut topology);
        }
        if job.reads_graph() {
            let relations = paths::relation_inputs(job, lowered)?;
            let Filled { graph: filled, ends, forget } =
                paths::add_graph(job, (lowered, &relations, &inputs), &mut topology, workers);
            requests = forget
                .zip(ingests.remove(REQUESTS))
                .map(|(forget, route)| add_requests(job, (forget, &ends), route, &mut topology));
            judges = judges::add_judges(job, (&relations, forget), (&filled, cohort.began), &mut topology);
            lists = (!job.outputs.is_empty())
                .then(|| lists::add_lists(job, &filled, (cohort.began, &ends, forget), &mut topology));
            graph = Some(filled);
        }
    }
    let draft = Draft {
        job,
        layout,
        topology,
        lowered,
        ingests,
        requests,
        workers,
        graph,
        lists,
        objects,
        paths,
        models,
        judges,
    };
    Ok(draft)
}

/// Joins requests to forget to what hears that all workers have.
fn add_requests(
    job: &JobPlan,
    (forget, ends): (NodeId, &[NodeId]),
    route: IngestRoute,
    topology: &mut Topology,
) -> (ForgetRoute, Remains) {
    let kinds = job.catalogue.kinds.iter().map(|kind| kind.name.clone()).collect();
    let (requests, sink, remains) = forget::requests(route.log, kinds);
    let input = lower_forgotten(topology, forget, ends);
    topology.sink(SinkNode { name: QUERY.to_owned(), input, sink: Box::new(sink) });
    (ForgetRoute { requests: Arc::new(requests), token: route.token }, remains)
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
    /// The operators.
    #[must_use]
    pub fn operators(&self) -> Vec<OperatorInfo> {
        self.topology.operators()
    }

    /// Gives the results their places.
    ///
    /// # Errors
    /// When a store cannot be opened, or what the run goes on from is gone.
    pub fn place(mut self, data: &DataFolder, before: Before) -> Result<Assembly> {
        let (topology, ingests) = (std::mem::take(&mut self.topology), std::mem::take(&mut self.ingests));
        let (graph, models) = (self.graph.take(), std::mem::take(&mut self.models));
        let memo = Arc::new(Memo::new(clock()));
        let walks = paths::walks(self.job, graph.as_ref(), &memo);
        let judges = std::mem::take(&mut self.judges);
        let of_name = judges.iter().map(|judged| (judged.name.clone(), Arc::clone(&judged.judge))).collect();
        let service = recommendations::service(self.job, data, (graph.as_ref(), &memo), &models)?.judged_by(of_name);
        let recommendations = Arc::new(service);
        let requests = self.requests.take();
        let live = Assembly { graph, walks, models, judges, recommendations, ..Assembly::default() };
        let mut assembly = Assembly { topology, ingests, requests, ..live };
        for (cohort, lowered) in self.layout.cohorts.iter().zip(&self.lowered) {
            targets::add_targets(self.job, data, before, (self.layout, cohort, lowered), &mut assembly)?;
        }
        if let Some(lists) = self.lists.take() {
            let anew = self.job.relations.keys().any(|name| self.layout.restarted.contains(&upgrade::relation(name)));
            lists.place(self.job, data, (before, anew, self.workers), &mut assembly)?;
        }
        if !self.paths.is_empty() {
            self.add_store(data, before, &mut assembly)?;
        }
        Ok(assembly)
    }

    fn add_store(&self, data: &DataFolder, before: Before, assembly: &mut Assembly) -> Result<()> {
        let file = data.key_values();
        let is_new = |name: &String| self.layout.restarted.contains(name);
        if !paths::names(self.job).all(|name| is_new(&name)) {
            check_there(&file, before)?;
        }
        let store = match assembly.written.take() {
            Some(store) => store,
            None => KvStore::open(&file)?,
        };
        // A path that is loaded publishes all that it holds, in parts that depend on the number of workers.
        let published = self.paths.iter().map(|(table, _)| table.clone());
        for table in published.chain(paths::tables_left(self.job, self.layout)) {
            store.clear(&table)?;
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
