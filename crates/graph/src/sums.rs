//! Sums by id, for one question at a time.

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

    /// Adds to the sums of ids, whichever they are.
    #[inline]
    pub(crate) fn add_all(&mut self, values: impl Iterator<Item = (u32, i64)>) {
        for (id, value) in values {
            if id as usize >= self.sums.len() {
                self.reserve(id as usize + 1, false);
            }
            self.add(id, value);
        }
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
                for id in 0..300 {
                    sums.add(id, i64::from(id % 3));
                    sums.add(7, 1);
                    sums.add(7, -1);
                }
                sums.add(9, 5);
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
