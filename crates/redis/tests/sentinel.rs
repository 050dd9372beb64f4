//! A master, its replica and a Sentinel: the master is killed, and the sink goes on at the other.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::KeyValueRead;
use proxima_redis::{Layout, Mode, RedisConfig, RedisSink, SinkConfig};
use redis::cmd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{hash, kill, look, own_port, own_server, reader, sink, write};

/// A Sentinel of the test's own, which ends with it.
struct Sentinel {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn sentinel(master: &str) -> Sentinel {
    let folder = tempfile::tempdir().unwrap();
    let (host, port) = master.rsplit_once(':').unwrap();
    let own = own_port();
    let file = folder.path().join("sentinel.conf");
    let text = format!(
        "port {own}\nbind 127.0.0.1\nsentinel monitor mall {host} {port} 1\n\
         sentinel down-after-milliseconds mall 500\nsentinel failover-timeout mall 3000\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("redis-server");
    let process = command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    Sentinel { process, address: format!("127.0.0.1:{own}"), _folder: folder }
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn knows_replica(address: &str) -> bool {
    let Ok(client) = redis::Client::open(format!("redis://{address}/")) else { return false };
    let Ok(mut connection) = client.get_connection() else { return false };
    let replicas: redis::RedisResult<Vec<redis::Value>> =
        cmd("SENTINEL").arg("REPLICAS").arg("mall").query(&mut connection);
    replicas.is_ok_and(|replicas| !replicas.is_empty())
}

#[test]
#[ignore = "starts Redis and a Sentinel"]
fn the_sink_follows_the_master() {
    let (master, replica) = (own_server(), own_server());
    let port = master.address().rsplit(':').next().unwrap();
    cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut look(replica.address())).unwrap();
    let sentinel = sentinel(master.address());
    wait_for("the replica to be known", || knows_replica(&sentinel.address));

    let mode = Mode::Sentinel { master: "mall".to_owned(), password: None };
    // The first address answers to nobody: the next one is asked.
    let nobody = format!("127.0.0.1:{}", own_port());
    let config = RedisConfig { mode, ..RedisConfig::new([nobody.as_str(), &sentinel.address]) };
    let mut sink = sink(config.clone(), "user", Layout::Hash);
    write(&mut sink, 1, &[(1, "Ann", 1)]);
    assert_eq!(hash(&mut look(master.address()), "dim:user:1")["name"], "Ann");
    let reader = reader(config.clone(), Layout::Hash);
    assert!(reader.get("user", b"1").unwrap().is_some());

    kill(&master);
    write(&mut sink, 2, &[(2, "Bo", 1)]);
    let mut there = look(replica.address());
    assert_eq!(hash(&mut there, "dim:user:2")["name"], "Bo");
    // Whether or not it was replicated in time, what was written last is there.
    assert_eq!(hash(&mut there, "dim:user:1")["name"], "Ann");
    wait_for("the reader to follow", || reader.get("user", b"2").is_ok_and(|row| row.is_some()));

    let mode = Mode::Sentinel { master: "shop".to_owned(), password: None };
    let config = RedisConfig { mode, ..RedisConfig::new([&sentinel.address]) };
    let error = RedisSink::open(config, SinkConfig::new("user", vec![0])).map(drop).unwrap_err().to_string();
    assert!(error.contains("knows no master \"shop\"") && error.contains("check the name of the master"), "{error}");
}
