//! One transaction for all that is written between two flushes.

use super::deliver::{self, Deliveries, Failure};
use super::{KafkaSink, WAIT, fatal};
use proxima_event::SinkError;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use std::time::{Duration, Instant};

/// How long one step of a transaction may take before it is looked whether the run ends.
const STEP: Duration = Duration::from_millis(500);

/// Shuts out an earlier producer of the same id; what it left open is aborted.
///
/// # Errors
/// In words, when the brokers do not agree in time.
pub(crate) fn init(producer: &BaseProducer<Deliveries>, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        match producer.init_transactions(STEP) {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            Err(error) => return Err(format!("transactions cannot begin: {error}")),
        }
    }
}

/// What becomes of a step that failed.
enum Next {
    /// The same again.
    Retry,
    /// The transaction is lost; all of it is sent again in a new one.
    Resend,
}

impl KafkaSink {
    /// Begins a transaction with the first message behind a flush.
    pub(super) fn begin_if_needed(&mut self) -> Result<(), SinkError> {
        if self.transactional() && !self.in_transaction {
            let begun = self.producer.begin_transaction();
            begun.map_err(|error| self.failed("begin a transaction of", self.explain(&error)))?;
            self.in_transaction = true;
        }
        Ok(())
    }

    /// Commits what waits. Messages that are refused are left out and rejected; the others go again.
    pub(super) fn commit(&mut self) -> Result<(), SinkError> {
        while self.in_transaction {
            let failures = self.settle()?;
            if !failures.is_empty() {
                self.abort()?;
                self.drop_refused(&failures);
                self.resend()?;
                continue;
            }
            match self.producer.commit_transaction(STEP) {
                Ok(()) => self.in_transaction = false,
                Err(error) => match self.next(error)? {
                    Next::Retry => {}
                    Next::Resend => {
                        self.abort()?;
                        self.resend()?;
                    }
                },
            }
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        loop {
            match self.producer.abort_transaction(STEP) {
                Ok(()) => break,
                Err(error) => {
                    if let Next::Resend = self.next(error)? {
                        break;
                    }
                }
            }
        }
        // What was still on its way is reported as purged: it goes again with the rest.
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(WAIT);
        }
        drop(self.producer.context().take_failures());
        self.in_transaction = false;
        Ok(())
    }

    fn resend(&mut self) -> Result<(), SinkError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.begin_if_needed()?;
        (0..self.waiting.len()).try_for_each(|place| self.send(place))
    }

    /// Takes out a message that was refused for what it holds. Where a whole batch was refused, its largest message is
    /// to blame; the next round finds further ones.
    fn drop_refused(&mut self, failures: &[Failure]) {
        let blamed = failures.iter().filter(|failure| deliver::concerns_one_message(failure.code));
        if let Some(worst) = blamed.max_by_key(|failure| self.waiting[failure.place].bytes()) {
            self.reject(worst);
            let record = self.waiting.remove(worst.place);
            self.waiting_bytes -= record.bytes();
        }
    }

    fn next(&self, error: KafkaError) -> Result<Next, SinkError> {
        if self.is_stopped() {
            return Err(self.failed("commit a transaction of", "the run ends"));
        }
        self.producer.poll(Duration::ZERO);
        match &error {
            KafkaError::Transaction(error) if error.is_fatal() => {}
            KafkaError::Transaction(error) if error.txn_requires_abort() => return Ok(Next::Resend),
            KafkaError::Transaction(error) if error.is_retriable() || timed_out(error) => return Ok(Next::Retry),
            _ => {}
        }
        Err(self.failed("commit a transaction of", self.explain(&error)))
    }

    fn explain(&self, error: &KafkaError) -> String {
        match error.rdkafka_error_code() {
            Some(code) => fatal(code, &error.to_string()),
            None => error.to_string(),
        }
    }
}

fn timed_out(error: &RDKafkaError) -> bool {
    matches!(error.code(), RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut)
}
