//! The send window of a supervisor: what waits, what is asked for next, what has not come back. Pure: time is an argument,
//! and who sends is somebody else.
//!
//! ```text
//! mark ──> waiting ── the highest scores ──> big window ── a round ──> in flight ── returned
//!             ^                                                │ not within the blocking time:
//!             └── marked again meanwhile ──────────────────────┘ sent again, by a higher attempt
//! ```
//!
//! What was not asked for lately goes before all that was, so that who changes now and then does not wait for those that
//! change all the time; among each of both the highest score goes first. Nobody waits for ever: who waits for long was not
//! asked for lately.
//!
//! A round goes out together, and the next one when all of it has come back. A round without loss doubles the next one, if
//! it was quick: what has just changed waits for the round before it. A slow round halves the next one, and so does a
//! loss. Of an answer that comes twice the first counts; numbers of attempts only rise, so that a late one from an earlier
//! round is known by its number.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::hash::Hash;

/// The first round: small enough that a path which takes 10 ms is back within the blocking time.
const FIRST: usize = 64;

/// A round is quick that takes one in so many of the blocking time, and slow when it takes four times that: rounds of some
/// milliseconds are long against a message, and short for who waits.
const QUICK: u64 = 256;

/// Who was asked for within this time was asked for lately: in microseconds, and at least the interval.
const LATELY_US: u64 = 1_000_000;

/// To look at so many objects that wait, for the next ones to be sent, takes a sixteenth of a microsecond for each at the
/// most. They are picked for as many rounds as take sixteen times that.
const LOOKED_AT_PER_US: u64 = 1;

/// Slowness makes no round smaller than this, which gives all evaluators something to do; only loss does, for a while.
const STEADY: usize = 16;

/// How a window sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRules {
    /// How many the big window picks at once: what waits is put in order once for so many.
    pub big: usize,
    /// How many go out together at the most.
    pub small_max: usize,
    /// After how long a request counts as lost.
    pub blocking_us: u64,
    /// How often lost ones are looked for.
    pub check_us: u64,
    /// How long changes of one object are held back after it was sent, to coalesce them.
    pub interval_us: u64,
}

impl Default for WindowRules {
    fn default() -> Self {
        let second = 1_000_000;
        Self { big: 1 << 14, small_max: 1 << 12, blocking_us: second, check_us: second, interval_us: second }
    }
}

/// What was marked, and is not in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    changes: u32,
    since_us: u64,
}

impl Waiting {
    fn join(&mut self, other: Self) {
        self.changes = self.changes.saturating_add(other.changes);
        self.since_us = self.since_us.min(other.since_us);
    }

    /// What has changed most, the oldest first: nothing waits for ever behind what changes all the time.
    fn score(self, now_us: u64) -> u64 {
        u64::from(self.changes).saturating_mul(now_us.saturating_sub(self.since_us).saturating_add(1))
    }
}

/// What was sent, and has not come back.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// An answer to an earlier attempt belongs to an earlier round.
    first: u64,
    sent_us: u64,
    since_us: u64,
    /// Marked since it was sent.
    again: Option<Waiting>,
}

/// A request that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Send<K> {
    /// What is asked for.
    pub key: K,
    /// Higher than that of any request before.
    pub attempt: u64,
}

/// How a window stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Objects whose change has not been looked into.
    pub waiting: u64,
    /// Requests that have not come back.
    pub in_flight: u64,
    /// Requests that were sent again, ever.
    pub sent_again: u64,
    /// How many go out together.
    pub window: u64,
    /// How long the oldest has waited, in microseconds.
    pub oldest_us: u64,
}

