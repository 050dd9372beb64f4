//! What can go wrong when an index is opened, and how it is told.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why an index cannot be opened.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The name cannot be a folder's.
    #[error("cannot open index {0:?}: a name has letters, digits, '_', '-' and '.', and begins with a letter or digit")]
    Name(String),
    /// There is no such index.
    #[error("cannot open index in {}: there is none", .0.display())]
    Missing(PathBuf),
    /// Another process writes to it.
    #[error("cannot write to index in {}: another process does; stop it or use another data folder", .0.display())]
    Busy(PathBuf),
    /// The target's columns are not those that the folder was made for.
    #[error(
        "cannot open index in {}: the target has changed ({}); start anew with --fresh, which fills it again",
        folder.display(),
        differences.join("; ")
    )]
    Changed {
        /// The index's folder.
        folder: PathBuf,
        /// One sentence for each difference.
        differences: Vec<String>,
    },
    /// A column cannot be searched under its name.
    #[error("cannot index column {column:?} of {index}: it {reason}")]
    Column {
        /// The index's name.
        index: String,
        /// The column's path.
        column: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The files do not make sense.
    #[error("cannot read index in {}: {reason}; start anew with --fresh, which fills it again", folder.display())]
    Damaged {
        /// The index's folder.
        folder: PathBuf,
        /// The cause, in words.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot {tried} {}: {reason}", path.display())]
    Io {
        /// What was tried, as a verb.
        tried: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause, in words.
        reason: String,
    },
}

impl IndexError {
    pub(crate) fn io(tried: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { tried, path: path.to_owned(), reason: error.to_string() }
    }

    pub(crate) fn tantivy(folder: &Path, error: &tantivy::TantivyError) -> Self {
        match error {
            tantivy::TantivyError::LockFailure(..) => Self::Busy(folder.to_owned()),
            other => Self::Damaged { folder: folder.to_owned(), reason: other.to_string() },
        }
    }
}
