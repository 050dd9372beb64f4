//! Paths as a job declares them: names are not looked up yet, and nothing is held against the catalogue.

use super::spec::{Keep, Session, Shape, Swing, Word};
use std::collections::BTreeMap;

/// The declarations of a job, by name.
pub type Declarations = BTreeMap<String, Declaration>;

/// A path as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// A hop or a jump.
    pub step: DeclaredStep,
    /// What happens to the scores at the end.
    pub shape: Shape,
}

/// A hop or a jump.
#[derive(Clone, Debug, PartialEq)]
pub enum DeclaredStep {
    /// `hop = "viewed"`
    Hop {
        /// The relation.
        relation: String,
        /// Whether it is walked from object to subject.
        reverse: bool,
        /// Which neighbours.
        select: DeclaredSelect,
    },
    /// `left = …`, `right = …`
    Jump {
        /// To the middle.
        left: Part,
        /// From the middle.
        right: Part,
        /// How parts become a score.
        merger: DeclaredMerger,
        /// Whether the object at the beginning may be found.
        with_self: bool,
        /// How it is computed.
        keep: Keep,
    },
    /// Something that is known to be wrong: nothing more is told of it, nor of what leads over it.
    Broken,
}

/// A part of a jump: the name of a path, or a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A name.
    Name(String),
    /// A path that has none.
    Path(Box<Declaration>),
}

/// A selector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredSelect {
    /// What values stand for.
    pub scores: Option<Vec<(String, f64)>>,
    /// The attribute whose values these are; without it they are weights.
    pub by: Option<String>,
    /// A formula instead.
    pub formula: Option<Formula>,
    /// After how much event time a row counts half, in microseconds.
    pub half_life_us: Option<i64>,
    /// How many of the newest.
    pub recent: Option<usize>,
    /// How many of the highest scores.
    pub top: Option<usize>,
    /// How many by lot.
    pub sample: Option<usize>,
    /// Which lots.
    pub seed: u64,
    /// Scores by recency.
    pub position: bool,
    /// Scores as chances.
    pub share: bool,
    /// Scores to a power.
    pub power: Option<f64>,
}

/// A merger.
#[derive(Clone, Debug, PartialEq)]
pub enum DeclaredMerger {
    /// One that is known by its word alone.
    Word(MergerWord),
    /// [`super::spec::Merger::Swing`]
    Swing(Swing),
    /// [`super::spec::Merger::Session`]
    Session(Session),
    /// A formula over the parts.
    Formula(Formula),
}

/// What a job computes a score by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formula {
    /// `sql = "…"`: an expression.
    Sql(String),
    /// `function = "…"`: a function by its name, see [`super::Function`].
    Function(String),
}

impl Formula {
    /// The key that it is written at.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Sql(_) => "sql",
            Self::Function(_) => "function",
        }
    }
}

/// The mergers without constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergerWord {
    /// See [`super::spec::Merger::Sum`].
    Sum,
    /// See [`super::spec::Merger::Count`].
    Count,
    /// See [`super::spec::Merger::Max`].
    Max,
    /// See [`super::spec::Merger::First`].
    First,
    /// See [`super::spec::Merger::Cosine`].
    Cosine,
    /// See [`super::spec::Merger::Jaccard`].
    Jaccard,
    /// See [`super::spec::Merger::Llr`].
    Llr,
    /// See [`super::spec::Merger::Lift`].
    Lift,
}

impl MergerWord {
    /// All of them, by their words in a job.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("max", Self::Max),
        ("first", Self::First),
        ("cosine", Self::Cosine),
        ("jaccard", Self::Jaccard),
        ("llr", Self::Llr),
        ("lift", Self::Lift),
    ];
}

impl Word {
    /// A value as the key of a table says it.
    pub(super) fn read(text: &str, kind: crate::catalogue::AttributeKind) -> Option<Self> {
        use crate::catalogue::AttributeKind::{Bool, Float, Int, Text, Time};
        match kind {
            Bool => text.parse().ok().map(Self::Bool),
            Int => text.parse().ok().map(Self::Int),
            Text => Some(Self::Text(text.into())),
            Float | Time => None,
        }
    }
}
