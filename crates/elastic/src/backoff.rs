//! How long to wait before a call is tried again.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The first wait: about what a node needs to empty its queue a little.
const FIRST: Duration = Duration::from_millis(50);

/// The longest wait: a cluster that is back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from try to try.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// How often was tried in vain.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// The wait before the next try: a random part of the longest, at least half of it, so that many who were refused
    /// together do not come again together.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = longest(self.tries);
        self.tries = self.tries.saturating_add(1);
        // The standard library seeds its hash tables at random, which is chance enough here.
        let share = RandomState::new().hash_one(self.tries) % 1_024;
        longest.mul_f64(0.5 + share as f64 / 2_048.0)
    }
}

/// The longest wait after so many tries.
fn longest(tries: u32) -> Duration {
    FIRST.saturating_mul(1 << tries.min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<u128> = (0..9).map(|tries| longest(tries).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(longest(u32::MAX), LONGEST);
        let mut backoff = Backoff::default();
        for tries in 0..20 {
            let wait = backoff.next();
            assert!(wait >= longest(tries) / 2 && wait <= longest(tries), "{wait:?} after {tries}");
        }
    }
}
