//! What facts have met, where they can be taken back.

use super::Facts;
use crate::operators::group_table::{GroupTable, NO_GROUP};
use proxima_event::hash::hash_columns;
use proxima_event::{KEY_GROUPS, KeyGroup};

/// What the facts have met that can still be taken back.
pub(super) struct Memory {
    /// The facts; the payload is the weight that the epoch adds.
    pub(super) table: GroupTable,
    /// For each fact what it has met, the last at the end.
    pub(super) met: Vec<Vec<Met>>,
    /// The facts that the epoch has changed, each with the lower half of its hash and its key number.
    pub(super) changed: Vec<(u32, u32, u32)>,
}

/// So many of a fact met these rows of the dimension, each with its weight. None: it went out with NULLs, or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Met {
    pub(super) count: i64,
    pub(super) rows: Box<[(u32, i64)]>,
}

/// The row of the dimension that stands for none.
pub(super) const NONE: u32 = NO_GROUP;

impl Memory {
    pub(super) fn note(&mut self, facts: &Facts) {
        let Facts { changes, keys, hashes: key_hashes } = facts;
        let columns = changes.rows.columns();
        let hashes = hash_columns(columns, changes.len());
        let (mut numbers, mut fresh) = (Vec::new(), Vec::new());
        self.table.resolve(columns, &hashes, &mut numbers, &mut fresh);
        self.met.resize(self.table.bound().max(self.met.len()), Vec::new());
        for (row, &fact) in numbers.iter().enumerate() {
            let (mut mark, payload) = self.table.marked_mut(fact);
            payload[0] = payload[0].wrapping_add_signed(changes.weight(row));
            if !mark.is_on() {
                mark.turn_on();
                self.changed.push((fact, hashes[row] as u32, keys[row]));
                self.table.set_key_group(fact, KeyGroup::of(key_hashes[row], KEY_GROUPS));
            }
        }
    }

    pub(super) fn take_delta(&mut self, fact: u32) -> i64 {
        let (mut mark, payload) = self.table.marked_mut(fact);
        mark.turn_off();
        std::mem::take(&mut payload[0]) as i64
    }

    pub(super) fn forget(&mut self, changed: &[(u32, u32, u32)]) {
        for &(fact, tag, _) in changed {
            if self.met[fact as usize].is_empty() {
                self.met[fact as usize] = Vec::new();
                self.table.remove(fact, tag);
            }
        }
    }
}
