//! One small value for each dense id, in huge pages where there are many: they are looked up at random.

use crate::slab::advise_huge_pages;
use std::ops::{Index, IndexMut};

/// Values by id. Those below the highest id that was ever written are there, most of them as they begin.
#[derive(Debug, Default)]
pub(crate) struct Table<T>(Vec<T>);

impl<T: Copy + Default> Table<T> {
    /// The value of an id, if one so high was ever written.
    #[inline]
    pub(crate) fn get(&self, id: usize) -> Option<&T> {
        self.0.get(id)
    }

    /// The value of an id, to be changed.
    #[inline]
    pub(crate) fn at(&mut self, id: usize) -> &mut T {
        if id >= self.0.len() {
            self.grow(id + 1);
        }
        &mut self.0[id]
    }

    /// All ids are below this.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All values.
    pub(crate) fn values(&self) -> &[T] {
        &self.0
    }

    /// All values, to be changed.
    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        &mut self.0
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    /// Values are moved by hand: memory that the system moves would fall apart into small pages.
    #[cold]
    fn grow(&mut self, len: usize) {
        if len > self.0.capacity() {
            let mut grown = Vec::with_capacity(len.max(self.0.len() + self.0.len() / 2).max(8));
            let start: *const T = grown.as_ptr();
            advise_huge_pages(start..start.wrapping_add(grown.capacity()));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        self.0.resize(len, T::default());
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: usize) -> &T {
        &self.0[id]
    }
}

impl<T> IndexMut<usize> for Table<T> {
    #[inline]
    fn index_mut(&mut self, id: usize) -> &mut T {
        &mut self.0[id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_while_the_table_grows() {
        let mut table = Table::<u32>::default();
        for id in 0..100_000 {
            *table.at(id * 3) = id as u32;
        }
        assert_eq!((table.len(), table.get(300_000)), (299_998, None));
        let expected = (0..table.len()).map(|id| if id.is_multiple_of(3) { id as u32 / 3 } else { 0 });
        assert!(table.0.iter().copied().eq(expected) && table[9] == 3);
    }
}
