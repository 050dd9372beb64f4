//! Each algorithm as a path, against a loop written by hand for it, over the same arrays, which gives the same list. Ends
//! with one line of JSON: for each algorithm how many times the loop's CPU time the path takes. A name after `--` measures
//! that algorithm alone.
//!
//! The data are seeded: 20 thousand customers, 20 thousand items by Zipf 0.9, 400 thousand events over 30 days.

#[path = "../tests/support/arrays.rs"]
mod arrays;
#[path = "paths/loops.rs"]
mod loops;
#[path = "measure/mod.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod measure;

use arrays::ArrayGraph;
use measure::cpu_time;
use proxima_graph::ObjectId;
use proxima_graph::path::{
    Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Found, Keep, MergerWord, Part, Path,
    Scratch, Session, Shape, Swing, link,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const USER: u16 = 0;
pub(crate) const ITEM: u16 = 1;
const FEATURE: u16 = 2;
/// Customers and items, without times.
pub(crate) const BOUGHT: u16 = 0;
pub(crate) const VIEWED: u16 = 1;
/// Items and features.
pub(crate) const HAS: u16 = 2;
/// Customers and items, with the time of the last click; and the same with the time of the customer's last click.
pub(crate) const CLICKED: u16 = 3;
pub(crate) const VISITED: u16 = 4;
const RELATIONS: [(&str, u16, u16, bool); 5] = [
    ("bought", USER, ITEM, false),
    ("viewed", USER, ITEM, false),
    ("has", ITEM, FEATURE, false),
    ("clicked", USER, ITEM, true),
    ("visited", USER, ITEM, true),
];

const SEED: u64 = 42;
const USERS: usize = 20_000;
const ITEMS: usize = 20_000;
const EVENTS: usize = 400_000;
const QUESTIONS: usize = 400;
pub(crate) const LIST: usize = 100;
/// Rounds of which the fastest counts, the path's and the loop's by turns.
const ROUNDS: usize = 15;

fn main() {
    let graph = generate();
    let paths = link(&declarations(), &graph.catalogue, &|_, _| Err("no expressions here".into()));
    let paths = paths.expect("the paths are right");
    let mut ratios = BTreeMap::new();
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for (name, by_hand) in loops::ALL.into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)) {
        let path = paths.get(name).expect("each loop has a path");
        let (path_time, loop_time) = compare(&graph, path, by_hand);
        let ratio = path_time.as_secs_f64() / loop_time.as_secs_f64();
        let each = |time: Duration| time.as_micros() as f64 / QUESTIONS as f64;
        println!("{name}: {:.1} us by path, {:.1} us by hand: {ratio:.2} times", each(path_time), each(loop_time));
        ratios.insert(name, (ratio * 100.0).round() / 100.0);
    }
    println!("{}", serde_json::json!(ratios));
}

/// The times of the same questions to a path and to a loop, whose lists must agree.
fn compare(graph: &ArrayGraph, path: &Path, by_hand: loops::ByHand) -> (Duration, Duration) {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    let starts = if path.from.0 == USER { USERS } else { ITEMS };
    let questions: Vec<u32> = (0..QUESTIONS).map(|_| rng.random_range(0..starts as u32)).collect();
    let (mut scratch, mut memory) = (Scratch::default(), loops::Memory::new(USERS.max(ITEMS)));
    for &question in &questions {
        let found = path.find(graph, ObjectId(question), LIST, &mut scratch);
        let expected = by_hand(graph, question, &mut memory);
        agree(&found, &expected, &format!("{:?} from {question}", path.name));
    }
    let (mut by_path, mut by_loop) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        by_path = by_path.min(time(&questions, |question| {
            black_box(path.find(graph, ObjectId(question), LIST, &mut scratch));
        }));
        by_loop = by_loop.min(time(&questions, |question| {
            black_box(by_hand(graph, question, &mut memory));
        }));
    }
    (by_path, by_loop)
}

/// What it takes to ask all questions.
fn time(questions: &[u32], mut ask: impl FnMut(u32)) -> Duration {
    let begin = cpu_time();
    questions.iter().for_each(|&question| ask(question));
    cpu_time() - begin
}

/// The same objects in the same order, but for those whose scores differ by no more than what was rounded on the way.
fn agree(found: &[Found], expected: &[(Arc<str>, f64)], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-10 * b.max(1.0);
    let last = expected.last().map_or(0.0, |(_, score)| *score);
    let by_hand = |name: &Arc<str>| expected.iter().find(|(text, _)| text == name).map_or(last, |(_, score)| *score);
    for (found, (text, score)) in found.iter().zip(expected) {
        let is_there = found.name == *text || near(found.score, by_hand(&found.name));
        assert!(is_there && near(found.score, *score), "{what}: {found:?} is not {text}, {score}");
    }
}

