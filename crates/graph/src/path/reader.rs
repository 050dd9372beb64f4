//! Asking a path over a graph that others write meanwhile.

use super::explain::Because;
use super::memo::{Keeping, Memo};
use super::order::Found;
use super::scratch::Scratch;
use super::spec::Path;
use crate::catalogue::Catalogue;
use crate::graph::{Graph, KindId, ObjectId, Value};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers questions to one path. Shared by all threads that serve.
pub struct WalkReader {
    graph: Arc<dyn Graph + Send + Sync>,
    catalogue: Arc<Catalogue>,
    path: Arc<Path>,
    /// What earlier questions left behind; as many as were ever asked at the same time.
    scratch: Mutex<Vec<Scratch>>,
    keeping: Option<Keeping>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Walked {
    /// The attributes of the object at the beginning, with their names.
    pub attributes: Vec<(String, Value)>,
    /// The objects that were found, in order.
    pub neighbours: Vec<WalkedTo>,
}

/// An object that a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct WalkedTo {
    /// Its text and score.
    pub found: Found,
    /// Its attributes, with their names.
    pub attributes: Vec<(String, Value)>,
    /// Why it was found, if that was asked for.
    pub because: Option<Vec<Because>>,
}

impl WalkReader {
    /// A reader of a path over a graph.
    #[must_use]
    pub fn new(graph: Arc<dyn Graph + Send + Sync>, catalogue: Arc<Catalogue>, path: Arc<Path>) -> Self {
        Self { graph, catalogue, path, scratch: Mutex::default(), keeping: None }
    }

    /// The same, keeping lists for later questions, together with others that ask paths of the same job and graph.
    #[must_use]
    pub fn keeping(self, memo: Arc<Memo>) -> Self {
        Self { keeping: Some(Keeping::exact(memo)), ..self }
    }

    /// The `n` objects with the highest scores, or `None` when there is no such object to begin at.
    pub fn walk(&self, start: &str, n: usize, explain: bool) -> Option<Walked> {
        let id = self.graph.id(self.path.from, start)?;
        let lent = self.lent().pop();
        let mut scratch = lent.unwrap_or_else(|| Scratch::keeping(self.keeping.clone()));
        let found = self.path.find(&*self.graph, id, n, &mut scratch);
        let neighbours = found.into_iter().map(|found| WalkedTo {
            because: explain.then(|| self.because(id, found.object, &mut scratch)),
            attributes: self.attributes(self.path.to, found.object),
            found,
        });
        let neighbours = neighbours.collect();
        self.lent().push(scratch);
        Some(Walked { attributes: self.attributes(self.path.from, id), neighbours })
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing when the object has gone since it was found.
    fn because(&self, start: ObjectId, object: ObjectId, scratch: &mut Scratch) -> Vec<Because> {
        self.path.explain(&*self.graph, start, object, scratch).map(|(_, because)| because).unwrap_or_default()
    }

    fn attributes(&self, kind: KindId, object: ObjectId) -> Vec<(String, Value)> {
        let attributes = self.catalogue[kind].attributes.iter().enumerate();
        let values =
            attributes.map(|(place, attribute)| (attribute.name.clone(), self.graph.attribute(kind, object, place)));
        values.filter(|(_, value)| *value != Value::Null).collect()
    }
}
