//! Models over the queries of a job.

use super::paths::query_schema;
use crate::job::JobPlan;
use crate::job::models::query_name;
use crate::upgrade::{self, Cohort};
use anyhow::Result;
use proxima_engine::Topology;
use proxima_model::LiveModel;
use proxima_view::Lowered;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the models of a cohort.
pub(super) fn add_models(
    job: &JobPlan,
    cohort: &Cohort,
    lowered: &Lowered,
    topology: &mut Topology,
) -> Result<BTreeMap<String, Arc<LiveModel>>> {
    let mut models = BTreeMap::new();
    for (name, spec) in job.models.iter().filter(|(name, _)| cohort.results.contains(&upgrade::model(name))) {
        let query = query_name(name);
        let live = Arc::new(LiveModel::new(spec.clone()));
        proxima_model::lower(topology, &live, lowered.queries[&query], &query_schema(&job.views, &query))
            .map_err(|errors| anyhow::anyhow!("{query}: {}", errors[0]))?;
        models.insert(name.clone(), live);
    }
    Ok(models)
}
