//! Whose edges are next to expire.
//!
//! Each edge notes its subject in the bucket of its time, four bytes. Only when the bound enters a bucket are its
//! subjects put in the order of their edges' times, so that the exact queue is always short.

use super::edges::Edges;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A lifetime in so many buckets: the exact queue holds one of them.
const BUCKETS: i64 = 256;

#[derive(Debug)]
pub(super) struct Expiry {
    bucket_us: i64,
    /// The subjects of edges in each bucket that is not open.
    buckets: BTreeMap<i64, Vec<u32>>,
    /// Buckets below this number are open: their subjects stand in the queue with the time of an edge.
    open_below: i64,
    queue: BinaryHeap<Reverse<(i64, u32)>>,
}

impl Expiry {
    pub(super) fn new(lifetime_us: i64) -> Self {
        let bucket_us = (lifetime_us / BUCKETS).max(1);
        Self { bucket_us, buckets: BTreeMap::new(), open_below: i64::MIN, queue: BinaryHeap::new() }
    }

    /// A subject has an edge of this time.
    pub(super) fn add(&mut self, time_us: i64, subject: u32) {
        let bucket = time_us.div_euclid(self.bucket_us);
        match bucket < self.open_below {
            true => self.queue.push(Reverse((time_us, subject))),
            false => self.buckets.entry(bucket).or_default().push(subject),
        }
    }

    /// A subject that may have edges older than the bound.
    pub(super) fn next(&mut self, bound_us: i64) -> Option<u32> {
        let Reverse((time_us, subject)) = *self.queue.peek()?;
        (time_us < bound_us).then(|| {
            self.queue.pop();
            subject
        })
    }

    /// Edges of a subject have expired, and `oldest_us` is now its oldest.
    pub(super) fn expired(&mut self, subject: u32, oldest_us: i64) {
        if oldest_us.div_euclid(self.bucket_us) < self.open_below {
            self.queue.push(Reverse((oldest_us, subject)));
        }
    }

    /// Queues a subject of the next bucket that the bound has entered. False when there is none.
    pub(super) fn open(&mut self, bound_us: i64, edges: &Edges) -> bool {
        let Some(mut bucket) = self.buckets.first_entry() else { return false };
        let start_us = bucket.key().saturating_mul(self.bucket_us);
        if start_us >= bound_us {
            return false;
        }
        self.open_below = self.open_below.max(bucket.key() + 1);
        match bucket.get_mut().pop() {
            None => drop(bucket.remove()),
            Some(subject) => {
                let place = edges.first_from(subject, start_us);
                if let Some(edge) = edges.from(subject, place).next() {
                    self.expired(subject, edge.time_us);
                }
            }
        }
        true
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let noted: usize = self.buckets.values().map(Vec::capacity).sum();
        noted * size_of::<u32>() + self.queue.capacity() * size_of::<(i64, u32)>()
    }
}
