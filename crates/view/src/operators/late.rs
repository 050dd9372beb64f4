//! Lateness: how old a record may be, and what happens to those that are older.
//!
//! [`MaxTime`] watches the newest time of each worker's rows and tells all workers the bound that follows from it.
//! [`JoinBounds`] tells what follows for the pairs of a join. [`DropLate`] drops rows that are older than the bound of
//! what was read before them.

use super::expiry::{newest_us, times_us};
use super::snapshot::misfit;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt64Type};
use proxima_engine::{
    EpochEnd, NewestTime, Operator, OperatorStats, Outbox, SectionKind, SnapshotError, StateReader, StateWriter,
};
use proxima_event::{Changes, KeyGroupSet};
use std::sync::Arc;

/// The columns of a stream of bounds: `bound`, a TIMESTAMP in microseconds.
#[must_use]
pub fn bound_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("bound", DataType::Timestamp(TimeUnit::Microsecond, None), false)]))
}

/// What a [`MaxTime`] watches.
#[derive(Clone, Debug)]
pub struct TimeBoundSpec {
    /// The column with a row's time: TIMESTAMP or DATE.
    pub time: usize,
    /// How much older than the newest row a row may be, in microseconds.
    pub lifetime_us: i64,
}

/// How the engine reads the times of a table that is read in order, from their column.
#[must_use]
pub fn newest_time(time: usize) -> NewestTime {
    Arc::new(move |rows: &Changes| newest_us(rows.column(time)))
}

/// Puts out the bound of this worker's rows, at the end of each epoch in which it rose.
///
/// It saves nothing: [`DropLate`] keeps the bound, and a lower one does no harm.
pub struct MaxTime {
    spec: TimeBoundSpec,
    newest_us: Option<i64>,
    told_us: Option<i64>,
}

impl MaxTime {
    /// Has seen no rows and puts out no bound yet.
    #[must_use]
    pub fn new(spec: TimeBoundSpec) -> Self {
        Self { spec, newest_us: None, told_us: None }
    }
}

impl Operator for MaxTime {
    fn apply(&mut self, _input: usize, changes: Changes, _out: &mut Outbox) {
        self.newest_us = self.newest_us.max(newest_us(changes.column(self.spec.time)));
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        if self.newest_us > self.told_us {
            self.told_us = self.newest_us;
            let bound = self.newest_us.map(|newest| newest.saturating_sub(self.spec.lifetime_us));
            out.push(Changes::inserts(bound_batch(bound.into_iter().collect())));
        }
    }
}

/// Puts out the earlier of the bounds of its two inputs, each put back by some microseconds, at the end of each epoch in
/// which that rose. Every worker is told the bounds of all, and works it out for itself.
///
/// It saves nothing: a lower bound does no harm.
pub struct JoinBounds {
    back_us: [i64; 2],
    newest_us: [Option<i64>; 2],
    told_us: Option<i64>,
}

impl JoinBounds {
    /// Knows no bounds and puts out none yet.
    #[must_use]
    pub fn new(back_us: [i64; 2]) -> Self {
        Self { back_us, newest_us: [None; 2], told_us: None }
    }
}

impl Operator for JoinBounds {
    fn apply(&mut self, input: usize, changes: Changes, _out: &mut Outbox) {
        self.newest_us[input] = self.newest_us[input].max(newest_us(changes.column(0)));
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        let ([Some(left), Some(right)], [left_back, right_back]) = (self.newest_us, self.back_us) else { return };
        let bound = left.saturating_sub(left_back).min(right.saturating_sub(right_back));
        if self.told_us < Some(bound) {
            self.told_us = Some(bound);
            out.push(Changes::inserts(bound_batch(vec![bound])));
        }
    }
}

fn bound_batch(bounds: Vec<i64>) -> RecordBatch {
    let bounds: ArrayRef = Arc::new(TimestampMicrosecondArray::from(bounds));
    RecordBatch::try_new(bound_schema(), vec![bounds]).expect("a bound is a timestamp")
}

