//! The candidates of a recommendation's paths, each once, with the score of each path.

use crate::recommend::Request;
use crate::shop::{Candidate, Shop};
use crate::spec::{Feed, Recommendation, Start};
use hashbrown::HashMap;
use std::sync::Arc;

/// An item and what each path says of it: the score over the path's highest, 0 where the path does not lead there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gathered {
    pub(crate) item: Arc<str>,
    pub(crate) scores: Vec<f64>,
}

/// Asks all paths. Where the question names candidates, these are all, reached or not.
pub(crate) fn gather<S: Shop + ?Sized>(shop: &S, spec: &Recommendation, request: &Request<'_>) -> Vec<Gathered> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut gathered: Vec<Gathered> = Vec::new();
    let mut place_of = |gathered: &mut Vec<Gathered>, item: Arc<str>| {
        *places.entry(Arc::clone(&item)).or_insert_with(|| {
            gathered.push(Gathered { item, scores: vec![0.0; spec.from.len()] });
            gathered.len() - 1
        })
    };
    for item in request.candidates.unwrap_or_default() {
        place_of(&mut gathered, Arc::clone(item));
    }
    let named = gathered.len();
    for (path, from) in spec.from.iter().enumerate() {
        let found = ask(shop, from, request);
        let highest = found.iter().map(|candidate| candidate.score).fold(0.0, f64::max);
        for candidate in found.into_iter().filter(|candidate| candidate.score > 0.0) {
            let place = place_of(&mut gathered, candidate.item);
            gathered[place].scores[path] = candidate.score / highest;
        }
    }
    if request.candidates.is_some() {
        gathered.truncate(named);
    }
    gathered
}

/// The candidates of one path.
fn ask<S: Shop + ?Sized>(shop: &S, from: &Feed, request: &Request<'_>) -> Vec<Candidate> {
    match from.start {
        Start::Subject => shop.candidates(&from.path, request.subject, from.candidates),
        Start::Seen => {
            let mut sums: HashMap<Arc<str>, f64> = HashMap::new();
            // In the order of the question: sums of floats depend on it.
            for seen in request.seen {
                for candidate in shop.candidates(&from.path, seen, from.candidates) {
                    *sums.entry(candidate.item).or_default() += candidate.score;
                }
            }
            let mut found: Vec<_> = sums.into_iter().map(|(item, score)| Candidate { item, score }).collect();
            found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.item.cmp(&b.item)));
            found.truncate(from.candidates);
            found
        }
    }
}
