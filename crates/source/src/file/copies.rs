//! Packed copies: what `logrotate` and its like make of a file once it is rotated away.
//!
//! A position counts unpacked bytes, so a copy goes on where the file was left that it was made of. It is known by its
//! name, `app.log.1.gz` of `app.log.1`, and by its bytes: as long as the file is there, all of them; later by how they begin.
//! Where a file is renamed and packed between two looks, the number or date in the name of its copy is another one than that
//! of the name it was known under: `app.log.2.gz` of `app.log.1`.

use super::identity::Identity;
use super::stream::{Compression, Stream};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Unpacked bytes that are compared at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// What is added to the name of a file that is read on without one …
const DELETED: &str = " (deleted";

/// … which is its name then: `app.log (deleted)`, of the second such file `app.log (deleted 2)`.
pub(super) fn deleted(path: &Path, nth: u32) -> PathBuf {
    let number = if nth == 1 { String::new() } else { format!(" {nth}") };
    format!("{}{DELETED}{number})", path.display()).into()
}

/// Whether a packed file has the name of a copy of this one. That of one which is still there has just its name.
pub(super) fn is_named_after(packed: &Path, original: &Path, is_there: bool) -> bool {
    if Compression::of(packed) == Compression::None || packed.parent() != original.parent() {
        return false;
    }
    let (Some(name), Some(own)) = (packed.file_stem(), original.file_name()) else { return false };
    let (name, own) = (name.as_encoded_bytes(), own.as_encoded_bytes());
    let own = memchr::memmem::find(own, DELETED.as_bytes()).map_or(own, |end| &own[..end]);
    name == own || !is_there && name.starts_with(without_number(own))
}

/// A name without the number or date at its end: `app.log` of `app.log.1` and of `app.log-20101201`.
fn without_number(name: &[u8]) -> &[u8] {
    let is_number = |byte: &u8| byte.is_ascii_digit() || b".-_".contains(byte);
    let rest = name.len() - name.iter().rev().take_while(|byte| is_number(byte)).count();
    if rest == 0 { name } else { &name[..rest] }
}

/// Whether all that is in a packed file stands at the beginning of a plain one.
///
/// # Errors
/// When it cannot be unpacked, since it may still be written, or the other one cannot be read.
pub(super) fn is_within(packed: &Path, plain: &File) -> io::Result<bool> {
    let mut stream = unpacked(packed)?;
    let (mut block, mut other, mut offset) = (Vec::new(), Vec::new(), 0);
    loop {
        block.clear();
        if stream.read(&mut block, BLOCK_BYTES)? == 0 {
            return Ok(true);
        }
        other.resize(block.len(), 0);
        match plain.read_exact_at(&mut other, offset) {
            Ok(()) if other == block => offset += block.len() as u64,
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Whether a packed file is a copy of one that is gone and was read to an offset: it begins like that, and goes as far.
pub(super) fn is_copy_of_gone(packed: &Path, (path, identity): (&Path, &Identity), offset: u64) -> bool {
    is_named_after(packed, path, false) && begins(packed, identity, offset).unwrap_or(false)
}

fn begins(packed: &Path, identity: &Identity, offset: u64) -> io::Result<bool> {
    let mut stream = unpacked(packed)?;
    let mut front = Vec::new();
    while front.len() < Identity::FRONT_BYTES && stream.read(&mut front, Identity::FRONT_BYTES)? > 0 {}
    if !identity.is_front(&front) {
        return Ok(false);
    }
    let (mut block, mut passed) = (Vec::new(), front.len() as u64);
    while passed < offset {
        block.clear();
        match stream.read(&mut block, BLOCK_BYTES)? {
            0 => return Ok(false),
            read => passed += read as u64,
        }
    }
    Ok(true)
}

fn unpacked(packed: &Path) -> io::Result<Stream> {
    Stream::new(Arc::new(File::open(packed)?), Compression::of(packed), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_name_of_its_file() {
        let named = |packed: &str, original: &str| {
            [true, false].map(|is_there| is_named_after(Path::new(packed), Path::new(original), is_there))
        };
        assert_eq!(named("logs/a.log.1.gz", "logs/a.log.1"), [true, true]);
        assert_eq!(named("logs/a.log.zst", "logs/a.log"), [true, true]);
        assert_eq!(named("logs/a.log.1.gz", "logs/a.log"), [false, true]);
        assert_eq!(named("logs/a.log.1.gz", "logs/a.log (deleted)"), [false, true]);
        let second = deleted(Path::new("logs/a.log"), 2);
        assert_eq!(second, Path::new("logs/a.log (deleted 2)"));
        assert_eq!(named("logs/a.log.1.gz", second.to_str().unwrap()), [false, true]);
        assert_eq!(named("logs/a.log.2.gz", "logs/a.log.1"), [false, true]);
        assert_eq!(named("logs/a.log-20101202.gz", "logs/a.log-20101201"), [false, true]);
        assert_eq!(named("2.gz", "1"), [false, false]);
        for (packed, original) in [("logs/a.log.1", "logs/a.log"), ("old/a.log.gz", "logs/a.log"), ("b.gz", "a")] {
            assert_eq!(named(packed, original), [false, false], "{packed}");
        }
    }
}
