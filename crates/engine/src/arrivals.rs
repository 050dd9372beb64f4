//! What is read in order, though several workers decode it: for each chunk the newest event time of all before it.
//!
//! A *lane* is what has one order: a partition, or a source that reads its partitions one after another. The intake
//! numbers the chunks of each lane. A worker says what the times of a chunk are as soon as it is decoded; the rows of
//! the chunk wait until all chunks before it have been decoded too, which is a moment on one of the other workers.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// A place in a lane: the lane's number, and how many chunks came before in it. Both count from the run's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lane: usize,
    pub(crate) chunk: u64,
}

/// For each table that is read in order the newest event time in microseconds, `None` before the first.
pub(crate) type Newest = Vec<Option<i64>>;

/// What has come in each lane, for the readers of a process.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// By reader and lane: readers of one source have tables of their own.
    lanes: Mutex<HashMap<(usize, usize), Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    /// How many chunks have come without a gap.
    known: u64,
    /// Their newest times.
    newest: Newest,
    /// Those of chunks that came ahead of others.
    ahead: BTreeMap<u64, Newest>,
    /// What came before chunks that wait for it.
    before: HashMap<u64, Newest>,
}

/// What is known when a chunk has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// What came before it; `others` says whether others had waited for it.
    Known { before: Newest, others: bool },
    /// A chunk before it is missing yet: [`Arrivals::before`] will know.
    Early,
}

impl Arrivals {
    /// A chunk with these newest times has been decoded. Said once for each chunk.
    pub(crate) fn arrive(&self, reader: usize, place: Place, newest: Newest) -> Arrived {
        let mut lanes = self.lanes.lock();
        let lane = lanes.entry((reader, place.lane)).or_default();
        lane.newest.resize(newest.len(), None);
        if place.chunk != lane.known {
            lane.ahead.insert(place.chunk, newest);
            return Arrived::Early;
        }
        let before = lane.pass(newest);
        let known = lane.known;
        while let Some(newest) = lane.ahead.remove(&lane.known) {
            let chunk = lane.known;
            let before = lane.pass(newest);
            lane.before.insert(chunk, before);
        }
        Arrived::Known { before, others: lane.known > known }
    }

    /// What came before a chunk that was early, once it is known. Said once.
    pub(crate) fn before(&self, reader: usize, place: Place) -> Option<Newest> {
        self.lanes.lock().get_mut(&(reader, place.lane))?.before.remove(&place.chunk)
    }
}

impl Lane {
    /// The next chunk without a gap; gives back what came before it.
    fn pass(&mut self, newest: Newest) -> Newest {
        let after = self.newest.iter().zip(newest).map(|(&before, own)| before.max(own)).collect();
        self.known += 1;
        std::mem::replace(&mut self.newest, after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(arrivals: &Arrivals, lane: usize, chunk: u64, newest: i64) -> Arrived {
        arrivals.arrive(0, Place { lane, chunk }, vec![Some(newest), None])
    }

    fn known(before: Option<i64>, others: bool) -> Arrived {
        Arrived::Known { before: vec![before, None], others }
    }

    #[test]
    fn in_order_each_chunk_knows_at_once_what_came_before() {
        let arrivals = Arrivals::default();
        assert_eq!(arrive(&arrivals, 0, 0, 5), known(None, false));
        assert_eq!(arrive(&arrivals, 0, 1, 3), known(Some(5), false));
        assert_eq!(arrive(&arrivals, 1, 0, 9), known(None, false), "lanes do not know of each other");
        assert_eq!(arrive(&arrivals, 0, 2, 8), known(Some(5), false));
        assert_eq!(arrive(&arrivals, 0, 3, 8), known(Some(8), false));
    }

    #[test]
    fn chunks_that_are_early_wait_for_those_before() {
        let arrivals = Arrivals::default();
        let before = |chunk| arrivals.before(0, Place { lane: 0, chunk }).map(|before| before[0]);
        assert_eq!(arrive(&arrivals, 0, 2, 7), Arrived::Early);
        assert_eq!(arrive(&arrivals, 0, 1, 9), Arrived::Early);
        assert_eq!(before(1), None);
        assert_eq!(arrive(&arrivals, 0, 0, 4), known(None, true));
        assert_eq!((before(1), before(2)), (Some(Some(4)), Some(Some(9))));
        assert_eq!(before(1), None, "said once");
        assert_eq!(arrive(&arrivals, 0, 3, 1), known(Some(9), false));
    }
}
