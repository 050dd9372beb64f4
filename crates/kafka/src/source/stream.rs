//! Reading on, in the order in which messages come: all partitions share one queue, and each fills chunks of its own.

use super::fetch::{Fetcher, Gone, Report};
use super::partition::Partition;
use super::watch::{Found, Watched};
use super::{Halt, start};
use crate::config::SourceConfig;
use crate::contact::Contact;
use crate::native::{Batch, Message, Queue, TopicHandle};
use proxima_event::{Intake, Stopped};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Messages that are taken at once: so many that taking costs nothing, so few that they are still in the cache.
const BATCH: usize = 1_024;

/// How long a first message may wait for others to fill its chunk.
const LINGER: Duration = Duration::from_millis(10);

/// How long to wait for a first message before it is looked whether the run ends.
const IDLE: Duration = Duration::from_millis(50);

/// How often the ends of partitions are told, and what was found is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Reads until the run ends, or, where the configuration says so, to what was the end at the start.
pub(crate) fn stream(
    config: &SourceConfig,
    contact: &Arc<Contact>,
    partitions: Vec<Partition>,
    watched: Option<&Watched>,
    intake: &dyn Intake,
) -> Result<(), Halt> {
    let fetcher = Fetcher::new(config, contact, config.fetch_bytes)?;
    let mut stream = Stream {
        config,
        contact,
        intake,
        joint: fetcher.joint_queue(),
        fetcher: &fetcher,
        partitions: Vec::new(),
        names: HashMap::new(),
        places: HashMap::new(),
        at_end: Vec::new(),
        asleep: Vec::new(),
    };
    stream.add(partitions)?;
    stream.run(watched)
}

struct Stream<'c> {
    config: &'c SourceConfig,
    contact: &'c Contact,
    intake: &'c dyn Intake,
    fetcher: &'c Fetcher<'c>,
    joint: Queue<'c>,
    partitions: Vec<Partition>,
    /// Where a partition stands in the list, by its name …
    names: HashMap<(String, i32), usize>,
    /// … and by what messages carry in place of it.
    places: HashMap<(TopicHandle, i32), usize>,
    /// Whether all messages of a partition were read that may be read now.
    at_end: Vec<bool>,
    /// The places of partitions that are to be asked for again at the next tick.
    asleep: Vec<usize>,
}

impl<'c> Stream<'c> {
    fn run(&mut self, watched: Option<&Watched>) -> Result<(), Halt> {
        let mut batch = Batch::with_capacity(BATCH);
        let (mut ticked, mut offered, mut caught_up) = (Instant::now(), Instant::now(), false);
        let mut busy = false;
        loop {
            if self.intake.stopped() {
                return Err(Halt::Stopped);
            }
            if !busy {
                // The first message is waited for alone: taking more waits until all are there.
                self.joint.take(&mut batch, 1, IDLE);
                self.read(&batch)?;
                busy = batch.len() > 0;
            }
            if busy {
                self.joint.take(&mut batch, BATCH, LINGER);
                self.read(&batch)?;
                busy = batch.len() == BATCH;
            }
            if !busy || offered.elapsed() >= LINGER {
                self.offer_all()?;
                offered = Instant::now();
            }
            if !caught_up && self.partitions.iter().all(Partition::caught_up) {
                self.offer_all()?;
                self.intake.caught_up(&self.config.source);
                caught_up = true;
            }
            if caught_up && self.config.until_end {
                return Ok(());
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick(watched)?;
            }
        }
    }

    /// Takes partitions in, to be read from where they stand. Those that are known begin anew.
    fn add(&mut self, partitions: Vec<Partition>) -> Result<(), Halt> {
        let mut places = Vec::new();
        for partition in partitions {
            self.fetcher.queue(&partition).forward_to(&self.joint);
            let name = (partition.topic.clone(), partition.number);
            match self.names.get(&name) {
                Some(&place) => {
                    self.partitions[place] = partition;
                    self.at_end[place] = false;
                    places.push(place);
                }
                None => {
                    places.push(self.partitions.len());
                    self.names.insert(name, self.partitions.len());
                    self.partitions.push(partition);
                    self.at_end.push(false);
                }
            }
        }
        self.fetcher.assign(places.iter().map(|&place| &self.partitions[place]))
    }

    /// Fetches a partition, that is not fetched now, from where it stands.
    fn fetch(&self, place: usize) -> Result<(), Halt> {
        let partition = &self.partitions[place];
        self.fetcher.queue(partition).forward_to(&self.joint);
        self.fetcher.assign(std::iter::once(partition))
    }

