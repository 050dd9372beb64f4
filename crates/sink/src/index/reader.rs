//! Reads an index: searches, single documents, counts. Cheap to clone, and free to use from any thread.

use super::directory::CommitDirectory;
use super::layout::Layout;
use super::mapping::{Mapping, VERSION};
use super::search::{self, Answer, SearchError};
use super::{IndexError, folder_of, words};
use serde_json::Value;
use serde_json::value::RawValue;
use std::path::Path;
use std::sync::Arc;
use tantivy::collector::TopDocs;
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocAddress, Index, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term};

/// Blocks of sources that each segment keeps unpacked, 16 kB each.
const SOURCE_BLOCKS: usize = 8;

/// A handle that sees what was flushed last.
#[derive(Clone)]
pub struct IndexReader {
    reader: tantivy::IndexReader,
    mapping: Arc<Mapping>,
}

/// One document by its id.
#[derive(Clone, Debug)]
pub struct Document {
    /// The key's values as text.
    pub id: String,
    /// The version of the write that made it.
    pub version: u64,
    /// The row as JSON, with every digit of its decimals.
    pub source: Box<RawValue>,
}

impl IndexReader {
    /// Opens the index of this name inside of `indexes` for reading alone, without its job. It sees what was flushed
    /// before, whether or not a job is writing now; [`IndexReader::reload`] shows it what came later.
    ///
    /// # Errors
    /// When there is no such index or it cannot be read.
    pub fn open(indexes: &Path, name: &str) -> Result<Self, IndexError> {
        let folder = folder_of(indexes, name)?;
        let layout = Layout::load(&folder)?.ok_or_else(|| IndexError::Missing(folder.clone()))?;
        let mut index = CommitDirectory::open(&folder)
            .map_err(TantivyError::from)
            .and_then(Index::open)
            .map_err(|error| IndexError::tantivy(&folder, &error))?;
        index.set_tokenizers(words::analysers());
        Self::over(&index, Arc::new(Mapping::new(layout)), &folder)
    }

    pub(super) fn over(index: &Index, mapping: Arc<Mapping>, folder: &Path) -> Result<Self, IndexError> {
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(SOURCE_BLOCKS)
            .try_into()
            .map_err(|error: TantivyError| IndexError::tantivy(folder, &error))?;
        Ok(Self { reader, mapping })
    }

    /// Shows what was committed since. The sink does this for its own readers at each flush.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn reload(&self) -> Result<(), TantivyError> {
        self.reader.reload()
    }

    /// The index's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.mapping.layout.name
    }

    /// The searchable fields, each with its SQL type, in the order of the columns.
    pub fn fields(&self) -> impl Iterator<Item = (&str, String)> {
        self.mapping.layout.fields.iter().map(|field| (field.path.as_str(), field.kind.to_string()))
    }

    /// How many documents there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Answers a request in Elasticsearch's shape; see [`search`].
    ///
    /// # Errors
    /// When the request is not understood, asks for too much, or the index cannot be read.
    pub fn search(&self, body: &Value) -> Result<Answer, SearchError> {
        search::run(&self.reader.searcher(), &self.mapping, body)
    }

    /// The document with this id, if there is one.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Document>, SearchError> {
        let searcher = self.reader.searcher();
        match self.find(&searcher, id)? {
            Some(address) => Ok(Some(read(&searcher, &self.mapping, address)?)),
            None => Ok(None),
        }
    }

    /// The version of the document with this id.
    pub(super) fn version_of(&self, id: &str) -> Result<Option<u64>, TantivyError> {
        let searcher = self.reader.searcher();
        let Some(address) = self.find(&searcher, id)? else { return Ok(None) };
        let column = searcher.segment_reader(address.segment_ord).fast_fields().u64(VERSION)?;
        Ok(column.first(address.doc_id))
    }

    fn find(&self, searcher: &Searcher, id: &str) -> Result<Option<DocAddress>, TantivyError> {
        let query = TermQuery::new(Term::from_field_text(self.mapping.id, id), IndexRecordOption::Basic);
        let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score())?;
        Ok(found.first().map(|&(_, address)| address))
    }
}

/// Reads a document's stored parts.
pub(super) fn read(searcher: &Searcher, mapping: &Mapping, address: DocAddress) -> Result<Document, TantivyError> {
    let stored: TantivyDocument = searcher.doc(address)?;
    let text = |field| stored.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let version = stored.get_first(mapping.version).and_then(|value| value.as_u64()).unwrap_or_default();
    let source = RawValue::from_string(text(mapping.source))
        .map_err(|error| TantivyError::InternalError(format!("a stored source is no JSON: {error}")))?;
    Ok(Document { id: text(mapping.id), version, source })
}
