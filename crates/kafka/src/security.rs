//! Encryption and login, in the words of librdkafka. A password is in no message and no log.

use rdkafka::ClientConfig;
use std::fmt;
use std::path::PathBuf;

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// User and password as they are: only over TLS.
    Plain,
    /// Salted challenge and response, SHA-256.
    ScramSha256,
    /// Salted challenge and response, SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The mechanism's name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A user who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// How.
    pub mechanism: Mechanism,
    /// Who.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("mechanism", &self.mechanism).field("user", &self.user).finish_non_exhaustive()
    }
}

/// TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of those who sign for brokers, PEM; without, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate, PEM.
    pub certificate_file: Option<PathBuf>,
    /// The key of the client's own certificate, PEM.
    pub key_file: Option<PathBuf>,
}

/// Encryption and login. Neither by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Encryption, if any.
    pub tls: Option<Tls>,
    /// Login, if any.
    pub login: Option<Login>,
}

impl Security {
    /// Writes the properties into a client's configuration.
    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.login) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            let files = [
                ("ssl.ca.location", &tls.ca_file),
                ("ssl.certificate.location", &tls.certificate_file),
                ("ssl.key.location", &tls.key_file),
            ];
            for (property, file) in files {
                if let Some(file) = file {
                    config.set(property, file.display().to_string());
                }
            }
        }
        if let Some(login) = &self.login {
            config.set("sasl.mechanism", login.mechanism.name());
            config.set("sasl.username", &login.user).set("sasl.password", &login.password);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_follows_from_the_parts() {
        let login = Login { mechanism: Mechanism::ScramSha256, user: "reader".into(), password: "hidden".into() };
        let mut config = ClientConfig::new();
        let security = Security { tls: Some(Tls::default()), login: Some(login) };
        security.apply(&mut config);
        assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(config.get("sasl.mechanism"), Some("SCRAM-SHA-256"));
        assert!(!format!("{security:?}").contains("hidden"), "a password is not shown");
    }
}
