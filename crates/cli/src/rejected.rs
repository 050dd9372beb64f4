//! Keeps rejected records: a line of JSON each, in a file for each source.

use parking_lot::Mutex;
use proxima_event::rejected::RejectedLine;
use proxima_event::{Position, Rejected, RejectedWrite};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes rejected records until so many of a source are kept. All are counted elsewhere.
pub struct RejectedFiles {
    folder: PathBuf,
    keep: u64,
    files: Mutex<HashMap<Arc<str>, Kept>>,
}

struct Kept {
    file: BufWriter<File>,
    records: u64,
}

impl RejectedFiles {
    /// Files in `folder`, each with at most `keep` records. Those of an earlier run are gone on with: what stands in them
    /// from behind these positions will be rejected again, and is taken out.
    ///
    /// # Errors
    /// When the files of an earlier run cannot be rewritten.
    pub fn open(folder: PathBuf, keep: u64, positions: &[Position]) -> io::Result<Self> {
        let mut files = HashMap::new();
        let sources: BTreeSet<_> = positions.iter().map(|position| &position.partition.source).collect();
        for source in sources {
            let own = positions.iter().filter(|position| position.partition.source == *source);
            let ends = own.map(|position| (&*position.partition.name, position.offset)).collect();
            let path = folder.join(format!("{source}.jsonl"));
            if path.exists() {
                files.insert(Arc::clone(source), Kept::go_on(&path, &ends)?);
            }
        }
        Ok(Self { folder, keep, files: Mutex::new(files) })
    }

    /// Keeps these records. A file that cannot be written is logged, and does not stop the run.
    pub fn keep(&self, rejected: &[Rejected]) {
        if let Err(error) = self.write(rejected) {
            tracing::error!("rejected records are counted, but cannot be kept: {error}");
        }
    }

    /// Keeps these writes, in a file for each target.
    pub fn keep_writes(&self, rejected: &[RejectedWrite]) {
        if let Err(error) = self.write_all(rejected.iter().map(|write| (Arc::from(&*write.target), write))) {
            tracing::error!("refused writes are counted, but cannot be kept: {error}");
        }
    }

    fn write(&self, rejected: &[Rejected]) -> io::Result<()> {
        let lines = rejected.iter().map(|record| (Arc::clone(&record.partition.source), RejectedLine::from(record)));
        self.write_all(lines)
    }

    fn write_all<T: Serialize>(&self, lines: impl Iterator<Item = (Arc<str>, T)>) -> io::Result<()> {
        let mut files = self.files.lock();
        for (name, line) in lines {
            let path = self.folder.join(format!("{name}.jsonl"));
            if !files.contains_key(&name) {
                let made = fs::create_dir_all(&self.folder).and_then(|()| File::create(&path));
                let file = BufWriter::new(made.map_err(|cause| at(&path, &cause))?);
                files.insert(Arc::clone(&name), Kept { file, records: 0 });
            }
            let kept = files.get_mut(&name).expect("inserted above");
            if kept.records < self.keep {
                kept.add(&line).map_err(|cause| at(&path, &cause))?;
            }
        }
        let flush = |(name, kept): (&Arc<str>, &mut Kept)| {
            kept.file.flush().map_err(|cause| at(&self.folder.join(format!("{name}.jsonl")), &cause))
        };
        files.iter_mut().try_for_each(flush)
    }
}

/// What could not be written, and what to do about it.
fn at(path: &Path, cause: &io::Error) -> io::Error {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge);
    let advice = if full { "; free space there, or set [rejected] keep lower" } else { "" };
    io::Error::new(cause.kind(), format!("cannot write {}: {cause}{advice}", path.display()))
}

impl Kept {
    fn add(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")?;
        self.records += 1;
        Ok(())
    }

    /// Goes on with a file, without the records at or behind these offsets of their partitions.
    fn go_on(path: &Path, ends: &HashMap<&str, u64>) -> io::Result<Self> {
        let part = path.with_extension("part");
        let mut kept = Self { file: BufWriter::new(File::create(&part)?), records: 0 };
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            // A line that a crash has cut off belongs to a record that comes again.
            let Ok(place) = serde_json::from_str::<KeptPlace>(&line) else { continue };
            if ends.get(&*place.partition).is_some_and(|&end| place.offset < end) {
                writeln!(kept.file, "{line}")?;
                kept.records += 1;
            }
        }
        kept.file.flush()?;
        fs::rename(&part, path)?;
        Ok(kept)
    }
}

/// Where a record that was kept stood.
#[derive(serde::Deserialize)]
struct KeptPlace {
    partition: String,
    offset: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_event::PartitionId;

    #[test]
    fn keeps_as_many_as_told_for_each_source() {
        let dir = tempfile::tempdir().unwrap();
        let files = RejectedFiles::open(dir.path().join("rejected"), 2, &[]).unwrap();
        for source in ["orders", "orders", "orders", "clicks"] {
            let partition = Arc::new(PartitionId { source: source.into(), name: "a.csv".into() });
            let record = b"x,\xff".to_vec();
            files.keep(&[Rejected { partition, offset: 7, line: 2, reason: "bad".into(), record }]);
        }
        let lines = |source: &str| fs::read_to_string(dir.path().join(format!("rejected/{source}.jsonl"))).unwrap();
        assert_eq!(lines("orders").lines().count(), 2);
        let line: serde_json::Value = serde_json::from_str(lines("clicks").trim()).unwrap();
        assert_eq!((line["partition"].as_str(), line["line"].as_u64()), (Some("a.csv"), Some(2)));
        assert_eq!(line["record"], "x,\u{fffd}");
    }

    #[test]
    fn a_full_disk_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join("orders.jsonl")).unwrap();
        let files = RejectedFiles::open(dir.path().to_owned(), 2, &[]).unwrap();
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "a.csv".into() });
        let bad = Rejected { partition, offset: 7, line: 2, reason: "bad".into(), record: b"x".to_vec() };
        let said = files.write(std::slice::from_ref(&bad)).unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot write {}/orders.jsonl: ", dir.path().display())), "{said}");
        assert!(said.ends_with("free space there, or set [rejected] keep lower"), "{said}");
        // The run goes on.
        files.keep(&[bad]);
    }

    #[test]
    fn what_will_be_rejected_again_is_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "a.csv".into() });
        let rejected = |offset| Rejected {
            partition: Arc::clone(&partition),
            offset,
            line: 0,
            reason: "bad".into(),
            record: b"x".to_vec(),
        };
        RejectedFiles::open(dir.path().into(), 9, &[]).unwrap().keep(&[rejected(7), rejected(20)]);
        let position = Position { partition: Arc::clone(&partition), identity: String::new(), offset: 20 };
        RejectedFiles::open(dir.path().into(), 9, &[position]).unwrap().keep(&[rejected(20), rejected(31)]);
        let kept = fs::read_to_string(dir.path().join("orders.jsonl")).unwrap();
        let offsets: Vec<u64> =
            kept.lines().map(|line| serde_json::from_str::<KeptPlace>(line).unwrap().offset).collect();
        assert_eq!(offsets, [7, 20, 31]);
    }
}
