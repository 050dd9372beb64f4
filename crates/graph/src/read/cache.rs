//! What a reader keeps in memory: norms, which every question needs by the thousand, and names of ids.
//!
//! Each shard publishes norms in blocks and says for each block how often it was published. A question first looks at
//! these numbers and reads again the blocks that are newer than what is here.

use super::rank::Candidate;
use super::{PathReader, ReadError};
use crate::codec::{self, NORM_BLOCK, Shard};
use crate::config::Merger;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// For each shard, how often each of its blocks was published.
type Publications = BTreeMap<Shard, Vec<u64>>;

/// The norms of all objects.
#[derive(Default)]
pub(super) struct NormCache(RwLock<Norms>);

#[derive(Default)]
struct Norms {
    known: Publications,
    blocks: HashMap<(Shard, u32), Vec<u64>>,
    /// The norms by id, over all shards.
    sums: Vec<u64>,
}

impl NormCache {
    /// Reads what was published since the last time. Gives true when the store was begun anew, so that ids may mean
    /// other objects.
    pub(super) fn refresh(&self, reader: &PathReader) -> Result<bool, ReadError> {
        let published = publications(reader)?;
        if self.0.read().unwrap_or_else(PoisonError::into_inner).known == published {
            return Ok(false);
        }
        let mut norms = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have read something newer while this one waited for the lock.
        let published = publications(reader)?;
        let begun_anew = norms.known.iter().any(|(shard, known)| is_older(published.get(shard), known));
        if begun_anew {
            *norms = Norms::default();
        }
        for (&shard, numbers) in &published {
            norms.refresh_shard(shard, numbers, reader)?;
        }
        Ok(begun_anew)
    }

    /// The object's norm and its neighbours with their scores; `None` when it has no subjects. Neighbours whose norm
    /// has not reached the store yet are left out.
    pub(super) fn candidates(&self, id: u32, row: &[(u32, u64)], merger: Merger) -> Option<(u64, Vec<Candidate>)> {
        let norms = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = norms.of(id);
        let candidate = |&(id, pairs): &(u32, u64)| {
            let norm = norms.of(id);
            (norm > 0).then(|| Candidate { id, score: merger.score(pairs, own, norm), pairs, norm })
        };
        (own > 0).then(|| (own, row.iter().filter_map(candidate).collect()))
    }
}

/// Whether what is published is older than what is known of a shard.
fn is_older(published: Option<&Vec<u64>>, known: &[u64]) -> bool {
    match published {
        None => true,
        Some(published) => {
            published.len() < known.len() || published.iter().zip(known).any(|(published, known)| published < known)
        }
    }
}

impl Norms {
    fn of(&self, id: u32) -> u64 {
        self.sums.get(id as usize).copied().unwrap_or(0)
    }

    fn refresh_shard(&mut self, shard: Shard, published: &[u64], reader: &PathReader) -> Result<(), ReadError> {
        for (block, &publication) in published.iter().enumerate() {
            let known = self.known.get(&shard).and_then(|known| known.get(block)).copied().unwrap_or(0);
            if publication > known {
                self.refresh_block(shard, block as u32, reader)?;
            }
        }
        self.known.insert(shard, published.to_vec());
        Ok(())
    }

    fn refresh_block(&mut self, shard: Shard, block: u32, reader: &PathReader) -> Result<(), ReadError> {
        let value = reader.store.get(&reader.table, &codec::norms_key(block, shard))?;
        let fresh =
            codec::decode_numbers(&value.unwrap_or_default()).ok_or_else(|| reader.damaged("block of norms"))?;
        if fresh.len() > NORM_BLOCK {
            return Err(reader.damaged("block of norms"));
        }
        let first = block as usize * NORM_BLOCK;
        if self.sums.len() < first + NORM_BLOCK {
            self.sums.resize(first + NORM_BLOCK, 0);
        }
        let sums = &mut self.sums[first..];
        let stale = self.blocks.entry((shard, block)).or_default();
        stale.iter().zip(sums.iter_mut()).for_each(|(norm, sum)| *sum -= norm);
        fresh.iter().zip(sums.iter_mut()).for_each(|(norm, sum)| *sum += norm);
        *stale = fresh;
        Ok(())
    }
}

fn publications(reader: &PathReader) -> Result<Publications, ReadError> {
    let mut published = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        published.push(codec::published_shard(key).zip(codec::decode_numbers(value)));
        true
    };
    reader.store.scan(&reader.table, codec::PUBLISHED_PREFIX, &mut visit)?;
    let published: Option<Publications> = published.into_iter().collect();
    published.ok_or_else(|| reader.damaged("number of a publication"))
}

/// Names of ids. An id has one name for ever, so what is known stays true.
#[derive(Default)]
pub(super) struct NameCache(RwLock<HashMap<u32, Arc<str>>>);

impl NameCache {
    /// The name of each id; `None` for an id that has not reached the store yet.
    pub(super) fn of(
        &self,
        ids: impl Iterator<Item = u32>,
        reader: &PathReader,
    ) -> Result<Vec<Option<Arc<str>>>, ReadError> {
        let mut names: Vec<_> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            ids.map(|id| (id, known.get(&id).cloned())).collect()
        };
        let mut learnt = Vec::new();
        for (id, name) in names.iter_mut().filter(|(_, name)| name.is_none()) {
            *name = read_name(*id, reader)?;
            learnt.extend(name.clone().map(|name| (*id, name)));
        }
        if !learnt.is_empty() {
            self.0.write().unwrap_or_else(PoisonError::into_inner).extend(learnt);
        }
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    pub(super) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn read_name(id: u32, reader: &PathReader) -> Result<Option<Arc<str>>, ReadError> {
    let Some(value) = reader.store.get(&reader.table, &codec::name_key(id))? else { return Ok(None) };
    let name = String::from_utf8(value).map_err(|_| reader.damaged("name"))?;
    Ok(Some(name.into()))
}
