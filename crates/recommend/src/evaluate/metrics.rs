//! What lists were worth: hit rate, mean reciprocal rank, NDCG, recall and coverage, each at k.
//!
//! Definitions as in Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 28 (2018), and for
//! the discounted gain Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20 (2002), with
//! gains of 0 and 1.

use std::collections::HashSet;
use std::sync::Arc;

/// Judges lists one after the other.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    k: usize,
    totals: Totals,
    shown: HashSet<Arc<str>>,
    /// What of it was shown in which order.
    order: Vec<Arc<str>>,
}

/// Sums over all questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) hits: u64,
    pub(super) reciprocal_ranks: f64,
    pub(super) gains: f64,
    pub(super) recalls: f64,
}

/// Means over all questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// How many questions were asked.
    pub asked: u64,
    /// The share of questions that got a list that is not empty.
    pub answered: f64,
    /// HR: the share of questions whose list holds something that was wanted.
    pub hit_rate: f64,
    /// MRR: the mean of 1 over the place of the first thing that was wanted, 0 where there is none.
    pub mrr: f64,
    /// NDCG: the sum of 1 / log2(1 + place) of all that was wanted, over what the best list would have.
    pub ndcg: f64,
    /// The share of what was wanted that the list holds, averaged over questions.
    pub recall: f64,
    /// The share of all items that stood in any list.
    pub coverage: f64,
}

impl Judge {
    /// Judges the first `k` of each list.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, ..Self::default() }
    }

    /// Judges a list by what came after it. Each of `wanted` is meant once; nothing wanted is no question.
    pub fn judge(&mut self, list: &[Arc<str>], wanted: &[Arc<str>]) {
        let wanted: HashSet<&Arc<str>> = wanted.iter().collect();
        if wanted.is_empty() {
            return;
        }
        let list = &list[..list.len().min(self.k)];
        let places: Vec<usize> = (1..).zip(list).filter(|(_, item)| wanted.contains(item)).map(|(at, _)| at).collect();
        let totals = &mut self.totals;
        totals.asked += 1;
        totals.answered += u64::from(!list.is_empty());
        totals.hits += u64::from(!places.is_empty());
        totals.reciprocal_ranks += places.first().map_or(0.0, |&place| 1.0 / place as f64);
        totals.gains += gain(places.iter().copied()) / gain(1..=wanted.len().min(self.k));
        totals.recalls += places.len() as f64 / wanted.len() as f64;
        list.iter().for_each(|item| self.show(item));
    }

    /// An item stood in a list.
    pub(super) fn show(&mut self, item: &Arc<str>) {
        if !self.shown.contains(item) {
            self.shown.insert(Arc::clone(item));
            self.order.push(Arc::clone(item));
        }
    }

    /// An item is not known any more. Says whether it was.
    pub(super) fn forget(&mut self, item: &str) -> bool {
        let was_known = self.shown.remove(item);
        if was_known {
            self.order.retain(|known| **known != *item);
        }
        was_known
    }

    /// The items that stood in any list, in the order in which they first did.
    pub(super) fn items(&self) -> &[Arc<str>] {
        &self.order
    }

    /// The sums so far.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Goes on from these sums.
    pub(super) fn set_totals(&mut self, totals: Totals) {
        self.totals = totals;
    }

    /// The means so far, where `items` is how many items there are to show.
    #[must_use]
    pub fn metrics(&self, items: usize) -> Metrics {
        let Totals { asked, answered, hits, reciprocal_ranks, gains, recalls } = self.totals;
        let mean = |sum: f64| if asked == 0 { 0.0 } else { sum / asked as f64 };
        Metrics {
            asked,
            answered: mean(answered as f64),
            hit_rate: mean(hits as f64),
            mrr: mean(reciprocal_ranks),
            ndcg: mean(gains),
            recall: mean(recalls),
            // What was shown may have gone since.
            coverage: self.shown.len() as f64 / items.max(self.shown.len()).max(1) as f64,
        }
    }
}

/// The discounted gain of things at these places, from 1.
fn gain(places: impl Iterator<Item = usize>) -> f64 {
    places.map(|place| 1.0 / (1.0 + place as f64).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|&name| Arc::from(name)).collect()
    }

    #[test]
    fn one_thing_wanted_counts_by_its_place() {
        let mut judge = Judge::new(3);
        judge.judge(&items(&["a", "b", "c"]), &items(&["b"]));
        judge.judge(&items(&["a", "b", "c", "d"]), &items(&["d"]));
        judge.judge(&[], &items(&["a"]));
        judge.judge(&items(&["a"]), &[]);
        let found = judge.metrics(6);
        assert_eq!((found.asked, found.answered, found.coverage), (3, 2.0 / 3.0, 0.5));
        assert_eq!((found.hit_rate, found.mrr, found.recall), (1.0 / 3.0, 0.5 / 3.0, 1.0 / 3.0));
        assert_eq!(found.ndcg, 1.0 / 3.0_f64.log2() / 3.0);
    }

    #[test]
    fn of_several_things_wanted_the_best_list_has_all_in_front() {
        let mut judge = Judge::new(2);
        judge.judge(&items(&["a", "b"]), &items(&["b", "a", "c"]));
        let found = judge.metrics(2);
        assert_eq!((found.hit_rate, found.mrr, found.ndcg, found.recall), (1.0, 1.0, 1.0, 2.0 / 3.0));
    }

    #[test]
    fn nothing_asked_is_worth_nothing() {
        assert_eq!(Judge::new(5).metrics(0), Metrics::default());
    }
}
