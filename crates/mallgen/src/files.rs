//! Writes a shop into a folder: `logs/` as a collector would, `changes/` as Maxwell would, and `ddl.sql`. A partition is
//! a file.

use crate::schema::ddl;
use crate::shipped::Shipped;
use crate::target::{Lines, Stream};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes to a disk are at least this large.
const WRITE_BYTES: usize = 256 * 1024;

/// A shop in a folder.
pub type Files = Shipped<Folder>;

impl Files {
    /// Makes the folder and its files, in the place of those of an earlier shop.
    ///
    /// # Errors
    /// When one of them cannot be made, or an earlier one not be removed.
    pub fn create(folder: &Path, partitions: usize, seed: u64) -> io::Result<Self> {
        Ok(Self::new(Folder::create(folder, partitions)?, seed))
    }
}

/// A folder with a file for each partition.
#[derive(Debug)]
pub struct Folder {
    logs: Vec<BufWriter<File>>,
    changes: Vec<BufWriter<File>>,
}

impl Folder {
    fn create(folder: &Path, partitions: usize) -> io::Result<Self> {
        let open = |kind: &str| -> io::Result<Vec<BufWriter<File>>> {
            std::fs::create_dir_all(folder.join(kind))?;
            remove_numbered(&folder.join(kind))?;
            (0..partitions)
                .map(|number| {
                    let file = File::create(folder.join(kind).join(format!("{number}.jsonl")))?;
                    Ok(BufWriter::with_capacity(WRITE_BYTES, file))
                })
                .collect()
        };
        let (logs, changes) = (open("logs")?, open("changes")?);
        std::fs::write(folder.join("ddl.sql"), ddl())?;
        Ok(Self { logs, changes })
    }
}

/// Removes `0.jsonl`, `1.jsonl` and so on: whoever reads the folder would take them for this shop's.
fn remove_numbered(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl"));
        if number.is_some_and(|number| number.parse::<u32>().is_ok()) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

impl Lines for Folder {
    fn partitions(&self, stream: Stream) -> usize {
        match stream {
            Stream::Logs => self.logs.len(),
            Stream::Changes => self.changes.len(),
        }
    }

    fn write(&mut self, stream: Stream, partition: usize, line: &[u8]) -> io::Result<()> {
        let out = match stream {
            Stream::Logs => &mut self.logs[partition],
            Stream::Changes => &mut self.changes[partition],
        };
        out.write_all(line)?;
        out.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.logs.iter_mut().chain(&mut self.changes).try_for_each(Write::flush)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}