fn saved_batch(bound_us: i64, late: u64) -> RecordBatch {
    let late: ArrayRef = Arc::new(UInt64Array::from(vec![late]));
    let bound: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![bound_us]));
    RecordBatch::try_from_iter([("bound", bound), ("late", late)]).expect("both have one row")
}

/// What a [`DropLate`] looks at: rows on input 0, bounds on input 1.
#[derive(Clone, Debug)]
pub struct DropLateSpec {
    /// The rows of input 0.
    pub input: SchemaRef,
    /// The column with a row's time, and how old a row may be: as of the bounds.
    pub bound: TimeBoundSpec,
}

/// Drops and counts the rows that are late: older than the bound of the epochs before, or than that of the rows before
/// them, where these are known ([`Changes::preceded_us`]). Rows without a time are never late.
///
/// What is read in one order is late by that order alone, wherever epochs are cut. The bound of the epochs before adds
/// what has come in other partitions.
pub struct DropLate {
    spec: DropLateSpec,
    /// The bound in force: that of the epoch before.
    bound_us: i64,
    /// The newest bound that has come.
    next_us: i64,
    /// What was saved last: the bound, and how many were late.
    saved: (i64, u64),
    owned: KeyGroupSet,
    late: u64,
}

impl DropLate {
    /// Knows no bound: passes everything on.
    #[must_use]
    pub fn new(spec: DropLateSpec) -> Self {
        let (bound_us, next_us, saved) = (i64::MIN, i64::MIN, (i64::MIN, 0));
        Self { spec, bound_us, next_us, saved, owned: KeyGroupSet::none(), late: 0 }
    }

    /// The rows that are not late; `None` if none is.
    fn in_time(&self, changes: &Changes) -> Option<Vec<u32>> {
        let TimeBoundSpec { time, lifetime_us } = self.spec.bound;
        let column = changes.column(time);
        let times = times_us(column);
        let is_ordered = changes.preceded_us.is_some();
        let of_newest = |newest_us: i64| newest_us.saturating_sub(lifetime_us);
        let mut bound_us = self.bound_us.max(changes.preceded_us.map_or(i64::MIN, of_newest));
        let (oldest, newest) = times.iter().fold((i64::MAX, i64::MIN), |(old, new), &us| (old.min(us), new.max(us)));
        if oldest >= bound_us && (!is_ordered || oldest >= of_newest(newest)) {
            return None;
        }
        let mut kept = Vec::with_capacity(times.len());
        for (row, time_us) in times.into_iter().enumerate() {
            let has_time = column.is_valid(row);
            if !has_time || time_us >= bound_us {
                kept.push(row as u32);
            }
            if has_time && is_ordered {
                bound_us = bound_us.max(of_newest(time_us));
            }
        }
        Some(kept)
    }
}

impl Operator for DropLate {
    fn apply(&mut self, input: usize, changes: Changes, out: &mut Outbox) {
        if input == 1 {
            self.next_us = self.next_us.max(newest_us(changes.column(0)).unwrap_or(i64::MIN));
            return;
        }
        match self.in_time(&changes) {
            None => out.push(changes),
            Some(kept) => {
                self.late += (changes.len() - kept.len()) as u64;
                out.push(changes.take(&kept));
            }
        }
    }

    fn finish(&mut self, _end: EpochEnd, _out: &mut Outbox) {
        self.bound_us = self.next_us;
    }

    fn track(&mut self, owned: &KeyGroupSet) {
        self.owned = *owned;
    }

