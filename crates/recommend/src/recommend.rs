//! A question and its answer: the steps of a recommendation, one after the other.

use crate::deal::{Gate, Places};
use crate::gather::{Gathered, gather, in_order};
use crate::score::{Part, Scorer, to_units};
use crate::shop::{Items, Shop};
use crate::spec::{Fallback, Is, Recommendation};
use proxima_graph::{Attribute, ObjectId, Value};
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

impl Request<'_> {
    /// Holds the attributes that it names, and what it says of them, against those that there are.
    ///
    /// # Errors
    /// What it names, and what there is in its place.
    pub(crate) fn check(&self, spec: &Recommendation) -> Result<(), String> {
        fn check(name: &str, is: &Is, known: &[Attribute], whose: &str) -> Result<(), String> {
            let Some(found) = known.iter().find(|attribute| attribute.name == name) else {
                let names: Vec<&str> = known.iter().map(|attribute| attribute.name.as_str()).collect();
                let known =
                    if names.is_empty() { "there is none".into() } else { format!("there are: {}", names.join(", ")) };
                return Err(format!("no attribute \"{name}\" of {whose}; {known}"));
            };
            is.misfit(found.kind).map_or(Ok(()), |misfit| Err(format!("attribute \"{name}\" of {whose} {misfit}")))
        }
        self.filters.iter().try_for_each(|(name, is)| check(name, is, &spec.item_attributes, "items"))?;
        let mut told = self.attributes.iter();
        told.try_for_each(|(name, value)| {
            check(name, &Is::Equal(value.clone()), &spec.subject_attributes, "the object")
        })
    }
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
    /// Its number in the shop.
    pub object: ObjectId,
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

/// The most items of one answer.
pub const NUMBER_MAX: usize = 1_000;

/// Candidates that a fallback path is asked for, for each item that is wanted: rules drop some.
const FALLBACK_CANDIDATES: usize = 4;

/// Ranked items that are put in order at first, for each item that is wanted: as a rule more are not looked at.
const LOOKED_AT: usize = 4;

/// An item that has a place: its units and where it comes from.
type Shown = (ObjectId, i64, Origin);

/// Answers a question.
pub fn recommend<S: Shop + ?Sized>(shop: &S, spec: &Recommendation, request: &Request<'_>) -> Answer {
    shop.expect(spec, request);
    let number = request.number.unwrap_or(spec.number);
    let mut items = Items::new(shop);
    let mut all_of = |texts: &[Arc<str>]| texts.iter().map(|text| items.of(text)).collect::<Vec<_>>();
    let (named, mut seen) = (request.candidates.map(&mut all_of), all_of(request.seen));
    if spec.own_kind {
        seen.push(items.of(request.subject));
    }
    let pins: Vec<ObjectId> = spec.rules.pin.iter().map(|pin| items.of(&pin.item)).collect();
    let gathered = gather(spec, request, (shop, &items), named.as_deref());
    let scores = Scorer { shop, spec, request }.scores(&gathered);
    let mut gate = Gate::new(shop, &spec.rules, request, &seen);
    let mut places = Places::new(shop, &spec.rules, number);
    pin((spec, &pins, named.is_some()), (&gathered, &scores), &gate, &mut places);
    rank(spec, &items, (&gathered, &scores), &gate, &mut places);
    // Where the question names candidates, no others are wanted.
    if named.is_none() {
        // Whose score is too low does not come back by another way.
        if let Some(least) = spec.rules.min_score.map(to_units) {
            let low = gathered.items.iter().zip(&scores).filter(|(_, score)| **score < least);
            gate.drop_more(low.map(|(item, _)| *item));
        }
        fill(spec, request, (shop, &items), number, &gate, &mut places);
    }
    let told = |(object, units, origin)| Some(Item { item: items.text(object)?, object, units, origin });
    Answer { items: places.into_list().into_iter().filter_map(told).collect() }
}

