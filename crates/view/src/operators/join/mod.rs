//! Equi-join of two streams, inner and outer.
//!
//! Both inputs keep their rows by key. At the end of an epoch each pair with a changed row goes out with the change of
//! its product of weights, so the work is that of the changes times their matches, and nothing goes out twice. A row of
//! an outer side goes out with NULLs while its key has no row on the other side.

use crate::operators::expiry::{Expirer, Expiry};
use crate::operators::group_table::{BatchForm, NO_GROUP};
use crate::operators::keyed_rows::{KeyedRows, LOOSE, OWN, WEIGHT};
use crate::operators::keys::Keys;
use crate::operators::snapshot::{Part, runs};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::{Changes, KeyGroupSet};
use side::Side;
use std::sync::Arc;

mod side;

#[cfg(test)]
mod tests;

/// Which rows without a match are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those of the left input.
    Left,
    /// Those of the right input.
    Right,
    /// Those of both inputs.
    Full,
}

/// What a [`Join`] joins. The left rows come on input 0, the right rows on input 1, each routed by its keys.
#[derive(Clone, Debug)]
pub struct JoinSpec {
    /// The rows of input 0.
    pub left: SchemaRef,
    /// The rows of input 1.
    pub right: SchemaRef,
    /// The key columns of the left rows.
    pub left_keys: Vec<usize>,
    /// The key columns of the right rows, of the same types.
    pub right_keys: Vec<usize>,
    /// Which rows without a match are kept.
    pub kind: JoinKind,
    /// The rows that go out: the left columns, then the right columns.
    pub output: SchemaRef,
    /// For the left and the right rows, when they may be forgotten. What is over changes no more.
    pub expiry: [Option<Expiry>; 2],
    /// Where both sides have times: by how many microseconds a row of the other side may be newer than one of the left
    /// or the right side, for the two to match. Without a time a row matches none.
    pub reaches_us: Option<[i64; 2]>,
}

/// Rows that go out in one batch.
const BATCH_ROWS: usize = 1024;

/// Joins two streams by equal keys.
pub struct Join {
    spec: JoinSpec,
    keys: Keys,
    sides: [Side; 2],
}

/// Pairs on their way out; a missing row is [`NO_GROUP`].
#[derive(Default)]
struct Pairs {
    rows: [Vec<u32>; 2],
    weights: Vec<i64>,
    /// The weight of rows all of whose columns are NULL.
    blank: i64,
}

impl JoinKind {
    fn outer(self) -> [bool; 2] {
        [matches!(self, Self::Left | Self::Full), matches!(self, Self::Right | Self::Full)]
    }
}

impl Join {
    /// A join that has seen no rows.
    ///
    /// # Panics
    /// When the key columns of both sides are not of the same types.
    #[must_use]
    pub fn new(spec: JoinSpec) -> Self {
        let types = |schema: &SchemaRef, keys: &[usize]| -> Vec<DataType> {
            keys.iter().map(|&key| schema.field(key).data_type().clone()).collect()
        };
        let key_types = types(&spec.left, &spec.left_keys);
        assert_eq!(key_types, types(&spec.right, &spec.right_keys), "the planner casts join keys to one type");
        let side = |schema: &SchemaRef, keys: &[usize], outer, expiry: Option<Expiry>| Side {
            schema: Arc::clone(schema),
            keys: keys.to_vec(),
            outer,
            rows: KeyedRows::new(schema),
            expirer: expiry.map(Expirer::new),
        };
        let [left_outer, right_outer] = spec.kind.outer();
        let [left_expiry, right_expiry] = spec.expiry.clone();
        let left = side(&spec.left, &spec.left_keys, left_outer, left_expiry);
        let right = side(&spec.right, &spec.right_keys, right_outer, right_expiry);
        Self { keys: Keys::new(key_types), sides: [left, right], spec }
    }

    /// Whether rows meet only those that are not over, or near them in time.
    fn is_bounded(&self) -> bool {
        self.sides.iter().any(|side| side.expirer.is_some())
    }

