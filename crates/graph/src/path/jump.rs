//! Two paths, one behind the other: what goes through the objects in the middle becomes one score for each at the end.

use super::fixed::{Products, rounded};
use super::fold::{Dot, Everything, First, Fold, Matches, Max, Sum};
use super::formulas::{Meeting, cosine};
use super::order::{by_score, by_time, keep_first, sort};
use super::plan::Way;
use super::scratch::Reached;
use super::spec::{Hop, Jump, Merger, Path, Session, Step};
use super::walk::Walk;
use crate::graph::{Graph, NO_TIME, ObjectId};
use std::cmp::Ordering;

impl<G: Graph + ?Sized> Walk<'_, G> {
    /// Puts at least the first `n` objects that a jump leads to, and all that tie with them, into an empty list.
    pub(super) fn jump(&mut self, path: &Path, jump: &Jump, start: ObjectId, n: usize, list: &mut Vec<Reached>) {
        match &jump.merger {
            Merger::Sum => self.sums::<Sum>(path, jump, start, n, list),
            Merger::Cosine => {
                if !self.best_cosines(jump, start, n, list) {
                    self.sums::<Dot>(path, jump, start, usize::MAX, list);
                    self.cosine(jump, start, list);
                }
            }
            Merger::Count | Merger::Jaccard | Merger::Llr | Merger::Lift => {
                if !self.kept_counts(jump, start, list) {
                    self.counts(path, jump, start, list);
                    self.meetings(jump, start, list);
                }
            }
            Merger::Max => self.gather::<Max>(path, jump, start, list),
            Merger::First => self.gather::<First>(path, jump, start, list),
            Merger::Swing(swing) => self.swing(path, jump, *swing, start, list),
            Merger::Session(session) => self.sessions(path, jump, *session, start, list),
            Merger::Expression(expression) => {
                let parts = self.parts::<Everything>(path, jump, start);
                let scores = Everything::evaluate(&parts, expression.as_ref());
                let scored = parts.iter().zip(scores);
                list.extend(scored.map(|((object, _), score)| behind_jump(*object, rounded(score))));
            }
        }
    }

    /// The sums over the middle, kept or gathered: at least the `n` highest, and all that tie with them. `F` adds what
    /// might not fit otherwise.
    fn sums<F: Fold>(&mut self, path: &Path, jump: &Jump, start: ObjectId, n: usize, list: &mut Vec<Reached>) {
        if let Way::Maintained { relation, direction, .. } = jump.way() {
            let mut sums = Vec::new();
            if self.graph.pair_sums(relation, direction, start, &mut sums) {
                let others = sums.into_iter().filter(|(object, _)| jump.with_self || *object != start);
                list.extend(others.map(|(object, sum)| behind_jump(object, score_of_sum(sum))));
                return;
            }
        }
        if !self.narrow_sums(path, jump, start, n, list) {
            self.gather::<F>(path, jump, start, list);
        }
    }

    /// The highest cosines from sums that are kept; false where there are no such, or where all are wanted.
    fn best_cosines(&mut self, jump: &Jump, start: ObjectId, n: usize, list: &mut Vec<Reached>) -> bool {
        let Way::Maintained { relation, direction, .. } = jump.way() else { return false };
        let mut pairs = Vec::new();
        if n == usize::MAX || jump.with_self || !self.graph.best_pairs(relation, direction, start, n, &mut pairs) {
            return false;
        }
        let own = score_of_sum(self.graph.norm2(relation, direction, start));
        let cosines = pairs.iter().map(|pair| rounded(cosine(pair.sum as f64, own, pair.norm2 as f64)));
        list.extend(pairs.iter().zip(cosines).map(|(pair, cosine)| behind_jump(pair.object, cosine)));
        true
    }

    pub(super) fn gather<F: Fold>(&mut self, path: &Path, jump: &Jump, start: ObjectId, list: &mut Vec<Reached>) {
        let parts = self.parts::<F>(path, jump, start);
        list.extend(parts.iter().map(|(object, part)| behind_jump(*object, part.score())));
        self.scratch.keep_entries(parts);
    }

    /// Goes both ways: what reaches each object at the end, folded.
    pub(super) fn parts<F: Fold>(&mut self, path: &Path, jump: &Jump, start: ObjectId) -> Vec<(ObjectId, F)> {
        let mut left = self.scratch.list();
        self.path(&jump.left, start, &mut left);
        if F::IN_ORDER {
            sort(self.graph, jump.left.to, &mut left, by_score);
        }
        let itself = jump.leaves_out(path, start);
        let mut table = self.scratch.table::<F>();
        for (rank, middle) in (0_u32..).zip(&left) {
            if let Step::Hop(hop) = &jump.right.step
                && jump.right.shape.changes_nothing()
                && hop.is_plain()
            {
                self.fold_plain(hop, rank, middle, itself, &mut table);
                continue;
            }
            let right = self.all(&jump.right, middle.object);
            right.entries().each(|reached| {
                if Some(reached.object) != itself {
                    table.at(reached.object).add(rank, middle.score, &reached);
                }
            });
            self.scratch.take_back(right);
        }
        self.scratch.keep_list(left);
        self.scratch.entries(table)
    }

    /// As the general way, without a list between: most jumps end with such a hop.
    fn fold_plain<F: Fold>(
        &mut self,
        hop: &Hop,
        rank: u32,
        middle: &Reached,
        itself: Option<ObjectId>,
        table: &mut super::scratch::Table<F>,
    ) {
        let mut edges = self.scratch.edges();
        self.graph.edges(hop.relation, hop.direction, middle.object, &mut edges);
        for edge in edges.iter().filter(|edge| edge.weight != 0 && Some(edge.other) != itself) {
            let reached = Reached { object: edge.other, time_us: edge.time_us, score: super::hop::weight(edge.weight) };
            table.at(edge.other).add(rank, middle.score, &reached);
        }
        self.scratch.keep_edges(edges);
    }

    fn cosine(&mut self, jump: &Jump, start: ObjectId, list: &mut [Reached]) {
        let (left, right) = jump.hops();
        let own = self.norm2(left, start);
        let back = right.back();
        for reached in list {
            let far = self.norm2(&back, reached.object);
            reached.score = rounded(cosine(reached.score, own, far));
        }
    }

    /// Counts over the middle that are kept, and what follows from them; false where there are no such.
    fn kept_counts(&mut self, jump: &Jump, start: ObjectId, list: &mut Vec<Reached>) -> bool {
        let Way::Maintained { relation, direction, .. } = jump.way() else { return false };
        let mut counts = Vec::new();
        if !self.graph.pair_counts(relation, direction, start, &mut counts) {
            return false;
        }
        let meeting = self.meeting(jump, start);
        let others = counts.iter().filter(|pair| jump.with_self || pair.object != start);
        list.extend(others.map(|pair| {
            let meeting = Meeting { both: pair.count as f64, right: pair.degree as f64, ..meeting };
            behind_jump(pair.object, meeting.score(&jump.merger))
        }));
        true
    }

    fn meetings(&mut self, jump: &Jump, start: ObjectId, list: &mut [Reached]) {
        if matches!(jump.merger, Merger::Count) {
            return;
        }
        let (meeting, back) = (self.meeting(jump, start), jump.hops().1.back());
        let degrees = self.degrees(&back, list);
        for (reached, degree) in list.iter_mut().zip(degrees) {
            let meeting = Meeting { both: reached.score, right: degree as f64, ..meeting };
            reached.score = meeting.score(&jump.merger);
        }
    }

    /// A meeting of an object with one that nothing is known of: as much of it as the merger asks for.
    fn meeting(&mut self, jump: &Jump, start: ObjectId) -> Meeting {
        let mut meeting = Meeting { both: 0.0, left: 0.0, right: 0.0, all: 0.0 };
        if jump.merger.needs_norms() {
            meeting.left = self.degree(jump.hops().0, start) as f64;
        }
        if jump.merger.needs_population() {
            meeting.all = self.graph.population(jump.left.to) as f64;
        }
        meeting
    }

    /// The sum of the squares of an object's scores along a hop, of whatever the hop may select.
    fn norm2(&mut self, hop: &Hop, object: ObjectId) -> f64 {
        if hop.select.is_weight() {
            let exact = self.graph.norm2(hop.relation, hop.direction, object);
            if Products::is_norm(exact) {
                return score_of_sum(exact);
            }
        }
        let (mut list, mut norm2) = (self.scratch.list(), Products::default());
        self.neighbours(hop, object, &mut list);
        list.iter().for_each(|reached| norm2.add(reached.score * reached.score));
        self.scratch.keep_list(list);
        norm2.sum()
    }

    /// How many objects have a score along a hop, of whatever it may select.
    fn degree(&mut self, hop: &Hop, object: ObjectId) -> u64 {
        if hop.select.is_weight() {
            return self.graph.degree(hop.relation, hop.direction, object);
        }
        let mut list = self.scratch.list();
        self.neighbours(hop, object, &mut list);
        let degree = list.len() as u64;
        self.scratch.keep_list(list);
        degree
    }

    /// The same for all objects of a list.
    fn degrees(&mut self, hop: &Hop, list: &[Reached]) -> Vec<u64> {
        if hop.select.is_weight() {
            return self.known_degrees(hop.relation, hop.direction, list);
        }
        list.iter().map(|reached| self.degree(hop, reached.object)).collect()
    }

    fn sessions(&mut self, path: &Path, jump: &Jump, session: Session, start: ObjectId, list: &mut Vec<Reached>) {
        let parts = self.parts::<Matches>(path, jump, start);
        let mut ranks = self.scratch.table::<u32>();
        for (object, part) in parts {
            *ranks.at(object) = part.rank();
            list.push(Reached { object, time_us: part.newest_us(), score: part.score() });
        }
        list.retain(|reached| reached.score != 0.0);
        keep_first(self.graph, path.to, list, session.recent, by_time);
        keep_first(self.graph, path.to, list, session.neighbours, alike);
        for reached in list.iter_mut() {
            let place = f64::from(*ranks.at(reached.object)) + 1.0;
            let fades = if place < 10.0 { 1.0 - place / 10.0 } else { 0.0 };
            *reached = behind_jump(reached.object, rounded(reached.score * fades));
        }
        let ranks = self.scratch.entries(ranks);
        self.scratch.keep_entries(ranks);
    }
}

