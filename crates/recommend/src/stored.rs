//! A shop as it is kept in a store: lists of paths, what relations drop, attributes. For a process that has no run.
//!
//! Items get numbers for one question at a time, in the order in which they come. What is asked of many items is read at
//! once. When the store cannot be read the question goes on with nothing, and is not answered.

use crate::recommend::Request;
use crate::service::Asks;
use crate::shop::{Candidate, Shop};
use crate::spec::{Recommendation, Start};
use hashbrown::HashMap;
use proxima_event::StoreError;
use proxima_graph::{ObjectId, Value};
use proxima_publish::{AttributeReader, ListReader};
use std::cell::RefCell;
use std::collections::BTreeMap;
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
    known: RefCell<Known<'a>>,
}

/// What a question has met.
#[derive(Default)]
struct Known<'a> {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    lists: Vec<List<'a>>,
    /// The attributes of items that were read.
    items: HashMap<u32, Arc<[Value]>>,
    subject: Option<Arc<[Value]>>,
    failed: Option<StoreError>,
}

/// A list that was read: where it is, whose it is, and what it leads to.
struct List<'a> {
    reader: &'a ListReader,
    object: Box<str>,
    leads_to: Vec<Candidate>,
}

impl<'a> Known<'a> {
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

    fn list(&self, reader: &ListReader, object: &str) -> Option<&List<'a>> {
        self.lists.iter().find(|list| std::ptr::eq(list.reader, reader) && *list.object == *object)
    }

    /// Reads the lists of these that are not known yet, all at once.
    fn read(&mut self, wanted: &[(&'a ListReader, &str)]) {
        let unknown = wanted.iter().filter(|(reader, object)| self.list(reader, object).is_none());
        let unknown: Vec<_> = unknown.copied().collect();
        let first = self.lists.len();
        let list = |&(reader, object): &(_, &str)| List { reader, object: object.into(), leads_to: Vec::new() };
        self.lists.extend(unknown.iter().map(list));
        if self.failed.is_none() {
            let read = ListReader::read_each(&unknown, |place, text, score| {
                let item = self.number(text);
                self.lists[first + place].leads_to.push(Candidate { item, score });
            });
            self.failed = read.err();
        }
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

impl<'a> Question<'a> {
    /// The objects of a list with their scores.
    fn list(&self, reader: Option<&'a ListReader>, object: &str, n: usize) -> Vec<Candidate> {
        let Some(reader) = reader else { return Vec::new() };
        let known = &mut *self.known.borrow_mut();
        known.read(&[(reader, object)]);
        let list = known.list(reader, object).map_or(&[][..], |list| &list.leads_to);
        list[..n.min(list.len())].to_vec()
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

    fn expect(&self, spec: &Recommendation, request: &Request<'_>) {
        let mut wanted = Vec::new();
        for from in &spec.from {
            let Some(reader) = self.shop.lists.get(&from.path) else { continue };
            match from.start {
                Start::Subject => wanted.push((reader, request.subject)),
                Start::Seen => wanted.extend(request.seen.iter().map(|seen| (reader, &**seen))),
            }
        }
        let dropped = spec.rules.drop.iter().filter_map(|drop| self.shop.related.get(drop));
        wanted.extend(dropped.map(|reader| (reader, request.subject)));
        self.known.borrow_mut().read(&wanted);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::recommend;
    use crate::spec::{Feed, Rules};
    use proxima_event::KeyValueRead;
    use proxima_graph::{Attribute, AttributeKind};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Holds two lists of ann's, what she has bought, and prices; notes how many keys each question to it is for.
    #[derive(Default)]
    struct Counting(Mutex<Vec<usize>>);

    impl KeyValueRead for Counting {
        fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.get_each(&[(table, key)])?.pop().flatten())
        }

        fn get_each(&self, keys: &[(&str, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
            self.0.lock().unwrap().push(keys.len());
            let row = |(table, key): &(&str, &[u8])| match (*table, *key) {
                ("one", b"ann") => Some(r#"{"items":[{"id":"a","score":3},{"id":"b","score":1}]}"#),
                ("two", b"ann") => Some(r#"{"items":[{"id":"b","score":2.5},{"id":"c\n","score":1}]}"#),
                ("related.bought", b"ann") => Some(r#"{"items":[{"id":"a","score":1}]}"#),
                ("attributes.item", _) => Some(r#"{"attributes":{"price":4.5}}"#),
                _ => None,
            };
            Ok(keys.iter().map(|key| row(key).map(Into::into)).collect())
        }
    }

    fn shop(store: &Arc<Counting>, time_us: &Arc<AtomicU64>) -> StoredShop {
        let list = |table: &str| ListReader::new(Arc::clone(store) as _, table);
        let lists = ["one", "two"].map(|path| (path.to_owned(), list(path)));
        let price = vec![Attribute { name: "price".into(), kind: AttributeKind::Float }];
        let clock = Arc::clone(time_us);
        let items = AttributeReader::new(Arc::clone(store) as _, "attributes.item", price);
        StoredShop {
            lists: lists.into(),
            related: [("bought".to_owned(), list("related.bought"))].into(),
            subjects: None,
            items: Some(items.keeping(Arc::new(move || clock.load(Relaxed)))),
        }
    }

    #[test]
    fn a_question_is_a_round_trip_for_lists_and_one_for_attributes_now_and_then() {
        let (store, time_us) = (Arc::new(Counting::default()), Arc::new(AtomicU64::new(0)));
        let shop = shop(&store, &time_us);
        let from =
            ["one", "two"].map(|path| Feed { path: path.into(), start: Start::Subject, share: 1.0, candidates: 9 });
        let rules = Rules { drop: vec!["bought".into()], ..Rules::default() };
        let spec = Recommendation { from: from.into(), rules, number: 9, ..Recommendation::default() };
        let ask = || {
            let mut told = Vec::new();
            let mut work = |shop: &dyn Shop| {
                let answer = recommend(shop, &spec, &Request { subject: "ann", ..Request::default() });
                shop.prepare(&answer.items.iter().map(|item| item.object).collect::<Vec<_>>());
                told = answer
                    .items
                    .iter()
                    .map(|item| (item.item.to_string(), shop.item_attributes(item.object)))
                    .collect();
            };
            shop.ask(&mut work).unwrap();
            let price: Vec<(Arc<str>, Value)> = vec![("price".into(), Value::Float(4.5))];
            assert_eq!(told, ["b", "c\n"].map(|item| (item.to_owned(), price.clone())));
            std::mem::take(&mut *store.0.lock().unwrap())
        };
        assert_eq!(ask(), [3, 2], "lists, then attributes");
        assert_eq!(ask(), [3], "attributes are known");
        time_us.store(proxima_publish::lately::LATELY_US + 1, Relaxed);
        assert_eq!(ask(), [3, 2], "but not for long");
    }
}
