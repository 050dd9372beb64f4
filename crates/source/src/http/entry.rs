//! One request as it stands in the log, and back: pure.
//!
//! ```text
//! length: u32 | checksum: u64 | first record: u64 | key length: u16 | records: u32 | key | (length: u32 | record)*
//! ```
//!
//! Numbers are little-endian. The length counts what follows the checksum, the checksum (XXH3) covers it.

use std::io::{self, Read};
use xxhash_rust::xxh3::xxh3_64;

/// Length and checksum.
const FRAME: usize = 12;
/// First record, length of the key, number of records.
const HEAD: usize = 14;
/// A longer entry is damage: requests are far smaller.
const ENTRY_BYTES_MAX: usize = 256 << 20;
/// The longest key that a request may bring.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// The records of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of its first record.
    pub first: u64,
    /// The client's word by which the request is known again; may be empty.
    pub key: String,
    /// The records' bytes.
    pub records: Vec<Vec<u8>>,
}

impl Entry {
    /// The number behind its last record.
    pub(super) fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Appends it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; FRAME]);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.key.len()).expect("keys are bounded").to_le_bytes());
        out.extend_from_slice(&length(self.records.len()));
        out.extend_from_slice(self.key.as_bytes());
        for record in &self.records {
            out.extend_from_slice(&length(record.len()));
            out.extend_from_slice(record);
        }
        let body = begin + FRAME;
        let (len, checksum) = (length(out.len() - body), xxh3_64(&out[body..]).to_le_bytes());
        out[begin..begin + 4].copy_from_slice(&len);
        out[begin + 4..body].copy_from_slice(&checksum);
    }

    /// Reads the next entry, and says how many bytes it took. `None` where no whole one stands: at the end, and where
    /// the end was torn.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<(Self, u64)>> {
        let mut frame = [0; FRAME];
        if !fill(from, &mut frame)? {
            return Ok(None);
        }
        let (len, checksum) = frame.split_at(4);
        let len = u32::from_le_bytes(len.try_into().expect("it has four bytes")) as usize;
        if !(HEAD..=ENTRY_BYTES_MAX).contains(&len) {
            return Ok(None);
        }
        // Grows with what is really there: a torn length must not take memory.
        let mut body = Vec::new();
        from.take(len as u64).read_to_end(&mut body)?;
        if body.len() < len || xxh3_64(&body).to_le_bytes() != checksum {
            return Ok(None);
        }
        Ok(Self::parse(&body).map(|entry| (entry, (FRAME + len) as u64)))
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let (first, rest) = body.split_at_checked(8)?;
        let (key_len, rest) = rest.split_at_checked(2)?;
        let (count, rest) = rest.split_at_checked(4)?;
        let (key, mut rest) = rest.split_at_checked(u16::from_le_bytes(key_len.try_into().ok()?).into())?;
        let mut records = Vec::new();
        for _ in 0..u32::from_le_bytes(count.try_into().ok()?) {
            let (len, behind) = rest.split_at_checked(4)?;
            let (record, behind) = behind.split_at_checked(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
            records.push(record.to_vec());
            rest = behind;
        }
        let key = String::from_utf8(key.to_vec()).ok()?;
        Some(Self { first: u64::from_le_bytes(first.try_into().ok()?), key, records })
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("requests are bounded far below 4 GiB").to_le_bytes()
}

/// Fills the buffer, or says that the bytes end before.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { first: 7, key: "k-1".to_owned(), records: vec![b"{\"a\":1}".to_vec(), Vec::new(), b"2".to_vec()] }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        entry().write(&mut bytes);
        let len = bytes.len() as u64;
        Entry { first: 10, ..Entry::default() }.write(&mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(Entry::read(&mut rest).unwrap(), Some((entry(), len)));
        assert_eq!(Entry::read(&mut rest).unwrap().unwrap().0.first, 10);
        assert_eq!(Entry::read(&mut rest).unwrap(), None);
        assert_eq!(entry().end(), 10);
    }

    #[test]
    fn a_torn_or_damaged_entry_is_none() {
        let mut bytes = Vec::new();
        entry().write(&mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Entry::read(&mut &bytes[..cut]).unwrap(), None, "cut at {cut}");
            let mut damaged = bytes.clone();
            damaged[cut] ^= 1;
            assert_eq!(Entry::read(&mut damaged.as_slice()).unwrap(), None, "damaged at {cut}");
        }
        assert_eq!(Entry::read(&mut [0; 64].as_slice()).unwrap(), None, "a hole of zeros");
    }
}
