//! A shop as it is kept in a store: lists of paths, what relations drop, attributes. For a process that has no run.
//!
//! Items get numbers for one question at a time, in the order in which they come. What is asked of many items is read at
//! once. When the store cannot be read the question goes on with nothing, and is not answered.

use crate::recommend::Request;
use crate::service::Asks;
use crate::shop::{Candidate, Shop};
use proxima_event::StoreError;
use proxima_graph::{ObjectId, Value};
use proxima_publish::{AttributeReader, ListReader};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is kept for a recommendation, by the names in the job.
#[derive(Default)]
pub struct StoredShop {
    /// The lists of paths.
    pub lists: BTreeMap<String, ListReader>,
    /// What relations lead to from who is recommended to.
    pub related: BTreeMap<String, ListReader>,
    /// The attributes of who is recommended to.
    pub subjects: Option<AttributeReader>,
    /// The attributes of items.
    pub items: Option<AttributeReader>,
}

impl Asks for StoredShop {
    fn ask(&self, work: &mut dyn FnMut(&dyn Shop)) -> Result<(), StoreError> {
        let question = Question { shop: self, known: RefCell::default() };
        work(&question);
        question.known.into_inner().failed.map_or(Ok(()), Err)
    }

    fn is_far(&self) -> bool {
        true
    }
}

/// The shop while one question is answered.
struct Question<'a> {
    shop: &'a StoredShop,
    known: RefCell<Known>,
}

/// What a question has met.
#[derive(Default)]
struct Known {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    /// The attributes of items that were read.
    items: HashMap<u32, Vec<Value>>,
    subject: Option<Vec<Value>>,
    failed: Option<StoreError>,
}

impl Known {
    fn number(&mut self, text: &str) -> ObjectId {
        if let Some(&number) = self.numbers.get(text) {
            return ObjectId(number);
        }
        let number = u32::try_from(self.texts.len()).expect("a question meets fewer than 2^31 items");
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        ObjectId(number)
    }

    /// What was read; nothing when it could not be, now or before.
    fn take<T: Default>(&mut self, read: impl FnOnce() -> Result<T, StoreError>) -> T {
        if self.failed.is_some() {
            return T::default();
        }
        read().unwrap_or_else(|error| {
            self.failed = Some(error);
            T::default()
        })
    }
}

impl Question<'_> {
    /// The objects of a list with their scores.
    fn list(&self, reader: Option<&ListReader>, object: &str, n: usize) -> Vec<Candidate> {
        let Some(reader) = reader else { return Vec::new() };
        let known = &mut *self.known.borrow_mut();
        let items = known.take(|| reader.read(object, n)).unwrap_or_default();
        items.into_iter().map(|item| Candidate { item: known.number(&item.id), score: item.score }).collect()
    }

    fn value(&self, item: ObjectId, place: usize) -> Value {
        let known = self.known.borrow();
        known.items.get(&item.0).and_then(|values| values.get(place).cloned()).unwrap_or(Value::Null)
    }
}

fn place(reader: &AttributeReader, attribute: &str) -> Option<usize> {
    reader.attributes().iter().position(|known| known.name == attribute)
}

impl Shop for Question<'_> {
    fn item(&self, text: &str) -> Option<ObjectId> {
        Some(self.known.borrow_mut().number(text))
    }

    fn text(&self, item: ObjectId) -> Option<Arc<str>> {
        self.known.borrow().texts.get(item.0 as usize).cloned()
    }

    fn candidates(&self, path: &str, start: &str, n: usize) -> Vec<Candidate> {
        self.list(self.shop.lists.get(path), start, n)
    }

    fn related(&self, relation: &str, subject: &str) -> Vec<ObjectId> {
        let found = self.list(self.shop.related.get(relation), subject, usize::MAX);
        found.into_iter().map(|candidate| candidate.item).collect()
    }

    fn subject_attribute(&self, subject: &str, attribute: &str) -> Value {
        let Some(reader) = &self.shop.subjects else { return Value::Null };
        let Some(place) = place(reader, attribute) else { return Value::Null };
        let known = &mut *self.known.borrow_mut();
        if known.subject.is_none() {
            let read = known.take(|| reader.read(&[subject]));
            known.subject = read.into_iter().next();
        }
        known.subject.as_ref().and_then(|values| values.get(place).cloned()).unwrap_or(Value::Null)
    }

    fn prepare(&self, items: &[ObjectId]) {
        let Some(reader) = &self.shop.items else { return };
        let known = &mut *self.known.borrow_mut();
        let unknown = |item: &&ObjectId| !known.items.contains_key(&item.0);
        let wanted: Vec<(u32, Arc<str>)> = items
            .iter()
            .filter(unknown)
            .filter_map(|item| Some((item.0, Arc::clone(known.texts.get(item.0 as usize)?))))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let texts: Vec<&str> = wanted.iter().map(|(_, text)| &**text).collect();
        let values = known.take(|| reader.read(&texts));
        known.items.extend(wanted.iter().map(|(item, _)| *item).zip(values));
    }

    fn item_attribute(&self, item: ObjectId, attribute: &str) -> Value {
        let Some(place) = self.shop.items.as_ref().and_then(|reader| place(reader, attribute)) else {
            return Value::Null;
        };
        self.prepare(&[item]);
        self.value(item, place)
    }

    fn items_attribute(&self, items: &[ObjectId], attribute: &str) -> Vec<Value> {
        self.prepare(items);
        items.iter().map(|&item| self.item_attribute(item, attribute)).collect()
    }

    fn item_attributes(&self, item: ObjectId) -> Vec<(Arc<str>, Value)> {
        let Some(reader) = &self.shop.items else { return Vec::new() };
        self.prepare(&[item]);
        let values =
            (0..).zip(reader.attributes()).map(|(place, of)| (of.name.as_str().into(), self.value(item, place)));
        values.filter(|(_, value)| *value != Value::Null).collect()
    }

    /// Models are where the run is.
    fn rank(&self, _model: &str, _request: &Request<'_>, items: &[ObjectId]) -> Vec<i64> {
        vec![0; items.len()]
    }

    fn rank_parts(&self, _model: &str, _request: &Request<'_>, _item: ObjectId) -> Vec<(String, i64)> {
        Vec::new()
    }
}
