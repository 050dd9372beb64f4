//! Sections to files in the store.

use super::format::{self, Section, SectionInfo};
use crate::fail::{FailPoint, fail_point};
use crate::log::{FileRef, lost};
use crate::names::StateName;
use crate::store::{Retry, Store, StoreError};
use proxima_event::{Epoch, Generation};

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
/// length on return.
pub(crate) fn write_files(
    store: &dyn Store,
    retry: Retry,
    (generation, epoch, worker, turn): (Generation, Epoch, usize, usize),
    mut sections: Vec<Section>,
) -> Result<Vec<WrittenFile>, StoreError> {
    let mut files = Vec::new();
    while !sections.is_empty() {
        let rest = sections.split_off(first_file(&sections));
        let name = StateName { epoch, generation, worker, part: turn * PARTS_MAX + files.len() };
        files.push(write_file(store, retry, name, &sections)?);
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
    name: StateName,
    sections: &[Section],
) -> Result<WrittenFile, StoreError> {
    let printed = name.print();
    let file = format::encode(sections).map_err(|error| StoreError {
        tried: "compress",
        place: printed.clone(),
        reason: error.to_string(),
        lasting: true,
    })?;
    let (parts, bytes) = (file.parts(), file.len());
    fail_point(FailPoint::BeforeStateFile);
    retry.run(|| {
        store.put_parts(&printed, &parts)?;
        let whole = store.size(&printed)? == Some(bytes);
        if whole { Ok(()) } else { Err(lost(&printed)) }
    })?;
    fail_point(FailPoint::AfterStateFile);
    let checksum = file.checksum();
    Ok(WrittenFile { name, file: FileRef { name: printed, bytes, checksum }, sections: file.sections })
}
