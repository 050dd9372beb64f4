//! Objects that are to be forgotten: rows of a kind and an id's text, on their way to all that knows the object.
//!
//! Forgetting is a change as any other: it comes at an epoch, is replayed with it and stands in checkpoints. What rows of
//! the same epoch and of earlier ones have said of the object is gone when the epoch ends, in all relations; a row of a
//! later epoch begins anew, with another id.

use super::LiveGraph;
use crate::columns::text;
use crate::graph::KindId;
use arrow::array::Array;
use proxima_engine::{EpochEnd, Operator, Outbox};
use proxima_event::Changes;
use proxima_event::hash::hash_str;

/// The columns of a stream of objects to forget.
pub(super) mod columns {
    /// The name of the kind.
    pub(in crate::live) const KIND: usize = 0;
    /// The text of the id.
    pub(in crate::live) const ID: usize = 1;
}

/// The objects that an epoch forgets.
#[derive(Debug, Default)]
pub(super) struct Forgotten(Vec<(KindId, String)>);

impl Forgotten {
    /// Notes the objects of a batch. A row that is taken back brings nobody back.
    pub(super) fn note(&mut self, graph: &LiveGraph, changes: &Changes) {
        let (kinds, ids) = (text(changes.column(columns::KIND)), text(changes.column(columns::ID)));
        for row in (0..changes.len()).filter(|&row| ids.is_valid(row) && changes.weight(row) > 0) {
            if let Some(kind) = kinds.is_valid(row).then(|| graph.catalogue().kind(kinds.value(row))).flatten() {
                self.0.push((kind, ids.value(row).to_owned()));
            }
        }
    }

    /// Takes the texts of one kind that were noted, with their hashes; the rest is dropped.
    pub(super) fn take(&mut self, kind: KindId) -> impl Iterator<Item = (u64, String)> + use<> {
        let noted = std::mem::take(&mut self.0).into_iter();
        noted.filter(move |(of, _)| *of == kind).map(|(_, text)| (hash_str(&text), text))
    }

    /// The texts of one kind that were noted, with their hashes.
    pub(super) fn of(&self, kind: KindId) -> impl Iterator<Item = (u64, &str)> {
        self.0.iter().filter(move |(of, _)| *of == kind).map(|(_, text)| (hash_str(text), text.as_str()))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Puts out the objects that an epoch has forgotten, when it has: the rows on input 0 say which, the other inputs are
/// those of all operators that forget, and hold nothing.
#[derive(Debug, Default)]
pub(super) struct TellForgotten(Vec<Changes>);

impl Operator for TellForgotten {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if input == 0 {
            self.0.push(changes);
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        self.0.drain(..).for_each(|changes| out.push(changes));
    }
}
