//! Whose lists may change when edges do: a path's hops, walked back.
//!
//! An edge is read by a hop from the object at its start, so lists may change of all masters that reach this object by the
//! hops before. Where scores depend on what else leads to an object at the end (norms, degrees), lists may change of all
//! masters that reach the object at the end. Selectors are not asked: whom they leave out now they may let in next.
//!
//! Walking back over the edges as they are now is enough, also where edges have gone since: the first edge on the way
//! that has gone has told so itself, and all edges before it are still there.

use proxima_graph::path::{Hop, Path, RowScore, Step};
use proxima_graph::{Direction, KindId, RelationId};
use std::collections::BTreeSet;

/// An end of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Its subject.
    Subject,
    /// Its object.
    Object,
}

/// A place on the way back from a change to the masters; [`Place::MASTER`] is where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u16);

impl Place {
    /// Where objects are masters: at the beginning of the path.
    pub const MASTER: Self = Self(0);
}

/// One relation, walked back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The relation.
    pub relation: RelationId,
    /// Which way, seen from the change.
    pub direction: Direction,
    /// Where it leads to.
    pub to: Place,
}

/// How changes find the masters of a path.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// The end of a relation's edges that has a place when they change.
    starts: Vec<(RelationId, End, Place)>,
    /// The leg from each place but the first.
    legs: Vec<Leg>,
    /// Relations whose newest time changes all lists: ages are counted from it.
    times: BTreeSet<RelationId>,
    /// Kinds whose number of objects changes all lists.
    populations: BTreeSet<KindId>,
}

type Walk = Vec<(RelationId, Direction)>;

impl Traces {
    /// The traces of a path.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut traces = Self::default();
        traces.add(path, &Walk::new());
        traces.starts.sort_unstable();
        traces.starts.dedup();
        traces
    }

    /// The traces of all that a relation leads to.
    #[must_use]
    pub fn of_edges(relation: RelationId, direction: Direction) -> Self {
        let end = if direction == Direction::Forward { End::Subject } else { End::Object };
        Self { starts: vec![(relation, end, Place::MASTER)], ..Self::default() }
    }

    /// Where a relation's edges have places when they change.
    pub fn starts(&self, relation: RelationId) -> impl Iterator<Item = (End, Place)> {
        self.starts.iter().filter(move |(of, _, _)| *of == relation).map(|(_, end, place)| (*end, *place))
    }

    /// The most places that a change goes through before it comes to masters.
    #[must_use]
    pub fn places(&self) -> usize {
        self.legs.len()
    }

    /// The relations whose edges matter.
    #[must_use]
    pub fn relations(&self) -> BTreeSet<RelationId> {
        self.starts.iter().map(|(relation, _, _)| *relation).collect()
    }

    /// The leg from a place; none from the masters'.
    #[must_use]
    pub fn leg(&self, place: Place) -> Option<Leg> {
        usize::from(place.0).checked_sub(1).map(|index| self.legs[index])
    }

    /// Relations whose newest time changes all lists.
    #[must_use]
    pub fn times(&self) -> &BTreeSet<RelationId> {
        &self.times
    }

    /// Kinds whose number of objects changes all lists.
    #[must_use]
    pub fn populations(&self) -> &BTreeSet<KindId> {
        &self.populations
    }

    /// Adds what matters to a path behind the hops in `before`.
    fn add(&mut self, path: &Path, before: &Walk) {
        match &path.step {
            Step::Hop(hop) => {
                self.start(hop.relation, near(hop), before);
                if is_aged(hop) {
                    self.times.insert(hop.relation);
                }
            }
            Step::Jump(jump) => {
                self.add(&jump.left, before);
                self.add(&jump.right, &joined(before, &jump.left));
                if jump.merger.needs_norms() {
                    self.start_at_end(path, before);
                }
                if jump.merger.needs_population() {
                    self.populations.insert(jump.left.to);
                }
            }
        }
        if path.shape.needs_degrees() {
            self.start_at_end(path, before);
        }
        if path.shape.idf {
            self.populations.insert(path.last_hop().from);
        }
    }

    fn start_at_end(&mut self, path: &Path, before: &Walk) {
        let last = path.last_hop();
        let far = if near(last) == End::Subject { End::Object } else { End::Subject };
        self.start(last.relation, far, &joined(before, path));
    }

    fn start(&mut self, relation: RelationId, end: End, before: &Walk) {
        let place = self.place(before);
        self.starts.push((relation, end, place));
    }

    /// The place behind these hops.
    fn place(&mut self, before: &[(RelationId, Direction)]) -> Place {
        let Some(((relation, direction), rest)) = before.split_last() else { return Place::MASTER };
        let leg = Leg { relation: *relation, direction: direction.back(), to: self.place(rest) };
        let index = self.legs.iter().position(|known| *known == leg).unwrap_or_else(|| {
            self.legs.push(leg);
            self.legs.len() - 1
        });
        Place(u16::try_from(index + 1).expect("a path has fewer hops than that"))
    }
}

/// The end of an edge at which a hop starts.
fn near(hop: &Hop) -> End {
    if hop.direction == Direction::Forward { End::Subject } else { End::Object }
}

/// Whether scores change as time goes on. An expression may ask for the age.
fn is_aged(hop: &Hop) -> bool {
    hop.timed && (hop.select.half_life_us.is_some() || matches!(hop.select.row, RowScore::Expression(_)))
}

/// The hops before a path and its own.
fn joined(before: &Walk, path: &Path) -> Walk {
    let mut walk = before.clone();
    append(path, &mut walk);
    walk
}

fn append(path: &Path, walk: &mut Walk) {
    match &path.step {
        Step::Hop(hop) => walk.push((hop.relation, hop.direction)),
        Step::Jump(jump) => {
            append(&jump.left, walk);
            append(&jump.right, walk);
        }
    }
}
