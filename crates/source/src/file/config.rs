//! What a file source is told: which files, how records end in them, and where to begin.

use proxima_event::Position;
use std::path::PathBuf;
use std::time::Duration;

/// How long a following source rests between two looks at its files: what comes waits half of that.
const POLL: Duration = Duration::from_millis(10);

/// How long a writer may go on with a file that was rotated away before it reopens the new one.
const ROTATED: Duration = Duration::from_secs(5);

/// How records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One record a line.
    Lines,
    /// Comma-separated values: the first record names the columns, and line ends within quotes do not end a record.
    Csv {
        /// What stands between two fields.
        delimiter: u8,
        /// What encloses a field that holds delimiters or line ends.
        quote: u8,
    },
}

impl Framing {
    /// CSV as most programs write it.
    pub const CSV: Self = Self::Csv { delimiter: b',', quote: b'"' };
}

/// Which files to read, and how.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// The source's name in the job.
    pub source: String,
    /// Each a file, a folder (all regular files in it that are not hidden, by name), or a glob.
    pub paths: Vec<PathBuf>,
    /// How records end.
    pub framing: Framing,
    /// Whether to wait for more once everything is read: growth, new files, rotation.
    pub follow: bool,
    /// Where an earlier run left off. Files that are not named here are read from their beginning.
    pub resume: Vec<Position>,
    /// How long to rest between two looks when following, at the least: looking at many files takes time itself.
    pub poll: Duration,
    /// How long a file that was renamed or deleted must be quiet to count as finished.
    pub rotated: Duration,
}

impl FileConfig {
    /// Reads `path` once, from the beginning.
    #[must_use]
    pub fn new(source: impl Into<String>, path: impl Into<PathBuf>, framing: Framing) -> Self {
        Self {
            source: source.into(),
            paths: vec![path.into()],
            framing,
            follow: false,
            resume: Vec::new(),
            poll: POLL,
            rotated: ROTATED,
        }
    }

    /// Keeps on reading what is added.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Goes on where an earlier run left off.
    #[must_use]
    pub fn resuming(mut self, positions: Vec<Position>) -> Self {
        self.resume = positions;
        self
    }
}
