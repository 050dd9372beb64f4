//! What happens in a run, decided before it begins: the same seed, the same order of blows.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Who is killed or paused beside the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    /// One of the brokers, whichever.
    Broker(usize),
    Redis,
    Search,
    Maxwell,
}

/// A blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// The job is killed, and begins again with so many workers.
    Kill { workers: usize },
    /// The job stands still until its connections have timed out.
    Pause,
    /// A server is killed, and comes back while other things happen.
    KillServer(Victim),
    /// A server stands still until those who wait for it have given up.
    PauseServer(Victim),
}

/// How many kills of the job there are to one of each server, and to one pause.
const KILLS_A_SERVER: usize = 12;
const KILLS_A_PAUSE: usize = 25;

/// Blows in a random order: so many kills of the job, and by that measure of servers, each of which is killed at least
/// once, if any is.
pub(super) fn plan(kills: usize, servers: bool, maxwell: bool, brokers: usize, dice: &mut ChaCha8Rng) -> Vec<Blow> {
    let mut blows: Vec<Blow> = (0..kills).map(|_| Blow::Kill { workers: dice.random_range(1..=2) }).collect();
    if kills > 0 {
        blows.extend((0..kills.div_ceil(KILLS_A_PAUSE)).map(|_| Blow::Pause));
    }
    if servers {
        for _ in 0..kills.div_ceil(KILLS_A_SERVER) {
            let broker = Victim::Broker(dice.random_range(0..brokers));
            let all = [broker, Victim::Redis, Victim::Search].into_iter().chain(maxwell.then_some(Victim::Maxwell));
            blows.extend(all.map(Blow::KillServer));
        }
        for _ in 0..kills / KILLS_A_PAUSE {
            let broker = Victim::Broker(dice.random_range(0..brokers));
            blows.extend([broker, Victim::Redis, Victim::Search].map(Blow::PauseServer));
        }
    }
    blows.shuffle(dice);
    blows
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn planned(kills: usize, servers: bool) -> Vec<Blow> {
        plan(kills, servers, true, 3, &mut ChaCha8Rng::seed_from_u64(7))
    }

    #[test]
    fn every_server_is_killed_even_in_a_short_run() {
        assert_eq!(planned(0, true), []);
        let short = planned(5, true);
        assert_eq!(short.len(), 5 + 1 + 4, "{short:?}");
        assert_eq!(short, planned(5, true), "the same seed, the same plan");
        assert!(
            [Victim::Redis, Victim::Search, Victim::Maxwell].iter().all(|&who| short.contains(&Blow::KillServer(who)))
        );
        let long = planned(50, true);
        assert_eq!(long.iter().filter(|blow| matches!(blow, Blow::Kill { .. })).count(), 50);
        assert_eq!(long.iter().filter(|blow| matches!(blow, Blow::PauseServer(_))).count(), 6);
        assert!(planned(50, false).iter().all(|blow| matches!(blow, Blow::Kill { .. } | Blow::Pause)));
    }
}
