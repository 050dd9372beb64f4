//! Judging what is shown while it is shown: each list by what its subject does next.

use super::metrics::{Judge, Metrics};
use super::saved::{self, Row, Shown};
use arrow::array::RecordBatch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// The subjects in `last`, by when they came.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    judges: BTreeMap<Arc<str>, Judge>,
    /// What was shown since the last epoch ended, or before it was known what earlier runs have shown.
    early: Option<BTreeMap<Arc<str>, Early>>,
    /// Where checkpoints are on.
    unsaved: Option<Unsaved>,
}

/// A variant and what it has shown.
type Early = (Arc<str>, Vec<Arc<str>>);

/// What no checkpoint has.
#[derive(Default)]
struct Unsaved {
    subjects: BTreeSet<Arc<str>>,
    /// How many of the items that a variant has shown were saved.
    items: BTreeMap<Arc<str>, usize>,
    /// Something was forgotten: what was saved before counts no more.
    all: bool,
    any: bool,
}

/// What a checkpoint is to hold.
pub struct Saved {
    /// Whether it is in place of all that was saved before.
    pub whole: bool,
    /// The rows.
    pub batches: Vec<RecordBatch>,
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
        let items: Vec<_> = items.take(self.k).collect();
        let state = &mut *self.state();
        match &mut state.early {
            Some(early) if early.len() < REMEMBERED => _ = early.insert(subject.into(), (variant.into(), items)),
            Some(_) => {}
            None => state.show(self.k, subject, variant, items),
        }
    }

    /// A subject did something with an object.
    pub fn happened(&self, subject: &str, object: &str) {
        let mut state = self.state();
        let State { last, judges, unsaved, .. } = &mut *state;
        if let Some(shown) = last.get(subject) {
            let judge = judges.get_mut(&shown.variant).expect("each variant that has shown something has a judge");
            judge.judge(&shown.items, &[object.into()]);
            if let Some(unsaved) = unsaved {
                unsaved.any = true;
            }
        }
    }

    /// Nothing of a subject is remembered any more; figures that its rows have come to stay.
    pub fn forget_subject(&self, subject: &str) {
        let state = &mut *self.state();
        if let Some(early) = &mut state.early {
            early.remove(subject);
        }
        if let Some(shown) = state.last.remove(subject) {
            state.order.remove(&shown.since);
            state.lost();
        }
    }

    /// No list remembers an item any more, nor whether it was ever shown.
    pub fn forget_item(&self, item: &str) {
        let state = &mut *self.state();
        let mut is_lost = false;
        for shown in state.last.values_mut() {
            let before = shown.items.len();
            shown.items.retain(|known| **known != *item);
            is_lost |= shown.items.len() < before;
        }
        for judge in state.judges.values_mut() {
            is_lost |= judge.forget(item);
        }
        for (_, items) in state.early.iter_mut().flat_map(BTreeMap::values_mut) {
            items.retain(|known| **known != *item);
        }
        if is_lost {
            state.lost();
        }
    }

    /// The figures of each variant, where `items` is how many items there are to show.
    #[must_use]
    pub fn metrics(&self, items: usize) -> Vec<(String, Metrics)> {
        let state = self.state();
        state.judges.iter().map(|(variant, judge)| (variant.to_string(), judge.metrics(items))).collect()
    }

    /// Holds back what is shown until [`LiveJudge::end_epoch`], since it is not known yet what earlier runs have shown.
    pub fn wait(&self) {
        self.state().early.get_or_insert_default();
    }

    /// An epoch has ended, and its rows have judged: what was held back can be judged from now on, and what is shown until
    /// the next end is held back again. The graph shows rows before their epoch ends, so a list of that epoch may hold
    /// them already.
    pub fn end_epoch(&self) {
        let state = &mut *self.state();
        for (subject, (variant, items)) in state.early.replace(BTreeMap::new()).unwrap_or_default() {
            state.show(self.k, &subject, &variant, items);
        }
    }

    /// Checkpoints are on: what changes from now on is noted.
    pub fn track(&self) {
        self.state().unsaved.get_or_insert_default();
    }

    /// Whether something was shown, judged or forgotten since the last [`LiveJudge::save`].
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        let state = self.state();
        let is_early = state.early.as_ref().is_some_and(|early| !early.is_empty());
        is_early || state.unsaved.as_ref().is_some_and(|it| it.any || it.all || !it.subjects.is_empty())
    }

    /// What has changed since the last call; all where `whole` or where something was forgotten.
    pub fn save(&self, whole: bool) -> Saved {
        let state = &mut *self.state();
        let unsaved = state.unsaved.take().unwrap_or_default();
        let whole = whole || unsaved.all;
        let mut batches = match whole {
            true => saved::lists(state.order.values().map(|subject| (subject, state.last.get(subject)))),
            false => saved::lists(unsaved.subjects.iter().map(|subject| (subject, state.last.get(subject)))),
        };
        let before = |variant: &Arc<str>| if whole { 0 } else { unsaved.items.get(variant).copied().unwrap_or(0) };
        let items = state
            .judges
            .iter()
            .flat_map(|(variant, judge)| judge.items()[before(variant)..].iter().map(move |item| (variant, item)));
        let items: Vec<_> = items.collect();
        if !items.is_empty() {
            batches.push(saved::items(&items));
        }
        if whole || unsaved.any {
            batches.push(saved::totals(&state.judges.iter().collect::<Vec<_>>()));
        }
        let items = state.judges.iter().map(|(variant, judge)| (Arc::clone(variant), judge.items().len())).collect();
        state.unsaved = Some(Unsaved { items, ..Unsaved::default() });
        Saved { whole, batches }
    }

    /// Takes back a batch of [`LiveJudge::save`]; `None` where it is none.
    pub fn load(&self, batch: &RecordBatch) -> Option<()> {
        let rows = saved::read(batch)?;
        let state = &mut *self.state();
        rows.into_iter().for_each(|row| state.restore(self.k, row));
        Some(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn show(&mut self, k: usize, subject: &str, variant: &str, items: Vec<Arc<str>>) {
        let variants = self.judges.len();
        let variant = self.variant(k, variant);
        let known = self.last.get_key_value(subject).map(|(subject, shown)| (Arc::clone(subject), shown.since));
        let (subject, since) = known.unwrap_or_else(|| self.admit(subject));
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.subjects.insert(Arc::clone(&subject));
            unsaved.any |= self.judges.len() > variants;
        }
        self.last.insert(subject, Shown { variant, items, since });
    }

    /// Gives a new subject its place; the one who came first may have to go.
    fn admit(&mut self, subject: &str) -> (Arc<str>, u64) {
        if self.order.len() >= REMEMBERED
            && let Some((_, first)) = self.order.pop_first()
        {
            self.last.remove(&first);
            if let Some(unsaved) = &mut self.unsaved {
                unsaved.subjects.insert(first);
            }
        }
        let (subject, since): (Arc<str>, u64) = (subject.into(), self.next);
        self.next += 1;
        self.order.insert(since, Arc::clone(&subject));
        (subject, since)
    }

    fn variant(&mut self, k: usize, variant: &str) -> Arc<str> {
        if let Some((known, _)) = self.judges.get_key_value(variant) {
            return Arc::clone(known);
        }
        let variant: Arc<str> = variant.into();
        self.judges.insert(Arc::clone(&variant), Judge::new(k));
        variant
    }

    /// What checkpoints have says too much.
    fn lost(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.all = true;
        }
    }

    fn restore(&mut self, k: usize, row: Row) {
        match row {
            Row::List(subject, shown) => {
                if let Some(before) = self.last.remove(&subject) {
                    self.order.remove(&before.since);
                }
                let Some(shown) = shown else { return };
                let variant = self.variant(k, &shown.variant);
                self.next = self.next.max(shown.since + 1);
                self.order.insert(shown.since, Arc::clone(&subject));
                self.last.insert(subject, Shown { variant, ..shown });
            }
            Row::Totals(variant, totals) => {
                let variant = self.variant(k, &variant);
                self.judges.get_mut(&variant).expect("it was made above").set_totals(totals);
            }
            Row::Item(variant, item) => {
                let variant = self.variant(k, &variant);
                self.judges.get_mut(&variant).expect("it was made above").show(&item);
                if let Some(unsaved) = &mut self.unsaved {
                    *unsaved.items.entry(variant).or_default() += 1;
                }
            }
        }
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

    /// The figures of each variant, and the lists by when their subjects came.
    type Known = (Vec<(String, Metrics)>, BTreeMap<u64, (Arc<str>, Shown)>);

    /// All that a judge knows.
    fn known(judge: &LiveJudge) -> Known {
        let state = judge.state();
        let shown = |subject: &Arc<str>| (Arc::clone(subject), state.last[subject].clone());
        let last = state.order.iter().map(|(since, subject)| (*since, shown(subject))).collect();
        drop(state);
        (judge.metrics(10), last)
    }

    #[test]
    fn what_was_saved_is_known_again() {
        let judge = LiveJudge::new(2);
        judge.track();
        let mut chain: Vec<RecordBatch> = Vec::new();
        let mut check = |judge: &LiveJudge, whole: bool| {
            let saved = judge.save(whole);
            if saved.whole {
                chain.clear();
            }
            chain.extend(saved.batches);
            let again = LiveJudge::new(2);
            again.track();
            chain.iter().for_each(|batch| again.load(batch).unwrap());
            assert_eq!(known(&again), known(judge));
            assert!(again.save(false).batches.is_empty(), "nothing of what is loaded counts as changed");
            saved.whole
        };
        assert!(check(&judge, true));
        judge.shown("ann", "old", list(&["tea", "cup"]));
        judge.shown("ben", "new", list(&["pot", "tea"]));
        judge.happened("ann", "cup");
        assert!(!check(&judge, false));
        judge.shown("ann", "new", list(&["cup"]));
        judge.happened("ann", "pot");
        judge.happened("ben", "tea");
        judge.shown("cid", "third", list(&[]));
        assert!(!check(&judge, false));
        judge.forget_item("tea");
        judge.forget_subject("ann");
        assert!(check(&judge, false), "what was forgotten is in no checkpoint");
        let told = format!("{:?}", known(&judge));
        assert!(!told.contains("tea") && !told.contains("ann"), "{told}");
        assert!(!check(&judge, false));
    }

    #[test]
    fn what_is_shown_early_comes_behind_what_was_saved() {
        let before = LiveJudge::new(2);
        before.track();
        before.shown("ann", "old", list(&["tea"]));
        let judge = LiveJudge::new(2);
        judge.wait();
        judge.shown("ann", "new", list(&["cup"]));
        judge.shown("ben", "new", list(&["cup"]));
        before.save(true).batches.iter().for_each(|batch| judge.load(batch).unwrap());
        judge.end_epoch();
        let (_, last) = known(&judge);
        let subjects: Vec<_> = last.values().map(|(subject, shown)| (&**subject, &*shown.variant)).collect();
        assert_eq!(subjects, [("ann", "new"), ("ben", "new")]);
    }
}
