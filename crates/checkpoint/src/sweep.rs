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
