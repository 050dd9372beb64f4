//! Text that no other writer uses.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A text of 32 digits that is new each time. The keys of [`RandomState`] come from the system's random numbers.
pub(crate) fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let word = |salt: u64| RandomState::new().hash_one((std::process::id(), count, salt));
    format!("{:016x}{:016x}", word(0), word(1))
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_new_each_time() {
        let nonces: std::collections::HashSet<_> = (0..1000).map(|_| super::nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