/// The most alike first; of equals the newest.
fn alike(a: &Reached, b: &Reached) -> Ordering {
    by_score(a, b).then_with(|| by_time(a, b))
}

pub(super) fn behind_jump(object: ObjectId, score: f64) -> Reached {
    Reached { object, time_us: NO_TIME, score }
}

/// A sum of products of weights as a score: what the units of the products would have added up to.
fn score_of_sum(sum: i128) -> f64 {
    #[cold]
    #[inline(never)]
    fn wide(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| wide(sum), |sum| sum as f64)
}

impl Jump {
    /// The object that is no neighbour of itself.
    pub(super) fn leaves_out(&self, path: &Path, start: ObjectId) -> Option<ObjectId> {
        (path.from == path.to && !self.with_self).then_some(start)
    }

    /// Both parts of a jump whose merger needs norms.
    pub(super) fn hops(&self) -> (&Hop, &Hop) {
        let hops = self.left.as_hop().zip(self.right.as_hop());
        hops.expect("linking allows such a merger between hops alone")
    }
}

impl Hop {
    /// Whether all neighbours count as their weights, and each has one row.
    pub(super) fn is_plain(&self) -> bool {
        !self.many && self.select.is_plain()
    }

    /// The same relation with the same scores of rows, the other way.
    pub(super) fn back(&self) -> Self {
        Self { direction: self.direction.back(), from: self.to, to: self.from, ..self.clone() }
    }
}
