//! What an HTTP source is told.

use std::path::PathBuf;

/// A segment is deleted whole: small enough that little is kept for long, large enough that files are few.
const SEGMENT_BYTES: u64 = 64 << 20;
/// How far the job may fall behind before clients are told to come again.
const BACKLOG_BYTES: u64 = 256 << 20;
/// What the log may hold on the disk.
const LOG_BYTES: u64 = 10 << 30;

/// Where a source keeps its log, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The source's name in the job.
    pub source: String,
    /// The folder of its log; it belongs to this source alone.
    pub folder: PathBuf,
    /// From this size on a segment is followed by the next, in bytes; at the most from an eighth of `log_bytes` on.
    pub segment_bytes: u64,
    /// Requests are refused while the job has this many bytes of the log still to read.
    pub backlog_bytes: u64,
    /// Requests are refused while the log holds this many bytes: until those that were read are in all checkpoints that
    /// are kept.
    pub log_bytes: u64,
}

impl HttpConfig {
    /// A log in `folder`, within the usual bounds.
    #[must_use]
    pub fn new(source: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            folder: folder.into(),
            segment_bytes: SEGMENT_BYTES,
            backlog_bytes: BACKLOG_BYTES,
            log_bytes: LOG_BYTES,
        }
    }
}
