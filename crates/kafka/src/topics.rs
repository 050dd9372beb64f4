//! Which topics there are, with their ids and partitions.

use crate::client::{AskError, Cluster};
use crate::config::Topics;
use crate::native::TopicDescription;
use rdkafka::error::RDKafkaErrorCode;

/// The topics that are read, as they are now. Those that are missing carry an error.
///
/// # Errors
/// When the brokers cannot be asked.
pub(crate) fn look_up(cluster: &Cluster, topics: &Topics) -> Result<Vec<TopicDescription>, AskError> {
    let mut described = match topics {
        Topics::Names(names) => cluster.describe(names)?,
        Topics::Pattern(pattern) => {
            let matches = |name: &String| !name.starts_with("__") && pattern.is_match(name);
            let names: Vec<String> = cluster.names()?.into_iter().filter(matches).collect();
            let described = cluster.describe(&names)?;
            // A topic that went between the two questions is no topic of the pattern.
            described.into_iter().filter(|topic| topic.error.is_none()).collect()
        }
    };
    described.sort_by(|a, b| a.name.cmp(&b.name));
    described.iter_mut().for_each(|topic| topic.partitions.sort_unstable());
    Ok(described)
}

/// The topics as they must be at the start of a run.
///
/// # Errors
/// In words, when the brokers cannot be asked or a topic is missing.
pub(crate) fn required(cluster: &Cluster, topics: &Topics, brokers: &str) -> Result<Vec<TopicDescription>, AskError> {
    let described = look_up(cluster, topics)?;
    for topic in &described {
        let name = &topic.name;
        match topic.error {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Err(AskError::Refused(missing(cluster, name, brokers)));
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                let reason = format!("topic \"{name}\" of Kafka at {brokers} may not be read by this user");
                return Err(AskError::Refused(format!("{reason}; give it the right to describe and read the topic")));
            }
            Some(other) => {
                return Err(AskError::Refused(format!(
                    "topic \"{name}\" of Kafka at {brokers} cannot be read: {other}"
                )));
            }
        }
    }
    Ok(described)
}

fn missing(cluster: &Cluster, name: &str, brokers: &str) -> String {
    let mut names = cluster.names().unwrap_or_default();
    names.retain(|name| !name.starts_with("__"));
    names.sort();
    const SHOWN: usize = 10;
    let there = match names.len() {
        0 => "it has none".to_owned(),
        count if count > SHOWN => format!("it has {}, … ({count} in all)", names[..SHOWN].join(", ")),
        _ => format!("it has {}", names.join(", ")),
    };
    format!("Kafka at {brokers} has no topic \"{name}\"; {there}; look at topics, or create it")
}
