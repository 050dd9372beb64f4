//! The algorithms as one would write them for themselves: over arrays, in floats, one after the other.

use super::arrays::{ArrayGraph, Arrow};
use super::{BOUGHT, CLICKED, HAS, ITEM, LIST, USER, VIEWED, VISITED};
use proxima_graph::{Graph, KindId, ObjectId};
use std::sync::Arc;

/// An algorithm: from an object to its list of texts and scores.
pub(crate) type ByHand = fn(&ArrayGraph, u32, &mut Memory) -> Vec<(Arc<str>, f64)>;

/// All of them, by the names of the paths that they stand for.
pub(crate) const ALL: [(&str, ByHand); 9] = [
    ("item_cf", item_cf),
    ("jaccard", jaccard),
    ("llr", llr),
    ("swing", swing),
    ("user_cf", user_cf),
    ("like_this", like_this),
    ("popular", popular),
    ("rp3beta", rp3beta),
    ("vmis", vmis),
];

/// A score for each object, and which have one.
pub(crate) struct Memory {
    scores: [Vec<f64>; 2],
    touched: [Vec<u32>; 2],
}

impl Memory {
    pub(crate) fn new(objects: usize) -> Self {
        Self { scores: [vec![0.0; objects], vec![0.0; objects]], touched: Default::default() }
    }

    fn add(&mut self, table: usize, object: u32, score: f64) {
        let sum = &mut self.scores[table][object as usize];
        if *sum == 0.0 {
            self.touched[table].push(object);
        }
        *sum += score;
    }

    /// Takes out all scores but that of one object.
    fn take(&mut self, table: usize, but: Option<u32>) -> Vec<(u32, f64)> {
        let mut list = Vec::with_capacity(self.touched[table].len());
        for object in self.touched[table].drain(..) {
            let score = std::mem::take(&mut self.scores[table][object as usize]);
            if Some(object) != but {
                list.push((object, score));
            }
        }
        list
    }
}

fn of(arrows: &[Vec<Vec<Arrow>>], relation: u16, object: u32) -> &[Arrow] {
    arrows[usize::from(relation)].get(object as usize).map_or(&[], Vec::as_slice)
}

/// To whole numbers of 2^-40: equal scores must be equal, whichever way they were computed.
fn rounded(score: f64) -> f64 {
    let unit = (1_u64 << 40) as f64;
    (score * unit + 0.5) as i64 as f64 / unit
}

/// The first by score, equal scores by text.
fn first(graph: &ArrayGraph, kind: u16, mut list: Vec<(u32, f64)>, n: usize) -> Vec<(u32, f64)> {
    list.iter_mut().for_each(|(_, score)| *score = rounded(*score));
    let by_text = |a: u32, b: u32| graph.compare_names(KindId(kind), ObjectId(a), ObjectId(b));
    let order = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then_with(|| by_text(a.0, b.0));
    if list.len() > n {
        list.select_nth_unstable_by(n - 1, order);
        list.truncate(n);
    }
    list.sort_unstable_by(order);
    list
}

/// The first items with their texts.
fn top(graph: &ArrayGraph, list: Vec<(u32, f64)>) -> Vec<(Arc<str>, f64)> {
    let text = |item| graph.name(KindId(ITEM), ObjectId(item)).expect("an item has a text");
    first(graph, ITEM, list, LIST).into_iter().map(|(item, score)| (text(item), score)).collect()
}

fn item_cf(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let buyers = of(&graph.reverse, BOUGHT, item);
    for &(user, left, _) in buyers {
        for &(other, right, _) in of(&graph.forward, BOUGHT, user) {
            memory.add(0, other, (left * right) as f64);
        }
    }
    let own = buyers.len() as f64;
    let mut list = memory.take(0, Some(item));
    list.iter_mut().for_each(|(other, score)| *score /= (own * of(&graph.reverse, BOUGHT, *other).len() as f64).sqrt());
    top(graph, list)
}

fn jaccard(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let viewers = of(&graph.reverse, VIEWED, item);
    for &(user, ..) in viewers {
        for &(other, ..) in of(&graph.forward, VIEWED, user) {
            memory.add(0, other, 1.0);
        }
    }
    let own = viewers.len() as f64;
    let mut list = memory.take(0, Some(item));
    for (other, both) in &mut list {
        *both /= own + of(&graph.reverse, VIEWED, *other).len() as f64 - *both;
    }
    top(graph, list)
}

fn llr(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let viewers = of(&graph.reverse, VIEWED, item);
    for &(user, ..) in viewers {
        for &(other, ..) in of(&graph.forward, BOUGHT, user) {
            memory.add(0, other, 1.0);
        }
    }
    let x = |k: f64| if k > 0.0 { k * k.ln() } else { 0.0 };
    let (left, all) = (viewers.len() as f64, graph.population(KindId(USER)) as f64);
    let mut list = memory.take(0, Some(item));
    for (other, both) in &mut list {
        let right = of(&graph.reverse, BOUGHT, *other).len() as f64;
        let (a, b, c) = (*both, left - *both, right - *both);
        let d = all - left - right + a;
        let (cells, rows, columns) = (x(a) + x(b) + x(c) + x(d), x(a + b) + x(c + d), x(a + c) + x(b + d));
        *both = 2.0 * (cells - rows - columns + x(all));
    }
    list.retain(|(_, score)| *score > 1e-9);
    top(graph, list)
}

