//! Decoders: the bytes of a chunk become typed Arrow columns, of only the columns that the job uses.
//!
//! One bad record is one [`Rejected`] record, never a lost batch.

use crate::{Changes, Chunk, Rejected};
use arrow::datatypes::SchemaRef;

/// What a decoder is made from.
#[derive(Clone, Debug)]
pub struct DecodeConfig {
    /// The columns to decode, by name; nested types hold only the fields that the job uses.
    pub schema: SchemaRef,
    /// The zone that timestamps without an offset are in, and to whose wall clock instants are turned.
    pub zone: chrono_tz::Tz,
    /// Rows of a batch at the most: 1,024 to 2,048 stay in the cache.
    pub batch_rows: usize,
}

/// What a chunk held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The good records, in order.
    pub batches: Vec<Changes>,
    /// The bad ones, in order.
    pub rejected: Vec<Rejected>,
}

/// Turns chunks into changes. Each worker has its own for each table.
pub trait Decoder: Send {
    /// Decodes all records of `chunk`, adding to `out`.
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded);
}
