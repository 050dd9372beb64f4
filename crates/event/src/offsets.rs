//! The contract of an offset store: where the outside keeps how far a job has come.
//!
//! A checkpoint is decided in the checkpoint's own log. After that its positions are put where other programs and people
//! look for them, with a pointer to the checkpoint. The store holds one value for each job and never lets an older one
//! replace it, so a process that wakes up after its successor began cannot turn the job back.

use crate::{Epoch, Generation, Position, StoreError};

/// What a committed checkpoint says to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The run that made the checkpoint.
    pub generation: Generation,
    /// Where its manifest is found, in the words of the checkpoint store: `log/00000000000000000017.json`.
    pub checkpoint: String,
    /// The last epoch that it holds. Epochs are numbered on over all generations of a job.
    pub epoch: Epoch,
    /// Where each partition goes on, sorted by partition.
    pub positions: Vec<Position>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store holds it, or held the very same before: an answer may have been lost.
    Stored,
    /// A later epoch of the same generation stands; nothing was written. Only a commit that was sent again meets this.
    Overtaken,
    /// A later generation stands; nothing was written. The caller was succeeded by another run and must stop.
    Fenced {
        /// The generation that stands.
        by: Generation,
    },
}

/// Decides what becomes of a commit: the one rule that every store follows, whatever it is written in.
///
/// ```
/// use proxima_event::offsets::{Outcome, decide};
/// use proxima_event::{Epoch, Generation};
/// let standing = Some((Generation(2), Epoch(40)));
/// assert_eq!(decide(standing, (Generation(2), Epoch(41))), Outcome::Stored);
/// assert_eq!(decide(standing, (Generation(2), Epoch(39))), Outcome::Overtaken);
/// assert_eq!(decide(standing, (Generation(1), Epoch(99))), Outcome::Fenced { by: Generation(2) });
/// ```
#[must_use]
pub fn decide(standing: Option<(Generation, Epoch)>, wanted: (Generation, Epoch)) -> Outcome {
    match standing {
        Some((by, _)) if by > wanted.0 => Outcome::Fenced { by },
        Some(standing) if standing > wanted => Outcome::Overtaken,
        _ => Outcome::Stored,
    }
}

/// Keeps the newest checkpoint of one job. Called from one thread, after each checkpoint.
pub trait OffsetStore: Send {
    /// What was committed last; `None` for a job that has never committed.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what nobody of this job has written.
    fn load(&mut self) -> Result<Option<Committed>, StoreError>;

    /// Puts a checkpoint in the place of an older one, in one step: readers see all of it or nothing. Never replaces a
    /// newer one, as [`decide`] says. May be called again with the same after an error.
    ///
    /// # Errors
    /// When the store could not be reached for long, or refused. Whether it was stored is then unknown.
    fn commit(&mut self, committed: &Committed) -> Result<Outcome, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_newer_or_the_same_is_stored() {
        let at = |generation, epoch| (Generation(generation), Epoch(epoch));
        assert_eq!(decide(None, at(0, 0)), Outcome::Stored);
        assert_eq!(decide(Some(at(3, 7)), at(3, 7)), Outcome::Stored);
        assert_eq!(decide(Some(at(3, 7)), at(4, 7)), Outcome::Stored);
        assert_eq!(decide(Some(at(3, 7)), at(3, 6)), Outcome::Overtaken);
        assert_eq!(decide(Some(at(3, 7)), at(2, 8)), Outcome::Fenced { by: Generation(3) });
    }
}
