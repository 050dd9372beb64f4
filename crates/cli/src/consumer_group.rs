//! Publishes the positions of a Kafka source as a consumer group's offsets, where lag tools look for them. Nothing is
//! ever read back from there, so no checkpoint waits for it.

use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Position, StoreError};
use proxima_kafka::GroupOffsets;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a run that ends waits for its last offsets to be published, which takes some milliseconds when it can be done.
/// It ends within two seconds, with several sources as well.
const LAST: Duration = Duration::from_millis(300);

/// A group, told on a thread of its own: while its coordinator is away, one answer takes a minute.
pub(crate) struct ConsumerGroup {
    source: String,
    /// Taken when the run ends.
    committed: Option<Sender<Vec<Position>>>,
    /// Closed when all is published.
    published: Receiver<()>,
}

impl ConsumerGroup {
    pub(crate) fn new(source: String, group: GroupOffsets) -> Self {
        let (committed, positions) = channel();
        let (done, published) = channel();
        let name = source.clone();
        let publish = move || {
            // Dropped at the end of the thread, which tells that it has ended.
            let _done: Sender<()> = done;
            publish(&name, &positions, |newest| group.commit(newest));
        };
        if let Err(error) = std::thread::Builder::new().name("consumer group".to_owned()).spawn(publish) {
            tracing::error!(source, %error, "offsets of the consumer group will not be published: no thread for it");
        }
        Self { source, committed: Some(committed), published }
    }
}

impl OffsetStore for ConsumerGroup {
    fn load(&mut self) -> Result<Option<Committed>, StoreError> {
        Ok(None)
    }

    fn commit(&mut self, committed: &Committed) -> Result<Outcome, StoreError> {
        let is_own = |position: &&Position| *position.partition.source == *self.source;
        let own: Vec<_> = committed.positions.iter().filter(is_own).cloned().collect();
        if let Some(thread) = self.committed.as_ref().filter(|_| !own.is_empty()) {
            // Without a thread nothing is published, which was said when it could not be started.
            let _ = thread.send(own);
        }
        Ok(Outcome::Stored)
    }
}

impl Drop for ConsumerGroup {
    fn drop(&mut self) {
        self.committed = None;
        if self.published.recv_timeout(LAST) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(source = self.source, "the last offsets of the consumer group were not published");
        }
    }
}

/// Publishes what is newest each time, until nothing comes any more.
fn publish(source: &str, positions: &Receiver<Vec<Position>>, commit: impl Fn(&[Position]) -> Result<(), String>) {
    while let Ok(first) = positions.recv() {
        // What has come while the one before was published is told by the last of them.
        let newest = positions.try_iter().last().unwrap_or(first);
        if let Err(error) = commit(&newest) {
            tracing::warn!(source, error, "the offsets of the consumer group could not be published; going on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxima_event::PartitionId;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_newest_positions_are_published_and_a_failure_is_passed_by() {
        let (sender, receiver) = channel();
        let partition = Arc::new(PartitionId { source: "orders".into(), name: "orders-0".into() });
        let at = |offset| Position { partition: Arc::clone(&partition), identity: "id".to_owned(), offset };
        (1..=3).for_each(|offset| sender.send(vec![at(offset)]).unwrap());
        let (sender, told) = (Mutex::new(Some(sender)), Mutex::new(Vec::new()));
        publish("orders", &receiver, |newest| {
            told.lock().unwrap().push(newest[0].offset);
            // Two more come while the first is told, and then nothing.
            if let Some(sender) = sender.lock().unwrap().take() {
                (4..=5).for_each(|offset| sender.send(vec![at(offset)]).unwrap());
            }
            Err("the coordinator is away".to_owned())
        });
        assert_eq!(*told.lock().unwrap(), [3, 5]);
    }
}
