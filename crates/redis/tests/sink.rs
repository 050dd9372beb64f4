//! What stands in a real Redis after writes in order, out of order, doubled and stale.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::{Sink, Version};
use proxima_redis::{Layout, RedisSink, tombstone};
use proxima_servers::Service;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redis::cmd;
use std::collections::BTreeMap;
use support::{changes, fields, hash, look, servers, sink, unique, write};

#[test]
#[ignore = "starts Redis"]
fn a_row_is_a_hash_and_leaves_whole() {
    let service = Service::start("redis");
    let (mut redis, table) = (look(service.address()), unique("user"));
    let mut sink = sink(servers(&service), &table, Layout::Hash);
    let key = format!("dim:{table}:17");
    write(&mut sink, 3, &[(17, "Ann", 1), (18, "Bo", 1)]);
    assert_eq!(hash(&mut redis, &key), fields(&[("_version", "3"), ("id", "17"), ("name", "Ann")]));
    // A column that became NULL does not stay as it was.
    write(&mut sink, 4, &[(17, "", 1)]);
    assert_eq!(hash(&mut redis, &key), fields(&[("_version", "4"), ("id", "17")]));

    write(&mut sink, 5, &[(17, "", -1)]);
    assert!(hash(&mut redis, &key).is_empty());
    let ttl_s: i64 = cmd("TTL").arg(tombstone(&key)).query(&mut redis).unwrap();
    assert!((3600..=86_400).contains(&ttl_s), "{ttl_s}");
    // Neither a stale upsert nor a stale delete changes what stands.
    write(&mut sink, 4, &[(17, "late", 1)]);
    assert!(hash(&mut redis, &key).is_empty());
    write(&mut sink, 6, &[(17, "again", 1)]);
    write(&mut sink, 5, &[(17, "", -1)]);
    assert_eq!(hash(&mut redis, &key)["name"], "again");
    assert_eq!(cmd("EXISTS").arg(tombstone(&key)).query::<i64>(&mut redis).unwrap(), 0);
    sink.sync().unwrap();
}

#[test]
#[ignore = "starts Redis"]
fn a_row_is_a_document_and_versions_compare_in_full() {
    let service = Service::start("redis");
    let (mut redis, table) = (look(service.address()), unique("user"));
    let mut sink = sink(servers(&service), &table, Layout::Json);
    let key = format!("dim:{table}:17");
    let mut read = || cmd("GET").arg(&key).query::<Option<String>>(&mut redis).unwrap();
    // Doubles cannot tell these two versions from each other.
    let version = (1 << 60) + 1;
    write(&mut sink, version, &[(17, "Ann", 1)]);
    write(&mut sink, version - 1, &[(17, "stale", 1)]);
    assert_eq!(read().unwrap(), format!(r#"{{"_version":{version},"id":17,"name":"Ann"}}"#));
    write(&mut sink, u64::MAX, &[(17, "", -1)]);
    write(&mut sink, u64::MAX - 1, &[(17, "stale", 1)]);
    assert_eq!(read(), None);
}

/// One write of a key.
type Op = (u64, i64, String, i64);

/// The writes of a key, each with a version of its own, end as the newest says: in whatever order, however often and
/// through however many sinks they come.
fn converges(seed: u64, open: &dyn Fn(&str) -> RedisSink) -> (String, BTreeMap<i64, Op>) {
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let table = unique("random");
    let mut ops: Vec<Op> = Vec::new();
    let mut newest: BTreeMap<i64, Op> = BTreeMap::new();
    for version in 1..=200 {
        for _ in 0..random.random_range(0..5) {
            let id = random.random_range(0..40);
            let weight = if random.random_bool(0.3) { -1 } else { 1 };
            let op: Op = (version, id, format!("v{version}{}", "x".repeat(random.random_range(0..300))), weight);
            if newest.get(&id).is_none_or(|standing| standing.0 < version) {
                newest.insert(id, op.clone());
                ops.push(op);
            }
        }
    }
    let writer = |mut ops: Vec<Op>, seed: u64, mut sink: RedisSink| {
        std::thread::spawn(move || {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            ops.extend(ops.clone());
            ops.shuffle(&mut random);
            for (version, id, name, weight) in ops {
                sink.write(Version(version), &[changes(&[(id, &name, weight)])]).unwrap();
                if random.next_u32() % 4 == 0 {
                    sink.flush().unwrap();
                }
            }
            sink.flush().unwrap();
        })
    };
    let writers: Vec<_> = (0..2).map(|n| writer(ops.clone(), seed + n, open(&table))).collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    (table, newest)
}

#[test]
#[ignore = "starts Redis"]
fn doubled_and_reordered_writes_converge() {
    let service = Service::start("redis");
    let mut redis = look(service.address());
    for seed in 0..6 {
        let layout = if seed % 2 == 0 { Layout::Hash } else { Layout::Json };
        let (table, newest) = converges(seed, &|table| sink(servers(&service), table, layout));
        for (id, (version, _, name, weight)) in newest {
            let key = format!("dim:{table}:{id}");
            let found = match layout {
                Layout::Hash => hash(&mut redis, &key).get("name").cloned(),
                Layout::Json => cmd("GET").arg(&key).query::<Option<String>>(&mut redis).unwrap(),
            };
            let wanted = match layout {
                Layout::Hash => name,
                Layout::Json => format!(r#"{{"_version":{version},"id":{id},"name":"{name}"}}"#),
            };
            assert_eq!(found, Some(wanted).filter(|_| weight > 0), "{key}");
        }
    }
}

#[test]
#[ignore = "starts Redis"]
fn a_key_of_another_type_is_named() {
    let service = Service::start("redis");
    let (mut redis, table) = (look(service.address()), unique("user"));
    cmd("LPUSH").arg(format!("dim:{table}:17")).arg("x").exec(&mut redis).unwrap();
    for layout in [Layout::Hash, Layout::Json] {
        let mut sink = sink(servers(&service), &table, layout);
        sink.write(Version(1), &[changes(&[(17, "Ann", 1)])]).unwrap();
        let error = sink.flush().unwrap_err().to_string();
        assert!(error.contains(&format!("cannot write to table {table} of redis {}", service.address())), "{error}");
        assert!(error.contains("WRONGTYPE") && error.contains(&format!("at key dim:{table}:17")), "{error}");
        assert!(error.contains("choose another key pattern"), "{error}");
    }
}
