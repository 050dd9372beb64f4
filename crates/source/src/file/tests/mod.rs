//! The source against an engine that only takes notes.

mod bounded;
mod follow;
mod property;
mod ranges;
mod replay;

use super::{FileConfig, FileSource, Framing};
use parking_lot::{Condvar, Mutex};
use proxima_event::{Chunk, Intake, PartitionId, Payload, Position, Resume, Source, SourceError, Stopped};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A record as it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The last part of its file's name.
    pub file: String,
    pub text: String,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    pub opened: Vec<Position>,
    /// Where each partition stands.
    pub positions: BTreeMap<Arc<PartitionId>, Position>,
    pub chunks: Vec<Chunk>,
    pub ends: Vec<(String, u64)>,
    pub caught_up: usize,
    /// How many chunks there were when a cut was replayed.
    pub replayed: Vec<usize>,
}

/// Takes everything down; stops after a number of chunks, or when told.
#[derive(Debug)]
pub(super) struct FakeIntake {
    notes: Mutex<(Notes, bool)>,
    changed: Condvar,
    records_max: usize,
    chunks_max: usize,
    resume: Resume,
}

impl FakeIntake {
    pub(super) fn new(records_max: usize) -> Arc<Self> {
        Self::stopping_after(usize::MAX, records_max)
    }

    pub(super) fn stopping_after(chunks_max: usize, records_max: usize) -> Arc<Self> {
        Arc::new(Self {
            notes: Mutex::default(),
            changed: Condvar::new(),
            records_max,
            chunks_max,
            resume: Resume::default(),
        })
    }

    /// An engine that was restarted.
    pub(super) fn resuming(resume: Resume, records_max: usize) -> Arc<Self> {
        let mut intake = Self::new(records_max);
        Arc::get_mut(&mut intake).expect("it is new").resume = resume;
        intake
    }

    pub(super) fn stop(&self) {
        self.notes.lock().1 = true;
    }

    /// Waits until the notes satisfy `enough`.
    pub(super) fn wait(&self, enough: impl Fn(&Notes) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut notes = self.notes.lock();
        while !enough(&notes.0) {
            assert!(!self.changed.wait_until(&mut notes, deadline).timed_out(), "waited in vain: {:?}", notes.0);
        }
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        look(&self.notes.lock().0)
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(&mut self.notes.lock().0);
        self.changed.notify_all();
    }
}

impl Intake for FakeIntake {
    fn resume(&self) -> Resume {
        self.resume.clone()
    }

    fn cut_replayed(&self) {
        self.note(|notes| notes.replayed.push(notes.chunks.len()));
    }

    fn open(&self, position: Position) {
        self.note(|notes| {
            notes.positions.insert(Arc::clone(&position.partition), position.clone());
            notes.opened.push(position);
        });
    }

    fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
        assert!(chunk.records <= self.records_max, "a chunk of {} records", chunk.records);
        if self.stopped() {
            return Err(Stopped);
        }
        self.note(|notes| {
            notes.positions.get_mut(&chunk.partition).expect("it is opened before").offset = chunk.end;
            notes.chunks.push(chunk.fetch(Vec::new()).unwrap());
        });
        Ok(())
    }

    fn end_known(&self, partition: &PartitionId, offset: u64) {
        self.note(|notes| notes.ends.push((partition.name.to_string(), offset)));
    }

    fn caught_up(&self, _source: &str) {
        self.note(|notes| notes.caught_up += 1);
    }

    fn stopped(&self) -> bool {
        let notes = self.notes.lock();
        notes.1 || notes.0.chunks.len() >= self.chunks_max
    }

    fn records_max(&self) -> usize {
        self.records_max
    }
}

impl Notes {
    /// All records that are lines.
    pub(super) fn lines(&self) -> Vec<Record> {
        self.chunks.iter().flat_map(lines_of).collect()
    }

    /// Where each partition stands.
    pub(super) fn positions(&self) -> Vec<Position> {
        self.positions.values().cloned().collect()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|record| record.text).collect()
    }
}

fn lines_of(chunk: &Chunk) -> Vec<Record> {
    let text = String::from_utf8(bytes_of(chunk)).unwrap();
    let file = Path::new(&*chunk.partition.name).file_name().unwrap().to_str().unwrap().to_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), chunk.records);
    lines.into_iter().map(|line| Record { file: file.clone(), text: line.to_owned() }).collect()
}

pub(super) fn bytes_of(chunk: &Chunk) -> Vec<u8> {
    let Payload::Bytes { data, len, .. } = &chunk.payload else { panic!("files are bytes") };
    assert!(data.len() >= len + proxima_event::chunk::SLACK);
    data[..*len].to_vec()
}

/// Runs a source to its end.
pub(super) fn run(config: FileConfig, intake: &Arc<FakeIntake>) -> Result<(), SourceError> {
    Box::new(FileSource::new(config)?).run(Arc::clone(intake) as Arc<dyn Intake>)
}

/// All lines of what is at a path.
pub(super) fn lines_at(path: &Path) -> Vec<String> {
    let intake = FakeIntake::new(1000);
    run(FileConfig::new("s", path, Framing::Lines), &intake).unwrap();
    intake.read(Notes::texts)
}
