//! The memory of bundles, from one checkpoint to the next.

use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Room for a bundle: few are larger.
const BUNDLE_BYTES: usize = 32 * 1024;
/// A bundle that took more room is let go.
const KEPT_BYTES_EACH: usize = 4 * BUNDLE_BYTES;
/// No more than so many are kept, 32 MiB at the most: a first checkpoint may be of all there is.
const KEPT: usize = 256;

/// Memory in which bundles were, and others will be. Each second some megabytes are saved, written and let go; the
/// allocator would have given them back by the next save, and the kernel gives new pages slowly.
#[derive(Debug, Default)]
pub(crate) struct SavedMemory(Mutex<Vec<Vec<u8>>>);

/// Bytes that come back when nobody reads them any more.
struct Lent {
    bytes: Vec<u8>,
    memory: Arc<SavedMemory>,
}

impl SavedMemory {
    /// Room for a bundle.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_else(|| Vec::with_capacity(BUNDLE_BYTES))
    }

    /// What was written in it, until it is dropped.
    pub(super) fn lend(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, memory: Arc::clone(self) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut kept = self.memory.0.lock();
        if bytes.capacity() <= KEPT_BYTES_EACH && kept.len() < KEPT {
            kept.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_reads_it() {
        let memory = Arc::new(SavedMemory::default());
        let write = |text: &[u8]| {
            let mut bytes = memory.take();
            bytes.extend_from_slice(text);
            memory.lend(bytes)
        };
        let (first, second) = (write(b"the first"), write(b"the second"));
        let (place, copy) = (second.as_ptr(), second.clone());
        drop(second);
        assert_ne!(write(b"a third").as_ptr(), place, "it is still read");
        drop(copy);
        assert_eq!(write(b"a fourth").as_ptr(), place);
        assert_eq!(&first[..], b"the first");
    }

    #[test]
    fn much_memory_is_not_kept() {
        let memory = Arc::new(SavedMemory::default());
        drop(memory.lend(vec![7; KEPT_BYTES_EACH + 1]));
        assert!(memory.0.lock().is_empty());
    }
}
