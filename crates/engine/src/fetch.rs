//! Chunks that a source left unread are read by the worker that decodes them, into memory that it has used before.
//!
//! Fresh memory costs a page fault every four kilobytes, more than reading from the page cache itself. The columns of
//! a chunk point into its buffer; when the last of them is gone the buffer takes another chunk.

use arrow::buffer::Buffer;
use proxima_event::{Chunk, Payload, SourceError};
use std::collections::VecDeque;

/// Buffers that are watched: those of the chunks that the operators of an epoch are busy with, a few megabytes.
const BUFFERS_MAX: usize = 16;

/// A larger buffer held a record that was unusually long, and is not kept.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// Reads chunks for one worker.
#[derive(Default)]
pub(crate) struct Fetcher {
    used: VecDeque<Buffer>,
}

impl Fetcher {
    /// Reads a chunk if its source did not.
    pub(crate) fn fetch(&mut self, chunk: Chunk) -> Result<Chunk, SourceError> {
        if !matches!(chunk.payload, Payload::Unread { .. }) {
            return Ok(chunk);
        }
        let chunk = chunk.fetch(self.free_buffer())?;
        if let Payload::Bytes { data, .. } = &chunk.payload
            && data.len() <= BUFFER_BYTES_MAX
        {
            // The oldest goes first: what has held it so long may do so for ever.
            if self.used.len() == BUFFERS_MAX {
                self.used.pop_front();
            }
            self.used.push_back(data.clone());
        }
        Ok(chunk)
    }

    /// A buffer that nothing points into any more, or an empty one.
    fn free_buffer(&mut self) -> Vec<u8> {
        let free = self.used.iter().position(|buffer| buffer.strong_count() == 1);
        let buffer = free.and_then(|at| self.used.remove(at));
        buffer.and_then(|buffer| buffer.into_vec().ok()).unwrap_or_default()
    }
}