    /// Whether two rows of one key match.
    fn meet(&self, left: u32, right: u32) -> bool {
        if !self.is_bounded() {
            return true;
        }
        let times = [self.sides[0].time_us(left), self.sides[1].time_us(right)];
        if std::iter::zip(&self.sides, times).any(|(side, time_us)| side.was_over(time_us)) {
            return false;
        }
        let Some([left_us, right_us]) = self.spec.reaches_us else { return true };
        let [Some(left), Some(right)] = times else { return false };
        right <= left.saturating_add(left_us) && left <= right.saturating_add(right_us)
    }

    /// How often rows of the other side match a row, before the epoch and after it: at least so often, once neither is 0.
    fn matches(&self, side: usize, row: u32) -> (i64, i64) {
        let (key, other) = (self.sides[side].rows.key(row), &self.sides[1 - side].rows);
        if key == LOOSE {
            return (0, 0);
        }
        if !self.is_bounded() {
            return other.total(key);
        }
        let meets = |&at: &u32| if side == 0 { self.meet(row, at) } else { self.meet(at, row) };
        let (mut was, mut is) = (0, 0);
        for at in other.of_key(key).filter(meets) {
            let (before, delta) = other.weight(at);
            (was, is) = (was + before, is + before + delta);
            // Most rows have a match that stays. A key with many rows must not be gone through for each of them.
            if was > 0 && is > 0 {
                break;
            }
        }
        (was, is)
    }

    /// Puts out the pairs with a changed row.
    fn emit_pairs(&self, pairs: &mut Pairs, out: &mut Outbox) {
        let [left, right] = [&self.sides[0].rows, &self.sides[1].rows];
        for changed in left.changed() {
            let (row, key) = (changed.row, left.key(changed.row));
            let (before, delta) = left.weight(row);
            if delta == 0 || key == LOOSE {
                continue;
            }
            for other in right.of_key(key).filter(|&other| self.meet(row, other)) {
                let (other_before, other_delta) = right.weight(other);
                let weight = (before + delta) * (other_before + other_delta) - before * other_before;
                self.push(pairs, [row, other], weight, out);
            }
        }
        for changed in right.changed() {
            let (row, key) = (changed.row, right.key(changed.row));
            let delta = right.weight(row).1;
            if delta == 0 || key == LOOSE {
                continue;
            }
            for other in left.of_key(key).filter(|&other| self.meet(other, row)) {
                // Pairs of two changed rows went out above.
                let (other_before, other_delta) = left.weight(other);
                if other_delta == 0 {
                    self.push(pairs, [other, row], other_before * delta, out);
                }
            }
        }
    }

    /// Puts out the changes of an outer side's rows without a match.
    fn emit_lone(&mut self, side: usize, pairs: &mut Pairs, out: &mut Outbox) {
        let rows = self.lone_candidates(side);
        for row in rows {
            let mine = &self.sides[side].rows;
            let (before, delta) = mine.weight(row);
            let (shown, key) = (mine.own(row), mine.key(row));
            let shows = match self.matches(side, row) {
                (_, after) if after > 0 => 0,
                (was, _) if was > 0 => before + delta,
                // Not more than are shown can be taken back: matches of the others have been forgotten in time.
                _ if key == LOOSE => delta,
                _ => (shown + delta).max(0),
            };
            let change = shows - shown;
            if key == LOOSE && self.sides[side].rows.table.is_all_null(row) {
                // Both sides show such a row alike.
                pairs.blank += change;
                continue;
            }
            let place = if side == 0 { [row, NO_GROUP] } else { [NO_GROUP, row] };
            self.push(pairs, place, change, out);
            if change != 0 {
                self.sides[side].rows.set_own(row, shows);
                self.sides[side].rows.table.touch(row);
            }
        }
    }

    /// The rows of an outer side whose being alone may have changed: changed ones, and all of a key whose last match
    /// may have gone or whose first one may have come.
    fn lone_candidates(&self, side: usize) -> Vec<u32> {
        let (mine, other) = (&self.sides[side].rows, &self.sides[1 - side].rows);
        let may_turn = |&key: &u32| {
            let (before, after) = other.total(key);
            // Where rows match by time too, a key's total does not say whether a row has matches.
            self.is_bounded() || (before > 0) != (after > 0)
        };
        let mut keys: Vec<u32> = other.changed().iter().map(|changed| other.key(changed.row)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| *key != LOOSE && may_turn(key));
        let changed = mine.changed().iter().map(|changed| changed.row);
        let mut rows: Vec<u32> = changed.filter(|&row| keys.binary_search(&mine.key(row)).is_err()).collect();
        rows.extend(keys.into_iter().flat_map(|key| mine.of_key(key)));
        rows
    }

