//! The contract of a sink: write an epoch's net changes so that writing them twice does no harm.

use crate::{Changes, Health, Version};
use serde::Serialize;
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

    /// The handle by which a sink that retries says what it waits for and learns that the run is ending. `None` for
    /// sinks that never wait for anything outside.
    fn health(&self) -> Option<Health> {
        None
    }

    /// What the outside has refused since the last call. Such writes count as done: the engine asks after each flush,
    /// counts them and keeps them with the rejected records. A sink gives each at most once, and only of writes that
    /// were flushed.
    fn take_rejected(&mut self) -> Vec<RejectedWrite> {
        Vec::new()
    }
}

/// One write that the outside refused for what it holds: a message that is too large, a value that does not fit the
/// mapping. Trying it again would not help, and other writes are not touched by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedWrite {
    /// The index, store or topic that refused it.
    pub target: String,
    /// The row's key as text; see [`crate::encode::id_text`].
    pub key: String,
    /// Why, in the words of the server.
    pub reason: String,
    /// The row as JSON; empty for a delete.
    pub document: String,
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
