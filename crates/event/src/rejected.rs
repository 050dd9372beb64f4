//! Records that could not be decoded: kept, counted, never silently lost.

use crate::Epoch;
use crate::source::PartitionId;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A record that was left out, and why. The same on every replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The partition it stands in.
    pub partition: Arc<PartitionId>,
    /// Its position there.
    pub offset: u64,
    /// Its line, from 1, where the source has lines; 0 otherwise.
    pub line: u64,
    /// What is wrong with it, in lower case: `column "Quantity": "x" is not an INT`.
    pub reason: String,
    /// Its bytes as they came (cut after 64 KiB).
    pub record: Vec<u8>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: {}", self.partition.name, self.line, self.reason)
        } else {
            write!(f, "{}@{}: {}", self.partition, self.offset, self.reason)
        }
    }
}

/// A rejected record as a line of the rejected-records file.
#[derive(Serialize)]
pub struct RejectedLine<'a> {
    source: &'a str,
    partition: &'a str,
    offset: u64,
    line: u64,
    epoch: u64,
    reason: &'a str,
    record: std::borrow::Cow<'a, str>,
}

impl<'a> RejectedLine<'a> {
    /// The line of a record that came in this epoch.
    #[must_use]
    pub fn new(epoch: Epoch, rejected: &'a Rejected) -> Self {
        Self {
            source: &rejected.partition.source,
            partition: &rejected.partition.name,
            offset: rejected.offset,
            line: rejected.line,
            epoch: epoch.0,
            reason: &rejected.reason,
            record: String::from_utf8_lossy(&rejected.record),
        }
    }
}
