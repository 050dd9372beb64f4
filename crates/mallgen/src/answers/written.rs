//! The files of the answers.

use crate::json::Object;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const WRITE_BYTES: usize = 256 * 1024;

/// The folder of the answers.
#[derive(Debug)]
pub(super) struct Written {
    folder: PathBuf,
}

/// The documents of one index.
#[derive(Debug)]
pub(super) struct Documents {
    out: BufWriter<File>,
    line: Vec<u8>,
    /// The first failure: it is told in the end, so that what counts need not stop for it.
    failed: Option<io::Error>,
}

impl Written {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// The file of an index.
    pub(super) fn documents(&self, index: &str) -> io::Result<Documents> {
        let file = File::create(self.folder.join(index).with_extension("jsonl"))?;
        let out = BufWriter::with_capacity(WRITE_BYTES, file);
        Ok(Documents { out, line: Vec::with_capacity(512), failed: None })
    }
}

impl Documents {
    /// Adds a document.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.line.clear();
        let mut object = Object::open(&mut self.line);
        write(&mut object);
        object.close();
        self.line.push(b'\n');
        if self.failed.is_none() {
            self.failed = self.out.write_all(&self.line).err();
        }
    }

    /// Completes the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}
