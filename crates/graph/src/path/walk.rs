//! Evaluating a path: steps, then the shape of their scores.

use super::fixed::rounded;
use super::kept::{KeptList, List};
use super::memo::{Keeping, Key};
use super::order::{Found, by_score, keep_first, ranked};
use super::scratch::{Reached, Scratch};
use super::spec::{Hop, Path, Shape, Step};
use crate::graph::{Direction, Graph, ObjectId, RelationId, Version};

/// What a list is to be kept by, and what its evaluation began with.
type Begun = (Key, (Version, u64));

/// An evaluation under way.
pub(super) struct Walk<'a, G: ?Sized> {
    pub(super) graph: &'a G,
    pub(super) scratch: &'a mut Scratch,
    /// The version of the graph when the evaluation began, and the time before, where lists are kept: workers change the
    /// version all the time.
    begun: Option<(Version, u64)>,
}

impl Path {
    /// The `n` objects with the highest scores that the path leads to, in order; equal scores by text.
    pub fn find<G: Graph + ?Sized>(&self, graph: &G, start: ObjectId, n: usize, scratch: &mut Scratch) -> Vec<Found> {
        let mut list = scratch.list();
        Walk::new(graph, scratch).best(self, start, n, &mut list);
        let found = ranked(graph, self.to, &mut list, n);
        scratch.keep_list(list);
        found
    }

    /// Puts the `n` objects with the highest scores that the path leads to into an empty list, in no particular order;
    /// texts decide which of equal scores these are.
    pub fn first<G: Graph + ?Sized>(
        &self,
        graph: &G,
        start: ObjectId,
        n: usize,
        scratch: &mut Scratch,
        list: &mut Vec<Reached>,
    ) {
        Walk::new(graph, scratch).best(self, start, n, list);
        keep_first(graph, self.to, list, n, by_score);
    }

    /// Appends all objects that the path leads to, each once, in no particular order.
    pub fn reach<G: Graph + ?Sized>(&self, graph: &G, start: ObjectId, scratch: &mut Scratch, list: &mut Vec<Reached>) {
        if list.is_empty() {
            Walk::new(graph, scratch).path(self, start, list);
            return;
        }
        let mut own = scratch.list();
        Walk::new(graph, scratch).path(self, start, &mut own);
        list.extend_from_slice(&own);
        scratch.keep_list(own);
    }
}

impl<'a, G: Graph + ?Sized> Walk<'a, G> {
    pub(super) fn new(graph: &'a G, scratch: &'a mut Scratch) -> Self {
        let now_us = scratch.kept().map(Keeping::now_us);
        let begun = now_us.and_then(|now_us| Some((graph.version()?, now_us)));
        Self { graph, scratch, begun }
    }

    /// Puts the objects that a path leads to into an empty list.
    pub(super) fn path(&mut self, path: &Path, start: ObjectId, list: &mut Vec<Reached>) {
        self.best(path, start, usize::MAX, list);
    }

    /// Puts at least the first `n` objects that a path leads to, and all that tie with them, into an empty list.
    pub(super) fn best(&mut self, path: &Path, start: ObjectId, n: usize, list: &mut Vec<Reached>) {
        debug_assert!(list.is_empty(), "each path has a list of its own");
        match self.kept(path, start, n) {
            Ok(kept) => kept.entries().each(|reached| list.push(reached)),
            Err(key) => self.make(path, start, (n, key), list),
        }
    }

    /// The objects that a path leads to. What is kept is not copied.
    pub(super) fn all(&mut self, path: &Path, start: ObjectId) -> List {
        match self.kept(path, start, usize::MAX) {
            Ok(kept) => List::Kept(kept),
            Err(key) => {
                let mut list = self.scratch.list();
                self.make(path, start, (usize::MAX, key), &mut list);
                List::Own(list)
            }
        }
    }

    /// A list that is kept, or else what it is to be kept by, if it is.
    fn kept(&self, path: &Path, start: ObjectId, n: usize) -> Result<KeptList, Option<Begun>> {
        let Some(keeping) = self.scratch.kept() else { return Err(None) };
        let Some((key, begun)) = path.kept_by(start, n).zip(self.begun) else { return Err(None) };
        keeping.get(key, begun.0).ok_or(Some((key, begun)))
    }

    fn make(&mut self, path: &Path, start: ObjectId, (n, key): (usize, Option<Begun>), list: &mut Vec<Reached>) {
        let Some((key, begun)) = key else { return self.evaluate(path, start, n, list) };
        let (begin_us, (_, start, n)) = (self.keeping().now_us(), key);
        self.evaluate(path, start, n, list);
        keep_first(self.graph, path.to, list, n, by_score);
        self.keeping().put(key, begun, begin_us, list);
    }

    fn keeping(&self) -> &Keeping {
        self.scratch.kept().expect("who has none asks for none")
    }

    fn evaluate(&mut self, path: &Path, start: ObjectId, n: usize, list: &mut Vec<Reached>) {
        match &path.step {
            Step::Hop(hop) => self.hop(hop, start, list),
            Step::Jump(jump) => self.jump(path, jump, start, path.shape.first_of(n), list),
        }
        if !path.shape.changes_nothing() {
            self.shape(&path.shape, path.last_hop(), list);
        }
        if matches!(path.step, Step::Jump(_)) || !path.shape.changes_nothing() {
            list.retain(|reached| reached.score != 0.0);
        }
        if let Some(top) = path.shape.top {
            keep_first(self.graph, path.to, list, top, by_score);
        }
    }

    fn shape(&self, shape: &Shape, last: &Hop, list: &mut [Reached]) {
        if !shape.needs_degrees() {
            return list.iter_mut().for_each(|reached| reached.score = rounded(reached.score * shape.decay));
        }
        let all = if shape.idf { self.graph.population(last.from) } else { 0 };
        let degrees = self.known_degrees(last.relation, last.direction.back(), list);
        for (reached, degree) in list.iter_mut().zip(degrees) {
            // A score led here, so the degree is 1 at the least, also where weights of several times cancel out.
            let (mut score, degree) = (reached.score, degree.max(1) as f64);
            if shape.idf {
                score *= (all as f64 / degree).ln();
            }
            if shape.popularity != 0.0 {
                score /= degree.powf(shape.popularity);
            }
            reached.score = rounded(score * shape.decay);
        }
    }

    /// The degrees of all objects of a list that the graph knows of.
    pub(super) fn known_degrees(&self, relation: RelationId, direction: Direction, list: &[Reached]) -> Vec<u64> {
        let ids: Vec<ObjectId> = list.iter().map(|reached| reached.object).collect();
        let mut degrees = Vec::with_capacity(ids.len());
        self.graph.degrees(relation, direction, &ids, &mut degrees);
        degrees
    }
}
