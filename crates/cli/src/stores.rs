//! Opens a job's result stores for reading alone: those in its data folder.

use crate::data::DataFolder;
use crate::job::{JobPlan, PathPlan};
use crate::remote::remote_lists;
use anyhow::{Context, Result};
use proxima_event::KeyValueScan;
use proxima_graph::{PathReader, list_table};
use proxima_publish::ListReader;
use proxima_serve::{AppState, Limits, Search, SimilarPath, Status};
use proxima_sink::{IndexError, IndexReader, KvReader};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The routes over one index; over the others if there is no such index, so that the answer names them.
///
/// # Errors
/// When the index is there and cannot be read.
pub fn index_only(data: &DataFolder, name: &str) -> Result<AppState> {
    let mut indexes: BTreeMap<String, Arc<dyn Search>> = BTreeMap::new();
    match IndexReader::open(&data.indexes(), name) {
        Ok(index) => drop(indexes.insert(name.to_owned(), Arc::new(index))),
        Err(IndexError::Missing(_) | IndexError::Name(_)) => indexes = all_indexes(&data.indexes()),
        Err(error) => return Err(error.into()),
    }
    Ok(state(indexes, BTreeMap::new()))
}

fn all_indexes(folder: &Path) -> BTreeMap<String, Arc<dyn Search>> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let open = |name: String| Some((name.clone(), Arc::new(IndexReader::open(folder, &name).ok()?) as Arc<dyn Search>));
    names.filter_map(open).collect()
}

/// The routes over one path; over none if the job has no such path.
///
/// # Errors
/// When the store cannot be read.
pub fn path_only(data: &DataFolder, name: &str, path: &PathPlan) -> Result<AppState> {
    let file = data.key_values();
    let store: Arc<dyn KeyValueScan> = Arc::new(KvReader::open(&file).context("the job has no results here")?);
    let path: Arc<dyn SimilarPath> = Arc::new(PathReader::new(store, name, &path.config()));
    Ok(state(BTreeMap::new(), BTreeMap::from([(name.to_owned(), path)])))
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

/// The routes over the lists that a job keeps in Redis.
#[must_use]
pub fn remote_only(plan: &JobPlan) -> AppState {
    state(BTreeMap::new(), remote_lists(plan).paths)
}

fn state(indexes: BTreeMap<String, Arc<dyn Search>>, paths: BTreeMap<String, Arc<dyn SimilarPath>>) -> AppState {
    AppState::new(Arc::new(Status::default), indexes, paths, Limits::default())
}
