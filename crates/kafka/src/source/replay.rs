//! What an earlier run had read behind its last checkpoint is read again, cut by cut, so that the same epochs come out.

use super::fetch::{Fetcher, Report};
use super::partition::Partition;
use super::{Halt, start};
use crate::config::SourceConfig;
use crate::contact::Contact;
use crate::native::{Batch, Queue};
use proxima_event::{Intake, Position};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Messages that are taken at once.
const BATCH: usize = 1_024;

/// How long to wait for a partition's next messages before it is looked whether the run ends.
const WAIT: Duration = Duration::from_millis(50);

/// Reads the cuts one after another: of each all partitions that it names, each to exactly its offset.
///
/// The messages come through a consumer of their own, whose partitions keep their queues: while one is read, the others
/// wait. All queues together hold as many bytes as the source may fetch.
pub(crate) fn replay(
    config: &SourceConfig,
    contact: &Arc<Contact>,
    cuts: &[Vec<Position>],
    partitions: &mut [Partition],
    intake: &dyn Intake,
) -> Result<(), Halt> {
    let mut places = HashMap::new();
    for (place, partition) in partitions.iter().enumerate() {
        places.insert(partition.id.name.to_string(), place);
    }
    let named = cuts.iter().flatten().filter_map(|position| places.get(&*position.partition.name));
    let mut needed: Vec<usize> = named.copied().collect();
    needed.sort_unstable();
    needed.dedup();
    if needed.is_empty() {
        cuts.iter().for_each(|_| intake.cut_replayed());
        return Ok(());
    }
    let fetcher = Fetcher::new(config, contact, config.fetch_bytes / needed.len())?;
    let mut lanes: HashMap<usize, Lane<'_>> = HashMap::new();
    for &place in &needed {
        lanes.insert(place, Lane::new(fetcher.queue(&partitions[place])));
    }
    fetcher.assign(needed.iter().map(|&place| &partitions[place]))?;
    for cut in cuts {
        for position in cut {
            let Some(place) = places.get(&*position.partition.name) else {
                // Its loss was told when the partitions were looked up.
                continue;
            };
            let (partition, lane) = (&mut partitions[*place], lanes.get_mut(place).expect("it was made above"));
            if partition.identity == position.identity {
                lane.read_to(&fetcher, partition, position.offset, intake)?;
            }
        }
        intake.cut_replayed();
    }
    Ok(())
}

/// One partition's messages: those taken off its queue and not yet read may belong to a later cut.
struct Lane<'c> {
    queue: Queue<'c>,
    batch: Batch<'c>,
    /// How many messages of the batch were read.
    done: usize,
    /// Messages of it are gone, and the job says that they may be.
    lost: bool,
}

impl<'c> Lane<'c> {
    fn new(queue: Queue<'c>) -> Self {
        Self { queue, batch: Batch::with_capacity(BATCH), done: 0, lost: false }
    }

    /// Reads to the offset and offers what was read.
    fn read_to(
        &mut self,
        fetcher: &'c Fetcher<'_>,
        partition: &mut Partition,
        offset: u64,
        intake: &dyn Intake,
    ) -> Result<(), Halt> {
        while partition.next() < offset {
            if self.lost {
                partition.skip_to(offset);
                break;
            }
            if intake.stopped() {
                return Err(Halt::Stopped);
            }
            if self.done == self.batch.len() {
                fetcher.serve();
                self.queue.take(&mut self.batch, BATCH, WAIT);
                self.done = 0;
            }
            for message in self.batch.iter().skip(self.done) {
                // Messages may be missing since: then the first one behind the offset, or the partition's end, tells
                // that all before was read. It stays in the batch, for the next cut.
                let report = fetcher.report(&message);
                if message.offset() >= offset && matches!(report, Report::Message | Report::End) {
                    partition.skip_to(offset);
                    break;
                }
                match report {
                    Report::Message => partition.take(message.offset(), message.value(), intake)?,
                    Report::End => partition.skip_to(message.offset()),
                    Report::OutOfRange => {
                        let gone = fetcher.why_gone(partition).map(|gone| gone.reason(partition));
                        let unknown =
                            || format!("partition {} no longer has offset {}", partition.id.name, partition.next());
                        start::lost(fetcher.config, &gone.unwrap_or_else(unknown))?;
                        self.lost = true;
                        break;
                    }
                    Report::Failed(reason) => return Err(Halt::Failed(reason)),
                    Report::Nothing => {}
                }
                self.done += 1;
                if partition.next() >= offset {
                    break;
                }
            }
        }
        Ok(partition.offer(intake)?)
    }
}
