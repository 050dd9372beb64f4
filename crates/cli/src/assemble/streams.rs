//! What fills a job's graph, without the graph and without targets.

use super::{paths, tables};
use crate::data::DataFolder;
use crate::job::JobPlan;
use crate::upgrade::Layout;
use anyhow::Result;
use proxima_engine::Topology;
use proxima_graph::{ObjectInput, RelationInput};
use std::collections::BTreeMap;

/// The streams of a job's relations and objects.
pub struct GraphStreams {
    /// What makes them.
    pub topology: Topology,
    /// The rows of each relation.
    pub relations: Vec<RelationInput>,
    /// The rows of each kind of objects that has attributes, netted by the id.
    pub objects: Vec<ObjectInput>,
}

/// Joins what a job reads to what fills its graph.
///
/// # Errors
/// When a source cannot be read.
pub fn graph_streams(job: &JobPlan, data: &DataFolder) -> Result<GraphStreams> {
    let layout = Layout::whole(job);
    let mut topology = Topology::new();
    let tables = tables::add_tables(job, &layout.cohorts, data, &mut topology, &mut BTreeMap::new())?;
    let (mut relations, mut objects) = (Vec::new(), Vec::new());
    for (cohort, tables) in layout.cohorts.iter().zip(&tables) {
        let lowered = cohort.plan.lower_begun(&mut topology, tables, cohort.began);
        relations.extend(paths::relation_inputs(job, &lowered)?);
        objects.extend(paths::add_objects(job, &lowered, &mut topology)?);
    }
    Ok(GraphStreams { topology, relations, objects })
}
