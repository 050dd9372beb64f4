//! What follows from a change of the edges that a subject shows: who stands in which list, norms, pair sums, and how much
//! work it is to gather whom.

use super::layout::EdgeLayout;
use super::pairs::Pairs;
use super::shard::{News, Shard};
use crate::sums::{Sum, Sums};
use std::ops::Range;

/// A change of a shown edge: which one, and its weight before and after.
pub(super) struct Shift {
    pub(super) object: u32,
    pub(super) before: i64,
    pub(super) after: i64,
}

impl Shift {
    /// What is added to the weight.
    #[inline]
    pub(super) fn delta(&self) -> i64 {
        self.after.wrapping_sub(self.before)
    }
}

/// The edges that a subject shows all along, beside those that change.
pub(super) struct Beside {
    pub(super) subject: u32,
    /// Their places,
    pub(super) others: Range<usize>,
    /// among which this one is not.
    pub(super) except: Option<usize>,
}

impl Shard {
    /// Follows an edge that is shown no longer and one that comes to be shown.
    pub(super) fn follow(&mut self, beside: &Beside, hidden: Option<&Shift>, shown: Option<&Shift>) {
        self.work(beside, hidden, shown);
        match (hidden, shown) {
            (Some(hidden), Some(shown)) => self.shift(beside, &[hidden, shown]),
            (Some(shift), None) | (None, Some(shift)) => self.shift(beside, &[shift]),
            (None, None) => {}
        }
    }

    /// Follows how much work it is to gather the objects of a subject: each of its shown edges is walked for each of them.
    fn work(&mut self, beside: &Beside, hidden: Option<&Shift>, shown: Option<&Shift>) {
        let others = beside.others.len();
        let old = Pairs::work_of(others + usize::from(hidden.is_some()));
        let new = Pairs::work_of(others + usize::from(shown.is_some()));
        for pairs in [&mut self.pairs, &mut self.counts].into_iter().flatten() {
            if let Some(shown) = shown {
                pairs.add_work(shown.object, new);
            }
            if let Some(hidden) = hidden {
                pairs.take_work(hidden.object, old);
            }
            if old != new {
                let (words, layout) = (self.edges.layout.head_words(), self.edges.layout);
                let heads = &self.edges.heads(beside.subject)[beside.others.start * words..beside.others.end * words];
                match old < new {
                    true => layout.each(heads, |object, _| pairs.add_work(object, new - old)),
                    false => layout.each(heads, |object, _| pairs.take_work(object, old - new)),
                }
            }
        }
    }

    /// Follows changes of shown edges, one after the other, none of which is among the others.
    pub(super) fn shift(&mut self, beside: &Beside, shifts: &[&Shift]) {
        let (words, layout) = (self.edges.layout.head_words(), self.edges.layout);
        let others = &self.edges.heads(beside.subject)[beside.others.start * words..beside.others.end * words];
        let except = beside.except.map(|place| place - beside.others.start);
        if let Some(pairs) = &mut self.pairs {
            pairs.shift(shifts, layout, others);
        }
        let mut turns = [None, None];
        for (shift, turn) in shifts.iter().zip(&mut turns) {
            if let Some(touched) = &mut self.touched {
                touched.note(beside.subject, shift.object);
            }
            // Without times and attributes there is no second edge to the same object.
            let (count, sum) = if self.is_simple { (0, 0) } else { same(layout, others, shift.object, except) };
            if count == 0 && shift.before == 0 {
                if self.inverted.len(shift.object) == 0 {
                    self.news.push((shift.object, News::ObjectCame));
                }
                self.inverted.add(shift.object, beside.subject);
            }
            if count == 0 && shift.after == 0 {
                self.inverted.remove(shift.object, beside.subject);
                if self.inverted.len(shift.object) == 0 {
                    self.news.push((shift.object, News::ObjectWent));
                }
            }
            let (before, after) = (sum.wrapping_add(shift.before), sum.wrapping_add(shift.after));
            self.norms.shift(shift.object, before, after);
            *turn = turned(shift.object, before, after);
        }
        if let Some(counts) = self.counts.as_mut().filter(|counts| counts.hot_count() > 0)
            && turns.iter().any(Option::is_some)
        {
            let related = self.related.of(layout, others, self.is_simple);
            for turn in turns.iter().flatten() {
                counts.shift(&[turn], EdgeLayout::PLAIN, related);
            }
        }
    }

    /// Gives rows to the objects that have become hot.
    #[inline]
    pub(super) fn promote(&mut self) {
        if [&self.pairs, &self.counts].into_iter().flatten().any(Pairs::has_waiting) {
            self.promote_to_sums();
            self.promote_to_counts();
        }
    }

    #[cold]
    fn promote_to_sums(&mut self) {
        while let Some(object) = self.pairs.as_mut().and_then(Pairs::next_waiting) {
            let row = match self.norms.is_small(1) {
                true => self.row_of::<i32>(object),
                false => self.row_of::<i64>(object),
            };
            if let (Some(pairs), true) = (&mut self.pairs, self.norms.is_narrow()) {
                pairs.promote(object, &row);
            }
        }
    }

    /// What an object is paired with, gathered.
    fn row_of<T: Sum>(&self, object: u32) -> Vec<(u32, i64)> {
        T::with_own(|sums| {
            sums.reserve(self.inverted.ids(), true);
            self.gather(object, sums);
            drained(sums)
        })
    }

    #[cold]
    fn promote_to_counts(&mut self) {
        while let Some(object) = self.counts.as_mut().and_then(Pairs::next_waiting) {
            let mut related = std::mem::take(&mut self.related);
            let row = i64::with_own(|counts| {
                counts.reserve(self.inverted.ids(), true);
                self.gather_counts(object, counts, &mut related);
                drained(counts)
            });
            self.related = related;
            if let Some(counts) = &mut self.counts {
                counts.promote(object, &row);
            }
        }
    }
}

fn drained<T: Sum>(sums: &mut Sums<T>) -> Vec<(u32, i64)> {
    let mut row = Vec::new();
    sums.drain(|other, sum| row.push((other, sum)));
    row
}

/// A relation that has come to be or has ended: the change of what counts one.
fn turned(object: u32, before: i64, after: i64) -> Option<Shift> {
    let (before, after) = (i64::from(before != 0), i64::from(after != 0));
    (before != after).then_some(Shift { object, before, after })
}

/// How many edges of these lead to an object, and the sum of their weights; the one at `except` does not count.
fn same(layout: EdgeLayout, heads: &[u32], object: u32, except: Option<usize>) -> (u32, i64) {
    let (mut count, mut sum) = (0, 0_i64);
    if !layout.leads_to(heads, object) {
        return (count, sum);
    }
    layout.each_to(heads, object, |place, weight| {
        if Some(place) != except {
            count += 1;
            sum = sum.wrapping_add(weight);
        }
    });
    (count, sum)
}
