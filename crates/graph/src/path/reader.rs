//! Asking a path over a graph that others write meanwhile.

use super::explain::Because;
use super::fixed::{score, units};
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
    ///
    /// Explained ones have the scores that their parts sum up to, also where the graph changes between the list and the
    /// parts; what has lost its way meanwhile is left out.
    pub fn walk(&self, start: &str, n: usize, explain: bool) -> Option<Walked> {
        let id = self.graph.id(self.path.from, start)?;
        let lent = self.lent().pop();
        let mut scratch = lent.unwrap_or_else(|| Scratch::keeping(self.keeping.clone()));
        let found = self.path.find(&*self.graph, id, n, &mut scratch);
        let mut neighbours: Vec<_> = found
            .into_iter()
            .filter_map(|found| {
                let (found, because) = match explain {
                    true => self.explained(id, found, &mut scratch)?,
                    false => (found, None),
                };
                Some(WalkedTo { attributes: self.attributes(self.path.to, found.object), found, because })
            })
            .collect();
        if explain {
            neighbours
                .sort_by(|a, b| b.found.score.total_cmp(&a.found.score).then_with(|| a.found.name.cmp(&b.found.name)));
        }
        self.lent().push(scratch);
        Some(Walked { attributes: self.attributes(self.path.from, id), neighbours })
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object with the parts of its score, and the score as they have it.
    fn explained(&self, start: ObjectId, found: Found, scratch: &mut Scratch) -> Option<(Found, Option<Vec<Because>>)> {
        let (total, because) = self.path.explain(&*self.graph, start, found.object, scratch)?;
        let score = if units(found.score) == total { found.score } else { score(total) };
        Some((Found { score, ..found }, Some(because)))
    }

    fn attributes(&self, kind: KindId, object: ObjectId) -> Vec<(String, Value)> {
        let attributes = self.catalogue[kind].attributes.iter().enumerate();
        let values =
            attributes.map(|(place, attribute)| (attribute.name.clone(), self.graph.attribute(kind, object, place)));
        values.filter(|(_, value)| *value != Value::Null).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RelationRules;
    use crate::catalogue::{Kind, Relation};
    use crate::graph::RelationId;
    use crate::live::LiveGraph;
    use crate::path::{Declaration, DeclaredSelect, DeclaredStep, Shape, link};
    use std::collections::BTreeMap;

    /// Where the graph changes between a list and its explanations, the list says what they sum up to.
    #[test]
    fn what_is_explained_has_the_score_of_its_parts() {
        let kind = Kind { name: "thing".into(), attributes: Vec::new() };
        let (subject, object) = (KindId(0), KindId(0));
        let relation = Relation { name: "likes".into(), subject, object, timed: false, attributes: Vec::new() };
        let catalogue = Catalogue { kinds: vec![kind], relations: vec![relation] };
        let step = DeclaredStep::Hop { relation: "likes".into(), reverse: false, select: DeclaredSelect::default() };
        let declared = BTreeMap::from([("liked".to_owned(), Declaration { step, shape: Shape::default() })]);
        let paths = link(&declared, &catalogue, &|_, _| Err(String::new())).expect("the path is right");
        let path = Arc::clone(paths.get("liked").expect("it was declared"));
        let graph = Arc::new(LiveGraph::new(catalogue.clone(), &[RelationRules::default()], 1));
        graph.relate(RelationId(0), vec![1], vec![2], vec![3], Vec::new());
        let reader = WalkReader::new(graph, Arc::new(catalogue), path);
        let before = |object| Found { object: ObjectId(object), name: "liked".into(), score: 2.0 };
        let mut scratch = Scratch::default();
        let (found, because) = reader.explained(ObjectId(1), before(2), &mut scratch).expect("it is liked");
        let parts: f64 = because.into_iter().flatten().map(|part| part.score).sum();
        assert_eq!((found.score, parts), (3.0, 3.0));
        assert_eq!(reader.explained(ObjectId(1), before(3), &mut scratch), None, "nothing leads there any more");
    }
}
