//! The bytes of a file, decompressed where the ending of its name says so.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Compressed bytes that are read at once.
const COMPRESSED_BYTES: usize = 128 * 1024;

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the ending of the name.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Reads the decompressed bytes in order.
pub(super) struct Stream {
    bytes: Box<dyn Read + Send>,
    /// What went wrong behind the bytes that were given out last.
    failed: Option<io::Error>,
}

impl Stream {
    /// Reads an open file from `offset`. Several gzip members or zstd frames in a row are one stream.
    pub(super) fn new(mut file: Arc<File>, compression: Compression, offset: u64) -> io::Result<Self> {
        let plain = compression == Compression::None;
        file.seek(SeekFrom::Start(if plain { offset } else { 0 }))?;
        let packed = |file| BufReader::with_capacity(COMPRESSED_BYTES, file);
        let mut bytes: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(MultiGzDecoder::new(packed(file))),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(packed(file))?),
        };
        if !plain {
            io::copy(&mut bytes.by_ref().take(offset), &mut io::sink())?;
        }
        Ok(Self { bytes, failed: None })
    }

    /// Appends up to `len` bytes. Fewer come at the end only, and before damage: that is reported by the next call,
    /// so that what is whole before it is not lost.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>, len: usize) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let before = bytes.len();
        // Reads into the spare capacity: nothing is zeroed first and nothing is copied.
        let outcome = self.bytes.by_ref().take(len as u64).read_to_end(bytes);
        let read = bytes.len() - before;
        match outcome {
            Err(error) if read == 0 => return Err(error),
            Err(error) => self.failed = Some(error),
            Ok(_) => {}
        }
        Ok(read)
    }
}
