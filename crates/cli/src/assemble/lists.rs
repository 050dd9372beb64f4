//! The lists of paths that are kept in a store, and what else recommendations are answered from there.

use super::{Assembly, Before};
use crate::data::DataFolder;
use crate::job::kept::SHARES;
use crate::job::redis::RedisPlan;
use crate::job::{JobPlan, Kept, OutputPlan, SinkKind};
use anyhow::{Context, Result};
use proxima_engine::{NodeId, SinkNode, Topology};
use proxima_event::{Epoch, Sink};
use proxima_graph::{LiveGraph, ObjectSpec, list_table, lower_objects};
use proxima_publish::{
    Content, Evaluators, Faults, PublishRules, Publisher, Setting, Shares, WindowRules, lower_publish, lower_shares,
};
use proxima_redis::RedisSink;
use proxima_sink::KvStore;
use std::sync::Arc;

/// The lists of a job before they have a place.
pub(super) struct Lists {
    graph: Arc<LiveGraph>,
    setting: Setting,
    /// Each path's supervisors, and its lists as its sink takes them.
    outputs: Vec<(Arc<Publisher>, NodeId)>,
    /// The shares of splits, where they are kept as well.
    shares: Option<(Arc<Shares>, NodeId)>,
}

/// Adds the operators of all lists behind the nodes that end their epochs when the graph holds them.
pub(super) fn add_lists(
    job: &JobPlan,
    graph: &Arc<LiveGraph>,
    (began, ends, forget): (Epoch, &[NodeId], Option<NodeId>),
    topology: &mut Topology,
) -> Lists {
    let setting = Setting::default();
    let outputs = job.outputs.iter().map(|(name, output)| {
        let interval_us = u64::try_from(output.every.as_micros()).unwrap_or(u64::MAX);
        let window = WindowRules { interval_us, ..WindowRules::default() };
        let rules = PublishRules { name: name.clone(), n: output.n, began, window };
        let (clock, wake) = (Arc::clone(&setting.clock), setting.wake.clone());
        let publisher = Arc::new(Publisher::new(Arc::clone(graph), content(job, name, output), rules, clock, wake));
        let lists = lower_publish(topology, &publisher, ends, forget);
        let rows = if output.sink.is_some() { lists } else { add_documents(name, lists, topology) };
        (publisher, rows)
    });
    let outputs = outputs.collect();
    let shares = shares_sink(job).zip(ends.first()).map(|(_, after)| {
        let shares = Arc::<Shares>::default();
        let node = lower_shares(topology, &shares, *after);
        (shares, node)
    });
    Lists { graph: Arc::clone(graph), setting, outputs, shares }
}

fn content(job: &JobPlan, name: &str, output: &OutputPlan) -> Content {
    match output.kept {
        Kept::Path => Content::Path(Arc::clone(job.walks.get(name).expect("the output is that of a path"))),
        Kept::Related(relation, direction) => Content::Related { relation, direction },
        Kept::Attributes(kind) => Content::Attributes(kind),
    }
}

/// Where the shares of splits are kept: beside what the recommendations that they deal to are answered from.
fn shares_sink(job: &JobPlan) -> Option<&str> {
    let plans = &job.recommendations;
    let sink = plans.plain.values().find_map(|plan| plan.sink.as_deref());
    sink.filter(|_| !plans.splits.is_empty())
}

/// Lists as the key-value store takes them.
fn add_documents(name: &str, lists: NodeId, topology: &mut Topology) -> NodeId {
    let spec = ObjectSpec { name: format!("{name}/lists"), id: 0 };
    let documents = lower_objects(topology, &spec, lists);
    topology.identify(documents, format!("documents of {}", spec.name), false);
    documents
}

impl Lists {
    /// Gives the lists their places, and starts what keeps them true. `anew` says that the graph begins anew.
    pub(super) fn place(
        self,
        job: &JobPlan,
        data: &DataFolder,
        (before, anew, workers): (Before, bool, usize),
        assembly: &mut Assembly,
    ) -> Result<()> {
        let Self { graph, setting, outputs, shares } = self;
        let was_there = data.key_values().exists();
        for (publisher, input) in &outputs {
            let name = publisher.name();
            let output = &job.outputs[name];
            if before != Before::Nothing {
                publisher.resume();
            }
            let sink: Box<dyn Sink> = match output.sink.as_deref().map(|sink| redis(job, sink)).transpose()? {
                Some(plan) => Box::new(RedisSink::open(plan.servers.clone(), plan.target(name, &[0]))?),
                None => {
                    if !was_there {
                        publisher.refill();
                    }
                    let store = store(data, assembly)?;
                    if anew {
                        store.clear(&list_table(name))?;
                    }
                    Box::new(store.sink(list_table(name)))
                }
            };
            assembly.topology.sink(SinkNode { name: list_table(name), input: *input, sink });
        }
        if let Some(((shares, input), sink)) = shares.zip(shares_sink(job)) {
            let plan = redis(job, sink)?;
            let sink = Box::new(RedisSink::open(plan.servers.clone(), plan.target(SHARES, &[0]))?);
            assembly.topology.sink(SinkNode { name: SHARES.to_owned(), input, sink });
            let service = Arc::clone(&assembly.recommendations);
            shares.tell(move || service.shares());
        }
        let publishers = outputs.into_iter().map(|(publisher, _)| publisher).collect();
        assembly.evaluators = Some(Evaluators::start(&graph, publishers, setting, (workers, Faults::default())));
        Ok(())
    }
}

fn redis<'a>(job: &'a JobPlan, name: &str) -> Result<&'a RedisPlan> {
    match job.sinks.get(name) {
        Some(SinkKind::Redis(plan)) => Ok(plan),
        _ => Err(anyhow::anyhow!("sink \"{name}\" is no Redis")).context("an output cannot be written"),
    }
}

/// The store that this process writes.
fn store(data: &DataFolder, assembly: &mut Assembly) -> Result<KvStore> {
    if assembly.written.is_none() {
        assembly.written = Some(KvStore::open(&data.key_values())?);
    }
    Ok(assembly.written.clone().expect("it was opened above"))
}
