//! The list that every other has to beat: what most have chosen so far.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Counts items and lists the most frequent, equals by their texts.
#[derive(Clone, Debug, Default)]
pub struct Popular {
    counts: HashMap<Arc<str>, u64>,
    order: BTreeSet<(Reverse<u64>, Arc<str>)>,
}

impl Popular {
    /// Counts an item once more.
    pub fn count(&mut self, item: &Arc<str>) {
        let count = self.counts.entry(Arc::clone(item)).or_default();
        self.order.remove(&(Reverse(*count), Arc::clone(item)));
        *count += 1;
        self.order.insert((Reverse(*count), Arc::clone(item)));
    }

    /// The `k` most frequent items.
    #[must_use]
    pub fn list(&self, k: usize) -> Vec<Arc<str>> {
        self.order.iter().take(k).map(|(_, item)| Arc::clone(item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_equals_by_text() {
        let mut popular = Popular::default();
        for item in ["b", "a", "c", "c", "d"] {
            popular.count(&Arc::from(item));
        }
        let list: Vec<_> = popular.list(3).iter().map(ToString::to_string).collect();
        assert_eq!(list, ["c", "a", "b"]);
    }
}