impl Figures {
    /// Those of two windows.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            in_flight: self.in_flight + other.in_flight,
            sent_again: self.sent_again + other.sent_again,
            window: self.window + other.window,
            oldest_us: self.oldest_us.max(other.oldest_us),
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct SendWindow<K> {
    rules: WindowRules,
    waiting: HashMap<K, Waiting>,
    /// What waits and is not held back, in no order, with some that waits no more.
    ready: Vec<K>,
    /// What is held back, by when it no longer is.
    timers: BTreeMap<u64, Vec<K>>,
    /// The big window, the next to be sent at the end.
    picked: Vec<K>,
    flight: HashMap<K, Flight>,
    /// When objects were sent last, where that was lately, and up to as long again.
    sent: HashMap<K, u64>,
    swept_us: u64,
    small: usize,
    /// Whether a round is out, and whether it has lost anything.
    round: Option<bool>,
    /// When the round went out, and how long it took.
    began_us: u64,
    took_us: u64,
    checked_us: u64,
    attempt: u64,
    sent_again: u64,
}

impl<K: Copy + Eq + Hash + Ord> SendWindow<K> {
    /// A window in which nothing waits.
    #[must_use]
    pub fn new(rules: WindowRules) -> Self {
        Self {
            small: FIRST.min(rules.small_max),
            rules,
            waiting: HashMap::new(),
            ready: Vec::new(),
            timers: BTreeMap::new(),
            picked: Vec::new(),
            flight: HashMap::new(),
            sent: HashMap::new(),
            swept_us: 0,
            round: None,
            began_us: 0,
            took_us: 0,
            checked_us: 0,
            attempt: 0,
            sent_again: 0,
        }
    }

    /// An object has changed.
    pub fn mark(&mut self, key: K, now_us: u64) {
        let change = Waiting { changes: 1, since_us: now_us };
        match self.flight.get_mut(&key) {
            Some(flight) => flight.again.get_or_insert(Waiting { changes: 0, ..change }).join(change),
            None => self.wait(key, change, now_us),
        }
    }

    pub(crate) fn wait(&mut self, key: K, change: Waiting, now_us: u64) {
        match self.waiting.entry(key) {
            Entry::Occupied(mut waiting) => return waiting.get_mut().join(change),
            Entry::Vacant(place) => _ = place.insert(change),
        }
        match self.sent.get(&key).map(|sent_us| sent_us + self.rules.interval_us).filter(|due_us| *due_us > now_us) {
            Some(due_us) => self.timers.entry(due_us).or_default().push(key),
            None => self.ready.push(key),
        }
    }

    /// Whatever is known of an object does not matter any more.
    pub fn forget(&mut self, key: K) {
        self.waiting.remove(&key);
        self.flight.remove(&key);
        self.sent.remove(&key);
    }

    /// Whether an object waits or is in flight.
    pub(crate) fn holds(&self, key: K) -> bool {
        self.waiting.contains_key(&key) || self.flight.contains_key(&key)
    }

    /// Whether an object was asked for lately.
    pub(crate) fn was_sent_lately(&self, key: K, now_us: u64) -> bool {
        self.sent.get(&key).is_some_and(|sent_us| sent_us + self.lately_us() > now_us)
    }

    /// An object was sent by somebody else.
    pub(crate) fn note_sent(&mut self, key: K, now_us: u64) {
        if self.rules.interval_us > 0 {
            self.sent.insert(key, now_us);
        }
    }

    /// All attempts to come have higher numbers than those of another window.
    pub(crate) fn begin_behind(&mut self, other: &Self) {
        self.attempt = self.attempt.max(other.attempt);
    }

    /// Who was asked for within this time was asked for lately.
    fn lately_us(&self) -> u64 {
        LATELY_US.max(self.rules.interval_us)
    }

    /// What is to be sent now, of which at most `room` for the first time. In a hurry nothing is held back.
    pub fn poll(&mut self, now_us: u64, room: usize, hurry: bool) -> Vec<Send<K>> {
        let mut sends = Vec::new();
        if now_us.saturating_sub(self.checked_us) >= self.rules.check_us {
            self.checked_us = now_us;
            self.send_again(now_us, &mut sends);
        }
        if self.flight.is_empty() && !self.waiting.is_empty() {
            self.end_round();
            if self.picked.len() < self.small.min(room) {
                self.pick(now_us, hurry);
            }
            self.send_round(now_us, room, &mut sends);
        }
        sends
    }

    fn send_again(&mut self, now_us: u64, sends: &mut Vec<Send<K>>) {
        let lost = |flight: &Flight| flight.sent_us.saturating_add(self.rules.blocking_us) <= now_us;
        let mut keys: Vec<K> = self.flight.iter().filter(|(_, flight)| lost(flight)).map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return;
        }
        keys.sort_unstable();
        self.small = (self.small / 2).max(1);
        self.round = Some(true);
        self.sent_again += keys.len() as u64;
        for key in keys {
            self.attempt += 1;
            self.flight.get_mut(&key).expect("it was found above").sent_us = now_us;
            sends.push(Send { key, attempt: self.attempt });
        }
    }

