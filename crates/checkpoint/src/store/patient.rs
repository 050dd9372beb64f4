//! A store that outlives faults of the outside: a run that has begun waits for it, and says so.
//!
//! Cuts wait, so sinks wait, so sources wait: memory stays bounded and nothing is lost. Before a run has begun calls fail
//! as the store beneath does, so that a wrong address is reported while someone still looks.

use super::{Append, Listed, Put, Store, StoreError};
use proxima_event::Health;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The wait before the second call; it doubles each time.
const WAIT: Duration = Duration::from_millis(100);
/// The longest wait: a store that is back is noticed after this at the most.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a waiting thread looks whether the run ends.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for a store for as long as its run goes on.
pub struct Patient {
    store: Arc<dyn Store>,
    health: Health,
    begun: AtomicBool,
}

impl Patient {
    /// What it waits for is told to `health`, which also says when the run ends.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, health: Health) -> Self {
        Self { store, health, begun: AtomicBool::new(false) }
    }

    /// The run has begun: from here on calls wait.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    fn call<T>(&self, call: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let since = Instant::now();
        let mut wait = WAIT;
        let mut tries = 1_u32;
        loop {
            let error = match call() {
                Ok(done) => {
                    self.health.go_on();
                    if tries > 1 {
                        info!(seconds = since.elapsed().as_secs(), tries, "the checkpoint store takes calls again");
                    }
                    return Ok(done);
                }
                Err(error) if error.lasting || !self.begun.load(Ordering::Acquire) => return Err(error),
                Err(error) => error,
            };
            if tries == 1 {
                warn!(%error, "a call to the checkpoint store failed; it is tried until it succeeds");
            }
            let times = if tries == 1 { String::new() } else { format!("; tried {tries} times") };
            self.health.wait_for(format!("{error}{times}"));
            self.pause(wait).map_err(|()| StoreError { lasting: true, ..error })?;
            wait = (wait * 2).min(WAIT_MAX);
            tries += 1;
        }
    }

    /// Waits, unless the run is ending.
    fn pause(&self, wait: Duration) -> Result<(), ()> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if self.health.is_stopped() {
                return Err(());
            }
            std::thread::sleep(LOOK.min(wait));
        }
        if self.health.is_stopped() { Err(()) } else { Ok(()) }
    }
}

impl Store for Patient {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.call(|| self.store.put(name, bytes))
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call(|| self.store.put_parts(name, parts))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        self.call(|| self.store.put_if_absent(name, bytes))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(|| self.store.get(name))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.call(|| self.store.size(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.call(|| self.store.list(prefix))
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.call(|| self.store.delete(name))
    }

    /// One that grows would need to begin anew after a failure; stores that need patience write objects whole.
    fn append(&self, name: &str) -> Result<Option<Box<dyn Append>>, StoreError> {
        self.store.append(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;
    use std::sync::atomic::AtomicU32;

    /// Fails as often as it is told.
    struct Failing {
        inner: LocalStore,
        times: AtomicU32,
    }

    impl Store for Failing {
        fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
            if self.times.load(Ordering::Relaxed) == 0 {
                return self.inner.put(name, bytes);
            }
            self.times.fetch_sub(1, Ordering::Relaxed);
            let reason = "connection refused".to_owned();
            Err(StoreError { tried: "write", place: name.to_owned(), reason, lasting: false })
        }

        fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
            self.inner.put_if_absent(name, bytes)
        }

        fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(name)
        }

        fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
            self.inner.size(name)
        }

        fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
            self.inner.list(prefix)
        }

        fn delete(&self, name: &str) -> Result<(), StoreError> {
            self.inner.delete(name)
        }
    }

    fn patient(times: u32) -> (tempfile::TempDir, Patient, Health) {
        let folder = tempfile::tempdir().unwrap();
        let inner = LocalStore::open(folder.path()).unwrap();
        let health = Health::default();
        let store = Arc::new(Failing { inner, times: AtomicU32::new(times) });
        (folder, Patient::new(store, health.clone()), health)
    }

    #[test]
    fn a_run_that_has_not_begun_does_not_wait() {
        let (_folder, patient, _) = patient(1);
        assert!(patient.put("a", b"x").is_err());
        patient.put("a", b"x").unwrap();
    }

    #[test]
    fn a_run_that_has_begun_waits_says_so_and_goes_on() {
        let (_folder, patient, health) = patient(2);
        patient.begin();
        std::thread::scope(|scope| {
            let put = scope.spawn(|| patient.put("a", b"x"));
            while health.waits_for().is_none() {
                std::thread::yield_now();
            }
            assert!(health.waits_for().is_some_and(|what| what.contains("connection refused")));
            put.join().unwrap().unwrap();
        });
        assert_eq!((health.waits_for(), patient.get("a").unwrap().unwrap()), (None, b"x".to_vec()));
    }

    #[test]
    fn a_run_that_ends_waits_no_more() {
        let (_folder, patient, health) = patient(u32::MAX);
        patient.begin();
        health.stop_when(|| true);
        assert!(patient.put("a", b"x").unwrap_err().lasting, "nobody tries again");
    }
}
