//! What fills a job's graph, without the graph and without targets.

use super::paths::query_schema;
use super::{paths, tables};
use crate::data::DataFolder;
use crate::job::JobPlan;
use crate::job::models::query_name;
use crate::upgrade::Layout;
use anyhow::Result;
use arrow::datatypes::SchemaRef;
use proxima_engine::{NodeId, Topology};
use proxima_graph::{ObjectInput, RelationInput};
use std::collections::{BTreeMap, BTreeSet};

/// The streams of a job's relations and objects.
pub struct GraphStreams {
    /// What makes them.
    pub topology: Topology,
    /// The rows of each relation.
    pub relations: Vec<RelationInput>,
    /// The rows of each kind of objects that has attributes, netted by the id.
    pub objects: Vec<ObjectInput>,
    /// The rows of the models that are asked for.
    pub models: Vec<ModelStream>,
}

/// What a model learns from.
pub struct ModelStream {
    /// The model.
    pub name: String,
    /// Its rows.
    pub rows: NodeId,
    /// Their columns.
    pub schema: SchemaRef,
}

/// Joins what a job reads to what fills its graph, and to what these models learn from.
///
/// # Errors
/// When a source cannot be read.
pub fn graph_streams(job: &JobPlan, data: &DataFolder, learning: &BTreeSet<&String>) -> Result<GraphStreams> {
    let layout = Layout::whole(job);
    let mut topology = Topology::new();
    let tables = tables::add_tables(job, &layout.cohorts, data, &mut topology, &mut BTreeMap::new())?;
    let (mut relations, mut objects, mut models) = (Vec::new(), Vec::new(), Vec::new());
    for (cohort, tables) in layout.cohorts.iter().zip(&tables) {
        let lowered = cohort.plan.lower_begun(&mut topology, tables, cohort.began);
        relations.extend(paths::relation_inputs(job, &lowered)?);
        objects.extend(paths::add_objects(job, &lowered, &mut topology)?);
        let of = |name: &&String| {
            let query = query_name(name);
            let schema = query_schema(&job.views, &query);
            Some(ModelStream { name: (*name).clone(), rows: *lowered.queries.get(&query)?, schema })
        };
        models.extend(learning.iter().filter_map(of));
    }
    Ok(GraphStreams { topology, relations, objects, models })
}
