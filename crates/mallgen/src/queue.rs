//! What will happen, in the order of time; of two things at one moment, what was planned first.

use crate::clock::Millis;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

#[derive(Debug)]
struct Planned<T> {
    at: Millis,
    number: u64,
    what: T,
}

impl<T> Planned<T> {
    fn rank(&self) -> (Millis, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// Things to come.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    number: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans something.
    pub(crate) fn push(&mut self, at: Millis, what: T) {
        self.heap.push(Reverse(Planned { at, number: self.number, what }));
        self.number += 1;
    }

    /// The next thing, if it happens before `end`.
    pub(crate) fn pop_before(&mut self, end: Millis) -> Option<(Millis, T)> {
        if self.heap.peek()?.0.at >= end {
            return None;
        }
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.what))
    }
}
