//! A question and its answer: the steps of a recommendation, one after the other.

use crate::deal::{Gate, Places};
use crate::gather::{Gathered, gather};
use crate::score::{Part, Scorer, to_units};
use crate::shop::Shop;
use crate::spec::{Fallback, Is, Recommendation};
use proxima_graph::Value;
use std::sync::Arc;

/// A question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The object that is recommended to. One that is not known gets what the fallback has.
    pub subject: &'a str,
    /// How many items are wanted; the recommendation's own number where this is `None`.
    pub number: Option<usize>,
    /// Items that were just seen, the newest first: paths may begin there, and they are not shown.
    pub seen: &'a [Arc<str>],
    /// The only items that are wanted.
    pub candidates: Option<&'a [Arc<str>]>,
    /// What items must have besides.
    pub filters: &'a [(String, Is)],
    /// Attributes of the object in place of those that are known.
    pub attributes: &'a [(String, Value)],
}

/// Where an item of an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was ranked.
    Ranked,
    /// It is pinned.
    Pinned,
    /// This path filled up.
    Fallback(String),
}

/// An item of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its text.
    pub item: Arc<str>,
    /// Its score in units; of an item that filled up that of its path.
    pub units: i64,
    /// Where it comes from.
    pub origin: Origin,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The items in order.
    pub items: Vec<Item>,
}

/// Candidates that a fallback path is asked for, for each item that is wanted: rules drop some.
const FALLBACK_CANDIDATES: usize = 4;

/// Answers a question.
pub fn recommend<S: Shop + ?Sized>(shop: &S, spec: &Recommendation, request: &Request<'_>) -> Answer {
    let number = request.number.unwrap_or(spec.number);
    let gathered = gather(shop, spec, request);
    let scores = Scorer { shop, spec, request }.scores(&gathered);
    let gate = Gate::new(shop, &spec.rules, request);
    let mut places = Places::new(shop, &spec.rules, number);
    pin(spec, request, (&gathered, &scores), &gate, &mut places);
    let mut ranked: Vec<(i64, &Arc<str>)> = scores.into_iter().zip(gathered.iter().map(|of| &of.item)).collect();
    let least = spec.rules.min_score.map_or(i64::MIN, to_units);
    ranked.retain(|(units, _)| *units >= least);
    ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    for (units, item) in ranked {
        if places.is_full() {
            break;
        }
        if gate.admits(item) {
            places.push(item, || Item { item: Arc::clone(item), units, origin: Origin::Ranked });
        }
    }
    // Where the question names candidates, no others are wanted.
    if request.candidates.is_none() {
        fill(shop, spec, request, number, &gate, &mut places);
    }
    Answer { items: places.into_list() }
}

/// The parts of the score of an item, which sum to it; `None` where no path leads to the item and it is not asked for.
pub fn explain<S: Shop + ?Sized>(
    shop: &S,
    spec: &Recommendation,
    request: &Request<'_>,
    item: &str,
) -> Option<(i64, Vec<Part>)> {
    let gathered = gather(shop, spec, request);
    let scorer = Scorer { shop, spec, request };
    if let Some(of) = gathered.iter().find(|of| *of.item == *item) {
        let parts = scorer.parts(of);
        return Some((parts.iter().map(|part| part.units).sum(), parts));
    }
    let answer = recommend(shop, spec, request);
    let shown = answer.items.into_iter().find(|shown| *shown.item == *item)?;
    let name = match &shown.origin {
        Origin::Fallback(path) => format!("fallback {path}"),
        Origin::Pinned | Origin::Ranked => "pin".to_owned(),
    };
    Some((shown.units, vec![Part { name, units: shown.units }]))
}

fn pin<S: Shop + ?Sized>(
    spec: &Recommendation,
    request: &Request<'_>,
    (gathered, scores): (&[Gathered], &[i64]),
    gate: &Gate<'_, S>,
    places: &mut Places<'_, S, Item>,
) {
    for pin in &spec.rules.pin {
        let at = gathered.iter().position(|of| *of.item == *pin.item);
        let wanted = request.candidates.is_none() || at.is_some();
        if wanted && gate.admits(&pin.item) {
            let item: Arc<str> = pin.item.as_str().into();
            let units = at.map_or(0, |at| scores[at]);
            places.pin(&item, pin.place, Item { item: Arc::clone(&item), units, origin: Origin::Pinned });
        }
    }
}

/// Fills up from the fallback paths.
fn fill<S: Shop + ?Sized>(
    shop: &S,
    spec: &Recommendation,
    request: &Request<'_>,
    number: usize,
    gate: &Gate<'_, S>,
    places: &mut Places<'_, S, Item>,
) {
    for fallback in &spec.fallback {
        if places.is_full() {
            return;
        }
        let Some(start) = start_of(shop, fallback, request) else { continue };
        let mut wanted = number.saturating_mul(FALLBACK_CANDIDATES);
        loop {
            let found = shop.candidates(&fallback.path, &start, wanted);
            for candidate in found.iter().filter(|candidate| gate.admits(&candidate.item)) {
                let (item, units) = (Arc::clone(&candidate.item), to_units(candidate.score));
                places.push(&candidate.item, || Item { item, units, origin: Origin::Fallback(fallback.path.clone()) });
            }
            // Rules may have dropped nearly all: those behind them come next.
            if places.is_full() || found.len() < wanted {
                break;
            }
            wanted = wanted.saturating_mul(FALLBACK_CANDIDATES);
        }
    }
}

/// Where a fallback path begins: at the object's attribute, as the question or the graph has it, else at a fixed object.
fn start_of<S: Shop + ?Sized>(shop: &S, fallback: &Fallback, request: &Request<'_>) -> Option<String> {
    if fallback.own {
        return Some(request.subject.to_owned());
    }
    let known = fallback.by.as_ref().and_then(|attribute| {
        let told = request.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.clone());
        as_text(told.unwrap_or_else(|| shop.subject_attribute(request.subject, attribute)))
    });
    known.or_else(|| fallback.at.clone())
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.to_string()),
    }
}