    /// All have come back.
    fn end_round(&mut self) {
        let (quick_us, steady) = (self.rules.blocking_us / QUICK, STEADY.min(self.rules.small_max));
        match self.round.take() {
            Some(false) if self.took_us <= quick_us || self.small < steady => {
                self.small = (self.small * 2).min(self.rules.small_max);
            }
            Some(false) if self.took_us > 4 * quick_us => self.small = (self.small / 2).max(steady),
            _ => {}
        }
    }

    /// Fills the big window.
    fn pick(&mut self, now_us: u64, hurry: bool) {
        self.ready.append(&mut self.picked);
        let later = if hurry { BTreeMap::new() } else { self.timers.split_off(&(now_us + 1)) };
        self.ready.extend(std::mem::replace(&mut self.timers, later).into_values().flatten());
        let since_us = now_us.saturating_sub(self.lately_us());
        if self.swept_us <= since_us {
            self.swept_us = now_us;
            self.sent.retain(|_, sent_us| *sent_us > since_us);
        }
        // By rising score: the next one is taken from the end. Equals by key, so that nothing depends on who came first.
        let rank = |key: K| {
            let is_seldom = self.sent.get(&key).is_none_or(|sent_us| *sent_us <= since_us);
            Some((is_seldom, self.waiting.get(&key)?.score(now_us), Reverse(key)))
        };
        let mut due: Vec<_> = self.ready.drain(..).filter_map(rank).collect();
        let first = due.len().saturating_sub(self.picked_at_once(due.len()));
        if first > 0 {
            due.select_nth_unstable(first);
            self.ready.extend(due.drain(..first).map(|(.., Reverse(key))| key));
        }
        due.sort_unstable();
        due.dedup();
        self.picked.extend(due.into_iter().map(|(.., Reverse(key))| key));
    }

    /// Of so many that wait, how many are picked: few, since what changes next may have to go before them.
    fn picked_at_once(&self, waiting: usize) -> usize {
        let rounds = (waiting as u64 / LOOKED_AT_PER_US / self.took_us.max(1)).max(1);
        self.small.saturating_mul(usize::try_from(rounds).unwrap_or(usize::MAX)).min(self.rules.big)
    }

    fn send_round(&mut self, now_us: u64, room: usize, sends: &mut Vec<Send<K>>) {
        let most = self.small.min(room);
        while self.flight.len() < most
            && let Some(key) = self.picked.pop()
        {
            // What was forgotten since it was picked waits no more.
            let Some(waiting) = self.waiting.remove(&key) else { continue };
            self.attempt += 1;
            let flight = Flight { first: self.attempt, sent_us: now_us, since_us: waiting.since_us, again: None };
            self.flight.insert(key, flight);
            self.note_sent(key, now_us);
            sends.push(Send { key, attempt: self.attempt });
        }
        if !self.flight.is_empty() {
            self.round = Some(false);
            self.began_us = now_us;
        }
    }

    /// Whether anybody waits for an answer to this attempt.
    #[must_use]
    pub fn expects(&self, key: K, attempt: u64) -> bool {
        self.flight.get(&key).is_some_and(|flight| flight.first <= attempt)
    }

    /// An answer has come. Says whether it counts: a late double does not.
    pub fn returned(&mut self, key: K, attempt: u64, now_us: u64) -> bool {
        let Some(again) = self.take_return(key, attempt, now_us) else { return false };
        if let Some(again) = again {
            self.wait(key, again, now_us);
        }
        true
    }

    /// The same, and gives what has changed since it was sent, which does not wait here yet. `None`: it does not count.
    pub(crate) fn take_return(&mut self, key: K, attempt: u64, now_us: u64) -> Option<Option<Waiting>> {
        if !self.expects(key, attempt) {
            return None;
        }
        let again = self.flight.remove(&key).and_then(|flight| flight.again);
        if self.flight.is_empty() {
            self.took_us = now_us.saturating_sub(self.began_us);
        }
        Some(again)
    }

    /// Whether all that went out together has come back.
    #[must_use]
    pub fn is_round_over(&self) -> bool {
        self.flight.is_empty()
    }

