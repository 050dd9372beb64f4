//! Parts of a job that something is wrong with: it was told, so what only depends on them is not blamed as well.

use super::raw::RawJob;
use proxima_model::ModelSpec;
use proxima_view::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// The names of what is broken.
#[derive(Debug, Default)]
pub struct Broken {
    /// Relations whose query is wrong: their ends are known, their columns are not.
    pub relations: BTreeSet<String>,
    /// Objects whose query is wrong: their attributes are not known.
    pub objects: BTreeSet<String>,
    /// Models.
    pub models: BTreeSet<String>,
    /// Paths of hops and jumps.
    pub paths: BTreeSet<String>,
}

impl Broken {
    /// What is missing of what was written. Paths are checked later.
    #[must_use]
    pub fn find(raw: &RawJob, views: &Plan, models: &BTreeMap<String, ModelSpec>) -> Self {
        let is_broken = |part: &str, name: &str| {
            let name = format!("{part}.{name}");
            !views.queries.iter().any(|query| query.name == name)
        };
        let relations = raw.relations.iter().map(|(name, _)| name).filter(|name| is_broken("relations", name));
        let objects = raw.objects.iter().map(|(name, _)| name).filter(|name| is_broken("objects", name));
        let models = raw.models.iter().map(|(name, _)| name).filter(|name| !models.contains_key(*name));
        Self {
            relations: relations.cloned().collect(),
            objects: objects.cloned().collect(),
            models: models.cloned().collect(),
            paths: BTreeSet::new(),
        }
    }
}