fn generate() -> ArrayGraph {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut graph = ArrayGraph::new(&["user", "item", "feature"], &RELATIONS);
    for (kind, name, many) in [(USER, "user", USERS), (ITEM, "item", ITEMS)] {
        for number in 0..many {
            graph.intern(kind, &format!("{name}{number:05}"));
        }
    }
    for item in 0..ITEMS as u32 {
        for (many, from) in [(40, 0), (400, 40), (2_000, 440)] {
            let feature = graph.intern(FEATURE, &format!("feature{}", from + rng.random_range(0..many)));
            graph.relate(HAS, item, feature, 0);
        }
    }
    let mut total = 0.0;
    let cumulated: Vec<f64> = (1..=ITEMS)
        .map(|rank| {
            total += (rank as f64).powf(-0.9);
            total
        })
        .collect();
    for event in 0..EVENTS {
        let user = (USERS as f64 * rng.random::<f64>().powi(2)) as u32;
        let item = cumulated.partition_point(|&upto| upto < rng.random::<f64>() * total) as u32;
        let time_us = event as i64 * 6_480_000;
        graph.relate(VIEWED, user, item, 0);
        graph.relate(CLICKED, user, item, time_us);
        if rng.random_bool(0.3) {
            graph.relate(BOUGHT, user, item, 0);
        }
    }
    for user in 0..USERS as u32 {
        let clicked = graph.forward[usize::from(CLICKED)].get(user as usize).cloned().unwrap_or_default();
        let last = clicked.iter().map(|click| click.2).max().unwrap_or(0);
        clicked.iter().for_each(|click| graph.relate(VISITED, user, click.0, last));
    }
    graph
}

fn declarations() -> Declarations {
    let path = |step, shape| Declaration { step, shape };
    let hop = |relation: &str, reverse, select: DeclaredSelect| {
        let step = DeclaredStep::Hop { relation: relation.into(), reverse, select };
        Part::Path(Box::new(path(step, Shape::default())))
    };
    let all = DeclaredSelect::default;
    let share = || DeclaredSelect { share: true, ..all() };
    let jump = |left, right, merger, shape| {
        path(DeclaredStep::Jump { left, right, merger, with_self: false, keep: Keep::Requested }, shape)
    };
    let word = DeclaredMerger::Word;
    let top = |top| Shape { top: Some(top), ..Shape::default() };
    let named = |name: &str| Part::Name(name.into());
    let plain = Shape::default;
    let half = DeclaredSelect { half_life_us: Some(7 * 86_400_000_000), ..all() };
    let newest = DeclaredSelect { recent: Some(100), position: true, ..all() };
    let declared = [
        ("item_cf", jump(hop("bought", true, all()), hop("bought", false, all()), word(MergerWord::Cosine), plain())),
        ("jaccard", jump(hop("viewed", true, all()), hop("viewed", false, all()), word(MergerWord::Jaccard), plain())),
        ("llr", jump(hop("viewed", true, all()), hop("bought", false, all()), word(MergerWord::Llr), plain())),
        (
            "swing",
            jump(
                hop("bought", true, DeclaredSelect { top: Some(2_000), ..all() }),
                hop("bought", false, all()),
                DeclaredMerger::Swing(Swing { alpha: 1.0, weigh: true }),
                plain(),
            ),
        ),
        ("alike", jump(hop("bought", false, all()), hop("bought", true, all()), word(MergerWord::Cosine), top(50))),
        ("user_cf", jump(named("alike"), hop("bought", false, all()), word(MergerWord::Sum), plain())),
        ("like_this", jump(hop("has", false, all()), hop("has", true, all()), word(MergerWord::Jaccard), plain())),
        ("popular", jump(hop("bought", true, all()), hop("clicked", false, half), word(MergerWord::Sum), plain())),
        ("steps", jump(hop("bought", false, share()), hop("bought", true, share()), word(MergerWord::Sum), plain())),
        (
            "rp3beta",
            jump(
                named("steps"),
                hop("bought", false, share()),
                word(MergerWord::Sum),
                Shape { popularity: 0.6, ..plain() },
            ),
        ),
        (
            "neighbours",
            jump(
                hop("clicked", false, newest),
                hop("visited", true, all()),
                DeclaredMerger::Session(Session { recent: 500, neighbours: 100 }),
                plain(),
            ),
        ),
        (
            "vmis",
            jump(
                named("neighbours"),
                hop("visited", false, all()),
                word(MergerWord::Sum),
                Shape { idf: true, ..plain() },
            ),
        ),
    ];
    declared.into_iter().map(|(name, path)| (name.to_owned(), path)).collect()
}
