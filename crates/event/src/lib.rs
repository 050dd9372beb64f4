//! Batches of changes, positions, epochs, decoders, and the contracts between connectors and the engine.
//!
//! This crate is the vocabulary of a record's way: a source offers [`Chunk`]s at [`Position`]s, the engine gives each
//! an [`Epoch`], a decoder turns it into [`Changes`], operators turn changes into changes, a [`Sink`] writes them.
//! It does no I/O and knows no clock.

pub mod changes;
pub mod chunk;
pub mod decode;
pub mod encode;
pub mod epoch;
pub mod hash;
pub mod health;
pub mod members;
pub mod offsets;
pub mod rejected;
pub mod shown;
pub mod sink;
pub mod source;
pub mod store;

pub use changes::{Changes, Weights};
pub use chunk::{Chunk, MessageChunk, Messages, Payload, Unread};
pub use epoch::{Epoch, Generation, Version};
pub use hash::{KEY_GROUPS, KeyGroup, KeyGroupSet};
pub use health::Health;
pub use members::Members;
pub use offsets::{Committed, OffsetStore, Outcome};
pub use rejected::Rejected;
pub use shown::Shown;
pub use sink::{RejectedWrite, Sink, SinkError};
pub use source::{Intake, PartitionId, Position, Release, Resume, Source, SourceError, Stopped};
pub use store::{KeyValueRead, KeyValueScan, StoreError};
