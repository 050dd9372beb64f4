//! Sections to files in the store.

use super::format::{self, Section, SectionInfo};
use crate::fail::{FailPoint, fail_point};
use crate::log::{FileRef, lost};
use crate::names::StateName;
use crate::store::{Retry, Store, StoreError};
use proxima_event::{Epoch, Generation};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of sections, before compression, that go into one file: files are read back by several threads at once.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// A file that is in the store, and what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct WrittenFile {
    pub(crate) name: StateName,
    pub(crate) file: FileRef,
    pub(crate) sections: Vec<SectionInfo>,
}

/// Parts of one hand-over at the most: those of the next are numbered behind.
const PARTS_MAX: usize = 1 << 20;

/// Writes what a worker holds at the end of an epoch, at its `turn`-th coming. Every file was seen to be there in full
/// length on return. `file` is memory that is used again.
pub(crate) fn write_files(
    store: &dyn Store,
    retry: Retry,
    (generation, epoch, worker, turn): (Generation, Epoch, usize, usize),
    mut sections: Vec<Section>,
    file: &mut Vec<u8>,
) -> Result<Vec<WrittenFile>, StoreError> {
    let mut files = Vec::new();
    while !sections.is_empty() {
        let rest = sections.split_off(first_file(&sections));
        let name = StateName { epoch, generation, worker, part: turn * PARTS_MAX + files.len() };
        files.push(write_file(store, retry, (name, &sections), file)?);
        sections = rest;
    }
    Ok(files)
}

/// How many of the sections go into the first file: at least one.
fn first_file(sections: &[Section]) -> usize {
    let mut bytes = 0;
    let fitting = sections.iter().take_while(|section| {
        bytes += section.bytes.len();
        bytes <= FILE_BYTES
    });
    fitting.count().max(1)
}

fn write_file(
    store: &dyn Store,
    retry: Retry,
    (name, sections): (StateName, &[Section]),
    bytes: &mut Vec<u8>,
) -> Result<WrittenFile, StoreError> {
    let printed = name.print();
    let sections = format::encode(sections, bytes).map_err(|error| StoreError {
        tried: "compress",
        place: printed.clone(),
        reason: error.to_string(),
        lasting: true,
    })?;
    fail_point(FailPoint::BeforeStateFile);
    retry.run(|| {
        store.put(&printed, bytes)?;
        let whole = store.size(&printed)? == Some(bytes.len() as u64);
        if whole { Ok(()) } else { Err(lost(&printed)) }
    })?;
    fail_point(FailPoint::AfterStateFile);
    let file = FileRef { name: printed, bytes: bytes.len() as u64, checksum: xxh3_64(bytes) };
    Ok(WrittenFile { name, file, sections })
}
