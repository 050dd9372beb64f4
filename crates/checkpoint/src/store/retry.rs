//! How often a call to a store is tried again.

use super::StoreError;
use std::time::Duration;
use tracing::warn;

/// How often, and after which waits, a call that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Calls at the most, the first one counted.
    pub attempts: u32,
    /// The wait before the second call; it doubles each time.
    pub wait: Duration,
    /// The longest wait.
    pub wait_max: Duration,
}

impl Default for Retry {
    /// Eight calls within some twelve seconds: a store that restarts is outlived, one that is gone is reported while
    /// someone still looks.
    fn default() -> Self {
        Self { attempts: 8, wait: Duration::from_millis(100), wait_max: Duration::from_secs(5) }
    }
}

impl Retry {
    /// Calls `call` until it succeeds, fails for good, or was tried often enough.
    ///
    /// # Errors
    /// The last error.
    pub fn run<T>(&self, mut call: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut wait = self.wait;
        for attempt in 1.. {
            match call() {
                Err(error) if !error.lasting && attempt < self.attempts => {
                    warn!(%error, attempt, "a call to the checkpoint store failed; it is tried again");
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(self.wait_max);
                }
                answer => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(lasting: bool) -> StoreError {
        StoreError { tried: "read", place: "x".to_owned(), reason: "no".to_owned(), lasting }
    }

    fn calls(retry: Retry, lasting: bool) -> u32 {
        let mut calls = 0;
        let answer: Result<(), _> = retry.run(|| {
            calls += 1;
            Err(error(lasting))
        });
        assert_eq!(answer, Err(error(lasting)));
        calls
    }

    #[test]
    fn tries_as_often_as_it_says() {
        let retry = Retry { attempts: 4, wait: Duration::ZERO, wait_max: Duration::ZERO };
        assert_eq!(calls(retry, false), 4);
        assert_eq!(calls(retry, true), 1);
    }
}
