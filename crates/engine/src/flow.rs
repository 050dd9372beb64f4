//! When an epoch closes: a pure decision from counted facts.

use std::time::Duration;

/// How epochs are cut and how far sources may run ahead of the sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochConfig {
    /// An epoch closes this long after it opened, whether or not anything came.
    pub interval: Duration,
    /// An epoch closes when it holds this many records; it never holds more, save one chunk that is larger by itself.
    /// (Records that a worker has not read yet are counted by an estimate.)
    pub records: usize,
    /// How many epochs may be on their way at once, the open one included. At least 2.
    pub lag: u64,
}

impl Default for EpochConfig {
    /// 50 ms or 262,144 records, four epochs on their way: the smallest epochs that still work in cache-sized batches
    /// at full load, and an end-to-end delay well below a quarter of a second.
    fn default() -> Self {
        Self { interval: Duration::from_millis(50), records: 262_144, lag: 4 }
    }
}

/// What is known of the open epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochFacts {
    /// The open epoch.
    pub(crate) open: u64,
    /// The first epoch that the sinks have not acknowledged.
    pub(crate) done: u64,
    /// Records in the open epoch.
    pub(crate) records: usize,
    /// How long it has been open.
    pub(crate) age: Duration,
}

/// Whether the open epoch closes now.
pub(crate) fn closes(config: &EpochConfig, facts: EpochFacts) -> bool {
    let due = facts.records >= config.records || facts.age >= config.interval;
    due && may_close(config, facts)
}

/// Whether one more epoch may be on its way.
pub(crate) fn may_close(config: &EpochConfig, facts: EpochFacts) -> bool {
    facts.open + 1 - facts.done < config.lag.max(2)
}

/// Whether the open epoch takes a chunk of so many more records.
pub(crate) fn takes(config: &EpochConfig, facts: EpochFacts, records: usize) -> bool {
    facts.records == 0 || facts.records + records <= config.records
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: EpochConfig = EpochConfig { interval: Duration::from_millis(50), records: 100, lag: 4 };

    fn facts(open: u64, done: u64, records: usize, age_ms: u64) -> EpochFacts {
        EpochFacts { open, done, records, age: Duration::from_millis(age_ms) }
    }

    #[test]
    fn closes_by_time_or_by_records() {
        assert!(!closes(&CONFIG, facts(0, 0, 99, 49)));
        assert!(closes(&CONFIG, facts(0, 0, 0, 50)));
        assert!(closes(&CONFIG, facts(0, 0, 100, 0)));
    }

    #[test]
    fn waits_for_the_sinks_when_the_lag_is_used_up() {
        assert!(closes(&CONFIG, facts(6, 4, 100, 60)));
        assert!(!closes(&CONFIG, facts(7, 4, 100, 60)), "epochs 4 to 7 are on their way already");
    }

    #[test]
    fn a_large_chunk_gets_an_epoch_of_its_own() {
        assert!(takes(&CONFIG, facts(0, 0, 0, 0), 1_000));
        assert!(!takes(&CONFIG, facts(0, 0, 1, 0), 100));
        assert!(takes(&CONFIG, facts(0, 0, 1, 0), 99));
    }
}
