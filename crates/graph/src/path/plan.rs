//! The planner: whether a jump reads sums that the graph keeps, or goes both ways when it is asked for.

use super::spec::{Jump, Keep, Merger, Path, Step};
use crate::graph::{Direction, RelationId};

/// How a jump is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By going both ways.
    Requested(Why),
    /// From the sums over the middle that the graph keeps for the objects where this is less work; for the others by
    /// going both ways.
    Maintained {
        /// The relation that is gone there and back.
        relation: RelationId,
        /// Which way it is left.
        direction: Direction,
        /// What is added up.
        added: Added,
    },
}

/// What is added up for each pair of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// The products of both weights.
    Products,
    /// One for each object in the middle.
    Ones,
}

/// Why a jump is not maintained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The job says so.
    Told,
    /// Its merger needs more than a sum over the middle.
    Merger(&'static str),
    /// One of its parts is a jump, or a path that changes scores.
    NoHops,
    /// It does not go back the way it came.
    NotThereAndBack,
    /// Its selectors depend on more than weights: on age, on attributes, or on other neighbours.
    Selector,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Told => f.write_str("the job says keep = \"requested\""),
            Self::Merger(word) => write!(f, "merger \"{word}\" is no sum over the objects in the middle"),
            Self::NoHops => f.write_str("a part is more than one hop"),
            Self::NotThereAndBack => f.write_str("it does not go back along the relation that it came by"),
            Self::Selector => f.write_str("a selector depends on more than the weights"),
        }
    }
}

impl Jump {
    /// How this jump is computed.
    #[must_use]
    pub fn way(&self) -> Way {
        match (self.keep, self.there_and_back()) {
            (Keep::Requested, _) => Way::Requested(Why::Told),
            (_, Err(why)) => Way::Requested(why),
            (_, Ok(way)) => way,
        }
    }

    /// How it is maintained, if it can be: a sum over the middle that goes along a relation there and back.
    pub(super) fn there_and_back(&self) -> Result<Way, Why> {
        let added = match &self.merger {
            Merger::Sum | Merger::Cosine => Added::Products,
            Merger::Count | Merger::Jaccard | Merger::Llr | Merger::Lift => Added::Ones,
            merger => return Err(Why::Merger(merger.word())),
        };
        let hops = self.left.as_hop().zip(self.right.as_hop());
        let (left, right) = hops.ok_or(Why::NoHops)?;
        if left.relation != right.relation || left.direction != right.direction.back() {
            return Err(Why::NotThereAndBack);
        }
        if !left.select.is_plain() || !right.select.is_plain() {
            return Err(Why::Selector);
        }
        Ok(Way::Maintained { relation: left.relation, direction: left.direction, added })
    }
}

impl Path {
    /// The path's jumps, its own first, with their ways.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        match &self.step {
            Step::Hop(_) => Vec::new(),
            Step::Jump(jump) => [jump.way()].into_iter().chain(jump.left.ways()).chain(jump.right.ways()).collect(),
        }
    }

    /// From how much work on, in edges, an object of a relation has a row, if one of the path's jumps reads rows of what
    /// is added up: the least that a jump wants.
    #[must_use]
    pub fn hot_work(&self, relation: RelationId, added: Added) -> Option<u64> {
        let Step::Jump(jump) = &self.step else { return None };
        let read = Way::Maintained { relation, direction: Direction::Reverse, added };
        let own = if jump.way() == read { jump.keep.hot_work() } else { None };
        let parts = [&jump.left, &jump.right].into_iter().filter_map(|part| part.hot_work(relation, added));
        own.into_iter().chain(parts).min()
    }
}
