//! Looks for what is new while the source reads: partitions, topics of a pattern, topics that went or were made anew.

use super::partition::Partition;
use super::start::{identity, join};
use crate::client::Cluster;
use crate::config::SourceConfig;
use crate::native::TopicDescription;
use crate::topics;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A partition that was not there before, to be read from its beginning.
    New(Partition),
    /// A topic has another id now: it was deleted and made anew, with these partitions.
    MadeAnew(String, Vec<Partition>),
    /// A topic is there no more.
    Gone(String),
}

/// A look-out. It ends when this is dropped, at the latest when the question that it is asking is answered.
#[derive(Debug)]
pub(crate) struct Watched {
    found: Receiver<Found>,
    /// Nothing is sent: that it is dropped ends the look-out.
    _stop: Sender<()>,
}

impl Watched {
    /// What was found since the last call.
    pub(crate) fn found(&self) -> impl Iterator<Item = Found> {
        self.found.try_iter()
    }
}

/// Looks out for changes of these topics, on a thread of its own: questions to brokers may take long.
pub(crate) fn start(config: &SourceConfig, cluster: Cluster, described: Vec<TopicDescription>) -> Watched {
    let (found_sender, found) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let mut watch = Watch::new(config.clone(), cluster, described);
    let look = move || {
        // A disconnected channel means that the source has ended.
        while stopped.recv_timeout(watch.config.discover) == Err(RecvTimeoutError::Timeout) {
            for found in watch.look() {
                if found_sender.send(found).is_err() {
                    return;
                }
            }
        }
    };
    let spawned = std::thread::Builder::new().name("kafka-watch".to_owned()).spawn(look);
    if let Err(error) = spawned {
        tracing::error!(%error, "new partitions will not be found: no thread to look for them");
    }
    Watched { found, _stop: stop }
}

struct Watch {
    config: SourceConfig,
    cluster: Cluster,
    /// The topics that are known, by name.
    known: BTreeMap<String, Known>,
}

struct Known {
    identity: String,
    partitions: Vec<i32>,
    gone: bool,
}

impl Watch {
    fn new(config: SourceConfig, cluster: Cluster, described: Vec<TopicDescription>) -> Self {
        let known = described.into_iter().map(|topic| {
            let known = Known { identity: identity(&topic).to_owned(), partitions: topic.partitions, gone: false };
            (topic.name, known)
        });
        Self { config, known: known.collect(), cluster }
    }

    fn look(&mut self) -> Vec<Found> {
        // Brokers that do not answer are asked again; the reader has said that they are lost.
        let Ok(topics) = topics::look_up(&self.cluster, &self.config.topics) else { return Vec::new() };
        let mut found = Vec::new();
        let present: Vec<_> = topics.into_iter().filter(|topic| topic.error.is_none()).collect();
        for (name, known) in &mut self.known {
            if !present.iter().any(|topic| topic.name == *name) && !std::mem::replace(&mut known.gone, true) {
                found.push(Found::Gone(name.clone()));
            }
        }
        for topic in &present {
            self.compare(topic, &mut found);
        }
        found
    }

    /// What is new about a topic. Partitions whose offsets cannot be asked for are left for the next look.
    fn compare(&mut self, topic: &TopicDescription, found: &mut Vec<Found>) {
        let fresh = || Known { identity: identity(topic).to_owned(), partitions: Vec::new(), gone: false };
        let known = self.known.entry(topic.name.clone()).or_insert_with(fresh);
        known.gone = false;
        let anew = known.identity != identity(topic);
        let is_new = |number: &&i32| anew || !known.partitions.contains(number);
        let numbers: Vec<i32> = topic.partitions.iter().filter(is_new).copied().collect();
        let joined = numbers.iter().map(|&number| {
            let watermarks = self.cluster.watermarks(&topic.name, number).ok()?;
            Some(join(&self.config, topic, number, watermarks))
        });
        let Some(partitions) = joined.collect::<Option<Vec<_>>>() else { return };
        known.partitions.clone_from(&topic.partitions);
        if anew {
            known.identity = identity(topic).to_owned();
            found.push(Found::MadeAnew(topic.name.clone(), partitions));
        } else {
            found.extend(partitions.into_iter().map(Found::New));
        }
    }
}
