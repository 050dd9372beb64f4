//! Keeping the first of a list, and putting lists in order. Equals are ordered by their texts, since ids depend on who
//! came first; texts are looked up only where they decide.

use super::scratch::Reached;
use crate::graph::{Graph, KindId};
use std::cmp::Ordering;
use std::sync::Arc;

/// The highest score first.
pub(super) fn by_score(a: &Reached, b: &Reached) -> Ordering {
    b.score.total_cmp(&a.score)
}

/// The newest first.
pub(super) fn by_time(a: &Reached, b: &Reached) -> Ordering {
    b.time_us.cmp(&a.time_us)
}

/// Keeps the first `k` in an order whose ties are decided by text.
pub(super) fn keep_first<G: Graph + ?Sized>(
    graph: &G,
    kind: KindId,
    list: &mut Vec<Reached>,
    k: usize,
    order: impl Fn(&Reached, &Reached) -> Ordering,
) {
    if k == 0 {
        list.clear();
    }
    if list.len() <= k {
        return;
    }
    let (_, last, rest) = list.select_nth_unstable_by(k - 1, &order);
    let last = *last;
    // Mostly nothing behind is as good as the last one, and texts decide nothing.
    if rest.iter().all(|reached| order(reached, &last) != Ordering::Equal) {
        return list.truncate(k);
    }
    let is_tie = |reached: &&Reached| order(reached, &last) == Ordering::Equal;
    let mut ties: Vec<Reached> = list.iter().filter(is_tie).copied().collect();
    list.retain(|reached| order(reached, &last) == Ordering::Less);
    let wanted = k - list.len();
    if wanted < ties.len() {
        let by_text = |a: &Reached, b: &Reached| graph.compare_names(kind, a.object, b.object);
        ties.select_nth_unstable_by(wanted, by_text);
        ties.truncate(wanted);
    }
    list.append(&mut ties);
}

/// Puts a whole list in an order whose ties are decided by text.
pub(super) fn sort<G: Graph + ?Sized>(
    graph: &G,
    kind: KindId,
    list: &mut [Reached],
    order: impl Fn(&Reached, &Reached) -> Ordering,
) {
    list.sort_unstable_by(&order);
    let mut begin = 0;
    while begin < list.len() {
        let same = list[begin..].iter().take_while(|reached| order(&list[begin], reached) == Ordering::Equal).count();
        if same > 1 {
            list[begin..begin + same].sort_unstable_by(|a, b| graph.compare_names(kind, a.object, b.object));
        }
        begin += same;
    }
}

/// An object that was found, with its text and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id.
    pub object: crate::graph::ObjectId,
    /// Its text.
    pub name: Arc<str>,
    /// Its score.
    pub score: f64,
}

/// The first `n` of a list by score, in order. What has lost its text in the meantime is forgotten.
pub(super) fn ranked<G: Graph + ?Sized>(graph: &G, kind: KindId, list: &mut Vec<Reached>, n: usize) -> Vec<Found> {
    keep_first(graph, kind, list, n, by_score);
    let named = list.iter().filter_map(|reached| {
        let name = graph.name(kind, reached.object)?;
        Some(Found { object: reached.object, name, score: reached.score })
    });
    let mut found: Vec<Found> = named.collect();
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name)));
    found
}
