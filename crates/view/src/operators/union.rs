//! UNION ALL: the rows of all inputs.

use proxima_engine::{Operator, Outbox};
use proxima_event::Changes;

/// Passes on the rows of any number of inputs with the same columns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Union;

impl Operator for Union {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        out.push(changes);
    }
}
