//! What the brokers say of each message.

use crate::contact::{Contact, Context};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use std::sync::Arc;

/// A message that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its place among those that wait.
    pub(crate) place: usize,
    /// Why.
    pub(crate) code: RDKafkaErrorCode,
    /// Why, in words.
    pub(crate) reason: String,
}

/// Collects what was refused. What was acknowledged needs no note.
pub(crate) struct Deliveries {
    context: Context,
    failures: Mutex<Vec<Failure>>,
}

impl Deliveries {
    pub(crate) fn new(contact: &Arc<Contact>) -> Self {
        Self { context: Context(Arc::clone(contact)), failures: Mutex::default() }
    }

    /// Notes a refusal.
    pub(crate) fn fail(&self, failure: Failure) {
        self.failures.lock().push(failure);
    }

    /// The refusals since the last call.
    pub(crate) fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.failures.lock())
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        match result {
            Ok(_) => self.context.0.answered(),
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                self.fail(Failure { place, code, reason: code.to_string() });
            }
        }
    }
}

/// Whether a refusal is about what a message holds, so that others may pass and trying it again would not help.
pub(crate) fn concerns_one_message(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidTimestamp
    )
}

/// Whether a refusal will not change by itself, for any message.
pub(crate) fn is_permanent(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}
