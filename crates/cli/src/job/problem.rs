//! What is wrong with a job, and where: every problem names its file and line, its key, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a value was written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file of the job, or one given with `--connect`.
    File(PathBuf),
    /// An override: the whole `KEY=VALUE` of a `--set`.
    Set(String),
}

/// Where in its origin a value stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file or override.
    pub origin: Arc<Origin>,
    /// The line, from 1; 0 when the whole origin is meant.
    pub line: u32,
    /// The column, in characters from 1; 0 when the whole line is meant.
    pub column: u32,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { origin: Arc::new(Origin::File(path.to_path_buf())), line: 0, column: 0 }
    }

    /// The same origin at another line and column.
    #[must_use]
    pub fn at(&self, line: u32, column: u32) -> Self {
        Self { origin: Arc::clone(&self.origin), line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.origin {
            Origin::Set(text) => return write!(f, "--set {text}"),
            Origin::File(path) => write!(f, "{}", path.display())?,
        }
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// Whether a problem stands in the way of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The job cannot run.
    Error,
    /// The job can run, but part of it does nothing.
    Warning,
}

/// One thing that is wrong with a job.
///
/// Shown as `place: key: message; advice`:
///
/// ```
/// use proxima_cli::job::{Place, Problem};
/// let place = Place::file("retail/job.toml".as_ref()).at(3, 8);
/// let problem = Problem::error(&place, "job.zone", "unknown zone \"Mars\"").advise("write an IANA name");
/// assert_eq!(problem.to_string(), "retail/job.toml:3:8: job.zone: unknown zone \"Mars\"; write an IANA name");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The path of the key: `sources.orders.path`. Empty where no key is meant.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead. May be empty.
    pub advice: String,
}

impl Problem {
    /// A problem that stands in the way of a run.
    pub fn error(place: &Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.clone(),
            key: key.into(),
            message: message.into(),
            advice: String::new(),
        }
    }

    /// A problem that a user should know of.
    pub fn warning(place: &Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, key, message) }
    }

    /// Says what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// All that is wrong with a job, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Puts them in the order of files and lines; overrides come last.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
    }

    /// How many of them stand in the way of a run.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