/// The parts of the score of an item, which sum to it; `None` where no path leads to the item and it is not asked for.
pub fn explain<S: Shop + ?Sized>(
    shop: &S,
    spec: &Recommendation,
    request: &Request<'_>,
    item: &str,
) -> Option<(i64, Vec<Part>)> {
    shop.expect(spec, request);
    let mut items = Items::new(shop);
    let named: Option<Vec<ObjectId>> =
        request.candidates.map(|named| named.iter().map(|text| items.of(text)).collect());
    let object = items.of(item);
    let gathered = gather(spec, request, (shop, &items), named.as_deref());
    if let Some(place) = gathered.items.iter().position(|gathered| *gathered == object) {
        let parts = Scorer { shop, spec, request }.parts(&gathered, place);
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

/// Puts pinned items at their places. Where the question names candidates (`only`), only those.
fn pin<S: Shop + ?Sized>(
    (spec, pins, only): (&Recommendation, &[ObjectId], bool),
    (gathered, scores): (&Gathered, &[i64]),
    gate: &Gate<'_, S>,
    places: &mut Places<'_, S, Shown>,
) {
    gate.prepare(pins.iter().copied());
    for (pin, &item) in spec.rules.pin.iter().zip(pins) {
        let at = gathered.items.iter().position(|gathered| *gathered == item);
        if (!only || at.is_some()) && gate.admits(item) {
            let units = at.map_or(0, |at| scores[at]);
            places.pin(item, pin.place, (item, units, Origin::Pinned));
        }
    }
}

/// Gives the next places to those with the highest scores, equals by their texts.
fn rank<S: Shop + ?Sized>(
    spec: &Recommendation,
    items: &Items<'_, S>,
    (gathered, scores): (&Gathered, &[i64]),
    gate: &Gate<'_, S>,
    places: &mut Places<'_, S, Shown>,
) {
    let least = spec.rules.min_score.map_or(i64::MIN, to_units);
    let ranked = scores.iter().copied().zip(gathered.items.iter().copied());
    let mut ranked: Vec<(i64, ObjectId)> = ranked.filter(|(units, _)| *units >= least).collect();
    let order = |a: &(i64, ObjectId), b: &(i64, ObjectId)| b.0.cmp(&a.0).then_with(|| items.compare(a.1, b.1));
    let (mut rest, mut next) = (&mut ranked[..], places.len().saturating_mul(LOOKED_AT).max(1));
    while !places.is_full() && !rest.is_empty() {
        let cut = next.min(rest.len());
        if cut < rest.len() {
            rest.select_nth_unstable_by(cut, order);
        }
        let (first, behind) = rest.split_at_mut(cut);
        first.sort_unstable_by(order);
        gate.prepare(first.iter().map(|(_, item)| *item));
        for &(units, item) in first.iter() {
            if gate.admits(item) {
                places.push(item, || (item, units, Origin::Ranked));
            }
        }
        (rest, next) = (behind, next.saturating_mul(LOOKED_AT));
    }
}

/// Fills up from the fallback paths.
fn fill<S: Shop + ?Sized>(
    spec: &Recommendation,
    request: &Request<'_>,
    (shop, items): (&S, &Items<'_, S>),
    number: usize,
    gate: &Gate<'_, S>,
    places: &mut Places<'_, S, Shown>,
) {
    for fallback in &spec.fallback {
        if places.is_full() {
            return;
        }
        let starts = starts_of(shop, fallback, request);
        let mut wanted = number.saturating_mul(FALLBACK_CANDIDATES);
        loop {
            let from = |start: &String| shop.candidates(&fallback.path, start, wanted);
            let Some(mut found) = starts.iter().map(from).find(|found| !found.is_empty()) else { break };
            in_order(items, &mut found);
            gate.prepare(found.iter().map(|candidate| candidate.item));
            for candidate in found.iter().filter(|candidate| gate.admits(candidate.item)) {
                let shown = || (candidate.item, to_units(candidate.score), Origin::Fallback(fallback.path.clone()));
                places.push(candidate.item, shown);
            }
            // Rules may have dropped nearly all: those behind them come next.
            if places.is_full() || found.len() < wanted {
                break;
            }
            wanted = wanted.saturating_mul(FALLBACK_CANDIDATES);
        }
    }
}

/// Where a fallback path begins: at the object's attribute, as the question or the graph has it, else, or where nothing is
/// found from there, at a fixed object.
fn starts_of<S: Shop + ?Sized>(shop: &S, fallback: &Fallback, request: &Request<'_>) -> Vec<String> {
    if fallback.own {
        return vec![request.subject.to_owned()];
    }
    let known = fallback.by.as_ref().and_then(|attribute| {
        let told = request.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.clone());
        as_text(told.unwrap_or_else(|| shop.subject_attribute(request.subject, attribute)))
    });
    known.into_iter().chain(fallback.at.clone()).collect()
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
