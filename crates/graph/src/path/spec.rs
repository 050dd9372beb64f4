//! A path as it is evaluated: checked, with names and kinds resolved.

use crate::graph::{Direction, KindId, RelationId};
use crate::live::HOT_WORK;
use crate::path::expression::Expression;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The paths of a job, by name.
#[derive(Clone, Debug, Default)]
pub struct Paths(pub(crate) BTreeMap<String, Arc<Path>>);

impl Paths {
    /// The path of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Path>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Path>)> {
        self.0.iter().map(|(name, path)| (name.as_str(), path))
    }
}

/// A way from an object of one kind to scored objects of another.
#[derive(Clone, Debug)]
pub struct Path {
    /// Its name, unless it was written within another.
    pub name: Option<String>,
    /// Its place among the job's paths, if it has a name.
    pub(crate) number: Option<u32>,
    /// What it begins at.
    pub from: KindId,
    /// What it leads to.
    pub to: KindId,
    /// Its one step or two parts.
    pub step: Step,
    /// What happens to the scores then.
    pub shape: Shape,
}

impl Path {
    /// The hop that the path ends with: its own, or that of its right part.
    #[must_use]
    pub fn last_hop(&self) -> &Hop {
        match &self.step {
            Step::Hop(hop) => hop,
            Step::Jump(jump) => jump.right.last_hop(),
        }
    }

    /// The path's one hop, if it is nothing but a hop.
    pub(crate) fn as_hop(&self) -> Option<&Hop> {
        match &self.step {
            Step::Hop(hop) if self.shape.changes_nothing() => Some(hop),
            _ => None,
        }
    }
}

/// What a path consists of.
#[derive(Clone, Debug)]
pub enum Step {
    /// A walk along one relation.
    Hop(Hop),
    /// A path to objects in the middle, and a path from each of them.
    Jump(Jump),
}

/// A walk along one relation.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The relation.
    pub relation: RelationId,
    /// Which way.
    pub direction: Direction,
    /// What it begins at.
    pub from: KindId,
    /// What it leads to.
    pub to: KindId,
    /// Whether the relation's rows have times.
    pub timed: bool,
    /// Whether several rows may lead to the same object: they differ in their times or attributes.
    pub many: bool,
    /// The columns that an expression of its selector reads.
    pub columns: Option<SchemaRef>,
    /// Which neighbours, with what scores.
    pub select: Select,
}

/// Two paths, one behind the other.
#[derive(Clone, Debug)]
pub struct Jump {
    /// From the beginning to the middle.
    pub left: Arc<Path>,
    /// From the middle to the end.
    pub right: Arc<Path>,
    /// How what goes through the objects in the middle becomes one score.
    pub merger: Merger,
    /// Whether the object at the beginning may be at the end as well.
    pub with_self: bool,
    /// How it is computed.
    pub keep: Keep,
}

/// How a jump is computed. Changes no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// As the planner finds cheaper: from sums that the graph keeps, where gathering an object takes more work than
    /// [`HOT_WORK`].
    #[default]
    Planned,
    /// By going both ways when it is asked for.
    Requested,
    /// From sums that the graph keeps for every object.
    Maintained,
    /// From sums that the graph keeps for the objects that take more work than this, in edges, to gather.
    Above(u64),
}

impl Keep {
    /// From how much work on, in edges, an object has a row of sums.
    pub(super) fn hot_work(self) -> Option<u64> {
        match self {
            Self::Planned => Some(HOT_WORK),
            Self::Requested => None,
            Self::Maintained => Some(0),
            Self::Above(work) => Some(work),
        }
    }
}

/// What happens to a path's scores at its end, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Whether a score is multiplied by ln(N / d): N objects there are at the beginning of the last hop, d of them
    /// lead to this object.
    pub idf: bool,
    /// A score is divided by d to the power of this; 0 changes nothing.
    pub popularity: f64,
    /// A score is multiplied by this.
    pub decay: f64,
    /// How many are kept, the highest scores first.
    pub top: Option<usize>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { idf: false, popularity: 0.0, decay: 1.0, top: None }
    }
}

