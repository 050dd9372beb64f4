//! What the tests share: rows, sinks, a plain connection to look at what stands.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proxima_event::{Changes, Sink, Version};
use proxima_redis::{Layout, RedisConfig, RedisReader, RedisSink, SinkConfig};
use proxima_servers::Service;
use redis::{Connection, cmd};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    format!("{name}_{:08x}", rand::random::<u32>())
}

/// A server of the test's own.
pub fn own_server() -> Service {
    Service::own("redis", &[("REDIS_PORT", own_port().to_string())])
}

/// A port that no other test has or had: one whose server was killed must find it free again.
pub fn own_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let begin = 21_000 + u16::try_from(std::process::id() % 500).unwrap() * 20;
    let next = || begin + GIVEN.fetch_add(1, Ordering::Relaxed);
    std::iter::repeat_with(next).find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap()
}

/// Ends a server as a crash does.
pub fn kill(service: &Service) {
    let status = service.run(&["status"]);
    let pid = status.split("pid ").nth(1).unwrap().split(',').next().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    // Its port is free once it is gone: only a zombie may be left, whose state stands behind the name.
    let stat = format!("/proc/{pid}/stat");
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

pub fn servers(service: &Service) -> RedisConfig {
    RedisConfig::new(service.address().split(','))
}

/// A sink for rows of `id` and `name`, whose key is `id`.
pub fn sink(servers: RedisConfig, table: &str, layout: Layout) -> RedisSink {
    let config = SinkConfig { layout, pattern: "dim:{table}:{id}".parse().unwrap(), ..SinkConfig::new(table, vec![0]) };
    RedisSink::open(servers, config).unwrap()
}

/// A reader of what such a sink writes.
pub fn reader(servers: RedisConfig, layout: Layout) -> RedisReader {
    RedisReader::new(servers, layout, "dim:{table}:{id}".parse().unwrap())
}

/// Rows with their weights.
pub fn changes(rows: &[(i64, &str, i64)]) -> Changes {
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("name", Arc::new(StringArray::from_iter(rows.iter().map(|row| Some(row.1).filter(|text| !text.is_empty()))))),
    ];
    let weights = rows.iter().map(|row| row.2).collect();
    Changes::weighted(RecordBatch::try_from_iter(columns).unwrap(), weights)
}

pub fn write(sink: &mut RedisSink, version: u64, rows: &[(i64, &str, i64)]) {
    sink.write(Version(version), &[changes(rows)]).unwrap();
    sink.flush().unwrap();
}

pub fn look(address: &str) -> Connection {
    redis::Client::open(format!("redis://{address}/")).unwrap().get_connection().unwrap()
}

pub fn hash(connection: &mut Connection, key: &str) -> BTreeMap<String, String> {
    cmd("HGETALL").arg(key).query(connection).unwrap()
}

pub fn fields(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
