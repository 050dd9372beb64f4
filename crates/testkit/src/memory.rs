//! A source that holds its rows in memory and decides where epochs are cut.

use proxima_engine::EpochConfig;
use proxima_event::decode::{Decoded, Decoder};
use proxima_event::{Changes, Chunk, Intake, PartitionId, Payload, Position, Resume, Source, SourceError, Stopped};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The records that fill an epoch. Only the last chunk of an epoch is said to hold that many, so that it closes there.
const FULL: usize = 1 << 20;

/// The rows of several tables, cut into epochs.
pub struct MemorySource {
    name: Arc<str>,
    epochs: Vec<Vec<(String, Changes)>>,
}

impl MemorySource {
    /// A source of the given epochs, each a list of batches with the table that they belong to.
    #[must_use]
    pub fn new(name: &str, epochs: Vec<Vec<(String, Changes)>>) -> Self {
        Self { name: name.into(), epochs }
    }

    /// The configuration under which epochs are cut as the source says, and never by time.
    #[must_use]
    pub fn epoch_config() -> EpochConfig {
        EpochConfig { interval: Duration::from_secs(3_600), records: FULL, ..EpochConfig::default() }
    }
}

impl Source for MemorySource {
    fn run(self: Box<Self>, intake: Arc<dyn Intake>) -> Result<(), SourceError> {
        let mut resuming = Resuming::new(intake.resume());
        resuming.advance(&*intake);
        let mut positions: Vec<(Arc<PartitionId>, u64)> = Vec::new();
        for epoch in self.epochs {
            let chunks = epoch.len();
            for (number, (table, changes)) in epoch.into_iter().enumerate() {
                let at = positions.iter().position(|(partition, _)| *partition.name == *table).unwrap_or_else(|| {
                    let partition = Arc::new(PartitionId { source: Arc::clone(&self.name), name: table.into() });
                    let identity = partition.name.to_string();
                    let offset = resuming.begins(&partition);
                    intake.open(Position { partition: Arc::clone(&partition), identity, offset });
                    positions.push((partition, 0));
                    positions.len() - 1
                });
                let (partition, start) = &mut positions[at];
                let end = *start + changes.len() as u64;
                let records = if number + 1 == chunks { FULL - number } else { 1 };
                let partition = Arc::clone(partition);
                let chunk =
                    Chunk { partition, start: *start, end, records, order: 0, payload: Payload::Changes(changes) };
                *start = end;
                if end <= resuming.begins(&chunk.partition) {
                    continue;
                }
                let partition = Arc::clone(&chunk.partition);
                if intake.offer(chunk) == Err(Stopped) {
                    return Ok(());
                }
                resuming.offered(&partition, end, &*intake);
            }
        }
        intake.caught_up(&self.name);
        Ok(())
    }
}

/// Where an earlier run left off. The source offers its chunks in one order, so what a cut names comes by itself.
struct Resuming {
    resume: Resume,
    /// How many cuts have been offered.
    made: usize,
    offered: BTreeMap<Arc<PartitionId>, u64>,
}

impl Resuming {
    fn new(resume: Resume) -> Self {
        Self { resume, made: 0, offered: BTreeMap::new() }
    }

    /// The offset that the earlier run's checkpoint holds of a partition.
    fn begins(&self, partition: &PartitionId) -> u64 {
        let held = self.resume.positions.iter().find(|position| *position.partition == *partition);
        held.map_or(0, |position| position.offset)
    }

    fn offered(&mut self, partition: &Arc<PartitionId>, end: u64, intake: &dyn Intake) {
        self.offered.insert(Arc::clone(partition), end);
        self.advance(intake);
    }

    /// Says so for each cut that is offered by now.
    fn advance(&mut self, intake: &dyn Intake) {
        while let Some(cut) = self.resume.cuts.get(self.made) {
            let reached = |at: &Position| {
                let offered = self.offered.get(&at.partition).copied();
                offered.unwrap_or_else(|| self.begins(&at.partition)) >= at.offset
            };
            if !cut.iter().all(reached) {
                return;
            }
            self.made += 1;
            intake.cut_replayed();
        }
    }
}

/// Takes from a [`MemorySource`] the rows of one table.
pub struct PickTable {
    /// The table.
    pub table: String,
}

impl Decoder for PickTable {
    fn decode(&mut self, chunk: &Chunk, out: &mut Decoded) {
        match &chunk.payload {
            Payload::Changes(changes) if *chunk.partition.name == *self.table => out.batches.push(changes.clone()),
            Payload::Changes(_) => {}
            Payload::Bytes { .. } | Payload::Unread { .. } => panic!("a memory source gives changes"),
        }
    }
}
