//! Whether the brokers can be reached, as librdkafka tells it: said once when it changes, not with every attempt.
//!
//! What a connector waits for goes to the [`Health`] that it shares with the engine.

use parking_lot::Mutex;
use proxima_event::Health;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of the brokers. Shared by the clients of one connector.
#[derive(Debug)]
pub(crate) struct Contact {
    /// The source or sink that asks, for messages.
    name: String,
    health: Health,
    /// Whether the loss of all brokers was reported, and no sign of life since.
    lost: AtomicBool,
    /// The last thing that went wrong.
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Contact {
    pub(crate) fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            health: Health::default(),
            lost: AtomicBool::new(false),
            last: Mutex::new(None),
        })
    }

    /// What the connector waits for, for people who watch the run.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// The last thing that went wrong since a broker answered.
    pub(crate) fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last.lock().clone()
    }

    /// A broker answered.
    pub(crate) fn answered(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            self.health.go_on();
            tracing::info!(connector = self.name, "Kafka answers again");
        }
    }

    fn failed(&self, code: RDKafkaErrorCode, reason: &str) {
        let all_down = code == RDKafkaErrorCode::AllBrokersDown;
        if all_down && !self.lost.swap(true, Ordering::Relaxed) {
            let last = self.last().map(|(_, reason)| reason).unwrap_or_default();
            self.health.wait_for(format!("no Kafka broker can be reached: {last}"));
            tracing::warn!(connector = self.name, reason = last, "no Kafka broker can be reached; trying on");
        }
        // That all are down says less than why the last one is.
        if !all_down {
            *self.last.lock() = Some((code, reason.to_owned()));
        }
    }
}

/// What the clients of this crate tell, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Context(pub(crate) Arc<Contact>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What a user must know is said by `Contact` or by an error; this is for those who look for the reason.
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.0.failed(code, reason);
        }
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_lasts_until_a_broker_answers() {
        let contact = Contact::new("orders");
        contact.failed(RDKafkaErrorCode::BrokerTransportFailure, "connection refused");
        assert_eq!(contact.health().waits_for(), None, "one broker of several may go");
        contact.failed(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert_eq!(contact.health().waits_for().unwrap(), "no Kafka broker can be reached: connection refused");
        contact.answered();
        assert_eq!(contact.health().waits_for(), None);
    }
}
