//! What tells a file from another one of the same name: device, inode and how it begins.
//!
//! A rotated file keeps its identity under its new name, so its position is found again. An inode alone would not do:
//! it is used anew once its file is deleted.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::num::ParseIntError;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::str::FromStr;

/// A file as the system numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    device: u64,
    pub inode: u64,
}

impl From<&Metadata> for Key {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A file and how it began when it was looked at. Stored with each position: the form of [`fmt::Display`] stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub key: Key,
    front: Front,
}

/// The digest of the first bytes, as many as there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Front {
    len: usize,
    digest: u64,
}

impl Identity {
    /// How much of the beginning is looked at: more than one record of most files, less than a page of the disk.
    pub(super) const FRONT_BYTES: usize = 256;

    /// The identity of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self { key: Key::from(&file.metadata()?), front: Front::of(&read_front(file)?) })
    }

    /// Whether an open file is the one that had this identity. It may have grown since.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        Ok(Key::from(&file.metadata()?) == self.key && self.begins(file)?)
    }

    /// Whether a file begins as the one with this identity did.
    pub(super) fn begins(&self, file: &File) -> io::Result<bool> {
        Ok(self.front.begins(&read_front(file)?))
    }

    /// Whether these bytes begin as the file with this identity did.
    pub(super) fn is_front(&self, bytes: &[u8]) -> bool {
        self.front.begins(bytes)
    }

    /// The same identity with more of the beginning, now that there is more of it.
    pub(super) fn grown(&self, file: &File) -> io::Result<Option<Self>> {
        if self.front.len == Identity::FRONT_BYTES {
            return Ok(None);
        }
        // One read serves both: between two the file may be written anew.
        let bytes = read_front(file)?;
        let grown = bytes.len() > self.front.len && self.front.begins(&bytes);
        Ok(grown.then(|| Self { key: self.key, front: Front::of(&bytes) }))
    }
}

impl Front {
    fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len(), digest: fnv1a(bytes) }
    }

    /// Whether these bytes begin as those of the digest did.
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len).is_some_and(|front| fnv1a(front) == self.digest)
    }
}

/// The first bytes of a file, wherever it is being read.
fn read_front(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; Identity::FRONT_BYTES];
    let mut len = 0;
    while len < Identity::FRONT_BYTES {
        match file.read_at(&mut bytes[len..], len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// FNV-1a of 64 bits: the same for ever, and quick enough for 256 bytes.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, front } = self;
        write!(f, "{:x}-{:x}-{:x}-{:016x}", key.device, key.inode, front.len, front.digest)
    }
}

impl FromStr for Identity {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let mut parts = text.splitn(4, '-').map(|part| u64::from_str_radix(part, 16));
        let mut next = || parts.next().unwrap_or_else(|| u64::from_str_radix("", 16));
        let key = Key { device: next()?, inode: next()? };
        Ok(Self { key, front: Front { len: (next()? as usize).min(Identity::FRONT_BYTES), digest: next()? } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_grows_keeps_its_identity() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\n").unwrap();
        let identity = Identity::of(&file).unwrap();
        file.write_all(&[b'x'; 1000]).unwrap();
        assert!(identity.is_of(&file).unwrap());
        let grown = identity.grown(&file).unwrap().unwrap();
        assert_eq!(grown, Identity::of(&file).unwrap());
        assert_eq!(grown.grown(&file).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_written_anew_has_another_identity() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\n").unwrap();
        let identity = Identity::of(&file).unwrap();
        file.write_all_at(b"two\n", 0).unwrap();
        assert!(!identity.is_of(&file).unwrap());
        assert_eq!(identity.grown(&file).unwrap(), None);
        file.set_len(2).unwrap();
        assert!(!identity.is_of(&file).unwrap());
    }

    #[test]
    fn the_stored_form_stays() {
        let identity =
            Identity { key: Key { device: 0x2a, inode: 0x10 }, front: Front { len: 3, digest: fnv1a(b"abc") } };
        assert_eq!(identity.to_string(), "2a-10-3-e71fa2190541574b");
        assert_eq!(identity.to_string().parse(), Ok(identity));
        assert!("2a-10".parse::<Identity>().is_err());
        assert!("".parse::<Identity>().is_err());
    }
}
