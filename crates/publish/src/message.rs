//! What supervisors and evaluators say to each other: plain data, in one process over bounded queues.

use crate::trace::Place;
use proxima_graph::Value;
use std::sync::Arc;

/// "What does the path lead to from this master?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReqDirect {
    /// The object at the beginning of the path.
    pub master: u32,
    /// Which attempt it is.
    pub attempt: u64,
}

/// "Who reaches this object in the middle, whose edges have changed?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReqIndirect {
    /// The object that has changed.
    pub through: Changed,
    /// Which attempt it is.
    pub attempt: u64,
}

/// An object whose edges have changed, at a place of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Changed {
    /// The place.
    pub place: Place,
    /// The object.
    pub object: u32,
}

/// A question to an evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// For a list.
    Direct(ReqDirect),
    /// For who is nearer to the masters.
    Indirect(ReqIndirect),
}

/// The answer to a question, back to who asked.
#[derive(Clone, Debug, PartialEq)]
pub struct RetDirect {
    /// What was asked.
    pub request: Request,
    /// What was found.
    pub found: Found,
}

/// What an evaluator found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The list of a master; none when it has been forgotten.
    List(Option<List>),
    /// The objects that are one leg nearer to the masters, and their place.
    Nearer(Place, Vec<u32>),
}

/// What is kept of an object: mostly what a path leads to from it.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// The object's text.
    pub name: Arc<str>,
    /// The newest event time that was known, if any was.
    pub time_us: Option<i64>,
    /// What it holds.
    pub holds: Holds,
}

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    /// Texts and scores, in order.
    Items(Vec<(Arc<str>, f64)>),
    /// Its attributes, in the order of the catalogue.
    Attributes(Vec<Value>),
}

impl Holds {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Items(items) => items.is_empty(),
            Self::Attributes(values) => values.iter().all(|value| *value == Value::Null),
        }
    }
}