impl Shape {
    pub(crate) fn changes_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How many of the highest scores before it make up the first `n` behind it; all where it changes scores.
    pub(crate) fn first_of(&self, n: usize) -> usize {
        let keeps_scores = Self { top: None, ..*self }.changes_nothing();
        if keeps_scores { n.min(self.top.unwrap_or(usize::MAX)) } else { usize::MAX }
    }

    /// Whether it needs to know how many objects lead to one.
    #[must_use]
    pub fn needs_degrees(&self) -> bool {
        self.idf || self.popularity != 0.0
    }
}

/// Which neighbours a hop leads to, and with what scores.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// The score of one row. The scores of rows to the same object are added.
    pub row: RowScore,
    /// After how much event time a row counts half, in microseconds.
    pub half_life_us: Option<i64>,
    /// Which objects are kept.
    pub set: Set,
    /// Scores by recency: of n objects kept, the newest has its own, the oldest an n-th of it.
    pub position: bool,
    /// Whether scores are divided by their sum, so that they are the chances of a random walk.
    pub share: bool,
    /// A score is raised to this power.
    pub power: Option<f64>,
}

/// The score of a row.
#[derive(Clone, Debug, Default)]
pub enum RowScore {
    /// Its weight.
    #[default]
    Weight,
    /// What its weight stands for.
    Weights(Vec<(i64, f64)>),
    /// Its weight times what one of its attributes stands for.
    Attribute {
        /// The attribute, by its place.
        attribute: usize,
        /// What the values stand for; others for nothing.
        scores: Vec<(Word, f64)>,
    },
    /// An expression over weight, age, time and attributes.
    Expression(Arc<dyn Expression>),
}

/// A value of an attribute as a job writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(Arc<str>),
}

/// Which of its neighbours a hop keeps. Equals are ordered by their texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Set {
    /// All.
    #[default]
    All,
    /// Those with the newest rows.
    Recent(usize),
    /// Those with the highest scores.
    Top(usize),
    /// A sample of them, the same whenever it is drawn: those whose text, with that of the object at the beginning,
    /// hashes lowest.
    Sample {
        /// How many.
        k: usize,
        /// Another seed gives another sample.
        seed: u64,
    },
}

/// How the parts of a jump become a score. `l` is the score from the beginning to an object in the middle, `r` that from
/// there to the end.
#[derive(Clone, Debug)]
pub enum Merger {
    /// The sum of l·r.
    Sum,
    /// The number of objects in the middle.
    Count,
    /// The greatest l·r.
    Max,
    /// The l·r of the first object in the middle: the one with the highest l.
    First,
    /// The sum of l·r over both ends' norms.
    Cosine,
    /// Objects in the middle over those of either end.
    Jaccard,
    /// The log-likelihood ratio that both ends are independent.
    Llr,
    /// How much more often both ends meet than if they were independent.
    Lift,
    /// Pairs of objects in the middle, each the heavier the less else they have in common.
    Swing(Swing),
    /// Sessions like the one at the beginning.
    Session(Session),
    /// An expression over the parts.
    Expression(Arc<dyn Expression>),
}

impl Merger {
    /// Whether it needs what both ends are related to at all, so that both parts must be hops.
    #[must_use]
    pub fn needs_norms(&self) -> bool {
        matches!(self, Self::Cosine | Self::Jaccard | Self::Llr | Self::Lift)
    }

    /// Whether it needs to know how many objects there are in the middle.
    #[must_use]
    pub fn needs_population(&self) -> bool {
        matches!(self, Self::Llr | Self::Lift)
    }

    /// Its word in a job.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Max => "max",
            Self::First => "first",
            Self::Cosine => "cosine",
            Self::Jaccard => "jaccard",
            Self::Llr => "llr",
            Self::Lift => "lift",
            Self::Swing(_) => "swing",
            Self::Session(_) => "session",
            Self::Expression(_) => "formula",
        }
    }
}

/// The constants of [`Merger::Swing`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swing {
    /// What is added to the number of objects that two in the middle have in common.
    pub alpha: f64,
    /// Whether an object in the middle weighs the less the more it leads to.
    pub weigh: bool,
}

/// The constants of [`Merger::Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// How many of the newest sessions are looked at.
    pub recent: usize,
    /// How many of these, the most alike first, are kept.
    pub neighbours: usize,
}