    fn read(&mut self, batch: &Batch<'_>) -> Result<(), Halt> {
        if batch.len() == 0 {
            return Ok(());
        }
        let mut last = None;
        for message in batch.iter() {
            let Some(topic) = message.topic() else { continue };
            let key = (topic, message.partition());
            let place = match last {
                // Messages come in runs of one partition.
                Some((known, place)) if known == key => place,
                _ => match self.place(key, &message) {
                    Some(place) => place,
                    None => continue,
                },
            };
            last = Some((key, place));
            self.read_one(place, &message)?;
        }
        Ok(())
    }

    fn place(&mut self, key: (TopicHandle, i32), message: &Message<'_>) -> Option<usize> {
        if let Some(&place) = self.places.get(&key) {
            return Some(place);
        }
        let place = *self.names.get(&(message.topic_name(), message.partition()))?;
        self.places.insert(key, place);
        Some(place)
    }

    fn read_one(&mut self, place: usize, message: &Message<'_>) -> Result<(), Halt> {
        let (partition, at_end) = (&mut self.partitions[place], &mut self.at_end[place]);
        let end = if self.config.until_end { partition.end } else { u64::MAX };
        match self.fetcher.report(message) {
            Report::Message if message.offset() < end => {
                *at_end = false;
                partition.take(message.offset(), message.value(), self.intake)?;
            }
            Report::Message => partition.skip_to(end),
            Report::End => {
                *at_end = true;
                partition.skip_to(message.offset().min(end));
            }
            Report::OutOfRange => self.go_on_behind_gap(place)?,
            Report::Failed(reason) => return Err(Halt::Failed(reason)),
            Report::Nothing => {}
        }
        Ok(())
    }

    /// The next messages of a partition are gone: goes on with what is there, if the job allows that.
    fn go_on_behind_gap(&mut self, place: usize) -> Result<(), Halt> {
        let partition = &mut self.partitions[place];
        self.fetcher.unassign(std::iter::once(&*partition));
        let Some(gone) = self.fetcher.why_gone(partition) else {
            self.asleep.push(place);
            return Ok(());
        };
        start::lost(self.config, &gone.reason(partition))?;
        match gone {
            Gone::WithItsTopic if self.config.until_end => {
                partition.skip_to(partition.end);
                Ok(())
            }
            // The look-out finds its partitions, with their new positions.
            Gone::WithItsTopic => Ok(()),
            Gone::Between(low, _) if partition.next() < low => {
                partition.offer(self.intake)?;
                partition.skip_to(low);
                self.fetch(place)
            }
            // Positions only grow while a run lasts.
            Gone::Between(_, high) => Err(Halt::Failed(format!(
                "partition {} has lost messages that were read, up to offset {high}; started again, the source goes on there",
                partition.id.name
            ))),
        }
    }

    fn offer_all(&mut self) -> Result<(), Stopped> {
        self.partitions.iter_mut().try_for_each(|partition| partition.offer(self.intake))
    }

    /// Tells how far partitions reach, and takes in what was found.
    fn tick(&mut self, watched: Option<&Watched>) -> Result<(), Halt> {
        self.fetcher.serve();
        for (partition, &at_end) in self.partitions.iter().zip(&self.at_end) {
            // At its end, a partition may go on with marks of transactions, which nobody reads.
            let known = if at_end { None } else { self.fetcher.known_end(partition) };
            self.intake.end_known(&partition.id, known.unwrap_or(0).max(partition.next()));
        }
        for found in watched.into_iter().flat_map(Watched::found) {
            self.take_in(found)?;
        }
        std::mem::take(&mut self.asleep).into_iter().try_for_each(|place| self.fetch(place))
    }

    fn take_in(&mut self, found: Found) -> Result<(), Halt> {
        let partitions = match found {
            Found::Gone(topic) => {
                tracing::warn!(
                    source = self.config.source,
                    topic,
                    "the topic was deleted; waiting for it to come back"
                );
                return Ok(());
            }
            Found::MadeAnew(topic, partitions) => {
                start::lost(self.config, &start::made_anew(&topic))?;
                self.offer_all()?;
                self.fetcher.unassign(self.partitions.iter().filter(|partition| partition.topic == topic));
                self.asleep.retain(|&place| self.partitions[place].topic != topic);
                partitions
            }
            Found::New(partition) => vec![partition],
        };
        for partition in &partitions {
            tracing::info!(source = self.config.source, partition = &*partition.id.name, "a new partition is read");
            self.intake.open(partition.position());
            self.intake.end_known(&partition.id, partition.end);
        }
        self.contact.answered();
        self.add(partitions)
    }
}
