//! Objects and paths over the queries of a job.

use crate::job::forget::QUERY;
use crate::job::{JobPlan, PathPlan};
use crate::upgrade::{self, Cohort, Layout};
use anyhow::{Context, Result};
use arrow::datatypes::SchemaRef;
use proxima_engine::{NodeId, Route, Topology};
use proxima_graph::path::{Added, Memo, Path, WalkReader};
use proxima_graph::{
    Catalogue, ColumnError, LiveGraph, ObjectInput, ObjectSpec, PathSpec, RelationColumns, RelationId, RelationInput,
    RelationRules, Union, lower_live, object_attributes,
};
use proxima_view::operators::{Net, NetSpec};
use proxima_view::{Lowered, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By what people call the results of a job that are in the key-value store.
pub(super) fn names(job: &JobPlan) -> impl Iterator<Item = String> {
    job.objects.keys().map(|name| upgrade::object(name)).chain(job.paths.keys().map(|name| upgrade::path(name)))
}

/// The tables of results that begin anew, or that the job does not have any more.
pub(super) fn tables_left(job: &JobPlan, layout: &Layout) -> Vec<String> {
    let restarted = |name: &String| layout.restarted.contains(name);
    let table = |name: &String| match name.split_once(' ')? {
        ("object", name) => Some(proxima_graph::object_table(name)),
        ("path", name) => Some(proxima_graph::path_table(name)),
        _ => None,
    };
    names(job).filter(restarted).chain(layout.gone.keys().cloned()).filter_map(|name| table(&name)).collect()
}

/// Whether the relations and objects of a job are in this cohort: they make up one graph, and so begin together.
pub(super) fn holds_objects(job: &JobPlan, cohort: &Cohort) -> bool {
    let relations = job.relations.keys().map(|name| upgrade::relation(name));
    let mut parts = relations.chain(job.objects.keys().map(|name| upgrade::object(name)));
    parts.any(|name| cohort.results.contains(&name))
}

/// The rows of objects, netted.
pub(super) fn add_objects(job: &JobPlan, lowered: &Lowered, topology: &mut Topology) -> Result<Vec<ObjectInput>> {
    let mut inputs = Vec::new();
    for (name, object) in &job.objects {
        let schema = query_schema(&job.views, &object.query);
        let id = proxima_graph::object_id_column(&schema)?;
        // Of several rows with one id, one stands: the greatest.
        let net =
            NetSpec { input: Arc::clone(&schema), key: vec![id], unique: false, append_only: false, expiry: None };
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

/// The documents of objects, for the key-value store.
pub(super) fn add_documents(
    inputs: &[ObjectInput],
    catalogue: &Catalogue,
    topology: &mut Topology,
) -> Vec<(String, NodeId)> {
    let documents = inputs.iter().map(|input| {
        let spec = ObjectSpec { name: catalogue[input.kind].name.clone(), id: input.id };
        let documents = proxima_graph::lower_objects(topology, &spec, input.rows);
        (proxima_graph::object_table(&spec.name), documents)
    });
    documents.collect()
}

/// The graph of a job, and its part of the topology.
pub(super) struct Filled {
    pub(super) graph: Arc<LiveGraph>,
    /// The nodes behind which an epoch is in the graph.
    pub(super) ends: Vec<NodeId>,
    /// What it forgets, if it may.
    pub(super) forget: Option<NodeId>,
}

/// The graph of the job's relations and objects, and the operators that write it.
pub(super) fn add_graph(
    job: &JobPlan,
    (lowered, relations, objects): (&Lowered, &[RelationInput], &[ObjectInput]),
    topology: &mut Topology,
    workers: usize,
) -> Filled {
    let graph = empty_graph(job, workers);
    let forget: Vec<NodeId> = job.forget.iter().map(|query| lowered.queries[query]).collect();
    let forget = match forget[..] {
        [] => None,
        [one] => Some(one),
        _ => {
            let all = forget.into_iter().map(|node| (node, Route::Local)).collect();
            Some(topology.operator(QUERY.to_owned(), all, || Box::new(Union)))
        }
    };
    let ends = lower_live(topology, &graph, relations, objects, forget);
    Filled { graph, ends, forget }
}

/// The graph of a job's relations and objects before any came. Pair sums and counts are kept where a path reads them.
#[must_use]
pub fn empty_graph(job: &JobPlan, workers: usize) -> Arc<LiveGraph> {
    let least = |relation, added| job.walks.iter().filter_map(|(_, path)| path.hot_work(relation, added)).min();
    let rules = (0..).zip(&job.catalogue.relations).map(|(number, relation)| {
        let id = RelationId(number);
        let (hot_work, hot_counts) = (least(id, Added::Products), least(id, Added::Ones));
        RelationRules { hot_work, hot_counts, ..job.relations[&relation.name].rules }
    });
    Arc::new(LiveGraph::new(job.catalogue.clone(), &rules.collect::<Vec<_>>(), workers))
}

/// The rows of relations.
pub(super) fn relation_inputs(job: &JobPlan, lowered: &Lowered) -> Result<Vec<RelationInput>> {
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
    Ok(relations)
}

/// Adds the paths of a cohort.
pub(super) fn add_paths(
    job: &JobPlan,
    cohort: &Cohort,
    lowered: &Lowered,
    topology: &mut Topology,
) -> Result<Vec<(String, NodeId)>> {
    let mut outputs = Vec::new();
    for (name, path) in job.paths.iter().filter(|(name, _)| cohort.results.contains(&upgrade::path(name))) {
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

/// How many epochs the path's interval is, at least one.
fn publish_epochs(job: &JobPlan, path: &PathPlan) -> u64 {
    let epochs = path.publish.as_nanos() / job.epoch.interval.as_nanos().max(1);
    u64::try_from(epochs).unwrap_or(u64::MAX).max(1)
}

/// Readers of the paths of hops and jumps.
pub(super) fn walks(
    job: &JobPlan,
    graph: Option<&Arc<LiveGraph>>,
    memo: &Arc<Memo>,
) -> BTreeMap<String, Arc<WalkReader>> {
    let catalogue = Arc::new(job.catalogue.clone());
    let reader = |graph: &Arc<LiveGraph>, path: &Arc<Path>| {
        let reader = WalkReader::new(Arc::clone(graph) as _, Arc::clone(&catalogue), Arc::clone(path));
        Arc::new(reader.keeping(Arc::clone(memo)))
    };
    let all = job.walks.iter().filter_map(|(name, path)| Some((name.to_owned(), reader(graph?, path))));
    all.collect()
}

/// The columns of a query of the job.
pub(super) fn query_schema(plan: &Plan, name: &str) -> SchemaRef {
    let query = plan.queries.iter().find(|query| query.name == name).expect("every query of the job was compiled");
    Arc::clone(&query.schema)
}
