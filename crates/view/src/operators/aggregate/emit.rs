//! What goes out of an aggregate at the end of an epoch: changed rows.

use super::accumulator::Cells;
use super::call::counts;
use super::operator::{Aggregate, Call, ROWS};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use proxima_engine::Outbox;
use proxima_event::Changes;
use std::sync::Arc;

/// Groups put out in one batch: of the size at which batches are cheapest to pass on.
const BATCH_GROUPS: usize = 1024;

/// How many groups ahead a record is fetched.
const AHEAD: usize = 16;

/// The rows of one output batch.
#[derive(Default)]
struct Rows {
    groups: Vec<u32>,
    weights: Vec<i64>,
    /// The payload of each row.
    words: Vec<u64>,
}

impl Rows {
    fn push(&mut self, group: u32, weight: i64, words: &[u64]) {
        self.groups.push(group);
        self.weights.push(weight);
        self.words.extend_from_slice(words);
    }

    /// Whether all of them appear: where they take the place of others by their key they need no weights.
    fn only_appear(&self) -> bool {
        self.weights.iter().all(|&weight| weight == 1)
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.weights.clear();
        self.words.clear();
    }
}

impl Aggregate {
    /// Puts out, for each group that the epoch changed, the row that goes and the row that appears.
    pub(super) fn emit(&mut self, out: &mut Outbox) {
        if self.stride == 0 {
            for groups in self.touched.groups.chunks(BATCH_GROUPS) {
                out.push(Changes::inserts(self.batch(groups, &[])));
            }
            return;
        }
        let mut rows = Rows::default();
        for start in (0..self.touched.groups.len()).step_by(BATCH_GROUPS) {
            self.collect_changes(start, &mut rows);
            if !rows.groups.is_empty() {
                let batch = self.batch(&rows.groups, &rows.words);
                out.push(match rows.only_appear() {
                    true => Changes::inserts(batch),
                    false => Changes::weighted(batch, rows.weights.clone()),
                });
            }
            rows.clear();
        }
        self.global_shown |= self.spec.keys.is_empty() && !self.touched.groups.is_empty();
    }

    fn collect_changes(&self, start: usize, rows: &mut Rows) {
        let groups = &self.touched.groups;
        for at in start..groups.len().min(start + BATCH_GROUPS) {
            if let Some(&ahead) = groups.get(at + AHEAD) {
                self.table.prefetch(ahead);
            }
            let group = groups[at];
            let old = &self.touched.old[at * self.stride..][..self.stride];
            let new = self.table.payload(group);
            let (shown, shows) = (self.is_shown(old, self.global_shown), self.is_shown(new, true));
            if shown && shows && self.is_same(old, new) {
                continue;
            }
            if shown && !(shows && self.spec.upserts) {
                rows.push(group, -1, old);
            }
            if shows {
                rows.push(group, 1, new);
            }
        }
    }

    /// Whether a group with this payload has a row. `global` answers for the group without key.
    fn is_shown(&self, payload: &[u64], global: bool) -> bool {
        if self.spec.keys.is_empty() { global } else { payload[ROWS] as i64 > 0 }
    }

    fn is_same(&self, old: &[u64], new: &[u64]) -> bool {
        old == new
            || self.calls.iter().all(|call| match call {
                Call::Rows => old[ROWS] == new[ROWS],
                Call::Own(accumulator, own) => accumulator.same(&old[own.clone()], &new[own.clone()]),
            })
    }

    /// The output rows of some groups with these payloads.
    fn batch(&self, groups: &[u32], words: &[u64]) -> RecordBatch {
        let mut columns = self.table.columns(groups);
        for (call, field) in self.calls.iter().zip(self.spec.output.fields().iter().skip(columns.len())) {
            let column = match call {
                Call::Rows => counts(&DataType::Int64, words.chunks_exact(self.stride).map(|payload| payload[ROWS])),
                Call::Own(accumulator, own) => {
                    accumulator.output(&Cells { words, stride: self.stride, own: own.clone() })
                }
            };
            debug_assert_eq!(column.data_type(), field.data_type(), "the planner names the type of {}", field.name());
            columns.push(column);
        }
        RecordBatch::try_new(Arc::clone(&self.spec.output), columns).expect("the output is keys, then calls")
    }
}
