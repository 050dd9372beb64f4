//! Keeps rejected records: a line of JSON each, in a file for each source.

use parking_lot::Mutex;
use proxima_event::rejected::RejectedLine;
use proxima_event::{Epoch, Rejected, RejectedWrite};
use serde::Serialize;
use std::collections::HashMap;
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
    /// Files in `folder`, each with at most `keep` records. Those of an earlier run are gone on with: what stands in them of
    /// epochs from `next` on will be rejected again, and is taken out. A run from the very beginning writes them anew.
    ///
    /// # Errors
    /// When the files of an earlier run cannot be rewritten.
    pub fn open(folder: PathBuf, keep: u64, next: Epoch) -> io::Result<Self> {
        let mut files = HashMap::new();
        if next > Epoch(0) && folder.exists() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
                if path.extension().is_some_and(|extension| extension == "jsonl") {
                    files.insert(Arc::from(name), Kept::go_on(&path, next)?);
                }
            }
        }
        Ok(Self { folder, keep, files: Mutex::new(files) })
    }

    /// Keeps these records. A file that cannot be written is logged, and does not stop the run.
    pub fn keep(&self, epoch: Epoch, rejected: &[Rejected]) {
        if let Err(error) = self.write(epoch, rejected) {
            tracing::error!("rejected records are counted, but cannot be kept: {error}");
        }
    }

    /// Keeps these writes, in a file for each target.
    pub fn keep_writes(&self, rejected: &[RejectedWrite]) {
        if let Err(error) = self.write_all(rejected.iter().map(|write| (Arc::from(&*write.target), write))) {
            tracing::error!("refused writes are counted, but cannot be kept: {error}");
        }
    }

    fn write(&self, epoch: Epoch, rejected: &[Rejected]) -> io::Result<()> {
        let line = |record| RejectedLine::new(epoch, record);
        self.write_all(rejected.iter().map(|record| (Arc::clone(&record.partition.source), line(record))))
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

    /// Goes on with a file, without the records that come again. Writes tell no epoch: they stay.
    fn go_on(path: &Path, next: Epoch) -> io::Result<Self> {
        let part = path.with_extension("part");
        let mut kept = Self { file: BufWriter::new(File::create(&part)?), records: 0 };
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            // A line that a crash has cut off belongs to a record that comes again.
            let Ok(KeptLine { epoch }) = serde_json::from_str(&line) else { continue };
            if epoch.is_none_or(|epoch| epoch < next) {
                writeln!(kept.file, "{line}")?;
                kept.records += 1;
            }
        }
        kept.file.flush()?;
        fs::rename(&part, path)?;
        Ok(kept)
    }
}

/// What a kept line says of when it came.
#[derive(serde::Deserialize)]
struct KeptLine {
    epoch: Option<Epoch>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_event::PartitionId;

    #[test]
    fn keeps_as_many_as_told_for_each_source() {
        let dir = tempfile::tempdir().unwrap();
        let files = RejectedFiles::open(dir.path().join("rejected"), 2, Epoch(0)).unwrap();
        for source in ["orders", "orders", "orders", "clicks"] {
            let partition = Arc::new(PartitionId { source: source.into(), name: "a.csv".into() });
            let record = b"x,\xff".to_vec();
            let rejected = Rejected { partition, offset: 7, line: 2, reason: "bad".into(), record };
            files.keep(Epoch(3), &[rejected]);
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
        let files = RejectedFiles::open(dir.path().to_owned(), 2, Epoch(0)).unwrap();
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "a.csv".into() });
        let bad = Rejected { partition, offset: 7, line: 2, reason: "bad".into(), record: b"x".to_vec() };
        let said = files.write(Epoch(0), std::slice::from_ref(&bad)).unwrap_err().to_string();
        assert!(said.starts_with(&format!("cannot write {}/orders.jsonl: ", dir.path().display())), "{said}");
        assert!(said.ends_with("free space there, or set [rejected] keep lower"), "{said}");
        // The run goes on.
        files.keep(Epoch(1), &[bad]);
    }

    /// Offsets would not tell: a file that was rotated begins anew under the same name.
    #[test]
    fn what_will_be_rejected_again_is_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "a.csv".into() });
        let rejected = |offset| {
            let partition = Arc::clone(&partition);
            [Rejected { partition, offset, line: 0, reason: "bad".into(), record: b"x".to_vec() }]
        };
        let refused =
            RejectedWrite { target: "daily".into(), key: "k".into(), reason: "bad".into(), document: "{}".into() };
        let open = |next| RejectedFiles::open(dir.path().into(), 9, Epoch(next)).unwrap();
        let first = open(0);
        first.keep(Epoch(1), &rejected(70));
        first.keep(Epoch(2), &rejected(20));
        first.keep_writes(std::slice::from_ref(&refused));
        let second = open(2);
        second.keep(Epoch(2), &rejected(20));
        second.keep(Epoch(3), &rejected(31));
        second.keep_writes(&[refused]);
        let kept = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let offset = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["offset"].as_u64();
        assert_eq!(kept("orders.jsonl").lines().filter_map(offset).collect::<Vec<_>>(), [70, 20, 31]);
        assert_eq!(kept("daily.jsonl").lines().count(), 2);
        open(0).keep(Epoch(0), &rejected(5));
        assert_eq!(kept("orders.jsonl").lines().filter_map(offset).collect::<Vec<_>>(), [5]);
    }
}
