//! A real Redis that is killed, forgets its scripts, becomes a replica, wants a password or is not there.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::offsets::OffsetStore;
use proxima_event::{KeyValueRead, Sink};
use proxima_redis::{KeyPattern, Layout, RedisConfig, RedisOffsets, RedisSink, Secret, SinkConfig, Tls};
use proxima_servers::Service;
use redis::{Connection, cmd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{hash, kill, look, own_port, own_server, reader, servers, sink, unique, write};

/// Writes rows as fast as they go, until told to stop; row `n` has version `n` and key `n % 500`.
fn keep_writing(mut sink: RedisSink) -> (Arc<AtomicBool>, Arc<AtomicU64>, std::thread::JoinHandle<RedisSink>) {
    let (enough, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stop, count) = (Arc::clone(&enough), Arc::clone(&done));
    let thread = std::thread::spawn(move || {
        let mut version = 0;
        while !stop.load(Ordering::Relaxed) {
            version += 1;
            write(&mut sink, version, &[((version % 500) as i64, &format!("v{version}"), 1)]);
            count.store(version, Ordering::Relaxed);
        }
        sink
    });
    (enough, done, thread)
}

fn wait_past(done: &AtomicU64, version: u64) {
    let since = Instant::now();
    while done.load(Ordering::Relaxed) < version {
        assert!(since.elapsed() < Duration::from_secs(60), "the writer does not go on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every key holds the last of `written` versions that wrote it.
fn assert_newest(redis: &mut Connection, table: &str, written: u64) {
    for version in written.saturating_sub(499).max(1)..=written {
        let found = hash(redis, &format!("dim:{table}:{}", version % 500));
        assert_eq!(found.get("_version"), Some(&version.to_string()));
        assert_eq!(found.get("name"), Some(&format!("v{version}")));
    }
}

#[test]
#[ignore = "starts Redis"]
fn nothing_is_lost_when_the_server_is_killed() {
    let service = own_server();
    let table = unique("user");
    let (enough, done, thread) = keep_writing(sink(servers(&service), &table, Layout::Hash));
    for _ in 0..5 {
        wait_past(&done, done.load(Ordering::Relaxed) + 300);
        kill(&service);
        service.run(&["start"]);
        wait_past(&done, done.load(Ordering::Relaxed) + 10);
    }
    enough.store(true, Ordering::Relaxed);
    thread.join().unwrap().sync().unwrap();
    assert_newest(&mut look(service.address()), &table, done.load(Ordering::Relaxed));
}

/// A server that comes back empty, as a replica does that had nothing yet, gets what was written last again.
#[test]
#[ignore = "starts Redis"]
fn the_last_writes_are_sent_again_over_a_new_connection() {
    let service = own_server();
    let table = unique("user");
    let mut sink = sink(servers(&service), &table, Layout::Hash);
    write(&mut sink, 1, &[(1, "Ann", 1), (2, "Bo", 1)]);
    let mut redis = look(service.address());
    cmd("FLUSHALL").exec(&mut redis).unwrap();
    cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").exec(&mut redis).unwrap();
    sink.sync().unwrap();
    assert_eq!(hash(&mut redis, &format!("dim:{table}:2"))["name"], "Bo");
}

#[test]
#[ignore = "starts Redis"]
fn scripts_are_loaded_again_and_a_replica_is_waited_out() {
    let service = own_server();
    let table = unique("user");
    let mut redis = look(service.address());
    let (enough, done, thread) = keep_writing(sink(servers(&service), &table, Layout::Hash));
    wait_past(&done, 50);
    cmd("SCRIPT").arg("FLUSH").exec(&mut redis).unwrap();
    wait_past(&done, done.load(Ordering::Relaxed) + 50);
    // Nobody is there to replicate from, so only its being a replica shows.
    cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec(&mut redis).unwrap();
    let before = done.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(300));
    assert!(done.load(Ordering::Relaxed) <= before + 1, "a replica takes no writes");
    cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut redis).unwrap();
    wait_past(&done, before + 50);
    enough.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert_newest(&mut redis, &table, done.load(Ordering::Relaxed));
}

#[test]
#[ignore = "starts Redis"]
fn a_write_waits_for_replicas() {
    let (service, replica) = (own_server(), own_server());
    let stopped = Arc::new(AtomicBool::new(false));
    let config = RedisConfig { wait_replicas: 1, timeout: Duration::from_millis(400), ..servers(&service) };
    let mut sink = sink(config, "user", Layout::Hash);
    let health = sink.health().unwrap();
    let told = Arc::clone(&stopped);
    health.stop_when(move || told.load(Ordering::Acquire));
    sink.write(proxima_event::Version(1), &[support::changes(&[(1, "Ann", 1)])]).unwrap();
    let writing = std::thread::spawn(move || {
        let failed = sink.flush().map_err(|error| error.to_string());
        (sink, failed)
    });
    let since = Instant::now();
    while !health.waits_for().is_some_and(|what| what.contains("too few replicas hold a write")) {
        assert!(since.elapsed() < Duration::from_secs(60), "nobody waits");
        std::thread::sleep(Duration::from_millis(10));
    }
    stopped.store(true, Ordering::Release);
    let (mut sink, failed) = writing.join().unwrap();
    assert!(failed.unwrap_err().contains("too few replicas hold a write"));

    stopped.store(false, Ordering::Release);
    let port: u16 = service.address().rsplit(':').next().unwrap().parse().unwrap();
    let mut there = look(replica.address());
    cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut there).unwrap();
    sink.flush().unwrap();
    assert_eq!(health.waits_for(), None);
    assert_eq!(hash(&mut there, "dim:user:1")["name"], "Ann");
}

#[test]
#[ignore = "starts Redis"]
fn users_and_passwords_are_asked_for_by_name() {
    let service = own_server();
    let mut redis = look(service.address());
    cmd("ACL").arg(&["SETUSER", "shop", "on", ">right", "~*", "+@all"]).exec(&mut redis).unwrap();
    cmd("ACL").arg(&["SETUSER", "guest", "on", ">guest", "~*", "+get"]).exec(&mut redis).unwrap();
    cmd("CONFIG").arg(&["SET", "requirepass", "default"]).exec(&mut redis).unwrap();
    let open = |user: Option<&str>, password: Option<&str>| {
        let config =
            RedisConfig { username: user.map(str::to_owned), password: password.map(Secret::new), ..servers(&service) };
        assert!(!format!("{config:?}").contains("right"), "a password is never printed");
        RedisSink::open(config, SinkConfig::new("user", vec![0])).map(drop).map_err(|error| error.to_string())
    };
    open(Some("shop"), Some("right")).unwrap();
    open(None, Some("default")).unwrap();
    let place = format!("cannot connect to redis {}: ", service.address());
    for (user, password, words) in [
        (Some("shop"), Some("wrong"), "check username and password"),
        (None, Some("wrong"), "check username and password"),
        (None, None, "set password_env or password_file"),
        (Some("guest"), Some("guest"), "the user needs the commands"),
    ] {
        let error = open(user, password).unwrap_err();
        assert!(error.starts_with(&place) && error.contains(words), "{error}");
        assert!(!error.contains("wrong\"") && !error.contains(" wrong "), "{error}");
    }
    let config = RedisConfig { database: 99, password: Some(Secret::new("default")), ..servers(&service) };
    let error = RedisSink::open(config, SinkConfig::new("user", vec![0])).map(drop).unwrap_err().to_string();
    assert!(error.contains("check database"), "{error}");
}

#[test]
#[ignore = "starts Redis"]
fn certificates_and_passwords_go_together() {
    let port = own_port();
    let settings = [("REDIS_PORT", port.to_string()), ("REDIS_TLS", "1".to_owned())];
    let service = Service::own("redis", &settings);
    let mut redis = look(service.address());
    cmd("CONFIG").arg(&["SET", "requirepass", "right"]).exec(&mut redis).unwrap();
    let file = |name: &str| std::fs::read(service.data().join("tls").join(name)).unwrap();
    let address = format!("127.0.0.1:{}", port + 50);
    let config = |authority: &str, own: bool, password: &str| {
        let identity = own.then(|| (file("client.pem"), file("client.key")));
        let tls = Some(Tls { authority: Some(file(authority)), identity });
        RedisConfig { tls, password: Some(Secret::new(password)), ..RedisConfig::new([&address]) }
    };
    let table = unique("user");
    let mut sink = sink(config("ca.pem", true, "right"), &table, Layout::Hash);
    write(&mut sink, 1, &[(1, "Ann", 1)]);
    sink.sync().unwrap();
    assert_eq!(hash(&mut redis, &format!("dim:{table}:1"))["name"], "Ann");
    let reader = reader(config("ca.pem", true, "right"), Layout::Hash);
    assert!(reader.get(&table, b"1").unwrap().is_some());

    let reasons = [
        (config("ca.pem", true, "wrong"), "check username and password"),
        (config("stranger.pem", true, "right"), "invalid peer certificate: UnknownIssuer"),
        (config("ca.pem", false, "right"), "received fatal alert: CertificateRequired"),
    ];
    for (config, reason) in reasons {
        let error = RedisSink::open(config, SinkConfig::new("user", vec![0])).map(drop).unwrap_err().to_string();
        let expected = error.starts_with(&format!("cannot connect to redis {address}: ")) && error.contains(reason);
        assert!(expected && !error.contains("wrong"), "{error}");
    }
}

#[test]
#[ignore = "takes ten seconds"]
fn a_server_that_is_not_there_is_named() {
    let address = "127.0.0.1:1".to_owned();
    let error = RedisOffsets::open(RedisConfig::new([&address]), "mall").map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to redis {address}: ")), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[test]
#[ignore = "starts Redis"]
fn databases_are_kept_apart() {
    let service = Service::start("redis");
    let job = unique("mall");
    let config = RedisConfig { database: 3, ..servers(&service) };
    let mut offsets = RedisOffsets::open(config.clone(), &job).unwrap();
    let committed = proxima_event::Committed {
        generation: proxima_event::Generation(1),
        checkpoint: "x".to_owned(),
        epoch: proxima_event::Epoch(1),
        positions: Vec::new(),
    };
    offsets.commit(&committed).unwrap();
    assert_eq!(RedisOffsets::open(servers(&service), &job).unwrap().load().unwrap(), None);
    assert_eq!(RedisOffsets::open(config, &job).unwrap().load().unwrap(), Some(committed));
    assert_eq!(KeyPattern::default().to_string(), "{table}:{id}");
}
