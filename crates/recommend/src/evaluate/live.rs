//! Judging what is shown while it is shown: each list by what its subject does next.

use super::metrics::{Judge, Metrics};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The last list of so many subjects is remembered; those who were shown theirs first are forgotten first.
pub const REMEMBERED: usize = 100_000;

/// Judges the lists of one recommendation, or of the variants of a split: each row of the relation that tells what was
/// wanted judges the list that its subject was shown last. Rows of subjects who were shown nothing judge nothing.
///
/// These are the questions of a replay that asks before each row; only that here somebody else asks.
pub struct LiveJudge {
    k: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: HashMap<Arc<str>, Shown>,
    /// The subjects in `last`, those who came first in front.
    order: VecDeque<Arc<str>>,
    judges: BTreeMap<Arc<str>, Judge>,
}

struct Shown {
    variant: Arc<str>,
    items: Vec<Arc<str>>,
}

impl LiveJudge {
    /// Judges the first `k` of each list.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, state: Mutex::default() }
    }

    /// How much of each list counts.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// A subject was shown a list by a variant.
    pub fn shown(&self, subject: &str, variant: &str, items: impl Iterator<Item = Arc<str>>) {
        let items = items.take(self.k).collect();
        let mut state = self.state();
        let variant = match state.judges.get_key_value(variant) {
            Some((known, _)) => Arc::clone(known),
            None => {
                let variant: Arc<str> = variant.into();
                state.judges.insert(Arc::clone(&variant), Judge::new(self.k));
                variant
            }
        };
        if let Some(last) = state.last.get_mut(subject) {
            *last = Shown { variant, items };
            return;
        }
        if state.order.len() == REMEMBERED
            && let Some(first) = state.order.pop_front()
        {
            state.last.remove(&first);
        }
        let subject: Arc<str> = subject.into();
        state.order.push_back(Arc::clone(&subject));
        state.last.insert(subject, Shown { variant, items });
    }

    /// A subject did something with an object.
    pub fn happened(&self, subject: &str, object: &str) {
        let mut state = self.state();
        let State { last, judges, .. } = &mut *state;
        if let Some(shown) = last.get(subject) {
            let judge = judges.get_mut(&shown.variant).expect("each variant that has shown something has a judge");
            judge.judge(&shown.items, &[object.into()]);
        }
    }

    /// The figures of each variant, where `items` is how many items there are to show.
    #[must_use]
    pub fn metrics(&self, items: usize) -> Vec<(String, Metrics)> {
        let state = self.state();
        state.judges.iter().map(|(variant, judge)| (variant.to_string(), judge.metrics(items))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&'static str]) -> impl Iterator<Item = Arc<str>> {
        items.iter().map(|&item| Arc::from(item)).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_row_judges_the_list_that_was_shown_last() {
        let judge = LiveJudge::new(2);
        judge.happened("ann", "tea");
        judge.shown("ann", "old", list(&["tea", "cup"]));
        judge.shown("ben", "new", list(&["pot", "tea", "cup"]));
        judge.happened("ann", "cup");
        judge.happened("ben", "cup");
        judge.shown("ann", "new", list(&["cup"]));
        judge.happened("ann", "cup");
        let figures = judge.metrics(4);
        let [(new, of_new), (old, of_old)] = &figures[..] else { panic!("{figures:?}") };
        assert_eq!((new.as_str(), of_new.asked, of_new.hit_rate, of_new.coverage), ("new", 2, 0.5, 0.75));
        assert_eq!((old.as_str(), of_old.asked, of_old.hit_rate, of_old.mrr), ("old", 1, 1.0, 0.5));
    }

    #[test]
    fn those_who_came_first_are_forgotten_first() {
        let judge = LiveJudge::new(1);
        for subject in 0..=REMEMBERED {
            judge.shown(&subject.to_string(), "all", list(&["tea"]));
        }
        judge.happened("0", "tea");
        assert_eq!(judge.metrics(1)[0].1.asked, 0);
        judge.happened("1", "tea");
        assert_eq!(judge.metrics(1)[0].1.asked, 1);
    }
}
