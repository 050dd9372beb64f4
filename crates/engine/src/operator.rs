//! The contract of an operator: a fold over keyed state, with no clock, no I/O and no randomness of its own.

use crate::snapshot::{SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, Epoch, KeyGroupSet};

/// One step of the dataflow on one worker.
///
/// The engine calls [`apply`](Operator::apply) for each batch of an epoch, in any order, then
/// [`finish`](Operator::finish) once when all inputs have given everything of that epoch; only then come batches of the
/// next. What an epoch puts out, summed by row, must not depend on the order of the batches inside it.
pub trait Operator {
    /// Takes in one batch, which arrived at the given input.
    ///
    /// Behind a [`Route::ByKey`](crate::Route::ByKey) the batch carries its key hashes, and holds only keys that this
    /// worker owns.
    fn apply(&mut self, input: usize, changes: Changes, out: &mut Outbox);

    /// All batches of the epoch have come. A stateful operator puts out here what the epoch changed.
    fn finish(&mut self, _end: EpochEnd, _out: &mut Outbox) {}

    /// Says which key groups belong to this worker. Called once, before anything else.
    fn own(&mut self, _owned: &KeyGroupSet) {}

    /// Checkpoints are on: notes from now on what changes in the key groups, of which this worker owns `owned`. Called
    /// once, before any [`load`](Operator::load) and before the first batch. Without it there is no
    /// [`save`](Operator::save), and noting changes costs neither time nor memory.
    fn track(&mut self, _owned: &KeyGroupSet) {}

    /// Writes the state between two epochs: of the key groups in `rewrite` all of it, of every other what changed since
    /// the last save: rows that are new or differ, and keys that are gone. A key group without changes writes nothing.
    ///
    /// `rewrite` names only key groups that this worker owns; in the first save it names all of them, unless they were
    /// loaded. What was saved before of a key group in `rewrite` counts no more, also where nothing is written for it
    /// now. An operator may write a key group whole in place of its changes. Stateless operators write nothing.
    fn save(&mut self, _rewrite: &KeyGroupSet, _out: &mut StateWriter) {}

    /// Takes back state written by [`save`](Operator::save), before the first batch. Called for each key group that
    /// this worker owns, which may have been written by another number of workers: first with its full section, if it
    /// has one, then with its changes in their order. Nothing of what is loaded counts as changed.
    ///
    /// # Errors
    /// When the stored bytes are not what this operator writes.
    fn load(&mut self, _state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }

    /// What the operator holds, for status.
    fn stats(&self) -> OperatorStats {
        OperatorStats::default()
    }
}

/// The end of an epoch. Epochs end every few tens of milliseconds, whether or not anything came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// Whether it is the last one: all sources have ended. What was held back to coalesce it must go out now.
    pub last: bool,
}

/// What an operator holds on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorStats {
    /// Keys, groups or rows in state.
    pub keys: u64,
    /// Bytes of state, estimated.
    pub bytes: u64,
    /// Records dropped because they came after their lifetime.
    pub late: u64,
    /// Rows left out because an expression failed on them.
    pub failed: u64,
}

/// Where an operator puts its output.
#[derive(Debug, Default)]
pub struct Outbox {
    batches: Vec<Changes>,
}

impl Outbox {
    /// Puts out a batch; an empty one is dropped.
    pub fn push(&mut self, changes: Changes) {
        if !changes.is_empty() {
            self.batches.push(changes);
        }
    }

    /// Takes everything put out so far.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Changes> {
        self.batches.drain(..)
    }
}
