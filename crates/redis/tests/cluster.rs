//! A real cluster of three masters: slots, a killed node, slots that move.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::offsets::{Committed, OffsetStore, Outcome};
use proxima_event::{Epoch, Generation, KeyValueRead, Sink, Version};
use proxima_redis::{Layout, Mode, RedisConfig, RedisOffsets, tombstone};
use proxima_servers::{Service, free_ports};
use redis::cluster::{ClusterClient, ClusterConnection};
use redis::cmd;
use std::collections::BTreeMap;
use std::process::Command;
use support::{changes, reader, servers, sink};

fn look(service: &Service) -> ClusterConnection {
    let nodes = service.address().split(',').map(|address| format!("redis://{address}/"));
    ClusterClient::new(nodes).unwrap().get_connection().unwrap()
}

fn hash(redis: &mut ClusterConnection, key: &str) -> BTreeMap<String, String> {
    cmd("HGETALL").arg(key).query(redis).unwrap()
}

fn redis_cli(arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(arguments).output().unwrap();
    assert!(output.status.success(), "redis-cli {arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "starts a Redis cluster"]
fn a_cluster_is_written_to_through_what_happens_to_it() {
    let settings = [("REDIS_PORT", free_ports(3).to_string()), ("REDIS_CLUSTER", "1".to_owned())];
    let service = Service::own("redis", &settings);
    let config = RedisConfig { mode: Mode::Cluster, ..servers(&service) };
    let mut sink = sink(config.clone(), "user", Layout::Hash);
    let mut redis = look(&service);
    let mut write = |version: u64, weight: i64| {
        let names: Vec<String> = (0..1_000).map(|id| format!("v{version}/{id}")).collect();
        let rows: Vec<_> = names.iter().zip(0..).map(|(name, id)| (id, name.as_str(), weight)).collect();
        sink.write(Version(version), &[changes(&rows)]).unwrap();
        sink.flush().unwrap();
        sink.sync().unwrap();
    };
    let reader = reader(config.clone(), Layout::Hash);
    let mut check = |version: u64| {
        for id in 0..1_000 {
            let row = reader.get("user", id.to_string().as_bytes()).unwrap().unwrap();
            let row: serde_json::Value = serde_json::from_slice(&row).unwrap();
            assert_eq!(row["name"], format!("v{version}/{id}"));
            assert_eq!(hash(&mut redis, &format!("dim:user:{id}"))["name"], format!("v{version}/{id}"));
        }
    };
    write(2, 1);
    write(1, 1);
    check(2);

    // Two thousand slots move to another master while nobody has told the sink.
    let nodes: Vec<&str> = service.address().split(',').collect();
    let id_of =
        |address: &str| redis_cli(&["-p", address.rsplit(':').next().unwrap(), "cluster", "myid"]).trim().to_owned();
    let (from, to) = (id_of(nodes[0]), id_of(nodes[1]));
    let mut reshard = vec!["--cluster", "reshard", nodes[0], "--cluster-from", &from, "--cluster-to", &to];
    reshard.extend(["--cluster-slots", "2000", "--cluster-yes"]);
    redis_cli(&reshard);
    write(3, 1);
    check(3);

    support::kill(&service);
    let restart = std::thread::scope(|scope| {
        let restart = scope.spawn(|| service.run(&["start"]));
        write(4, 1);
        restart.join().unwrap()
    });
    assert!(restart.contains("ready at"));
    check(4);

    write(5, -1);
    write(4, 1);
    let mut redis = look(&service);
    for id in 0..1_000 {
        let key = format!("dim:user:{id}");
        assert!(hash(&mut redis, &key).is_empty());
        assert_eq!(cmd("GET").arg(tombstone(&key)).query::<u64>(&mut redis).unwrap(), 5);
    }

    let mut offsets = RedisOffsets::open(config, "mall").unwrap();
    let committed = |generation, epoch| Committed {
        generation: Generation(generation),
        checkpoint: "log/1.json".to_owned(),
        epoch: Epoch(epoch),
        positions: Vec::new(),
    };
    assert_eq!(offsets.commit(&committed(2, 7)).unwrap(), Outcome::Stored);
    assert_eq!(offsets.commit(&committed(1, 9)).unwrap(), Outcome::Fenced { by: Generation(2) });
    assert_eq!(offsets.load().unwrap(), Some(committed(2, 7)));
}
