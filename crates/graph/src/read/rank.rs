//! From counts to the list: sum shards, keep what can be in the list, put it in order.

use std::cmp::Ordering;
use std::sync::Arc;

/// An object that may be in the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    pub(super) score: f64,
    pub(super) pairs: u64,
    pub(super) norm: u64,
}

/// Adds two rows, each by rising id.
pub(super) fn add_rows(left: &[(u32, u64)], right: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let mut sum = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (0, 0);
    while l < left.len() && r < right.len() {
        let order = left[l].0.cmp(&right[r].0);
        sum.push(match order {
            Ordering::Less => left[l],
            Ordering::Greater => right[r],
            Ordering::Equal => (left[l].0, left[l].1 + right[r].1),
        });
        l += usize::from(order != Ordering::Greater);
        r += usize::from(order != Ordering::Less);
    }
    sum.extend_from_slice(&left[l..]);
    sum.extend_from_slice(&right[r..]);
    sum
}

/// Drops what cannot be among the first `n`. Candidates that have the score of the n-th all stay: their names decide.
pub(super) fn keep_top(candidates: &mut Vec<Candidate>, n: usize) {
    if n == 0 {
        candidates.clear();
    } else if n < candidates.len() {
        let (_, nth, _) = candidates.select_nth_unstable_by(n - 1, by_score);
        let threshold = nth.score;
        candidates.retain(|candidate| candidate.score >= threshold);
    }
}

/// The first `n` by score, equal scores by name. An id whose name has not reached the store yet is left out.
pub(super) fn order(candidates: Vec<Candidate>, names: Vec<Option<Arc<str>>>, n: usize) -> Vec<(Candidate, Arc<str>)> {
    let named = candidates.into_iter().zip(names);
    let mut list: Vec<_> = named.filter_map(|(candidate, name)| Some((candidate, name?))).collect();
    list.sort_unstable_by(|left, right| by_score(&left.0, &right.0).then_with(|| left.1.cmp(&right.1)));
    list.truncate(n);
    list
}

fn by_score(left: &Candidate, right: &Candidate) -> Ordering {
    right.score.total_cmp(&left.score)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(scores: &[f64]) -> Vec<Candidate> {
        let ids = 0_u32..;
        ids.zip(scores).map(|(id, &score)| Candidate { id, score, pairs: 1, norm: 1 }).collect()
    }

    #[test]
    fn rows_add_up_by_id() {
        let sum = add_rows(&[(1, 2), (5, 1), (9, 4)], &[(0, 1), (5, 2), (11, 1)]);
        assert_eq!(sum, [(0, 1), (1, 2), (5, 3), (9, 4), (11, 1)]);
        assert_eq!(add_rows(&[], &[(3, 1)]), [(3, 1)]);
    }

    #[test]
    fn ties_at_the_end_of_the_list_are_decided_by_name() {
        let mut found = candidates(&[0.5, 0.25, 0.75, 0.5, 0.5]);
        keep_top(&mut found, 2);
        found.sort_by_key(|candidate| candidate.id);
        assert_eq!(found.iter().map(|candidate| candidate.id).collect::<Vec<_>>(), [0, 2, 3, 4]);
        let names = ["z", "x", "c", "b"].map(|name| Some(Arc::from(name))).to_vec();
        let list = order(found, names, 2);
        assert_eq!(list.iter().map(|(_, name)| name.as_ref()).collect::<Vec<_>>(), ["x", "b"]);
    }

    #[test]
    fn a_list_may_ask_for_nothing_or_for_more_than_there_is() {
        let mut found = candidates(&[0.5, 0.25]);
        keep_top(&mut found, 9);
        assert_eq!(found.len(), 2);
        keep_top(&mut found, 0);
        assert!(found.is_empty());
    }
}
