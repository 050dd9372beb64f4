//! What went wrong between us and the table, and what a person can do about it.

use proxima_checkpoint::store::rows::RowsError;
use thiserror::Error;

/// Why a call failed.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The connection, or what came over it.
    #[error("{0}")]
    Link(String),
    /// HBase refused.
    #[error("{message}")]
    Refused {
        /// The first line of what it said: an exception of Java with its words.
        message: String,
    },
    /// The gateway is none that we can speak with.
    #[error("{0}")]
    Stranger(String),
}

impl From<thrift::Error> for Fault {
    fn from(error: thrift::Error) -> Self {
        match error {
            thrift::Error::Transport(error) => Self::Link(error.message),
            thrift::Error::Protocol(error) => Self::Stranger(error.message),
            thrift::Error::Application(error) => Self::Stranger(error.message),
            thrift::Error::User(error) => Self::Link(error.to_string()),
        }
    }
}

/// Words of HBase's exceptions that do not pass by themselves, and what to do.
const LASTING: [(&str, &str); 5] = [
    ("TableNotFoundException", "the table was dropped while the job ran: restore it, or start anew with --fresh"),
    ("NoSuchColumnFamilyException", "the table is somebody else's: name another one, which is made by itself"),
    ("NamespaceNotFoundException", "make the namespace first: create_namespace in HBase's shell"),
    ("AccessDeniedException", "the gateway's user needs the rights to read, write and create there"),
    ("TableNotEnabledException", "enable the table in HBase's shell"),
];

impl Fault {
    /// What it means for a caller. `gateway` is who was asked.
    pub(crate) fn at(self, gateway: &str) -> RowsError {
        let text = self.to_string();
        let (lasting, advice) = match &self {
            Self::Link(_) => (false, None),
            Self::Refused { message } => {
                let known = LASTING.iter().find(|(words, _)| message.contains(words));
                (known.is_some(), known.map(|(_, advice)| *advice))
            }
            Self::Stranger(_) => {
                (true, Some("is it a Thrift2 gateway, binary and without SASL? With -framed write ?transport=framed"))
            }
        };
        let advice = advice.map_or(String::new(), |advice| format!(" ({advice})"));
        RowsError { reason: format!("gateway {gateway}: {text}{advice}"), lasting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let refused = |message: &str| Fault::Refused { message: message.to_owned() }.at("g:9090");
        assert!(!refused("org.apache.hadoop.hbase.NotServingRegionException: t,,1. is not online").lasting);
        let error = refused("org.apache.hadoop.hbase.TableNotFoundException: t");
        assert!(error.lasting && error.reason.contains("--fresh"), "{}", error.reason);
        assert!(!Fault::Link("connection refused".to_owned()).at("g:9090").lasting);
    }

    #[test]
    fn who_answers_something_else_is_a_stranger() {
        let error = thrift::Error::Protocol(thrift::ProtocolError::new(
            thrift::ProtocolErrorKind::BadVersion,
            "received bad version: [72, 84]",
        ));
        let error = Fault::from(error).at("web:80");
        assert!(error.lasting && error.reason.contains("is it a Thrift2 gateway"), "{}", error.reason);
    }
}