    /// The bound belongs to no key and is the same on every worker, so each key group holds it: whole, for there is
    /// nothing to it. The worker's first key group holds how many were late there.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        let groups = if (self.bound_us, self.late) == self.saved { rewrite } else { &self.owned };
        if self.bound_us > i64::MIN {
            let first = self.owned.iter().next();
            let (first, others): (Vec<_>, Vec<_>) = groups.iter().partition(|&group| Some(group) == first);
            for (groups, late) in [(first, self.late), (others, 0)] {
                let groups = groups.into_iter().collect();
                out.each(SectionKind::Full, &groups, &saved_batch(self.bound_us, late));
            }
        }
        self.saved = (self.bound_us, self.late);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(batch) = state.next_batch()? {
            let [bounds, late] = batch.columns() else { return Err(misfit("a bound and a count")) };
            let bounds = bounds.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| misfit("a bound"))?;
            let late = late.as_primitive_opt::<UInt64Type>().ok_or_else(|| misfit("a count"))?;
            self.next_us = bounds.values().iter().copied().fold(self.next_us, i64::max);
            self.late += late.values().iter().sum::<u64>();
        }
        self.bound_us = self.next_us;
        // Counts of workers that there are no more came from other key groups: those are written anew without them.
        self.saved = (if self.late > 0 { i64::MIN } else { self.bound_us }, 0);
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        OperatorStats { late: self.late, ..OperatorStats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing::{MICROS, Row, V, batch, rows_of, schema};
    use proxima_event::{Epoch, KEY_GROUPS};

    const END: EpochEnd = EpochEnd { epoch: Epoch(0), last: false };

    fn bounds_of(operator: &mut MaxTime, rows: &[Row], data_type: DataType) -> Vec<Row> {
        let mut out = Outbox::default();
        operator.apply(0, Changes::inserts(batch(&schema(&[data_type]), rows)), &mut out);
        operator.finish(END, &mut out);
        out.drain().flat_map(|changes| rows_of(&changes.rows)).collect()
    }

    #[test]
    fn a_bound_goes_out_when_it_rises() {
        let mut operator = MaxTime::new(TimeBoundSpec { time: 0, lifetime_us: 10 });
        let time = |us| vec![V::Int(us)];
        assert_eq!(bounds_of(&mut operator, &[vec![V::Null]], MICROS), Vec::<Row>::new());
        assert_eq!(bounds_of(&mut operator, &[time(5), time(20), vec![V::Null]], MICROS), [time(10)]);
        assert_eq!(bounds_of(&mut operator, &[time(20)], MICROS), Vec::<Row>::new());
        assert_eq!(bounds_of(&mut operator, &[time(-7), time(21)], MICROS), [time(11)]);
        let mut days = MaxTime::new(TimeBoundSpec { time: 0, lifetime_us: 0 });
        assert_eq!(bounds_of(&mut days, &[time(-1)], DataType::Date32), [time(-86_400_000_000)]);
    }

    #[test]
    fn pairs_are_bound_by_the_earlier_of_both_tables() {
        let mut operator = JoinBounds::new([10, 100]);
        let mut told = |bounds: &[(usize, i128)]| {
            let mut out = Outbox::default();
            for &(input, bound) in bounds {
                let bound = batch(&bound_schema(), &[vec![V::Int(bound)]]);
                operator.apply(input, Changes::inserts(bound), &mut out);
            }
            operator.finish(END, &mut out);
            out.drain().flat_map(|changes| rows_of(&changes.rows)).map(|row| row[0].clone()).collect::<Vec<_>>()
        };
        assert_eq!(told(&[(0, 1_000)]), [], "the other may be at its beginning");
        assert_eq!(told(&[(1, 500), (1, 400)]), [V::Int(400)], "of several workers the newest counts");
        assert_eq!(told(&[(0, 5_000)]), []);
        assert_eq!(told(&[(1, 6_000)]), [V::Int(4_990)]);
    }

    #[test]
    fn rows_older_than_the_bound_of_the_epoch_before_are_dropped() {
        let rows = schema(&[MICROS, DataType::Int64]);
        let spec = DropLateSpec { input: rows.clone(), bound: TimeBoundSpec { time: 0, lifetime_us: 0 } };
        let mut operator = DropLate::new(spec.clone());
        let epoch = |operator: &mut DropLate, times: &[i128], bound: i128| {
            let mut out = Outbox::default();
            let bound = Changes::inserts(batch(&bound_schema(), &[vec![V::Int(bound)]]));
            operator.apply(1, bound, &mut out);
            let mut given: Vec<Row> = times.iter().map(|&time| vec![V::Int(time), V::Int(1)]).collect();
            given.push(vec![V::Null, V::Int(2)]);
            operator.apply(0, Changes::inserts(batch(&rows, &given)), &mut out);
            operator.finish(END, &mut out);
            let passed: Vec<Row> = out.drain().flat_map(|changes| rows_of(&changes.rows)).collect();
            passed.into_iter().filter(|row| row[0] != V::Null).map(|row| row[0].clone()).collect::<Vec<_>>()
        };
        let times = |times: &[i128]| times.iter().map(|&time| V::Int(time)).collect::<Vec<_>>();
        assert_eq!(epoch(&mut operator, &[1, 2, 3], 2), times(&[1, 2, 3]));
        assert_eq!(epoch(&mut operator, &[1, 2, 3], 1), times(&[2, 3]));
        assert_eq!(operator.stats().late, 1);
        let save = |operator: &mut DropLate, rewrite: &KeyGroupSet| {
            let mut writer = StateWriter::default();
            operator.save(rewrite, &mut writer);
            writer.encode().unwrap()
        };
        operator.owned = KeyGroupSet::of_worker(0, 2);
        let sections = save(&mut operator, &KeyGroupSet::none());
        assert_eq!(sections.len(), KEY_GROUPS / 2, "a new bound goes to all key groups of the worker");
        assert!(save(&mut operator, &KeyGroupSet::none()).is_empty(), "and only once");
        assert_eq!(save(&mut operator, &KeyGroupSet::of_worker(3, 100)).len(), 3);
        let mut operator = DropLate::new(spec.clone());
        for section in &sections {
            operator.load(&mut StateReader::from(section)).unwrap();
        }
        assert_eq!(operator.stats().late, 1, "what was late before counts on");
        operator.owned = KeyGroupSet::all();
        assert_eq!(save(&mut operator, &KeyGroupSet::none()).len(), KEY_GROUPS, "counted once, by the worker there is");
        assert_eq!(epoch(&mut operator, &[1, 2, 3], 3), times(&[2, 3]));
        assert_eq!(epoch(&mut operator, &[1, 2, 3], 3), times(&[3]));
    }

    #[test]
    fn rows_are_late_by_those_before_them() {
        let schema = schema(&[MICROS, DataType::Int64]);
        let bound = TimeBoundSpec { time: 0, lifetime_us: 10 };
        let mut operator = DropLate::new(DropLateSpec { input: schema.clone(), bound });
        let mut passed = |times: &[Option<i128>], preceded_us: Option<i64>| {
            let row =
                |(number, time): (usize, &Option<i128>)| vec![time.map_or(V::Null, V::Int), V::Int(number as i128)];
            let given: Vec<Row> = times.iter().enumerate().map(row).collect();
            let mut out = Outbox::default();
            operator.apply(0, Changes { preceded_us, ..Changes::inserts(batch(&schema, &given)) }, &mut out);
            let passed: Vec<Row> = out.drain().flat_map(|changes| rows_of(&changes.rows)).collect();
            passed.into_iter().map(|row| row[1].clone()).collect::<Vec<_>>()
        };
        let numbers = |of: &[i128]| of.iter().map(|&number| V::Int(number)).collect::<Vec<_>>();
        let times = [Some(15), Some(30), Some(20), Some(19), None, Some(20)];
        assert_eq!(passed(&times, Some(i64::MIN)), numbers(&[0, 1, 2, 4, 5]));
        assert_eq!(passed(&times, Some(26)), numbers(&[1, 2, 4, 5]));
        assert_eq!(passed(&times, Some(41)), numbers(&[4]));
        assert_eq!(passed(&times, None), numbers(&[0, 1, 2, 3, 4, 5]), "with an order that is not known none is late");
        assert_eq!(operator.stats().late, 1 + 2 + 5);
    }
}