    /// Whether nothing waits and nothing is in flight.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.flight.is_empty() && self.waiting.is_empty()
    }

    /// All that waits or is in flight, in no order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.waiting.keys().chain(self.flight.keys().filter(|key| !self.waiting.contains_key(*key))).copied()
    }

    /// How the window stands.
    #[must_use]
    pub fn figures(&self, now_us: u64) -> Figures {
        let waiting = self.waiting.values().map(|waiting| waiting.since_us);
        let oldest = waiting.chain(self.flight.values().map(|flight| flight.since_us)).min();
        Figures {
            waiting: self.waiting.len() as u64,
            in_flight: self.flight.len() as u64,
            sent_again: self.sent_again,
            window: self.small as u64,
            oldest_us: oldest.map_or(0, |oldest| now_us.saturating_sub(oldest)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

    const ROOM: usize = usize::MAX;

    fn rules() -> WindowRules {
        WindowRules { big: 100, small_max: 16, blocking_us: 100, check_us: 10, interval_us: 0 }
    }

    fn keys(sends: &[Send<u32>]) -> Vec<u32> {
        sends.iter().map(|send| send.key).collect()
    }

    #[test]
    fn the_most_changed_go_first_and_the_oldest_of_equals() {
        let mut window = SendWindow::new(WindowRules { small_max: 2, ..rules() });
        for (key, now_us) in [(1, 0), (2, 5), (3, 5), (3, 6), (3, 7), (4, 7)] {
            window.mark(key, now_us);
        }
        assert_eq!(keys(&window.poll(10, ROOM, false)), [3, 1], "3 · 6 and 1 · 11 are more than 1 · 6");
        assert_eq!(window.poll(11, ROOM, false), [], "the window slides when all have returned");
        assert!(window.returned(3, 1, 0));
        assert_eq!(window.poll(12, ROOM, false), []);
        assert!(window.returned(1, 2, 0));
        assert_eq!(keys(&window.poll(13, ROOM, false)), [2, 4]);
    }

    #[test]
    fn what_does_not_return_is_sent_again_and_late_doubles_count_nothing() {
        let mut window = SendWindow::new(rules());
        (0..3).for_each(|key| window.mark(key, 0));
        let first = window.poll(0, ROOM, false);
        assert_eq!(keys(&first), [0, 1, 2]);
        assert!(window.returned(1, first[1].attempt, 0));
        assert_eq!(window.poll(99, ROOM, false), [], "not before the blocking time");
        let again = window.poll(110, ROOM, false);
        assert_eq!(keys(&again), [0, 2]);
        assert!(again[0].attempt > first[2].attempt);
        assert!(window.returned(0, first[0].attempt, 0), "the first answer counts, whichever attempt it is to");
        assert!(!window.returned(0, again[0].attempt, 0), "the second one is a double");
        assert!(window.returned(2, again[1].attempt, 0));
        assert!(window.is_settled());
        window.mark(2, 120);
        let later = window.poll(120, ROOM, false);
        assert!(!window.returned(2, again[1].attempt, 0), "an answer from an earlier round says nothing of the change");
        assert!(window.returned(2, later[0].attempt, 0));
        assert_eq!(window.figures(120).sent_again, 2);
    }

    #[test]
    fn a_change_in_flight_is_looked_into_once_more() {
        let mut window = SendWindow::new(rules());
        window.mark(7, 0);
        let sent = window.poll(0, ROOM, false);
        window.mark(7, 1);
        window.mark(7, 2);
        assert_eq!(window.keys().collect::<Vec<_>>(), [7]);
        assert!(window.returned(7, sent[0].attempt, 0));
        assert_eq!(keys(&window.poll(3, ROOM, false)), [7]);
    }

    #[test]
    fn the_window_shrinks_on_loss_and_grows_on_success() {
        let mut window = SendWindow::new(rules());
        let mut sizes = Vec::new();
        for round in 0..12_u64 {
            let now_us = round * 1_000;
            (0..1_000).for_each(|key| window.mark(key, now_us));
            let mut sends = window.poll(now_us, ROOM, false);
            sizes.push(sends.len());
            if (3..6).contains(&round) {
                sends = window.poll(now_us + 100, ROOM, false);
            }
            sends.iter().for_each(|send| assert!(window.returned(send.key, send.attempt, now_us)));
        }
        assert_eq!(sizes, [16, 16, 16, 16, 8, 4, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn slow_rounds_become_smaller_and_quick_ones_larger() {
        let mut window = SendWindow::new(WindowRules { small_max: 64, blocking_us: 2_560, ..rules() });
        let mut sizes = Vec::new();
        for (round, took_us) in [0, 100, 100, 30, 5, 10].into_iter().enumerate() {
            let now_us = round as u64 * 1_000;
            (0..1_000).for_each(|key| window.mark(key, now_us));
            let sends = window.poll(now_us, ROOM, false);
            sizes.push(sends.len());
            sends.iter().for_each(|send| assert!(window.returned(send.key, send.attempt, now_us + took_us)));
        }
        assert_eq!(sizes, [64, 64, 32, 16, 16, 32]);
    }

    #[test]
    fn an_object_goes_out_at_most_once_an_interval() {
        let mut window = SendWindow::new(WindowRules { interval_us: 50, ..rules() });
        let mut sent = Vec::new();
        for now_us in 0..200 {
            window.mark(1, now_us);
            for send in window.poll(now_us, ROOM, false) {
                sent.push(now_us);
                assert!(window.returned(send.key, send.attempt, now_us));
            }
        }
        assert_eq!(sent, [0, 50, 100, 150]);
        window.mark(2, 199);
        assert_eq!(keys(&window.poll(199, ROOM, false)), [2], "others are not held back");
        assert_eq!(window.poll(199, ROOM, false), []);
        assert!(window.returned(2, window.attempt, 0));
        assert_eq!(keys(&window.poll(199, ROOM, true)), [1], "in a hurry nothing is");
    }

    #[test]
    fn who_changes_seldom_does_not_wait_for_those_that_change_all_the_time() {
        let mut window = SendWindow::new(WindowRules { small_max: 16, interval_us: 50, ..rules() });
        for round in 0..40_u64 {
            let now_us = round * 1_000;
            (0..100).for_each(|key| (0..9).for_each(|_| window.mark(key, now_us)));
            window.mark(1_000 + round as u32, now_us + 900);
            let sends = window.poll(now_us + 999, ROOM, false);
            assert_eq!(sends.iter().any(|send| send.key == 1_000 + round as u32), round >= 6, "round {round}");
            // The rounds take as long as it takes to look at all, and so does what is picked.
            sends.iter().for_each(|send| assert!(window.returned(send.key, send.attempt, now_us + 1_500)));
        }
        let oldest_us = window.figures(40_000).oldest_us;
        assert!(oldest_us < 9_000, "the others go one after the other: {oldest_us}");
    }

    #[test]
    fn no_more_goes_out_than_there_is_room_for() {
        let mut window = SendWindow::new(rules());
        (0..50).for_each(|key| window.mark(key, 0));
        assert_eq!(window.poll(0, 0, false), []);
        assert_eq!(window.poll(0, 3, false).len(), 3);
    }

    #[test]
    fn what_is_forgotten_is_not_sent_and_not_awaited() {
        let mut window = SendWindow::new(WindowRules { small_max: 1, ..rules() });
        (0..3).for_each(|key| window.mark(key, 0));
        let sent = window.poll(0, ROOM, false);
        (0..2).for_each(|key| window.forget(key));
        assert!(!window.returned(0, sent[0].attempt, 0));
        assert_eq!(keys(&window.poll(1, ROOM, false)), [2]);
    }

    /// Any tenth of requests and answers is lost, answers come in any order and twice: each change is looked into after it.
    #[test]
    fn nothing_is_lost_whatever_gets_lost() {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut window = SendWindow::new(WindowRules { interval_us: rng.random_range(0..30), ..rules() });
            let (mut marked, mut seen) = ([0_u64; 40], [0_u64; 40]);
            let mut under_way: Vec<(Send<u32>, u64)> = Vec::new();
            for now_us in 0..20_000 {
                if now_us < 10_000 && rng.random_bool(0.2) {
                    let key = rng.random_range(0..40);
                    marked[key as usize] = now_us + 1;
                    window.mark(key, now_us + 1);
                }
                for send in window.poll(now_us, rng.random_range(1..20), false) {
                    let copies = if rng.random_bool(0.1) { 0 } else { rng.random_range(1..3) };
                    // What is read is what there was when the request came.
                    (0..copies).for_each(|_| under_way.push((send, now_us + 1)));
                }
                while !under_way.is_empty() && rng.random_bool(0.6) {
                    let (send, read_us) = under_way.swap_remove(rng.random_range(0..under_way.len()));
                    if !rng.random_bool(0.1) && window.returned(send.key, send.attempt, now_us) {
                        let seen = &mut seen[send.key as usize];
                        *seen = (*seen).max(read_us);
                    }
                }
            }
            assert!(window.is_settled(), "seed {seed}");
            let missed: BTreeSet<_> = (0..40).filter(|&key| seen[key] < marked[key]).collect();
            assert!(missed.is_empty(), "seed {seed}: {missed:?}");
        }
    }
}
