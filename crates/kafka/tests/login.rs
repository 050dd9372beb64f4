//! Users who log in: with the right password, with a wrong one, and where nobody is asked for one.

#![allow(clippy::unwrap_used, reason = "tests and their helpers")]

mod support;

use proxima_kafka::{Login, Mechanism, SourceConfig, Topics};
use proxima_servers::{Service, free_ports};
use support::{Cluster, Running, numbered};

#[test]
#[ignore = "starts a broker of Kafka with logins"]
fn a_wrong_password_is_told_and_not_shown() {
    let port = free_ports(1);
    let settings =
        [("KAFKA_SASL", "1".to_owned()), ("KAFKA_PORT", port.to_string()), ("KAFKA_HEAP", "320m".to_owned())];
    let kafka = Service::own("kafka", &settings);
    let cluster = Cluster::at(kafka.address(), 1);
    let topic = cluster.topic("login", 1);
    cluster.write(&topic, 0, numbered(0..10));
    let config = |password: &str| {
        let mut connection = cluster.connection();
        connection.brokers = format!("127.0.0.1:{}", port + 50);
        let (user, password) = ("proxima".to_owned(), password.to_owned());
        connection.security.login = Some(Login { mechanism: Mechanism::Plain, user, password });
        let mut config = SourceConfig::new("orders", connection, Topics::Names(vec![topic.clone()]));
        config.until_end = true;
        config
    };
    let (result, told) = Running::start(config("proxima")).ended();
    result.unwrap();
    assert_eq!(told.count(), 10);
    let wrong = Running::start(config("a wrong secret")).fails();
    assert!(wrong.contains("does not let us in as \"proxima\""), "{wrong}");
    assert!(wrong.contains("look at user, password and mechanism") && !wrong.contains("secret"), "{wrong}");
}