    fn push(&self, pairs: &mut Pairs, rows: [u32; 2], weight: i64, out: &mut Outbox) {
        if weight == 0 {
            return;
        }
        pairs.rows[0].push(rows[0]);
        pairs.rows[1].push(rows[1]);
        pairs.weights.push(weight);
        if pairs.weights.len() == BATCH_ROWS {
            self.flush(pairs, out);
        }
    }

    fn flush(&self, pairs: &mut Pairs, out: &mut Outbox) {
        if pairs.weights.is_empty() {
            return;
        }
        let mut columns = self.sides[0].rows.table.columns(&pairs.rows[0]);
        columns.extend(self.sides[1].rows.table.columns(&pairs.rows[1]));
        let rows = RecordBatch::try_new(Arc::clone(&self.spec.output), columns);
        let rows = rows.expect("the output is the columns of both sides");
        out.push(Changes::weighted(rows, std::mem::take(&mut pairs.weights)));
        pairs.rows = Default::default();
    }

    /// Makes the epoch part of the state, and forgets what is over.
    fn commit(&mut self) {
        let mut keys = Vec::new();
        for side in &mut self.sides {
            side.rows.commit(|_| false, |key| keys.push(key));
            side.expire(&mut keys);
        }
        let [left, right] = &self.sides;
        self.keys.retire(keys, |key| left.rows.is_empty(key) && right.rows.is_empty(key));
    }
}

impl Operator for Join {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        if input < self.sides.len() {
            let (keys, hashes) = self.keys.of(&changes, &self.sides[input].keys);
            return self.sides[input].take_in(changes, keys, &hashes);
        }
        for expirer in self.sides.iter_mut().filter_map(|side| side.expirer.as_mut()) {
            if expirer.expiry.input == input {
                expirer.raise(&changes);
            }
        }
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let mut pairs = Pairs::default();
        self.sides.iter_mut().for_each(|side| side.rows.add_up());
        self.emit_pairs(&mut pairs, out);
        for side in 0..self.sides.len() {
            if self.sides[side].outer {
                self.emit_lone(side, &mut pairs, out);
            }
        }
        let blank = pairs.blank;
        self.push(&mut pairs, [NO_GROUP; 2], blank, out);
        self.flush(&mut pairs, out);
        self.commit();
    }

    fn track(&mut self, _owned: &KeyGroupSet) {
        self.sides.iter_mut().for_each(|side| side.rows.track());
    }

    /// A section has, for each side, the rows that are gone and those that are there.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let saves = self.sides.each_mut().map(|side| side.rows.table.begin_save(rewrite));
        saves.iter().for_each(|save| save.tell_replaced(out));
        for run in runs(&saves.each_ref()) {
            for (side, save) in self.sides.iter().zip(&saves) {
                let keys = || BatchForm::of_keys(0..side.schema.fields().len());
                let mut there = keys().with_words([WEIGHT, OWN], &DataType::Int64);
                run.write(&side.rows.table, save, [(Part::Gone, &mut keys()), (Part::There, &mut there)], out);
            }
        }
        self.sides.iter_mut().for_each(|side| side.rows.table.end_save());
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        let mut retired = Vec::new();
        for side in &mut self.sides {
            side.load(&mut self.keys, state, &mut retired)?;
        }
        let [left, right] = &self.sides;
        self.keys.retire(retired, |key| left.rows.is_empty(key) && right.rows.is_empty(key));
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let [left, right] = self.sides.each_ref().map(|side| &side.rows);
        let keys = left.table.len() + right.table.len();
        OperatorStats {
            keys: keys as u64,
            bytes: (left.bytes() + right.bytes() + self.keys.table.bytes()) as u64,
            ..OperatorStats::default()
        }
    }
}
