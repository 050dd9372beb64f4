//! Which checkpoints a restart may go on from: a decision about the log's entries alone.

use crate::log::{CheckpointEntry, Entry};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A checkpoint with its place in the log.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) seq: u64,
    entry: Arc<Entry>,
}

impl Candidate {
    /// The checkpoint at a place, if it is one.
    pub(crate) fn new(seq: u64, entry: &Arc<Entry>) -> Option<Self> {
        matches!(**entry, Entry::Checkpoint(_)).then(|| Self { seq, entry: Arc::clone(entry) })
    }

    pub(crate) fn checkpoint(&self) -> &CheckpointEntry {
        match &*self.entry {
            Entry::Checkpoint(checkpoint) => checkpoint,
            Entry::Begin(_) => unreachable!("only a checkpoint becomes a candidate"),
        }
    }
}

/// The checkpoints on the line that leads to the last entry, the newest first.
///
/// A run goes on from the checkpoint that its `Begin` names. What stands between the two is off the line: it could not
/// be read when the run began, and the run has gone another way since.
pub(crate) fn line(entries: &BTreeMap<u64, Arc<Entry>>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut newest = u64::MAX;
    for (&seq, entry) in entries.iter().rev() {
        if seq > newest {
            continue;
        }
        match &**entry {
            Entry::Checkpoint(_) => candidates.extend(Candidate::new(seq, entry)),
            Entry::Begin(begin) => match begin.based_on {
                Some(base) => newest = base,
                None => break,
            },
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::{begin, checkpoint};

    fn line_of(entries: &[Entry]) -> Vec<u64> {
        let entries = (1..).zip(entries).map(|(seq, entry)| (seq, Arc::new(entry.clone()))).collect();
        line(&entries).iter().map(|candidate| candidate.seq).collect()
    }

    #[test]
    fn follows_runs_to_what_they_began_from() {
        let entries = [begin(1, None), checkpoint(1, 4), begin(2, Some(2)), begin(3, Some(2)), checkpoint(3, 9)];
        assert_eq!(line_of(&entries), [5, 2]);
    }

    #[test]
    fn leaves_out_what_a_run_passed_over() {
        let entries = [
            begin(1, None),
            checkpoint(1, 4),
            checkpoint(1, 8),
            begin(2, Some(2)),
            checkpoint(2, 6),
            begin(3, Some(5)),
            checkpoint(3, 7),
        ];
        assert_eq!(line_of(&entries), [7, 5, 2]);
    }

    #[test]
    fn ends_where_a_run_began_from_nothing() {
        assert_eq!(line_of(&[begin(1, None), checkpoint(1, 4), begin(2, None), checkpoint(2, 0)]), [4]);
        assert_eq!(line_of(&[begin(1, None), checkpoint(1, 4), begin(2, None)]), [0_u64; 0]);
        assert_eq!(line_of(&[]), [0_u64; 0]);
    }
}