fn swing(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let buyers = of(&graph.reverse, BOUGHT, item);
    let mut sorted: Vec<Vec<u32>> = Vec::with_capacity(buyers.len());
    for &(user, ..) in buyers {
        let mut items: Vec<u32> = of(&graph.forward, BOUGHT, user).iter().map(|arrow| arrow.0).collect();
        items.sort_unstable();
        sorted.push(items);
    }
    let mut common = Vec::new();
    for (after, u) in (1..).zip(&sorted) {
        for v in &sorted[after..] {
            common.clear();
            let mut rest = v.iter().peekable();
            for item in u {
                while rest.peek().is_some_and(|other| *other < item) {
                    rest.next();
                }
                if rest.peek() == Some(&item) {
                    common.push(*item);
                }
            }
            let weight = 1.0 / ((u.len() * v.len()) as f64).sqrt() / (1.0 + common.len() as f64);
            common.iter().for_each(|&item| memory.add(0, item, weight));
        }
    }
    top(graph, memory.take(0, Some(item)))
}

fn user_cf(graph: &ArrayGraph, user: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let bought = of(&graph.forward, BOUGHT, user);
    for &(item, ..) in bought {
        for &(other, ..) in of(&graph.reverse, BOUGHT, item) {
            memory.add(0, other, 1.0);
        }
    }
    let own = bought.len() as f64;
    let mut list = memory.take(0, Some(user));
    for (other, score) in &mut list {
        *score /= (own * of(&graph.forward, BOUGHT, *other).len() as f64).sqrt();
    }
    for (other, score) in first(graph, USER, list, 50) {
        for &(item, ..) in of(&graph.forward, BOUGHT, other) {
            memory.add(0, item, score);
        }
    }
    top(graph, memory.take(0, None))
}

fn like_this(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let features = of(&graph.forward, HAS, item);
    for &(feature, ..) in features {
        for &(other, ..) in of(&graph.reverse, HAS, feature) {
            memory.add(0, other, 1.0);
        }
    }
    let own = features.len() as f64;
    let mut list = memory.take(0, Some(item));
    for (other, both) in &mut list {
        *both /= own + of(&graph.forward, HAS, *other).len() as f64 - *both;
    }
    top(graph, list)
}

/// What the buyers of an item clicked, a click counting half after a week: a segment is an item's buyers here.
fn popular(graph: &ArrayGraph, item: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let newest = graph.newest_us(proxima_graph::RelationId(CLICKED));
    for &(user, ..) in of(&graph.reverse, BOUGHT, item) {
        for &(other, _, time) in of(&graph.forward, CLICKED, user) {
            memory.add(0, other, (-((newest - time) as f64 / (7.0 * 86_400e6))).exp2());
        }
    }
    top(graph, memory.take(0, Some(item)))
}

fn rp3beta(graph: &ArrayGraph, user: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let bought = of(&graph.forward, BOUGHT, user);
    for &(item, ..) in bought {
        let buyers = of(&graph.reverse, BOUGHT, item);
        let chance = 1.0 / bought.len() as f64 / buyers.len() as f64;
        buyers.iter().for_each(|&(other, ..)| memory.add(0, other, chance));
    }
    for (other, chance) in memory.take(0, Some(user)) {
        let items = of(&graph.forward, BOUGHT, other);
        let chance = chance / items.len() as f64;
        items.iter().for_each(|&(item, ..)| memory.add(1, item, chance));
    }
    let mut list = memory.take(1, None);
    list.iter_mut().for_each(|(item, score)| *score /= (of(&graph.reverse, BOUGHT, *item).len() as f64).powf(0.6));
    top(graph, list)
}

fn vmis(graph: &ArrayGraph, session: u32, memory: &mut Memory) -> Vec<(Arc<str>, f64)> {
    let mut clicks = of(&graph.forward, CLICKED, session).to_vec();
    clicks.sort_unstable_by_key(|&(item, _, time)| (-time, item));
    clicks.truncate(100);
    let length = clicks.len() as f64;
    let mut first = std::collections::HashMap::new();
    for (place, &(item, ..)) in clicks.iter().enumerate() {
        for &(other, _, last) in of(&graph.reverse, VISITED, item) {
            // Whole numbers have exact sums: who is the last neighbour may hang on the last bit.
            memory.add(0, other, rounded((length - place as f64) / length));
            first.entry(other).or_insert((place, last));
        }
    }
    let mut newest = memory.take(0, Some(session));
    let last = |session: u32| first[&session].1;
    if newest.len() > 500 {
        newest.select_nth_unstable_by_key(499, |&(session, _)| (-last(session), session));
        newest.truncate(500);
    }
    newest.sort_unstable_by(|a, b| {
        b.1.total_cmp(&a.1).then_with(|| last(b.0).cmp(&last(a.0))).then_with(|| a.0.cmp(&b.0))
    });
    for &(other, alike) in newest.iter().take(100) {
        let fades = (1.0 - (first[&other].0 as f64 + 1.0) / 10.0).max(0.0);
        of(&graph.forward, VISITED, other).iter().for_each(|&(item, ..)| memory.add(0, item, alike * fades));
    }
    let all = graph.population(KindId(USER)) as f64;
    let mut list = memory.take(0, None);
    list.iter_mut().for_each(|(item, score)| *score *= (all / of(&graph.reverse, VISITED, *item).len() as f64).ln());
    list.retain(|(_, score)| *score > 1e-9);
    debug_assert!(graph.population(KindId(ITEM)) > 0, "there are items");
    top(graph, list)
}
