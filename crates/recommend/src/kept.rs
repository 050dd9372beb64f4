//! Answers that were given, for whoever asks the same while nothing changes.

use crate::recommend::Request;
use crate::service::Recommended;
use hashbrown::HashTable;
use proxima_event::hash::hash_str;
use proxima_graph::Version;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts, each with a lock: so many threads that ask hardly meet.
const PARTS: usize = 16;

/// How many items the answers of a part hold at the most: over all parts some 40 MiB.
const ITEMS: usize = 8 << 10;

/// What was asked: for whom, how many, by what name, and which variant answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a str,
    pub(crate) variant: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) number: Option<usize>,
}

/// Answers, all of one version of what they are made of.
#[derive(Default)]
pub(crate) struct KeptAnswers([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    version: Option<Version>,
    answers: HashTable<Entry>,
    items: usize,
}

struct Entry {
    name: Box<str>,
    subject: Box<str>,
    number: Option<usize>,
    found: Arc<Recommended>,
}

impl KeptAnswers {
    /// The answer to a question, if it was kept at this version. What is of another one is forgotten.
    pub(crate) fn get(&self, version: Version, question: Question<'_>) -> Option<Arc<Recommended>> {
        let hash = hash_str(question.subject);
        let part = self.part(version, hash);
        part.answers.find(hash, |entry| entry.question() == question).map(|entry| Arc::clone(&entry.found))
    }

    /// Keeps an answer, if there is room. When there is none, all wait for a change: then there will be.
    pub(crate) fn put(&self, version: Version, question: Question<'_>, found: &Arc<Recommended>) {
        let hash = hash_str(question.subject);
        let mut part = self.part(version, hash);
        // An empty list is not for nothing either.
        let items = found.answer.items.len() + 1;
        let is_there = part.answers.find(hash, |entry| entry.question() == question).is_some();
        if !is_there && part.items + items <= ITEMS {
            part.items += items;
            let (name, subject, number) = (question.name.into(), question.subject.into(), question.number);
            let entry = Entry { name, subject, number, found: Arc::clone(found) };
            part.answers.insert_unique(hash, entry, |entry| hash_str(&entry.subject));
        }
    }

    /// The part of a hash, with nothing of another version.
    fn part(&self, version: Version, hash: u64) -> MutexGuard<'_, Part> {
        let mut part = self.0[(hash >> 32) as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner);
        if part.version != Some(version) {
            *part = Part { version: Some(version), ..Part::default() };
        }
        part
    }
}

impl Entry {
    fn question(&self) -> Question<'_> {
        Question { name: &self.name, variant: &self.found.variant, subject: &self.subject, number: self.number }
    }
}

impl Request<'_> {
    /// Whether it says nothing but for whom and how many.
    pub(crate) fn is_plain(&self) -> bool {
        let Self { subject: _, number: _, seen, candidates, filters, attributes } = self;
        seen.is_empty() && candidates.is_none() && filters.is_empty() && attributes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::{Answer, Item, Origin};
    use proxima_graph::ObjectId;

    const V: Version = Version { changes: 3, forgotten: 1 };

    fn question(subject: &str) -> Question<'_> {
        Question { name: "home", variant: "one", subject, number: None }
    }

    fn found(items: u32) -> Arc<Recommended> {
        let item =
            |id: u32| Item { item: id.to_string().into(), object: ObjectId(id), units: 1, origin: Origin::Ranked };
        let answer = Answer { items: (0..items).map(item).collect() };
        Arc::new(Recommended { variant: "one".into(), answer, ..Recommended::default() })
    }

    #[test]
    fn the_same_question_has_its_answer_until_something_changes() {
        let kept = KeptAnswers::default();
        kept.put(V, question("ann"), &found(5));
        assert_eq!(kept.get(V, question("ann")), Some(found(5)));
        for other in [
            question("bob"),
            Question { name: "cart", ..question("ann") },
            Question { variant: "two", ..question("ann") },
            Question { number: Some(10), ..question("ann") },
        ] {
            assert_eq!(kept.get(V, other), None);
        }
        assert_eq!(kept.get(Version { changes: 4, ..V }, question("ann")), None);
        assert_eq!(kept.get(V, question("ann")), None, "nothing is left of what was");
    }

    #[test]
    fn there_is_a_bound() {
        let kept = KeptAnswers::default();
        for subject in 0..40_000 {
            kept.put(V, question(&subject.to_string()), &found(9));
        }
        let there = (0..40_000).filter(|subject| kept.get(V, question(&subject.to_string())).is_some()).count();
        assert!((12_000..=PARTS * ITEMS / 10).contains(&there), "{there}");
    }
}
