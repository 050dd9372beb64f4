//! The candidates of a recommendation's paths, each once, with the score of each path.

use crate::recommend::Request;
use crate::shop::{Candidate, Items, Shop};
use crate::spec::{Feed, Recommendation, Start};
use hashbrown::HashMap;
use proxima_graph::ObjectId;

/// Items and what each path says of each: the score over the path's highest, 0 where the path does not lead there.
pub(crate) struct Gathered {
    pub(crate) items: Vec<ObjectId>,
    /// Those of the first item, then those of the second one …
    scores: Vec<f64>,
    paths: usize,
}

impl Gathered {
    /// What each path says of the item at a place.
    pub(crate) fn scores(&self, place: usize) -> &[f64] {
        &self.scores[place * self.paths..][..self.paths]
    }

    fn push(&mut self, item: ObjectId) -> usize {
        self.items.push(item);
        self.scores.resize(self.items.len() * self.paths, 0.0);
        self.items.len() - 1
    }
}

/// Asks all paths. Where the question names candidates, these are all, reached or not.
pub(crate) fn gather<S: Shop + ?Sized>(
    spec: &Recommendation,
    request: &Request<'_>,
    (shop, items): (&S, &Items<'_, S>),
    named: Option<&[ObjectId]>,
) -> Gathered {
    let mut gathered = Gathered { items: Vec::new(), scores: Vec::new(), paths: spec.from.len() };
    let mut places: HashMap<ObjectId, usize> = HashMap::new();
    for &item in named.unwrap_or_default() {
        places.entry(item).or_insert_with(|| gathered.push(item));
    }
    for (path, from) in spec.from.iter().enumerate() {
        let found = ask((shop, items), from, request);
        let highest = found.iter().map(|candidate| candidate.score).fold(0.0, f64::max);
        let (count, found) = (found.len(), found.iter().filter(|candidate| candidate.score > 0.0));
        // Who has but one path meets each item once.
        if spec.from.len() == 1 && named.is_none() {
            gathered.items = found.clone().map(|candidate| candidate.item).collect();
            gathered.scores = found.map(|candidate| candidate.score / highest).collect();
            break;
        }
        places.reserve(count);
        for candidate in found {
            let place = match named {
                None => *places.entry(candidate.item).or_insert_with(|| gathered.push(candidate.item)),
                Some(_) => match places.get(&candidate.item) {
                    Some(&place) => place,
                    None => continue,
                },
            };
            gathered.scores[place * gathered.paths + path] = candidate.score / highest;
        }
    }
    gathered
}

/// The candidates of one path.
fn ask<S: Shop + ?Sized>((shop, items): (&S, &Items<'_, S>), from: &Feed, request: &Request<'_>) -> Vec<Candidate> {
    match from.start {
        Start::Subject => shop.candidates(&from.path, request.subject, from.candidates),
        Start::Seen => {
            let mut sums: HashMap<ObjectId, f64> = HashMap::new();
            // In the order of the question: sums of floats depend on it.
            for seen in request.seen {
                for candidate in shop.candidates(&from.path, seen, from.candidates) {
                    *sums.entry(candidate.item).or_default() += candidate.score;
                }
            }
            let mut found: Vec<_> = sums.into_iter().map(|(item, score)| Candidate { item, score }).collect();
            in_order(items, &mut found);
            found.truncate(from.candidates);
            found
        }
    }
}

/// The highest score first, equals by their texts.
pub(crate) fn in_order<S: Shop + ?Sized>(items: &Items<'_, S>, found: &mut [Candidate]) {
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| items.compare(a.item, b.item)));
}
