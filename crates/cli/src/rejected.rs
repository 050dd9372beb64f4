//! Keeps rejected records: a line of JSON each, in a file for each source.

use parking_lot::Mutex;
use proxima_event::Rejected;
use proxima_event::rejected::RejectedLine;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
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
    /// Files in `folder`, each with at most `keep` records.
    #[must_use]
    pub fn new(folder: PathBuf, keep: u64) -> Self {
        Self { folder, keep, files: Mutex::default() }
    }

    /// Keeps these records. A file that cannot be written is logged, and does not stop the run.
    pub fn keep(&self, rejected: &[Rejected]) {
        if let Err(error) = self.write(rejected) {
            tracing::error!(folder = %self.folder.display(), %error, "rejected records could not be kept");
        }
    }

    fn write(&self, rejected: &[Rejected]) -> io::Result<()> {
        let mut files = self.files.lock();
        for record in rejected {
            let source = &record.partition.source;
            if !files.contains_key(source) {
                fs::create_dir_all(&self.folder)?;
                let file = BufWriter::new(File::create(self.folder.join(format!("{source}.jsonl")))?);
                files.insert(Arc::clone(source), Kept { file, records: 0 });
            }
            let kept = files.get_mut(source).expect("inserted above");
            if kept.records < self.keep {
                serde_json::to_writer(&mut kept.file, &RejectedLine::from(record))?;
                kept.file.write_all(b"\n")?;
                kept.records += 1;
            }
        }
        files.values_mut().try_for_each(|kept| kept.file.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_event::PartitionId;

    #[test]
    fn keeps_as_many_as_told_for_each_source() {
        let dir = tempfile::tempdir().unwrap();
        let files = RejectedFiles::new(dir.path().join("rejected"), 2);
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
}
