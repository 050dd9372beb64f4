//! How an order's reduction is shared among its lines: exact to the cent.

/// The shares of lines in a reduction, in proportion to their amounts. Each line gets what is due up to and with it,
/// less what the lines before have got, so that the shares sum to the whole.
pub(crate) fn shares(reduction: i64, amounts: &[i64]) -> Vec<i64> {
    let whole: i64 = amounts.iter().sum();
    let mut before = 0;
    let mut sum = 0;
    let share = |amount: &i64| {
        sum += amount;
        let due = if whole == 0 { 0 } else { (i128::from(reduction) * i128::from(sum) / i128::from(whole)) as i64 };
        let share = due - before;
        before = due;
        share
    };
    amounts.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_the_whole() {
        assert_eq!(shares(1_000, &[333, 333, 334]), [333, 333, 334]);
        assert_eq!(shares(100, &[1, 1, 1]), [33, 33, 34]);
        assert_eq!(shares(0, &[5, 7]), [0, 0]);
        for reduction in 0..200 {
            assert_eq!(shares(reduction, &[1_999, 1, 350, 12_345, 7]).iter().sum::<i64>(), reduction);
        }
    }
}
