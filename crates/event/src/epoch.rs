//! Epochs: the time of the dataflow. An epoch is the same cut of all sources on every worker.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A cut of the input, numbered from 0 in each [`Generation`]. Operators finish one epoch before they begin the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One run of the whole mesh of workers: a restart begins the next generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// The version of a write: `generation · 2^40 + epoch`.
///
/// A replay may cut epochs elsewhere; the generation makes every write of the new run newer than those of the dead one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of writes that belong to `epoch` of `generation`.
    ///
    /// # Panics
    /// When the epoch has reached 2^40: at one epoch a millisecond that is 34 years.
    #[must_use]
    pub fn new(generation: Generation, epoch: Epoch) -> Self {
        assert!(epoch.0 < 1 << 40, "epoch {epoch} does not fit a version");
        Self((generation.0 << 40) + epoch.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_generation_beats_every_epoch_of_an_earlier_one() {
        let old = Version::new(Generation(1), Epoch((1 << 40) - 1));
        assert!(Version::new(Generation(2), Epoch(0)) > old);
    }
}
