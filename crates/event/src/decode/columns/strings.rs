//! A builder of string views: short strings in the view itself, long ones in the chunk where it can be, else copied.

use arrow::buffer::Buffer;

/// The longest string that lies in its view, whole.
pub(crate) const INLINE: usize = 12;

/// The chunk that was read comes first among the data buffers, strings of our own second.
const IN_CHUNK: u128 = 0;
const COPIED: u128 = 1;

/// A text, and where a view may point for it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// A part of the chunk, which begins at this byte of it.
    InChunk(usize, &'a str),
    /// A text that the chunk does not hold as it is.
    Elsewhere(&'a str),
}

impl<'a> Text<'a> {
    pub(crate) fn str(self) -> &'a str {
        match self {
            Self::InChunk(_, text) | Self::Elsewhere(text) => text,
        }
    }
}

/// The views of one column.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    pub(crate) views: Vec<u128>,
    copied: Vec<u8>,
    points_to_chunk: bool,
}

impl Strings {
    pub(crate) fn push(&mut self, text: Text<'_>) {
        let bytes = text.str().as_bytes();
        match text {
            Text::InChunk(start, _) if bytes.len() > INLINE => self.push_in_chunk(start, bytes),
            _ => self.push_bytes(bytes),
        }
    }

    /// The string of the chunk from `start` to `end`, which must be text. `padded` is the chunk with its slack.
    #[inline(always)]
    pub(crate) fn push_between(&mut self, padded: &[u8], start: usize, end: usize) {
        let len = end - start;
        match padded[start..].first_chunk() {
            Some(head) if len <= INLINE => {
                let text = u128::from_le_bytes(*head) & FIRST_BYTES[len];
                self.views.push(text << 32 | len as u128);
            }
            _ => self.push_in_chunk(start, &padded[start..end]),
        }
    }

    /// Bytes that the chunk does not hold as they are.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > INLINE {
            return self.push_copied(bytes);
        }
        let mut view = [0; 16];
        view[0] = bytes.len() as u8;
        view[4..4 + bytes.len()].copy_from_slice(bytes);
        self.views.push(u128::from_le_bytes(view));
    }

    /// A string of more than [`INLINE`] bytes that the chunk holds at `start`.
    fn push_in_chunk(&mut self, start: usize, bytes: &[u8]) {
        self.points_to_chunk = true;
        self.views.push(view_of(bytes, IN_CHUNK, start));
    }

    fn push_copied(&mut self, bytes: &[u8]) {
        let start = self.copied.len();
        self.copied.extend_from_slice(bytes);
        self.views.push(view_of(bytes, COPIED, start));
    }

    /// Cuts to the first `len` strings. (What was copied for the others stays until the batch is finished.)
    pub(crate) fn truncate(&mut self, len: usize) {
        self.views.truncate(len);
    }

    /// The views and their data buffers, of which the first is the chunk, unless none points there.
    pub(crate) fn finish(&mut self, chunk: &Buffer) -> (Vec<u128>, Vec<Buffer>) {
        let next = Vec::with_capacity(self.views.len());
        let views = std::mem::replace(&mut self.views, next);
        let copied = std::mem::take(&mut self.copied);
        let buffers = match (std::mem::take(&mut self.points_to_chunk), copied.is_empty()) {
            (false, true) => vec![],
            (true, true) => vec![chunk.clone()],
            (true, false) => vec![chunk.clone(), Buffer::from_vec(copied)],
            // Copies name the second buffer; a first one of no bytes keeps the chunk from being held for nothing.
            (false, false) => vec![Buffer::from_vec(Vec::<u8>::new()), Buffer::from_vec(copied)],
        };
        (views, buffers)
    }
}

/// Masks for the first bytes of sixteen.
const FIRST_BYTES: [u128; INLINE + 1] = {
    let mut masks = [0; INLINE + 1];
    let mut len = 0;
    while len <= INLINE {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// The view of a string of more than [`INLINE`] bytes: its length, its first four bytes, its buffer, its place there.
#[inline]
fn view_of(bytes: &[u8], buffer: u128, start: usize) -> u128 {
    let prefix = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let start = u32::try_from(start).expect("a chunk is far smaller than 4 GiB");
    bytes.len() as u128 | u128::from(prefix) << 32 | buffer << 64 | u128::from(start) << 96
}
