//! The contract of a source: read partitions in order, offer chunks with their positions, stop when told.

use crate::{Chunk, Health};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// One ordered stream of records within a source: a file, a topic's partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId {
    /// The source's name in the job.
    pub source: Arc<str>,
    /// The partition's name within the source: for a file its path.
    pub name: Arc<str>,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.name)
    }
}

/// How far a partition has been read: everything before `offset` has been offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The partition.
    pub partition: Arc<PartitionId>,
    /// What tells this partition from another of the same name later: for files device, inode and a digest of the
    /// first bytes, so that a rotated file is known again under its new name.
    pub identity: String,
    /// The offset behind the last record: for files in bytes of the decompressed stream.
    pub offset: u64,
}

/// Where an earlier run left off, for one source.
///
/// A source begins each partition at its position. Then it replays the cuts, one after another: of each it reads every
/// partition that is named to exactly that offset, before it offers anything beyond. No chunk reaches across an offset
/// that is named here. When all that a cut names is offered it says so ([`Intake::cut_replayed`]), also where the cut
/// names nothing of this source. Behind the last cut it reads as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Where each partition goes on: what the checkpoint holds. Partitions that are not named are read from where the
    /// configuration says.
    pub positions: Vec<Position>,
    /// What the epochs behind the checkpoint held of this source, in order: for each the offsets that its partitions
    /// had reached at its end, where they moved; and before that where they began, the first time that they moved. So a
    /// partition without a position begins at the first offset that a cut names of it. Sinks may hold parts of these
    /// epochs already.
    pub cuts: Vec<Vec<Position>>,
}

/// The engine is shutting down; the source returns at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What a source needs of the engine. Shared by all its threads.
pub trait Intake: Send + Sync {
    /// Where an earlier run left off. Asked for once, before anything is opened.
    fn resume(&self) -> Resume {
        Resume::default()
    }

    /// The source has offered all that the next cut of its [`Resume`] names. Said once for each cut, in order.
    fn cut_replayed(&self) {}

    /// Announces a partition and where reading of it begins. Must come before its first chunk; comes again when the
    /// partition's identity changes: there is more of its beginning, or another file has the name.
    fn open(&self, position: Position);

    /// Every partition that is there and that [`Resume`] has a position of is announced; said before the first chunk. Until then
    /// checkpoints hold on to those positions, for the source may still be looking for them; behind it they are let go of.
    fn resumed(&self) {}

    /// Hands over the next chunk of a partition, in order. Waits while the engine has enough to do.
    ///
    /// # Errors
    /// [`Stopped`] when the run ends; the chunk is dropped and will be read again by the next run.
    fn offer(&self, chunk: Chunk) -> Result<(), Stopped>;

    /// Says how far the end of a partition is known to be, for the lag that users see.
    fn end_known(&self, partition: &PartitionId, offset: u64);

    /// The source has offered everything that existed when it started: what a dimension waits for.
    /// May be called more than once.
    fn caught_up(&self, source: &str);

    /// Whether the run ends. Sources that wait look here at least every 100 ms.
    fn stopped(&self) -> bool;

    /// Asks for a checkpoint soon, though nothing comes: the source can take nothing more before older checkpoints are
    /// gone, and with them what they need ([`Source::release`]). May be said again and again.
    fn want_checkpoint(&self) {}

    /// How many records the engine wants in one chunk at the most.
    fn records_max(&self) -> usize;
}

/// Hears how far nobody will ever read again. It may be slow, and must not fail.
pub type Release = Box<dyn Fn(&[Position]) + Send>;

/// A connector that reads. It runs on a thread of its own.
pub trait Source: Send {
    /// Reads until the end of a bounded source, or until [`Intake::stopped`]. Returning `Ok` says that no more comes.
    ///
    /// # Errors
    /// When the outside failed in a way that retrying did not cure.
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError>;

    /// Whether it reads its partitions one after another, in an order that is the same each time it reads them. Then
    /// what came before a record is known across partitions, too.
    fn is_sequence(&self) -> bool {
        false
    }

    /// The handle by which a source says what it waits for. `None` for sources that never wait for anything outside.
    fn health(&self) -> Option<Health> {
        None
    }

    /// What is to be called with the positions of the oldest checkpoint that is kept, each time they move: the source
    /// may let go of what lies before them. Taken before [`Source::run`]. `None` for sources that keep nothing.
    fn release(&self) -> Option<Release> {
        None
    }
}

/// Why a source gave up.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Reading failed.
    #[error("cannot {tried} {place}: {source}")]
    Io {
        /// What was tried, as a verb: "open", "read".
        tried: &'static str,
        /// The file or address.
        place: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A server refused, or does not have what is to be read.
    #[error("cannot {tried} {place}: {reason}")]
    Server {
        /// What was tried, as a verb: "read".
        tried: &'static str,
        /// The source, or the address.
        place: String,
        /// The cause, in words, and what to do.
        reason: String,
    },
    /// The configuration names nothing that can be read.
    #[error("{0}")]
    Config(String),
}
