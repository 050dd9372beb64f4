//! How long it takes to forget one person with 1,000 relations, in a graph of 200 thousand people and 4 million relations
//! whose popular items keep rows of pair sums: through the operators, texts, edges and all that follows from them. Ends
//! with one line of JSON: the median and the longest, in milliseconds.

#[allow(dead_code, reason = "this one draws, and measures by the clock")]
#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::{cumulate, draw};
use proxima_graph::{Graph, RelationRules};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;
use support::live::{LiveMesh, Row, Shape, USERS, batch};

const SEED: u64 = 42;
const USERS_COUNT: usize = 200_000;
const ITEMS: usize = 100_000;
const EVENTS: usize = 4_000_000;
const RELATIONS: usize = 1_000;
const PEOPLE: usize = 51;
const BATCH_ROWS: usize = 2_048;

fn main() {
    let rules = RelationRules { hot_work: Some(proxima_graph::HOT_WORK), ..RelationRules::default() };
    let shape = Shape { timed: false, attributed: false, rules };
    let mut mesh = LiveMesh::new(shape, 1);
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let items = cumulate((1..=ITEMS).map(|rank| (rank as f64).powf(-0.9)));
    let row = |user: String, item: u32| Row {
        subject: user,
        object: format!("item-{item:07}"),
        weight: 1,
        time_us: 0,
        device: None,
        times: 1,
    };
    for _ in 0..EVENTS / BATCH_ROWS {
        let user = |rng: &mut ChaCha8Rng| format!("user-{:07}", rng.random_range(0..USERS_COUNT));
        let rows: Vec<Row> = (0..BATCH_ROWS).map(|_| row(user(&mut rng), draw(&items, &mut rng))).collect();
        mesh.epoch(&[batch(&rows, &shape)], &[]);
    }
    for person in 0..PEOPLE {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < RELATIONS {
            seen.insert(draw(&items, &mut rng));
        }
        let rows: Vec<Row> = seen.into_iter().map(|item| row(format!("person-{person}"), item)).collect();
        mesh.epoch(&[batch(&rows, &shape)], &[]);
    }
    let mut times: Vec<f64> = (0..PEOPLE)
        .map(|person| {
            let name = format!("person-{person}");
            let start = Instant::now();
            mesh.epoch(&[], &[("user", &name)]);
            let time = start.elapsed();
            assert!(mesh.graph.id(USERS, &name).is_none(), "nothing is left of {name}");
            time.as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{} hot items", mesh.graph.hot_count(support::live::VIEWED));
    println!("{}", serde_json::json!({ "forget_p50_ms": times[PEOPLE / 2], "forget_max_ms": times[PEOPLE - 1] }));
}
