//! Users who log in, with the right password and with a wrong one, and connections by TLS with the right certificates and
//! with wrong ones.

#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use proxima_kafka::{Login, Mechanism, Security, SourceConfig, Tls, Topics};
use proxima_servers::{Service, free_ports};
use std::time::Duration;
use support::{Cluster, Running, numbered};

/// A broker of the test's own that asks who is there, and a topic of ten messages.
struct Guarded {
    kafka: Service,
    port: u16,
    topic: String,
}

impl Guarded {
    fn start() -> Self {
        let port = free_ports(1);
        let settings =
            [("KAFKA_SASL", "1"), ("KAFKA_TLS", "1"), ("KAFKA_PORT", &port.to_string()), ("KAFKA_HEAP", "320m")];
        let kafka = Service::own("kafka", &settings.map(|(key, value)| (key, value.to_owned())));
        let cluster = Cluster::at(kafka.address(), 1);
        let topic = cluster.topic("login", 1);
        cluster.write(&topic, 0, numbered(0..10));
        Self { kafka, port, topic }
    }

    /// A source that reads the topic by one of the listeners.
    fn source(&self, listener: u16, tls: Option<Tls>, login: Option<(Mechanism, &str, &str)>) -> SourceConfig {
        let login =
            login.map(|(mechanism, user, password)| Login { mechanism, user: user.into(), password: password.into() });
        let connection = proxima_kafka::Connection {
            brokers: format!("127.0.0.1:{}", self.port + listener),
            security: Security { tls, login },
            ..proxima_kafka::Connection::default()
        };
        let mut config = SourceConfig::new("orders", connection, Topics::Names(vec![self.topic.clone()]));
        config.until_end = true;
        config
    }

    /// TLS with an authority, and with the client's own certificate if that is wanted.
    fn tls(&self, authority: &str, own: bool) -> Option<Tls> {
        let file = |name: &str| self.kafka.data().join("tls").join(name);
        Some(Tls {
            ca_file: Some(file(authority)),
            certificate_file: own.then(|| file("client.pem")),
            key_file: own.then(|| file("client.key")),
        })
    }
}

fn assert_reads(config: SourceConfig) {
    let (result, told) = Running::start(config).ended();
    result.unwrap();
    assert_eq!(told.count(), 10);
}

/// Why it fails, if that does not pass within a time that is short for people and long for a broker.
fn reason(mut config: SourceConfig, parts: &[&str]) -> String {
    config.connect = Duration::from_secs(3);
    let reason = Running::start(config).fails();
    assert!(parts.iter().all(|part| reason.contains(part)), "{reason}");
    reason
}

const SASL: u16 = 50;
const TLS: u16 = 60;
const SASL_AND_TLS: u16 = 70;

#[test]
#[ignore = "starts a broker of Kafka with logins and TLS"]
fn users_and_certificates_are_asked_for_and_never_shown() {
    let guarded = Guarded::start();
    let users = [
        (Mechanism::Plain, "proxima", "proxima"),
        (Mechanism::ScramSha256, "scram", "scram"),
        (Mechanism::ScramSha512, "scram", "scram"),
    ];
    for (mechanism, user, password) in users {
        assert_reads(guarded.source(SASL, None, Some((mechanism, user, password))));
        let wrong = guarded.source(SASL, None, Some((mechanism, user, "a wrong secret")));
        let who = format!("does not let us in as \"{user}\"");
        let said = reason(wrong, &[&who, "look at user, password and mechanism"]);
        assert!(!said.contains("secret"), "{said}");
    }
    let scram = Some((Mechanism::ScramSha256, "scram", "scram"));
    assert_reads(guarded.source(SASL_AND_TLS, guarded.tls("ca.pem", false), scram));
    assert_reads(guarded.source(TLS, guarded.tls("ca.pem", true), None));

    let stranger = guarded.source(TLS, guarded.tls("stranger.pem", true), None);
    let parts = ["no TLS connection to Kafka at 127.0.0.1:", "certificate verify failed", "look at tls and ca_file"];
    reason(stranger, &parts);
    let advice = "look at tls, certificate_file and key_file under security, and whether the port is the one for TLS";
    // The broker says "bad certificate" and closes the connection: which of the two is heard first is a race.
    reason(guarded.source(TLS, guarded.tls("ca.pem", false), None), &["cannot reach Kafka at 127.0.0.1:", advice]);
    // How the broker closes what it does not understand is a race as well.
    reason(guarded.source(0, guarded.tls("ca.pem", true), None), &["cannot reach Kafka at 127.0.0.1:", advice]);
    reason(guarded.source(TLS, None, None), &["cannot reach Kafka at 127.0.0.1:", "TLS"]);
}
