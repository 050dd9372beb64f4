//! Sums by id, for one question at a time.

/// Adds up values by id. Ids are dense, so that a sum is found without searching.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// For each id the sum so far; all zero between two questions.
    sums: Vec<i64>,
    /// The ids that have a sum; one whose sum was zero in between may stand here twice.
    found: Vec<u32>,
}

impl Sums {
    #[inline]
    pub(super) fn add(&mut self, id: u32, value: i64) {
        if id as usize >= self.sums.len() {
            self.sums.resize((id as usize + 1).next_power_of_two(), 0);
        }
        let sum = &mut self.sums[id as usize];
        if *sum == 0 {
            self.found.push(id);
        }
        // Sums wrap on the way: whoever asks has made sure that the result fits.
        *sum = sum.wrapping_add(value);
    }

    /// Gives the sums that are not zero, in no particular order, and is empty again.
    pub(super) fn drain(&mut self, mut give: impl FnMut(u32, i64)) {
        for id in self.found.drain(..) {
            let sum = std::mem::take(&mut self.sums[id as usize]);
            if sum != 0 {
                give(id, sum);
            }
        }
    }
}
