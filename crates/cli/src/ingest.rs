//! A source's log as the HTTP interface sees it.

use proxima_serve::{Failure, Ingest, IngestAnswer, Ingested};
use proxima_source::HttpLog;
use proxima_source::http::{Accepted, Refused};
use std::sync::Arc;

/// Takes records into a source's log.
pub struct LogIngest(pub Arc<HttpLog>);

impl Ingest for LogIngest {
    fn accept(&self, body: &[u8], key: &str, answer: IngestAnswer) {
        let told = |outcome: Result<Accepted, Refused>| match outcome {
            Ok(Accepted { records, duplicate }) => answer(Ok(Ingested { records, duplicate })),
            Err(refused) => answer(Err(failure(refused))),
        };
        self.0.accept(body, key, Box::new(told));
    }
}

fn failure(refused: Refused) -> Failure {
    match refused {
        Refused::BadKey(message) => Failure { status: 400, code: "bad_request", message },
        Refused::Malformed(message) => Failure { status: 400, code: "malformed_json", message },
        Refused::Busy(message) => Failure { status: 429, code: "too_busy", message: format!("{message}; come again") },
        Refused::Unavailable(message) => Failure { status: 503, code: "log_exception", message },
    }
}
