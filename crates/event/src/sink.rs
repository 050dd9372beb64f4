//! The contract of a sink: write an epoch's net changes so that writing them twice does no harm.

use crate::{Changes, Version};
use thiserror::Error;

/// A connector that writes. It runs on a thread of its own and is called with the epochs of each worker in order.
///
/// Before a sink the engine has netted the changes of an epoch by the target's key: each key appears at most once in
/// the batches of one version, with weight +1 (write the whole row) or −1 (delete the key).
pub trait Sink: Send {
    /// Applies one epoch's changes. The same version may come again after a restart, with the same result.
    ///
    /// # Errors
    /// When the outside failed after retries; the run then restarts from the last checkpoint.
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError>;

    /// Makes everything written so far durable and visible to readers. The epochs count as done only after it.
    ///
    /// # Errors
    /// As for [`Sink::write`].
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Makes everything flushed so far survive the end of this process and of the machine, where a flush alone does
    /// not. A checkpoint that counts on the writes is committed only after it.
    ///
    /// # Errors
    /// As for [`Sink::write`].
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// How long the engine collects writes between two flushes while more keep coming. Zero for sinks whose flush is
    /// cheap.
    fn flush_interval(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// Why a sink could not write.
#[derive(Debug, Error)]
#[error("cannot {tried} {target}: {reason}")]
pub struct SinkError {
    /// What was tried, as a verb: "commit", "write to".
    pub tried: &'static str,
    /// The index, store or topic.
    pub target: String,
    /// The cause, in words.
    pub reason: String,
}
