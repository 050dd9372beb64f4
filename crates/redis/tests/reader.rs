//! Rows of a sink read back from a real Redis, which goes and comes back.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::{KeyValueRead, StoreError};
use proxima_redis::{Layout, RedisConfig, RedisReader, Secret};
use proxima_servers::Service;
use redis::cmd;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{kill, look, own_port, own_server, reader, servers, sink, unique, write};

fn get(reader: &RedisReader, table: &str, id: &str) -> Option<Value> {
    let row = reader.get(table, id.as_bytes()).unwrap();
    row.map(|row| serde_json::from_slice(&row).unwrap())
}

#[test]
#[ignore = "starts Redis"]
fn what_the_sink_wrote_is_read() {
    let service = Service::start("redis");
    let name = "a \"b\" {c} 100%";
    for (layout, expected) in [
        (Layout::Json, json!({"_version": 3, "id": 17, "name": name})),
        (Layout::Hash, json!({"_version": "3", "id": "17", "name": name})),
    ] {
        let table = unique("user");
        let mut sink = sink(servers(&service), &table, layout);
        let reader = reader(servers(&service), layout);
        reader.connect().unwrap();
        assert_eq!(get(&reader, &table, "17"), None);
        write(&mut sink, 3, &[(17, name, 1), (18, "Bo", 1)]);
        assert_eq!(get(&reader, &table, "17"), Some(expected));
        assert_eq!(get(&reader, "nothing", "17"), None);
        write(&mut sink, 4, &[(17, name, -1)]);
        assert_eq!(get(&reader, &table, "17"), None);
        assert_eq!(get(&reader, &table, "18").unwrap()["name"], "Bo");
    }
}

/// What a question says, and how long it took.
fn ask(reader: &RedisReader) -> (Duration, Option<StoreError>) {
    let begin = Instant::now();
    let answer = reader.get("user", b"1");
    (begin.elapsed(), answer.err())
}

#[test]
#[ignore = "starts Redis"]
fn nobody_waits_long_for_a_server_that_is_away() {
    let service = own_server();
    let reader = reader(servers(&service), Layout::Json);
    write(&mut sink(servers(&service), "user", Layout::Json), 1, &[(1, "Ann", 1)]);
    assert_eq!(get(&reader, "user", "1").unwrap()["name"], "Ann");
    kill(&service);
    let (took, error) = ask(&reader);
    let error = error.unwrap();
    let place = format!("cannot read table user of redis {}: ", service.address());
    assert!(error.passing && error.to_string().starts_with(&place), "{error}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // All that come now are told what was found; the connection of each is tried once at the most.
    let begin = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(ask(&reader).1.unwrap().to_string(), error.to_string());
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    service.run(&["start"]);
    let since = Instant::now();
    while let Some(error) = ask(&reader).1 {
        assert!(since.elapsed() < Duration::from_secs(10), "{error}");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Questions at the same time, over connections that were closed behind their backs.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(get(&reader, "user", "1").unwrap()["name"], "Ann"));
        }
    });
    cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .exec(&mut look(service.address()))
        .unwrap();
    assert_eq!(get(&reader, "user", "1").unwrap()["name"], "Ann");
}

/// A server that takes connections and never answers costs as much time as one may take, and then none.
#[test]
fn a_server_that_hangs_is_let_be() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let reader = reader(RedisConfig::new([&address]), Layout::Json);
    let (took, error) = ask(&reader);
    assert!(error.is_some_and(|error| error.passing && error.to_string().contains(&address)));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let (took, error) = ask(&reader);
    assert!(error.is_some() && took < Duration::from_millis(200), "{took:?}");
}

#[test]
#[ignore = "starts Redis"]
fn a_user_who_may_only_read_is_enough() {
    let service = own_server();
    write(&mut sink(servers(&service), "user", Layout::Hash), 1, &[(1, "Ann", 1)]);
    let mut redis = look(service.address());
    cmd("ACL").arg(&["SETUSER", "page", "on", ">right", "~dim:*", "+hgetall"]).exec(&mut redis).unwrap();
    let config = |password: &str| RedisConfig {
        username: Some("page".to_owned()),
        password: Some(Secret::new(password)),
        ..servers(&service)
    };
    assert_eq!(get(&reader(config("right"), Layout::Hash), "user", "1").unwrap()["name"], "Ann");
    let refused = |reader: RedisReader| reader.get("user", b"1").unwrap_err();
    for (error, words) in [
        (refused(reader(config("wrong"), Layout::Hash)), "check username and password"),
        (refused(reader(config("right"), Layout::Json)), "GET or HGETALL to read"),
        (refused(reader(servers(&service), Layout::Json)), "something else was written there"),
    ] {
        assert!(!error.passing && error.to_string().contains(words), "{error}");
    }
    let nobody = RedisConfig::new([format!("127.0.0.1:{}", own_port())]);
    assert!(reader(nobody, Layout::Json).connect().unwrap_err().passing);
}
