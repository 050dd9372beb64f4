//! Points at which a test makes the process die, before and after each step of the protocol.
//!
//! `PROXIMA_FAIL=after-state-file:3` aborts the process the third time that it comes there: no destructor runs, no buffer
//! is flushed. Without the variable a point costs one read of a static.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that names a point, and after a colon how often it is passed before (1 when it is not said: the first
/// time counts).
pub const FAIL_VARIABLE: &str = "PROXIMA_FAIL";

/// A place in the protocol at which a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailPoint {
    /// The log is read, the run has not begun.
    BeforeBegin,
    /// The run has begun, and has read no cuts.
    AfterBegin,
    /// The cuts to replay are known, the run's own file of cuts is not there.
    BeforeFirstCuts,
    /// The run's own file of cuts is there, no source reads.
    AfterFirstCuts,
    /// An epoch was cut, and its end is not durable.
    BeforeCut,
    /// The end of an epoch is durable, and nobody knows.
    AfterCut,
    /// A worker's state is encoded and not written.
    BeforeStateFile,
    /// A worker's state is written.
    AfterStateFile,
    /// All sinks and workers have reported.
    BeforeCommit,
    /// The checkpoint is in the log, offsets are not yet told.
    AfterCommit,
    /// One of several offset stores has been told.
    BetweenOffsets,
    /// All offset stores have been told.
    AfterOffsets,
    /// It is known what may be deleted.
    BeforeSweep,
    /// Some of it is deleted.
    WithinSweep,
    /// All of it is deleted.
    AfterSweep,
}

impl FailPoint {
    /// All points, in the order in which a run comes to them.
    pub const ALL: [Self; 15] = [
        Self::BeforeBegin,
        Self::AfterBegin,
        Self::BeforeFirstCuts,
        Self::AfterFirstCuts,
        Self::BeforeCut,
        Self::AfterCut,
        Self::BeforeStateFile,
        Self::AfterStateFile,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BetweenOffsets,
        Self::AfterOffsets,
        Self::BeforeSweep,
        Self::WithinSweep,
        Self::AfterSweep,
    ];

    /// What the point is called in [`FAIL_VARIABLE`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeBegin => "before-begin",
            Self::AfterBegin => "after-begin",
            Self::BeforeFirstCuts => "before-first-cuts",
            Self::AfterFirstCuts => "after-first-cuts",
            Self::BeforeCut => "before-cut",
            Self::AfterCut => "after-cut",
            Self::BeforeStateFile => "before-state-file",
            Self::AfterStateFile => "after-state-file",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::BetweenOffsets => "between-offsets",
            Self::AfterOffsets => "after-offsets",
            Self::BeforeSweep => "before-sweep",
            Self::WithinSweep => "within-sweep",
            Self::AfterSweep => "after-sweep",
        }
    }
}

/// Dies here if that is asked for.
pub(crate) fn fail_point(point: FailPoint) {
    static ASKED: OnceLock<Option<Asked>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| std::env::var(FAIL_VARIABLE).ok().map(|text| Asked::parse(&text)));
    if let Some(asked) = asked
        && asked.name == point.name()
        && asked.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        eprintln!("{FAIL_VARIABLE}: the process dies at {}", point.name());
        std::process::abort();
    }
}

struct Asked {
    name: String,
    /// The process dies when it comes here so many times more.
    left: AtomicU64,
}

impl Asked {
    fn parse(text: &str) -> Self {
        let (name, times) = text.split_once(':').unwrap_or((text, "1"));
        Self { name: name.to_owned(), left: AtomicU64::new(times.parse().unwrap_or(1)) }
    }
}
