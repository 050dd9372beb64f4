//! What a recommendation asks: paths, relations, attributes and models, by their names in the job. Items have numbers here;
//! their texts are looked up where they come in, where they decide, and where they go out.

use crate::recommend::Request;
use crate::spec::Recommendation;
use proxima_graph::{ObjectId, Value, Version};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// An object that a path leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its number.
    pub item: ObjectId,
    /// The path's score.
    pub score: f64,
}

/// Answers a recommendation's questions. An object that is not known has no candidates, relations and attributes.
pub trait Shop {
    /// The item of a text, if it is known.
    fn item(&self, text: &str) -> Option<ObjectId>;

    /// The text of an item, unless it was forgotten since.
    fn text(&self, item: ObjectId) -> Option<Arc<str>>;

    /// The order of the texts of two items.
    fn compare(&self, left: ObjectId, right: ObjectId) -> Ordering {
        self.text(left).cmp(&self.text(right))
    }

    /// The `n` best objects that a path leads to, in no particular order; texts decide which of equals these are.
    fn candidates(&self, path: &str, start: &str, n: usize) -> Vec<Candidate>;

    /// The objects that a relation leads to from an object.
    fn related(&self, relation: &str, subject: &str) -> Vec<ObjectId>;

    /// An attribute of the object that is recommended to.
    fn subject_attribute(&self, subject: &str, attribute: &str) -> Value;

    /// The version of all that this shop answers from but models, if it has not changed for so long that the same question
    /// would have the same answer until it does.
    fn at_rest(&self) -> Option<Version> {
        None
    }

    /// Says what is going to be asked: a shop that is far away reads what that needs at once.
    fn expect(&self, _spec: &Recommendation, _request: &Request<'_>) {}

    /// Says which items' attributes are asked for next: a shop that is far away reads them at once.
    fn prepare(&self, _items: &[ObjectId]) {}

    /// An attribute of an item.
    fn item_attribute(&self, item: ObjectId, attribute: &str) -> Value;

    /// An attribute of many items.
    fn items_attribute(&self, items: &[ObjectId], attribute: &str) -> Vec<Value> {
        items.iter().map(|&item| self.item_attribute(item, attribute)).collect()
    }

    /// The attributes of an item that are known, for those who show it.
    fn item_attributes(&self, _item: ObjectId) -> Vec<(Arc<str>, Value)> {
        Vec::new()
    }

    /// The units of the log odds that a model gives each item for who asks.
    fn rank(&self, model: &str, request: &Request<'_>, items: &[ObjectId]) -> Vec<i64>;

    /// The features of a model and what each adds for an item: these sum to what [`rank`](Self::rank) gives.
    fn rank_parts(&self, model: &str, request: &Request<'_>, item: ObjectId) -> Vec<(String, i64)>;
}

/// The items of a question: those that the shop knows, and those that are only named.
pub(crate) struct Items<'a, S: ?Sized> {
    shop: &'a S,
    unknown: Vec<Arc<str>>,
    /// The places of those that are not known: a question may name very many.
    places: HashMap<Arc<str>, u32>,
}

impl<'a, S: Shop + ?Sized> Items<'a, S> {
    pub(crate) fn new(shop: &'a S) -> Self {
        Self { shop, unknown: Vec::new(), places: HashMap::new() }
    }

    /// The item of a text. Those that are not known get numbers from above, which a shop gives last.
    pub(crate) fn of(&mut self, text: &str) -> ObjectId {
        self.shop.item(text).unwrap_or_else(|| {
            let place = self.places.get(text).copied().unwrap_or_else(|| {
                let place = u32::try_from(self.unknown.len()).expect("a question names fewer than 2^32 items");
                let text: Arc<str> = text.into();
                self.unknown.push(Arc::clone(&text));
                self.places.insert(text, place);
                place
            });
            ObjectId(u32::MAX - place)
        })
    }

    pub(crate) fn text(&self, item: ObjectId) -> Option<Arc<str>> {
        self.shop.text(item).or_else(|| self.unknown.get((u32::MAX - item.0) as usize).cloned())
    }

    /// The order of the texts of two items.
    pub(crate) fn compare(&self, left: ObjectId, right: ObjectId) -> Ordering {
        match self.unknown.is_empty() {
            true => self.shop.compare(left, right),
            false => self.text(left).cmp(&self.text(right)),
        }
    }
}
