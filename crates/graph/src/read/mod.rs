//! Reading a path: published counts become a list of neighbours with scores.
//!
//! Counts rest, scores do not: a row's list changes with the norm of any neighbour, so scores are computed when asked
//! for. While events come, rows and norms of one answer may be up to the path's publish interval apart; at rest the
//! answer is exact.

mod cache;
mod rank;

use crate::codec;
use crate::config::{Merger, PathConfig};
use crate::lower::{object_table, path_table};
use cache::{NameCache, NormCache};
use proxima_event::{KeyValueScan, StoreError};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use thiserror::Error;

/// Answers questions to one path. Shared by all threads that serve.
///
/// Keeps the norms of all objects (8 bytes each, and 8 for each shard) and the names of those that were in an answer
/// in memory.
pub struct PathReader {
    store: Arc<dyn KeyValueScan>,
    table: String,
    objects: Option<String>,
    merger: Merger,
    norms: NormCache,
    names: NameCache,
}

/// An object and its neighbours.
#[derive(Clone, Debug, Serialize)]
pub struct Similar {
    /// The object that was asked for.
    pub id: String,
    /// How many subjects it is related to.
    pub norm: u64,
    /// Its attributes, a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
    /// Its neighbours, the highest score first; equal scores by id.
    pub neighbours: Vec<Neighbour>,
}

/// A neighbour of an object.
#[derive(Clone, Debug, Serialize)]
pub struct Neighbour {
    /// The neighbour.
    pub id: String,
    /// What the path's merger makes of the counts.
    pub score: f64,
    /// How many subjects both are related to.
    pub pairs: u64,
    /// How many subjects the neighbour is related to.
    pub norm: u64,
    /// Its attributes, a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Box<RawValue>>,
}

/// Why a path could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store holds something else than a path's results.
    #[error("cannot read {table}: the {what} is damaged")]
    Damaged {
        /// The table.
        table: String,
        /// What was read.
        what: &'static str,
    },
}

impl PathReader {
    /// A reader of the path of this name.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValueScan>, path: &str, config: &PathConfig) -> Self {
        Self {
            store,
            table: path_table(path),
            objects: config.object.as_deref().map(object_table),
            merger: config.merger,
            norms: NormCache::default(),
            names: NameCache::default(),
        }
    }

    /// The `n` neighbours of an object with the highest scores, or `None` when no subject is related to it.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn similar(&self, object: &str, n: usize) -> Result<Option<Similar>, ReadError> {
        let Some(value) = self.store.get(&self.table, &codec::id_key(object))? else { return Ok(None) };
        let id = codec::decode_id(&value).ok_or_else(|| self.damaged("id"))?;
        let reset = self.norms.refresh(self)?;
        if reset {
            self.names.clear();
        }
        let row = self.row(id)?;
        let Some((norm, mut candidates)) = self.norms.candidates(id, &row, self.merger) else { return Ok(None) };
        rank::keep_top(&mut candidates, n);
        let names = self.names.of(candidates.iter().map(|candidate| candidate.id), self)?;
        let neighbours = rank::order(candidates, names, n);
        let neighbours = neighbours.into_iter().map(|(candidate, name)| {
            let attributes = self.attributes(&name)?;
            let rank::Candidate { score, pairs, norm, .. } = candidate;
            Ok(Neighbour { id: name.as_ref().to_owned(), score, pairs, norm, attributes })
        });
        let neighbours = neighbours.collect::<Result<_, ReadError>>()?;
        Ok(Some(Similar { id: object.to_owned(), norm, attributes: self.attributes(object)?, neighbours }))
    }

    /// The counts of a row, by id: the sum of what the shards published.
    fn row(&self, id: u32) -> Result<Vec<(u32, u64)>, ReadError> {
        let mut shards = Vec::new();
        let mut visit = |_: &[u8], value: &[u8]| {
            shards.push(codec::decode_row(value));
            true
        };
        self.store.scan(&self.table, &codec::row_prefix(id), &mut visit)?;
        let shards: Option<Vec<_>> = shards.into_iter().collect();
        let shards = shards.ok_or_else(|| self.damaged("row"))?;
        Ok(shards.into_iter().reduce(|left, right| rank::add_rows(&left, &right)).unwrap_or_default())
    }

    fn attributes(&self, object: &str) -> Result<Option<Box<RawValue>>, ReadError> {
        let Some(table) = &self.objects else { return Ok(None) };
        let Some(value) = self.store.get(table, object.as_bytes())? else { return Ok(None) };
        let damaged = || ReadError::Damaged { table: table.clone(), what: "document" };
        let text = String::from_utf8(value).map_err(|_| damaged())?;
        Ok(Some(RawValue::from_string(text).map_err(|_| damaged())?))
    }

    fn damaged(&self, what: &'static str) -> ReadError {
        ReadError::Damaged { table: self.table.clone(), what }
    }
}
