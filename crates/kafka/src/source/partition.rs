//! One partition on its way: its position, and the messages that were read and not yet offered.

use proxima_event::chunk::RECORD_BYTES_MAX;
use proxima_event::{Chunk, Intake, MessageChunk, PartitionId, Position, Stopped};
use std::sync::Arc;

/// A chunk of this many bytes is offered: large enough that handing it over costs nothing, small enough to stay in a
/// core's cache.
const CHUNK_BYTES: usize = 512 * 1024;

/// The part of a topic that is read in order.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Its topic's name.
    pub(crate) topic: String,
    /// Its number in the topic.
    pub(crate) number: i32,
    /// Its name in the job.
    pub(crate) id: Arc<PartitionId>,
    /// What tells its topic from a later one of the same name.
    pub(crate) identity: String,
    /// The offset behind the last message that may be read, as far as it was known at the start.
    pub(crate) end: u64,
    /// Everything before was offered.
    offered: u64,
    /// Everything before was read.
    read: u64,
    chunk: Option<MessageChunk>,
}

impl Partition {
    /// A partition that is read from `offset` on, and ends for now at `end`.
    pub(crate) fn new(source: &str, topic: &str, number: i32, identity: &str, offset: u64, end: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            number,
            id: Arc::new(PartitionId { source: source.into(), name: partition_name(topic, number).into() }),
            identity: identity.to_owned(),
            end,
            offered: offset,
            read: offset,
            chunk: None,
        }
    }

    /// How far it was offered.
    pub(crate) fn position(&self) -> Position {
        Position { partition: Arc::clone(&self.id), identity: self.identity.clone(), offset: self.offered }
    }

    /// The offset that is read next.
    pub(crate) fn next(&self) -> u64 {
        self.read
    }

    /// Whether all was read that was there at the start.
    pub(crate) fn caught_up(&self) -> bool {
        self.read >= self.end
    }

    /// Takes the message at `offset`, and offers the chunk that is full with it. What was read before is passed by:
    /// after a broker was lost, messages may come again.
    pub(crate) fn take(&mut self, offset: u64, value: Option<&[u8]>, intake: &dyn Intake) -> Result<(), Stopped> {
        if offset < self.read {
            return Ok(());
        }
        self.read = offset + 1;
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(()) };
        let chunk = self.chunk.get_or_insert_with(|| Chunk::of_messages(Arc::clone(&self.id), self.offered));
        // What is longer than any record is rejected by its length; its front is enough for that.
        chunk.push(offset, &value[..value.len().min(RECORD_BYTES_MAX)]);
        if chunk.bytes() >= CHUNK_BYTES || chunk.records() >= intake.records_max() {
            return self.offer(intake);
        }
        Ok(())
    }

    /// Nothing before `offset` will come any more: what was there is read, deleted, aborted or a mark of transactions.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.read = self.read.max(offset);
    }

    /// Offers what was read.
    pub(crate) fn offer(&mut self, intake: &dyn Intake) -> Result<(), Stopped> {
        if self.read == self.offered {
            return Ok(());
        }
        let chunk = self.chunk.take().unwrap_or_else(|| Chunk::of_messages(Arc::clone(&self.id), self.offered));
        self.offered = self.read;
        intake.offer(chunk.finish(self.read))
    }
}

/// The name of a partition in the job: `orders-3`.
pub(crate) fn partition_name(topic: &str, number: i32) -> String {
    format!("{topic}-{number}")
}

/// The topic and the number in a partition's name.
pub(crate) fn split_name(name: &str) -> Option<(&str, i32)> {
    let (topic, number) = name.rsplit_once('-')?;
    Some((topic, number.parse().ok().filter(|number| *number >= 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Keeps what is offered.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Chunk>>);

    impl Intake for Kept {
        fn open(&self, _: Position) {}

        fn offer(&self, chunk: Chunk) -> Result<(), Stopped> {
            self.0.lock().push(chunk);
            Ok(())
        }

        fn end_known(&self, _: &PartitionId, _: u64) {}

        fn caught_up(&self, _: &str) {}

        fn stopped(&self) -> bool {
            false
        }

        fn records_max(&self) -> usize {
            2
        }
    }

    #[test]
    fn chunks_join_without_gaps_whatever_is_left_out() {
        let kept = Kept::default();
        let mut partition = Partition::new("orders", "orders", 3, "id", 10, 100);
        assert_eq!(&*partition.id.name, "orders-3");
        let messages: [(u64, Option<&[u8]>); 6] =
            [(12, Some(b"a")), (13, None), (15, Some(b"b")), (15, Some(b"twice")), (20, Some(b"c")), (21, Some(b""))];
        for (offset, value) in messages {
            partition.take(offset, value, &kept).unwrap();
        }
        partition.skip_to(30);
        partition.offer(&kept).unwrap();
        partition.offer(&kept).unwrap();
        partition.skip_to(31);
        partition.offer(&kept).unwrap();
        let chunks: Vec<_> = kept.0.lock().iter().map(|chunk| (chunk.start, chunk.end, chunk.records)).collect();
        assert_eq!(chunks, [(10, 16, 2), (16, 30, 1), (30, 31, 0)]);
    }

    #[test]
    fn names_are_read_back() {
        assert_eq!(split_name(&partition_name("ods-log", 12)), Some(("ods-log", 12)));
        assert_eq!(split_name("orders"), None);
        assert_eq!(split_name("orders-x"), None);
    }
}
