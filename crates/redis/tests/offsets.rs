//! Offsets in a real Redis: readable, whole, and never turned back.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use proxima_event::offsets::{Committed, OffsetStore, Outcome, decide};
use proxima_event::{Epoch, Generation, PartitionId, Position};
use proxima_redis::RedisOffsets;
use proxima_servers::Service;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, Barrier};
use support::{fields, hash, look, servers, unique};

fn committed(generation: u64, epoch: u64) -> Committed {
    let position = |name: &str, identity: &str, offset| Position {
        partition: Arc::new(PartitionId { source: "orders".into(), name: name.into() }),
        identity: identity.to_owned(),
        offset,
    };
    Committed {
        generation: Generation(generation),
        checkpoint: format!("log/{epoch:020}.json"),
        epoch: Epoch(epoch),
        positions: vec![position("topic-0", "", epoch * 10), position("topic-3", "abc", epoch * 11)],
    }
}

#[test]
#[ignore = "starts Redis"]
fn people_can_read_them() {
    let service = Service::start("redis");
    let job = unique("mall");
    let mut offsets = RedisOffsets::open(servers(&service), &job).unwrap();
    assert_eq!(offsets.load().unwrap(), None);
    assert_eq!(offsets.commit(&committed(1, 5)).unwrap(), Outcome::Stored);
    assert_eq!(offsets.load().unwrap(), Some(committed(1, 5)));
    let wanted = fields(&[
        ("generation", "1"),
        ("epoch", "5"),
        ("checkpoint", "log/00000000000000000005.json"),
        ("orders/topic-0", "50"),
        ("orders/topic-3", "55"),
        ("identity orders/topic-3", "abc"),
    ]);
    assert_eq!(hash(&mut look(service.address()), &format!("proxima:{{{job}}}:offsets")), wanted);
    // A partition that is gone leaves no field behind.
    let less = Committed { positions: Vec::new(), ..committed(1, 6) };
    assert_eq!(offsets.commit(&less).unwrap(), Outcome::Stored);
    assert_eq!(offsets.load().unwrap(), Some(less));
}

#[test]
#[ignore = "starts Redis"]
fn many_partitions_fit() {
    let service = Service::start("redis");
    let mut offsets = RedisOffsets::open(servers(&service), &unique("mall")).unwrap();
    let mut wide = committed(1, 1);
    wide.positions = (0..6_000)
        .map(|n| Position {
            partition: Arc::new(PartitionId { source: "orders".into(), name: format!("topic-{n:05}").into() }),
            identity: String::new(),
            offset: n,
        })
        .collect();
    assert_eq!(offsets.commit(&wide).unwrap(), Outcome::Stored);
    assert_eq!(offsets.load().unwrap(), Some(wide));
}

/// The script decides as the contract's rule does.
#[test]
#[ignore = "starts Redis"]
fn the_script_follows_the_rule() {
    let service = Service::start("redis");
    for seed in 0..5 {
        println!("seed {seed}");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut offsets = RedisOffsets::open(servers(&service), &unique("rule")).unwrap();
        let mut standing: Option<Committed> = None;
        for _ in 0..200 {
            // Numbers beyond 2^53 and of different lengths among them.
            let number = |random: &mut ChaCha8Rng| {
                let base = [8, 9, 10, 99, 100, (1 << 60), u64::MAX - 3][random.random_range(0..7)];
                base + random.random_range(0..3)
            };
            let next = Committed { checkpoint: "x".to_owned(), positions: Vec::new(), ..committed(0, 0) };
            let next =
                Committed { generation: Generation(number(&mut random)), epoch: Epoch(number(&mut random)), ..next };
            let wanted =
                decide(standing.as_ref().map(|old| (old.generation, old.epoch)), (next.generation, next.epoch));
            assert_eq!(offsets.commit(&next).unwrap(), wanted);
            if wanted == Outcome::Stored {
                standing = Some(next);
            }
            assert_eq!(offsets.load().unwrap(), standing);
        }
    }
}

/// Two runs of one job commit at the same time, as after a pause that outlived a successor's start.
#[test]
#[ignore = "starts Redis"]
fn a_stale_run_is_fenced_at_any_interleaving() {
    let service = Service::start("redis");
    for round in 0..20 {
        let job = unique("fence");
        let barrier = Arc::new(Barrier::new(2));
        let run = |generation: u64| {
            let mut offsets = RedisOffsets::open(servers(&service), &job).unwrap();
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                let mut outcomes = Vec::new();
                for epoch in 1..=30 {
                    outcomes.push(offsets.commit(&committed(generation, epoch)).unwrap());
                    if generation == 2 && epoch == 1 {
                        std::thread::yield_now();
                    }
                }
                outcomes
            })
        };
        let (old, new) = (run(1), run(2));
        let (old, new) = (old.join().unwrap(), new.join().unwrap());
        assert!(new.iter().all(|outcome| *outcome == Outcome::Stored), "round {round}: {new:?}");
        // Once fenced, always fenced.
        let fenced = old.iter().position(|outcome| *outcome == Outcome::Fenced { by: Generation(2) });
        let after = fenced.map_or(&old[old.len()..], |at| &old[at..]);
        assert!(
            after.iter().all(|outcome| *outcome == Outcome::Fenced { by: Generation(2) }),
            "round {round}: {old:?}"
        );
        let mut offsets = RedisOffsets::open(servers(&service), &job).unwrap();
        assert_eq!(offsets.load().unwrap(), Some(committed(2, 30)));
    }
}
