//! Streams on their way into a path's table: names of ids, and the union that feeds the sink.

use crate::codec;
use crate::columns::{KeyValueRows, text};
use crate::identify::{ids, output};
use arrow::array::Array;
use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// Publishes the name of each id and the id of each name, when [`Identify`](crate::identify::Identify) tells them.
/// Reads its rows where they are: the worker that gives an id is the one that writes its keys.
#[derive(Debug, Default)]
pub struct Announce;

impl Operator for Announce {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        let names = text(changes.column(output::NAME));
        if names.null_count() == names.len() {
            return;
        }
        let mut writes = KeyValueRows::new(out);
        for (&id, name) in ids(&changes).iter().zip(&names) {
            if let Some(name) = name {
                writes.put(&codec::id_key(name), &id.to_be_bytes());
                writes.put(&codec::name_key(id), name.as_bytes());
            }
        }
    }
}

/// Puts out what comes in, from however many inputs.
#[derive(Debug, Default)]
pub struct Union;

impl Operator for Union {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        out.push(changes);
    }
}
