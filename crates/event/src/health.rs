//! What a connector waits for, for people who watch the run, and the run's word to a connector that it must end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A handle that a connector and the engine share. A connector that retries what the outside refuses says so here, and
/// looks here whether the run still wants it to.
#[derive(Clone, Default)]
pub struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waits_for: Mutex<Option<String>>,
    last_error: Mutex<Option<String>>,
    retries: AtomicU64,
    stopped: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Health {
    /// Says what the connector waits for: "http://search-1:9200: connection refused; tried 7 times". Said with each
    /// attempt that has failed, it counts them.
    pub fn wait_for(&self, what: impl Into<String>) {
        let what = what.into();
        self.0.retries.fetch_add(1, Ordering::Relaxed);
        *self.0.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.clone());
        self.set(Some(what));
    }

    /// Says that the connector goes on.
    pub fn go_on(&self) {
        self.set(None);
    }

    fn set(&self, waits_for: Option<String>) {
        *self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }

    /// What the connector waits for; `None` while it works.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        self.0.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it had to wait and try again.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Ordering::Relaxed)
    }

    /// What it waited for last, also when it goes on.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.0.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the connector, before it runs, how to find out that the run is ending. A second call changes nothing.
    pub fn stop_when(&self, stopped: impl Fn() -> bool + Send + Sync + 'static) {
        // Several targets may share one connector: they belong to one run, whose word is the same.
        let _ = self.0.stopped.set(Box::new(stopped));
    }

    /// Whether the run is ending: a connector that retries gives up within a tenth of a second.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.get().is_some_and(|stopped| stopped())
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("waits_for", &self.waits_for()).field("stopped", &self.is_stopped()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn all_handles_see_the_same() {
        let (health, stop) = (Health::default(), Arc::new(AtomicBool::new(false)));
        let other = health.clone();
        health.wait_for("http://search-1:9200");
        assert_eq!(other.waits_for().as_deref(), Some("http://search-1:9200"));
        health.go_on();
        assert_eq!(other.waits_for(), None);
        assert_eq!((other.retries(), other.last_error().as_deref()), (1, Some("http://search-1:9200")));
        assert!(!health.is_stopped(), "nobody can stop it yet");
        let told = Arc::clone(&stop);
        other.stop_when(move || told.load(Ordering::Relaxed));
        assert!(!health.is_stopped());
        stop.store(true, Ordering::Relaxed);
        assert!(health.is_stopped());
    }
}
