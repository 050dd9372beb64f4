//! Two send windows of one supervisor: who changes now and then does not wait for the rounds of those that change all the
//! time. Each object is in one of the two at a time, and the numbers of attempts are common to both, so that an answer
//! counts as it would with one window.

use crate::window::{Figures, Send, SendWindow, WindowRules};
use std::hash::Hash;

/// Who is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Was not asked for lately.
    Seldom,
    /// Changes all the time.
    Often,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// A late double does not count.
    pub counts: bool,
    /// Whether all that went out with it has come back.
    pub is_round_over: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lanes<K> {
    seldom: SendWindow<K>,
    often: SendWindow<K>,
}

impl<K: Copy + Eq + Hash + Ord> Lanes<K> {
    /// Windows in which nothing waits.
    #[must_use]
    pub fn new(rules: WindowRules) -> Self {
        Self { seldom: SendWindow::new(rules), often: SendWindow::new(rules) }
    }

    /// An object has changed.
    pub fn mark(&mut self, key: K, now_us: u64) {
        let is_often = self.often.holds(key) || self.often.was_sent_lately(key, now_us);
        match is_often && !self.seldom.holds(key) {
            true => self.often.mark(key, now_us),
            false => self.seldom.mark(key, now_us),
        }
    }

    /// Whatever is known of an object does not matter any more.
    pub fn forget(&mut self, key: K) {
        self.seldom.forget(key);
        self.often.forget(key);
    }

    /// What is to be sent now, as of one window.
    pub fn poll(&mut self, now_us: u64, room: usize, hurry: bool) -> Vec<(Lane, Send<K>)> {
        let Self { seldom, often } = self;
        let first = seldom.poll(now_us, room, hurry);
        first.iter().for_each(|send| often.note_sent(send.key, now_us));
        often.begin_behind(seldom);
        let then = often.poll(now_us, room.saturating_sub(first.len()), hurry);
        seldom.begin_behind(often);
        let first = first.into_iter().map(|send| (Lane::Seldom, send));
        first.chain(then.into_iter().map(|send| (Lane::Often, send))).collect()
    }

    /// Whether anybody waits for an answer to this attempt.
    #[must_use]
    pub fn expects(&self, key: K, attempt: u64) -> bool {
        self.seldom.expects(key, attempt) || self.often.expects(key, attempt)
    }

    /// An answer has come. What has changed since it was asked for waits among those that change all the time.
    pub fn returned(&mut self, key: K, attempt: u64, now_us: u64) -> Returned {
        let Self { seldom, often } = self;
        let window = if seldom.expects(key, attempt) { &mut *seldom } else { &mut *often };
        let Some(again) = window.take_return(key, attempt, now_us) else {
            return Returned { counts: false, is_round_over: false };
        };
        let is_round_over = window.is_round_over();
        if let Some(again) = again {
            often.wait(key, again, now_us);
        }
        Returned { counts: true, is_round_over }
    }

    /// Whether nothing waits and nothing is in flight.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.seldom.is_settled() && self.often.is_settled()
    }

    /// All that waits or is in flight, in no order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.seldom.keys().chain(self.often.keys())
    }

    /// How both stand together.
    #[must_use]
    pub fn figures(&self, now_us: u64) -> Figures {
        self.seldom.figures(now_us).joined(self.often.figures(now_us))
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
        WindowRules { big: 100, small_max: 16, blocking_us: 100, check_us: 10, interval_us: 50 }
    }

    #[test]
    fn who_changes_now_and_then_does_not_wait_for_a_round() {
        let mut lanes = Lanes::new(rules());
        lanes.mark(1, 0);
        let first = lanes.poll(0, ROOM, false);
        assert_eq!(first, [(Lane::Seldom, Send { key: 1, attempt: 1 })]);
        lanes.mark(1, 1);
        let over = Returned { counts: true, is_round_over: true };
        assert_eq!(lanes.returned(1, 1, 2), over);
        assert_eq!(lanes.poll(49, ROOM, false), [], "it goes out at most once an interval");
        assert_eq!(lanes.poll(50, ROOM, false), [(Lane::Often, Send { key: 1, attempt: 2 })]);
        lanes.mark(2, 51);
        assert_eq!(lanes.poll(51, ROOM, false), [(Lane::Seldom, Send { key: 2, attempt: 3 })]);
        assert!(!lanes.is_settled());
        assert_eq!(lanes.returned(2, 3, 52), over);
        assert!(!lanes.returned(1, 1, 52).counts, "an answer to what was asked for before");
        assert_eq!(lanes.returned(1, 2, 52), over);
        assert!(lanes.is_settled());
    }

    #[test]
    fn who_has_not_changed_for_a_while_is_seldom_again() {
        let mut lanes = Lanes::new(rules());
        let mut lane_at = |now_us| {
            lanes.mark(1, now_us);
            let (lane, send) = lanes.poll(now_us, ROOM, false)[0];
            lanes.returned(1, send.attempt, now_us);
            lane
        };
        assert_eq!([0, 60, 1_000, 2_000_000].map(&mut lane_at), [Lane::Seldom, Lane::Often, Lane::Often, Lane::Seldom]);
    }

    #[test]
    fn the_room_is_common() {
        let mut lanes = Lanes::new(rules());
        (0..10).for_each(|key| lanes.mark(key, 0));
        for (_, send) in lanes.poll(0, ROOM, false) {
            lanes.returned(send.key, send.attempt, 0);
        }
        (0..20).for_each(|key| lanes.mark(key, 60));
        let sent = lanes.poll(60, 12, false);
        let seldom = sent.iter().filter(|(lane, _)| *lane == Lane::Seldom).count();
        assert_eq!((sent.len(), seldom), (12, 10));
    }

    /// A tenth of requests and answers is lost, answers come in any order and twice: each change is looked into after it, and
    /// no answer counts that is older than one before it.
    #[test]
    fn nothing_is_lost_whatever_gets_lost() {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut lanes = Lanes::new(WindowRules { interval_us: rng.random_range(0..30), ..rules() });
            let (mut marked, mut seen) = ([0_u64; 40], [0_u64; 40]);
            let mut under_way: Vec<(Send<u32>, u64)> = Vec::new();
            for now_us in 0..10_000 {
                if now_us < 5_000 && rng.random_bool(0.2) {
                    let key = rng.random_range(0..40);
                    marked[key as usize] = now_us + 1;
                    lanes.mark(key, now_us + 1);
                }
                for (_, send) in lanes.poll(now_us, rng.random_range(1..20), false) {
                    let copies = if rng.random_bool(0.1) { 0 } else { rng.random_range(1..3) };
                    (0..copies).for_each(|_| under_way.push((send, now_us + 1)));
                }
                while !under_way.is_empty() && rng.random_bool(0.6) {
                    let (send, read_us) = under_way.swap_remove(rng.random_range(0..under_way.len()));
                    if !rng.random_bool(0.1) && lanes.returned(send.key, send.attempt, now_us).counts {
                        let seen = &mut seen[send.key as usize];
                        *seen = (*seen).max(read_us);
                    }
                }
                if rng.random_bool(0.001) {
                    let keys: Vec<_> = lanes.keys().collect();
                    assert_eq!(
                        keys.len(),
                        keys.iter().collect::<BTreeSet<_>>().len(),
                        "seed {seed}: in one lane alone"
                    );
                }
            }
            assert!(lanes.is_settled(), "seed {seed}");
            let missed: BTreeSet<_> = (0..40).filter(|&key| seen[key] < marked[key]).collect();
            assert!(missed.is_empty(), "seed {seed}: {missed:?}");
        }
    }
}
