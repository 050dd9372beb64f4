//! Which operators a job has, and what of a stored checkpoint they can take over.

use crate::log::StoredOperator;
use proxima_event::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// An operator with state, known again over restarts by what it is called and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorId(pub u64);

impl OperatorId {
    /// The id of the operator of this name and specification: when either changes, it is another operator.
    #[must_use]
    pub fn of(name: &str, specification: &str) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(specification.as_bytes());
        Self(hasher.digest())
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An operator with state, as the job has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorFacts {
    /// Which one.
    pub id: OperatorId,
    /// Its name, for messages: `daily/aggregate`.
    pub name: String,
}

/// How the operators of a job fit a stored checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Operators that take over their state.
    pub resumed: Vec<String>,
    /// Operators that the checkpoint does not know: they start empty, at the checkpoint's positions, and have seen
    /// nothing of what came before.
    pub empty: Vec<String>,
    /// Operators of the checkpoint that the job no longer has: their state is dropped.
    pub dropped: Vec<String>,
}

impl Fit {
    /// Whether every operator of the job takes over its state.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.empty.is_empty()
    }

    /// Compares the job with what a checkpoint holds.
    pub(crate) fn of(job: &[OperatorFacts], stored: &[StoredOperator]) -> Self {
        let (resumed, empty): (Vec<_>, Vec<_>) =
            job.iter().partition(|operator| stored.iter().any(|known| known.id == operator.id));
        let dropped = stored.iter().filter(|known| job.iter().all(|operator| operator.id != known.id));
        let names = |operators: Vec<&OperatorFacts>| operators.iter().map(|operator| operator.name.clone()).collect();
        Self {
            resumed: names(resumed),
            empty: names(empty),
            dropped: dropped.map(|known| known.name.clone()).collect(),
        }
    }
}

/// The operators that a run's checkpoints name: those taken over keep their beginning, the others begin at `first`.
pub(crate) fn carried_over(job: &[OperatorFacts], stored: &[StoredOperator], first: Epoch) -> Vec<StoredOperator> {
    let since: BTreeMap<_, _> = stored.iter().map(|known| (known.id, known.since)).collect();
    job.iter()
        .map(|operator| StoredOperator::new(operator, since.get(&operator.id).copied().unwrap_or(first)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, specification: &str) -> OperatorFacts {
        OperatorFacts { id: OperatorId::of(name, specification), name: name.to_owned() }
    }

    #[test]
    fn an_id_stays_for_ever() {
        assert_eq!(OperatorId::of("daily/aggregate", "sum(price)").to_string(), ID);
        assert_ne!(OperatorId::of("ab", "c"), OperatorId::of("a", "bc"));
    }

    /// Stored checkpoints name it: it must not change.
    const ID: &str = "3d3e6fdde7f81fee";

    #[test]
    fn tells_what_starts_empty_and_what_is_dropped() {
        let stored =
            [StoredOperator::new(&facts("old", "1"), Epoch(3)), StoredOperator::new(&facts("kept", "1"), Epoch(5))];
        let job = [facts("kept", "1"), facts("new", "1")];
        let fit = Fit::of(&job, &stored);
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(fit, Fit { resumed: names(&["kept"]), empty: names(&["new"]), dropped: names(&["old"]) });
        assert!(!fit.is_whole());
        let since: Vec<_> = carried_over(&job, &stored, Epoch(9)).into_iter().map(|known| known.since.0).collect();
        assert_eq!(since, [5, 9]);
    }
}
