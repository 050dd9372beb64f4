//! Opens a job's result stores for reading alone: those in its data folder, and its lists in Redis.

use crate::data::DataFolder;
use crate::job::{JobPlan, PathPlan, SinkKind};
use anyhow::{Context, Result};
use proxima_event::KeyValueScan;
use proxima_graph::{PathReader, list_table};
use proxima_publish::ListReader;
use proxima_redis::RedisReader;
use proxima_serve::{AppState, Limits, Search, SimilarPath, Status};
use proxima_sink::{IndexError, IndexReader, KvReader};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The routes over one index; over none if there is no such index.
///
/// # Errors
/// When the index is there and cannot be read.
pub fn index_only(data: &DataFolder, name: &str) -> Result<AppState> {
    let mut indexes: BTreeMap<String, Arc<dyn Search>> = BTreeMap::new();
    match IndexReader::open(&data.indexes(), name) {
        Ok(index) => drop(indexes.insert(name.to_owned(), Arc::new(index))),
        Err(IndexError::Missing(_) | IndexError::Name(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(state(indexes, BTreeMap::new()))
}

/// The routes over one path; over none if the job has no such path.
///
/// # Errors
/// When the store cannot be read.
pub fn path_only(data: &DataFolder, name: &str, path: Option<&PathPlan>) -> Result<AppState> {
    let mut paths: BTreeMap<String, Arc<dyn SimilarPath>> = BTreeMap::new();
    if let Some(path) = path {
        let file = data.key_values();
        let store: Arc<dyn KeyValueScan> = Arc::new(KvReader::open(&file).context("the job has no results here")?);
        paths.insert(name.to_owned(), Arc::new(PathReader::new(store, name, &path.config())));
    }
    Ok(state(BTreeMap::new(), paths))
}

/// The routes over the lists of one path.
///
/// # Errors
/// When the store cannot be read.
pub fn lists_only(data: &DataFolder, name: &str) -> Result<AppState> {
    let store = Arc::new(KvReader::open(&data.key_values()).context("the job has no results here")?);
    let lists: Arc<dyn SimilarPath> = Arc::new(ListReader::new(store, list_table(name)));
    Ok(state(BTreeMap::new(), BTreeMap::from([(name.to_owned(), lists)])))
}

/// The lists of a job that are in Redis.
pub struct RemoteLists {
    /// The sinks that they are read from.
    pub stores: Vec<Arc<RedisReader>>,
    /// The paths whose lists they are.
    pub paths: BTreeMap<String, Arc<dyn SimilarPath>>,
}

/// What reads a job's lists in Redis; nothing is connected yet.
#[must_use]
pub fn remote_lists(plan: &JobPlan) -> RemoteLists {
    let (mut stores, mut paths) = (Vec::new(), BTreeMap::<String, Arc<dyn SimilarPath>>::new());
    for (sink, kind) in &plan.sinks {
        let SinkKind::Redis(redis) = kind else { continue };
        let outputs = plan.outputs.iter().filter(|(_, output)| output.sink.as_ref() == Some(sink));
        let names: Vec<&String> = outputs.map(|(name, _)| name).collect();
        if names.is_empty() {
            continue;
        }
        let store = Arc::new(RedisReader::new(redis.servers.clone(), redis.layout, redis.pattern.clone()));
        for name in names {
            // There the table of the lists has the path's own name.
            paths.insert(name.clone(), Arc::new(ListReader::new(Arc::clone(&store) as _, name)));
        }
        stores.push(store);
    }
    RemoteLists { stores, paths }
}

/// The routes over the lists that a job keeps in Redis.
#[must_use]
pub fn remote_only(plan: &JobPlan) -> AppState {
    state(BTreeMap::new(), remote_lists(plan).paths)
}

fn state(indexes: BTreeMap<String, Arc<dyn Search>>, paths: BTreeMap<String, Arc<dyn SimilarPath>>) -> AppState {
    AppState::new(Arc::new(Status::default), indexes, paths, Limits::default())
}
