//! Makes the epochs behind a checkpoint again, cut as the run before cut them.
//!
//! Sinks may hold parts of those epochs. Only the same epochs give the same writes: in one that is larger a key could
//! come and go without a trace, and what the dead run wrote of it would stay.

use crate::checkpoint::Cut;
use crate::intake::PartitionStatus;
use proxima_event::{PartitionId, Position};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The cuts that are still to be made.
#[derive(Debug)]
pub(crate) struct Replay {
    cuts: VecDeque<Cut>,
    /// How many cuts were made.
    made: usize,
    /// For each source how many cuts it has offered completely.
    offered: Vec<usize>,
}

impl Replay {
    /// Nothing, when there is no cut to make.
    pub(crate) fn new(cuts: &[Cut], sources: usize) -> Option<Self> {
        let replay = Self { cuts: cuts.iter().cloned().collect(), made: 0, offered: vec![0; sources] };
        (!cuts.is_empty()).then_some(replay)
    }

    /// The epoch that is to be made next. Those before it held nothing.
    pub(crate) fn epoch(&self) -> u64 {
        self.cuts[0].epoch.0
    }

    /// Whether the epoch takes a chunk of this source.
    pub(crate) fn takes(&self, source: usize) -> bool {
        self.offered[source] == self.made
    }

    /// A source has offered another cut.
    pub(crate) fn replayed(&mut self, source: usize) {
        self.offered[source] += 1;
    }

    /// A source has ended: whether it offered all of its part shows when the cuts are compared.
    pub(crate) fn ended(&mut self, source: usize) {
        self.offered[source] = usize::MAX;
    }

    /// Whether the epoch holds all that it held before.
    pub(crate) fn is_complete(&self) -> bool {
        self.offered.iter().all(|&offered| offered > self.made)
    }

    /// The epoch is closed: what is left to replay behind it.
    ///
    /// # Errors
    /// When the epoch did not hold what it held before.
    pub(crate) fn closed(
        mut self,
        partitions: &BTreeMap<Arc<PartitionId>, PartitionStatus>,
    ) -> Result<Option<Self>, String> {
        let cut = self.cuts.pop_front().expect("there is a cut for as long as there is a replay");
        // Where a partition began comes before where it stood: the last one counts.
        let ends: BTreeMap<_, _> = cut.positions.iter().map(|position| (&position.partition, position)).collect();
        ends.into_values().try_for_each(|end| compare(end, partitions))?;
        self.made += 1;
        Ok((!self.cuts.is_empty()).then_some(self))
    }
}

fn compare(position: &Position, partitions: &BTreeMap<Arc<PartitionId>, PartitionStatus>) -> Result<(), String> {
    // A file that was rotated since has another name: then its source alone can tell.
    let Some(status) = partitions.get(&position.partition) else { return Ok(()) };
    if status.position.offset == position.offset || status.position.identity != position.identity {
        return Ok(());
    }
    Err(format!(
        "{} cannot be read again as the last run read it: it stands at {}, not at {}; if its records are gone, start \
         anew with --fresh",
        position.partition, status.position.offset, position.offset
    ))
}
