//! The embedded search index, on tantivy: one folder for each target, written by one thread, read by any number.
//!
//! A row of a target is a document. Its id is the key's values as text, its source the row as JSON, and every column is
//! searchable by its type. Rows come in through [`IndexSink`], requests in Elasticsearch's words through
//! [`IndexReader`], which sees what was flushed last.

mod decimal;
mod directory;
mod error;
mod layout;
mod mapping;
mod reader;
mod rows;
pub mod search;
mod sink;
#[cfg(test)]
mod tests;
mod time;
mod words;

pub use error::IndexError;
pub use reader::{Document, IndexReader};
pub use search::{Answer, Hit, Json, SearchError};
pub use sink::IndexSink;

use arrow::datatypes::SchemaRef;
use layout::Layout;
use std::path::{Path, PathBuf};

/// What an index is to hold.
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// The name: its folder's, and that of its route.
    pub name: String,
    /// The columns of the rows.
    pub schema: SchemaRef,
    /// The columns whose values identify a row. None: the index holds one row.
    pub key: Vec<usize>,
    /// Paths of the STRING columns whose words can be found with `match`; without, all of them.
    pub analysed: Option<Vec<String>>,
}

impl IndexConfig {
    /// An index of these rows in which the words of every STRING column can be found.
    #[must_use]
    pub fn new(name: impl Into<String>, schema: SchemaRef, key: Vec<usize>) -> Self {
        Self { name: name.into(), schema, key, analysed: None }
    }

    /// Whether an index can hold such rows.
    ///
    /// # Errors
    /// When a column has a name that it cannot be searched under.
    pub fn check(&self) -> Result<(), IndexError> {
        Layout::of(&self.name, &self.schema, &self.key, self.analysed.as_deref()).map(drop)
    }
}

/// The folder of an index within the folder of all of them.
fn folder_of(indexes: &Path, name: &str) -> Result<PathBuf, IndexError> {
    let fits = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-' | '.');
    let begins = name.starts_with(|sign: char| sign.is_ascii_alphanumeric());
    if !begins || !name.chars().all(fits) || name.len() > 200 {
        return Err(IndexError::Name(name.to_owned()));
    }
    Ok(indexes.join(name))
}
