//! The formulas of mergers that compare a meeting with how often both ends are met at all.

use super::fixed::rounded;
use super::spec::Merger;

/// Two objects that meet: how many objects in the middle lead to both, to either, and how many there are.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub(super) both: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) all: f64,
}

impl Meeting {
    /// The score that a merger which counts gives.
    pub(super) fn score(&self, merger: &Merger) -> f64 {
        match merger {
            Merger::Jaccard => rounded(jaccard(self)),
            Merger::Llr => rounded(llr(self)),
            Merger::Lift => rounded(lift(self)),
            _ => self.both,
        }
    }
}

/// The cosine of two vectors, from their product and the squares of their norms: item-to-item collaborative filtering
/// as in Linden, Smith and York, "Amazon.com Recommendations" (IEEE Internet Computing 7(1), 2003).
///
/// All three were rounded: what is too small for a norm has no direction, and what seems more than alike is alike.
pub(super) fn cosine(product: f64, left2: f64, right2: f64) -> f64 {
    let norms2 = left2 * right2;
    if norms2 > 0.0 { (product / norms2.sqrt()).clamp(-1.0, 1.0) } else { 0.0 }
}

/// Jaccard, "The distribution of the flora in the alpine zone" (New Phytologist 11, 1912).
fn jaccard(meeting: &Meeting) -> f64 {
    meeting.both / (meeting.left + meeting.right - meeting.both)
}

/// Twice the logarithm of the likelihood ratio that both ends are independent: Dunning, "Accurate Methods for the
/// Statistics of Surprise and Coincidence" (Computational Linguistics 19(1), 1993).
fn llr(meeting: &Meeting) -> f64 {
    let Meeting { both, left, right, all } = *meeting;
    let only_left = (left - both).max(0.0);
    let only_right = (right - both).max(0.0);
    let neither = (all - left - right + both).max(0.0);
    let cells = x_ln_x(both) + x_ln_x(only_left) + x_ln_x(only_right) + x_ln_x(neither);
    let rows = x_ln_x(both + only_left) + x_ln_x(only_right + neither);
    let columns = x_ln_x(both + only_right) + x_ln_x(only_left + neither);
    let total = x_ln_x(both + only_left + only_right + neither);
    (2.0 * (cells - rows - columns + total)).max(0.0)
}

/// How many times more often both meet than if they were independent: Brin, Motwani, Ullman and Tsur, "Dynamic Itemset
/// Counting and Implication Rules for Market Basket Data" (SIGMOD 1997), there called interest.
fn lift(meeting: &Meeting) -> f64 {
    meeting.both * meeting.all / (meeting.left * meeting.right)
}

fn x_ln_x(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_give_what_their_papers_say() {
        let meeting = Meeting { both: 2.0, left: 4.0, right: 9.0, all: 18.0 };
        assert_eq!(jaccard(&meeting), 2.0 / 11.0);
        assert_eq!(lift(&meeting), 1.0);
        assert!(llr(&meeting).abs() < 1e-12, "what meets as often as chance says is no surprise");
        assert_eq!(cosine(6.0, 4.0, 36.0), 0.5);
        assert_eq!((cosine(6.0, 0.0, 36.0), cosine(0.0, 0.0, 0.0)), (0.0, 0.0), "nothing is like what has no norm");
        assert_eq!((cosine(7.0, 4.0, 9.0), cosine(-7.0, 4.0, 9.0)), (1.0, -1.0));
    }

    #[test]
    fn the_likelihood_ratio_of_dunnings_first_row() {
        // Table 2 of the paper: "the swiss", 110 of 2,442 and 111 of 29,114 bigrams.
        let meeting = Meeting { both: 110.0, left: 2552.0, right: 221.0, all: 31_777.0 };
        assert!((llr(&meeting) - 270.72).abs() < 0.01, "{}", llr(&meeting));
    }
}
