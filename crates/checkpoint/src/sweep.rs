//! What may be deleted: each object is put to a class before any is touched.
//!
//! An object that is garbage stays garbage: names are never used again, and what later runs go on from is among what is
//! kept now. So a run that was stopped in the middle of a sweep, and wakes up when it was succeeded, does no harm.

use crate::names::{self, CutsName, StateName};
use proxima_event::{Epoch, Generation};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What is known when it is decided what to delete.
pub(crate) struct SweepFacts {
    /// The run that sweeps.
    pub(crate) generation: Generation,
    /// Log entries before this place count no longer: the last entry says so.
    pub(crate) floor: u64,
    /// The files of all checkpoints that are kept.
    pub(crate) files: HashSet<String>,
    /// The epoch of the oldest checkpoint that is kept.
    pub(crate) oldest: Epoch,
    /// The epoch of the run's own newest checkpoint.
    pub(crate) newest: Epoch,
    /// The files of cuts that were read when the run began, and the last epoch of each.
    pub(crate) dead_cuts: BTreeMap<CutsName, Option<Epoch>>,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A recovery may need it.
    Needed,
    /// No recovery will look at it.
    Garbage,
    /// It is not ours, or of a later run: it stays.
    Unknown,
}

/// The names among these that may be deleted.
pub(crate) fn garbage(facts: &SweepFacts, names: &[String]) -> Vec<String> {
    let own_cuts: BTreeSet<_> = names
        .iter()
        .filter_map(|name| CutsName::parse(name))
        .filter(|cuts| cuts.generation == facts.generation)
        .collect();
    names.iter().filter(|name| classify(facts, &own_cuts, name) == Use::Garbage).cloned().collect()
}

fn classify(facts: &SweepFacts, own_cuts: &BTreeSet<CutsName>, name: &str) -> Use {
    if let Some(seq) = names::log_seq(name) {
        if seq < facts.floor { Use::Garbage } else { Use::Needed }
    } else if let Some(state) = StateName::parse(name) {
        classify_state(facts, state, name)
    } else if let Some(cuts) = CutsName::parse(name) {
        classify_cuts(facts, own_cuts, cuts)
    } else {
        Use::Unknown
    }
}

fn classify_state(facts: &SweepFacts, state: StateName, name: &str) -> Use {
    if facts.files.contains(name) {
        return Use::Needed;
    }
    match state.generation.cmp(&facts.generation) {
        std::cmp::Ordering::Less => Use::Garbage,
        // What is newer than the newest checkpoint will be in the next.
        std::cmp::Ordering::Equal if state.epoch > facts.newest => Use::Needed,
        std::cmp::Ordering::Equal => Use::Garbage,
        std::cmp::Ordering::Greater => Use::Unknown,
    }
}

fn classify_cuts(facts: &SweepFacts, own_cuts: &BTreeSet<CutsName>, cuts: CutsName) -> Use {
    let needed = match cuts.generation.cmp(&facts.generation) {
        std::cmp::Ordering::Greater => return Use::Unknown,
        // A file ends where the next begins; the last one is still written.
        std::cmp::Ordering::Equal => {
            let behind = own_cuts.range(cuts..).nth(1);
            behind.is_none_or(|next| next.first > facts.oldest.next())
        }
        // What was not there when the run began came too late to count.
        std::cmp::Ordering::Less => {
            let last = facts.dead_cuts.get(&cuts).copied().flatten();
            last.is_some_and(|last| last > facts.oldest)
        }
    };
    if needed { Use::Needed } else { Use::Garbage }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Generation = Generation(5);

    fn state(generation: u64, epoch: u64) -> String {
        StateName { epoch: Epoch(epoch), generation: Generation(generation), worker: 0, part: 0 }.print()
    }

    fn cuts(generation: u64, number: u64, first: u64) -> CutsName {
        CutsName { generation: Generation(generation), number, first: Epoch(first) }
    }

    /// Checkpoints of the epochs 20 and 30 are kept; the run has just made the second.
    fn facts() -> SweepFacts {
        SweepFacts {
            generation: OWN,
            floor: 7,
            files: [state(3, 12), state(5, 30)].into(),
            oldest: Epoch(20),
            newest: Epoch(30),
            dead_cuts: [(cuts(3, 0, 10), Some(Epoch(20))), (cuts(3, 1, 21), Some(Epoch(25))), (cuts(4, 0, 21), None)]
                .into(),
        }
    }

    fn swept(names: &[String]) -> Vec<String> {
        garbage(&facts(), names)
    }

    #[test]
    fn log_entries_go_below_the_floor() {
        assert_eq!(swept(&[6, 7, 8].map(names::log_entry)), [names::log_entry(6)]);
    }

    #[test]
    fn state_goes_that_no_kept_checkpoint_names() {
        let needed = [state(3, 12), state(5, 30), state(5, 31), state(6, 1)];
        let dead = [state(3, 13), state(4, 40), state(5, 29)];
        assert_eq!(swept(&[&needed[..], &dead].concat()), dead);
    }

    #[test]
    fn cuts_go_that_are_not_behind_the_oldest_kept_checkpoint() {
        let dead = [cuts(3, 0, 10), cuts(4, 0, 21), cuts(4, 1, 30)].map(CutsName::print);
        let needed =
            [cuts(3, 1, 21), cuts(5, 0, 10), cuts(5, 1, 22), cuts(5, 2, 25), cuts(6, 0, 1)].map(CutsName::print);
        assert_eq!(swept(&[&dead[..], &needed].concat()), dead);
        // It ends at epoch 20 where the next one begins.
        let behind = [cuts(5, 0, 10), cuts(5, 1, 21)].map(CutsName::print);
        assert_eq!(swept(&behind), behind[..1]);
    }

    #[test]
    fn what_is_not_ours_stays() {
        assert_eq!(swept(&["log/notes.txt", "state/5/x", "cuts/readme"].map(str::to_owned)), [""; 0]);
    }
}
