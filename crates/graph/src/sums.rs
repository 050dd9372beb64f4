//! Sums by id, for one question at a time.

/// Values that are looked at before any of them is added.
const PIECE: usize = 64;

/// Adds up values by id. Ids are dense, so that a sum is found without searching.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// For each id the sum so far; all zero between two questions.
    sums: Vec<i64>,
    /// The ids that have a sum, so many; one whose sum was zero in between may stand here twice.
    found: Vec<u32>,
    count: usize,
    /// All ids of the question are below this.
    ids: usize,
    /// Most ids will have a sum: they are looked through one after the other and need not be noted.
    is_dense: bool,
}

impl Sums {
    /// Makes room for ids below a number, of which most may get a sum.
    pub(crate) fn reserve(&mut self, ids: usize, is_dense: bool) {
        self.ids = self.ids.max(ids);
        self.is_dense |= is_dense;
        if ids > self.sums.len() {
            self.sums.resize(ids.next_power_of_two(), 0);
        }
        if self.found.is_empty() {
            self.found.push(0);
        }
    }

    /// Adds to the sum of an id there is room for.
    #[inline]
    pub(crate) fn add(&mut self, id: u32, value: i64) {
        let sum = &mut self.sums[id as usize];
        // Whether an id is new cannot be guessed: so there is no branch for it.
        self.found[self.count] = id;
        self.count += usize::from((*sum == 0) & !self.is_dense);
        if self.count == self.found.len() {
            self.found.resize(2 * self.count, 0);
        }
        // Sums wrap on the way: whoever asks has made sure that the result fits.
        *sum = sum.wrapping_add(value);
    }

    /// The sums of all ids there is room for, to be added to: where ids with a sum are looked for among all, and need not be
    /// noted.
    pub(crate) fn dense(&mut self) -> Option<&mut [i64]> {
        self.is_dense.then_some(&mut self.sums)
    }

    /// An id has no sum.
    pub(crate) fn clear(&mut self, id: u32) {
        if let Some(sum) = self.sums.get_mut(id as usize) {
            *sum = 0;
        }
    }

    /// Adds to the sums of ids, whichever they are.
    #[inline]
    pub(crate) fn add_all(&mut self, values: impl Iterator<Item = (u32, i64)>) {
        let (mut values, mut piece) = (values, [(0, 0); PIECE]);
        loop {
            let (mut taken, mut greatest) = (0, 0);
            for (place, value) in piece.iter_mut().zip(&mut values) {
                *place = value;
                greatest = greatest.max(value.0);
                taken += 1;
            }
            if taken > 0 {
                self.add_piece(&piece[..taken], greatest);
            }
            if taken < PIECE {
                return;
            }
        }
    }

    /// Adds to the sums of some ids, the greatest of which is known. What changes on the way stays in registers.
    fn add_piece(&mut self, piece: &[(u32, i64)], greatest: u32) {
        if greatest as usize >= self.sums.len() {
            self.reserve(greatest as usize + 1, false);
        }
        if self.found.len() <= self.count + piece.len() {
            self.found.resize(2 * (self.count + piece.len()), 0);
        }
        let (sums, found) = (&mut self.sums[..], &mut self.found[self.count..]);
        let mut count = 0;
        for &(id, value) in piece {
            let sum = &mut sums[id as usize];
            found[count] = id;
            count += usize::from((*sum == 0) & !self.is_dense);
            *sum = sum.wrapping_add(value);
        }
        self.count += count;
    }

    /// Gives the sums that are not zero, in no particular order, and is empty again.
    pub(crate) fn drain(&mut self, mut give: impl FnMut(u32, i64)) {
        let (ids, count) = (std::mem::take(&mut self.ids), std::mem::take(&mut self.count));
        let mut take = |id: u32, sum: &mut i64| {
            if *sum != 0 {
                give(id, std::mem::take(sum));
            }
        };
        match std::mem::take(&mut self.is_dense) {
            true => (0..).zip(&mut self.sums[..ids]).for_each(|(id, sum)| take(id, sum)),
            false => self.found[..count].iter().for_each(|&id| take(id, &mut self.sums[id as usize])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_given_once_however_they_were_added() {
        for is_dense in [false, true] {
            let mut sums = Sums::default();
            for _ in 0..2 {
                sums.reserve(300, is_dense);
                sums.add_all((0..300).flat_map(|id| [(id, i64::from(id % 3)), (7, 1), (7, -1)]));
                sums.add_all(std::iter::empty());
                sums.add(9, 5);
                sums.add(11, 8);
                sums.clear(11);
                sums.clear(1 << 20);
                match sums.dense() {
                    Some(sums) => sums[11] += 2,
                    None => sums.add(11, 2),
                }
                let mut found = Vec::new();
                sums.drain(|id, sum| found.push((id, sum)));
                found.sort_unstable();
                let expected = (0..300).map(|id| (id, i64::from(id % 3) + 5 * i64::from(id == 9)));
                assert_eq!(found, expected.filter(|(_, sum)| *sum != 0).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_was_noted_before_most_were_expected_is_given_too() {
        let mut sums = Sums::default();
        sums.reserve(8, false);
        sums.add(3, 4);
        sums.reserve(100, true);
        sums.add(90, 1);
        let mut found = Vec::new();
        sums.drain(|id, sum| found.push((id, sum)));
        sums.drain(|_, _| panic!("nothing is left"));
        assert_eq!(found, [(3, 4), (90, 1)]);
    }
}
