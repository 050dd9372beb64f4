//! Writes an epoch's net rows into the index.
//!
//! **Cost.** One indexing thread with 15 MB of memory (tantivy's least), one merging thread. A flush is a commit: the
//! rows since the last one become a segment of a handful of small files, each synced, then the list of segments is
//! replaced. That is some 5 to 20 ms on an SSD, so ten of them a second leave most of the time to the rows. The merge
//! policy folds eight small segments into one in the background, and rewrites a segment when a third of it is deleted.
//!
//! **Versions.** A write must lose against a newer one that stands. Within a run the versions of a key only grow, so
//! the standing version is looked up only for writes that are not newer than everything that stood when the index was
//! opened: what a replay of the same generation sends again. The highest committed version is kept with the commit.

use super::directory::CommitDirectory;
use super::layout::Layout;
use super::mapping::Mapping;
use super::reader::IndexReader;
use super::rows::{self, Node};
use super::{IndexConfig, IndexError, folder_of, words};
use proxima_event::encode::{id_text, write_row};
use proxima_event::{Changes, RejectedWrite, Sink, SinkError, Version};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexSettings, IndexWriter, TantivyError, Term};

/// The least that tantivy takes; a fuller buffer only makes an early segment.
const MEMORY_BYTES: usize = 15_000_000;

/// The share of deleted documents from which a segment is rewritten.
const DELETED_MAX: f32 = 0.33;

/// Between two flushes: rows that come one by one are visible at once, but share a commit when they come quickly.
const FLUSH_EVERY_LEAST: Duration = Duration::from_millis(50);

/// With a slow commit before and one behind, a change is still visible within 200 ms.
const FLUSH_EVERY_MOST: Duration = Duration::from_millis(100);

/// Longer terms are not indexed by tantivy, and an id must be.
const ID_BYTES_MAX: usize = 65_000;

/// The sink that keeps an embedded index.
pub struct IndexSink {
    name: String,
    key: Vec<usize>,
    nodes: Vec<Node>,
    mapping: Arc<Mapping>,
    pub(super) writer: IndexWriter,
    reader: IndexReader,
    /// The highest version that stood when the index was opened.
    standing: Option<u64>,
    /// The highest version written.
    newest: Option<u64>,
    /// Whether there are writes that are not committed.
    dirty: bool,
    /// How long the last commit took.
    commit_time: Duration,
    rejected: Vec<RejectedWrite>,
}

impl IndexSink {
    /// Opens the index for writing, in a folder of its name inside `indexes`; it is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used, another process writes to it, or it was made for other columns.
    pub fn open(indexes: &Path, config: &IndexConfig) -> Result<Self, IndexError> {
        let folder = folder_of(indexes, &config.name)?;
        let (layout, nodes) = Layout::of(&config.name, &config.schema, &config.key, config.analysed.as_deref())?;
        std::fs::create_dir_all(&folder).map_err(|error| IndexError::io("make", &folder, &error))?;
        settle_layout(&folder, &layout)?;
        let mapping = Arc::new(Mapping::new(layout));
        let (index, writer) = open_files(&folder, &mapping).map_err(|error| IndexError::tantivy(&folder, &error))?;
        let standing = committed_version(&index).map_err(|error| IndexError::tantivy(&folder, &error))?;
        let reader = IndexReader::over(&index, Arc::clone(&mapping), &folder)?;
        let (name, key) = (config.name.clone(), config.key.clone());
        Ok(Self {
            name,
            key,
            nodes,
            mapping,
            writer,
            reader,
            standing,
            newest: standing,
            dirty: false,
            commit_time: Duration::ZERO,
            rejected: Vec::new(),
        })
    }

    /// A handle that reads what was flushed last. It may outlive the sink.
    #[must_use]
    pub fn reader(&self) -> IndexReader {
        self.reader.clone()
    }

    /// Takes every document out, for a run that starts anew. Readers see the old ones until the next flush.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn clear(&mut self) -> Result<(), SinkError> {
        self.writer.delete_all_documents().map_err(|error| self.failed("clear", &error))?;
        (self.standing, self.newest, self.dirty) = (None, None, true);
        Ok(())
    }

    fn write_batch(&mut self, version: u64, changes: &Changes) -> Result<(), TantivyError> {
        let replay = self.standing.is_some_and(|standing| version <= standing);
        for row in 0..changes.len() {
            let weight = changes.weight(row);
            let id = id_text(&changes.rows, &self.key, row);
            if weight == 0 || (replay && self.stands_newer(&id, version)?) {
                continue;
            }
            if id.len() > ID_BYTES_MAX {
                self.refuse(id, changes, row);
                continue;
            }
            self.writer.delete_term(Term::from_field_text(self.mapping.id, &id));
            if weight > 0 {
                let document = rows::document(&self.mapping, &self.nodes, &changes.rows, row, &id, version);
                self.writer.add_document(document)?;
            }
            self.dirty = true;
        }
        Ok(())
    }

    /// Such a row can never be written, whoever sent it: it must not end the run.
    fn refuse(&mut self, id: String, changes: &Changes, row: usize) {
        let reason = format!("the key has {} bytes as text, at most {ID_BYTES_MAX} are possible", id.len());
        let mut document = Vec::new();
        if changes.weight(row) > 0 {
            write_row(&mut document, &changes.rows, row);
        }
        let document = String::from_utf8_lossy(&document).into_owned();
        self.rejected.push(RejectedWrite { target: self.name.clone(), key: id, reason, document });
    }

    fn stands_newer(&self, id: &str, version: u64) -> Result<bool, TantivyError> {
        Ok(self.reader.version_of(id)?.is_some_and(|standing| standing > version))
    }

    fn commit(&mut self) -> Result<(), TantivyError> {
        let mut commit = self.writer.prepare_commit()?;
        if let Some(newest) = self.newest {
            commit.set_payload(&newest.to_string());
        }
        commit.commit()?;
        self.reader.reload()
    }

    fn failed(&self, tried: &'static str, error: &TantivyError) -> SinkError {
        SinkError { tried, target: format!("index {}", self.name), reason: error.to_string() }
    }
}

impl Sink for IndexSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for batch in changes {
            self.write_batch(version.0, batch).map_err(|error| self.failed("write to", &error))?;
        }
        self.newest = self.newest.max(Some(version.0));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.dirty {
            let start = Instant::now();
            self.commit().map_err(|error| self.failed("commit", &error))?;
            self.commit_time = start.elapsed();
            self.dirty = false;
        }
        Ok(())
    }

    /// As often as commits take a fifth of the time at most; less often only where they are so slow that a change
    /// would not be visible soon.
    fn flush_interval(&self) -> Duration {
        (self.commit_time * 4).clamp(FLUSH_EVERY_LEAST, FLUSH_EVERY_MOST)
    }

    fn take_rejected(&mut self) -> Vec<RejectedWrite> {
        std::mem::take(&mut self.rejected)
    }
}

/// Keeps the layout with a new index, and compares it with an old one's.
fn settle_layout(folder: &Path, layout: &Layout) -> Result<(), IndexError> {
    match Layout::load(folder)? {
        None => layout.save(folder),
        Some(stored) if stored == *layout => Ok(()),
        Some(stored) => {
            let differences = stored.differences(layout);
            Err(IndexError::Changed { folder: folder.to_owned(), differences })
        }
    }
}

fn open_files(folder: &Path, mapping: &Mapping) -> Result<(Index, IndexWriter), TantivyError> {
    let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    let index = Index::builder()
        .schema(mapping.schema.clone())
        .settings(settings)
        .tokenizers(words::analysers())
        .open_or_create(CommitDirectory::open(folder)?)?;
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(MEMORY_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build();
    let writer = index.writer_with_options(options)?;
    // Tantivy gives the first operation of a writer the number of the last commit. A merge that is not done when that
    // operation comes takes a delete with this number for done in all segments which the commit had deleted from; so
    // no delete may have it.
    writer.run(std::iter::empty())?;
    sweep(folder, &index)?;
    let mut merging = LogMergePolicy::default();
    merging.set_del_docs_ratio_before_merge(DELETED_MAX);
    writer.set_merge_policy(Box::new(merging));
    Ok((index, writer))
}

/// Removes the files of segments that no commit names: a writer that was killed left them, and the next one may want
/// to write files of the same names.
fn sweep(folder: &Path, index: &Index) -> Result<(), TantivyError> {
    let segments = index.searchable_segment_metas()?;
    let stamps: HashMap<String, Option<u64>> =
        segments.iter().map(|segment| (segment.id().uuid_string(), segment.delete_opstamp())).collect();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some((segment, rest)) = name.to_str().and_then(segment_of) else { continue };
        let named = stamps.get(segment).is_some_and(|stamp| match rest.strip_suffix(".del") {
            Some(deletes) => stamp.is_some_and(|stamp| deletes == stamp.to_string()),
            None => true,
        });
        if !named {
            std::fs::remove_file(folder.join(&name))?;
        }
    }
    Ok(())
}

/// The segment that a file belongs to, by its 32 hexadecimal digits, and the rest of the file's name.
fn segment_of(name: &str) -> Option<(&str, &str)> {
    let (segment, rest) = name.split_once('.')?;
    let is_id = segment.len() == 32 && segment.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some((segment, rest))
}

fn committed_version(index: &Index) -> Result<Option<u64>, TantivyError> {
    Ok(index.load_metas()?.payload.and_then(|payload| payload.parse().ok()))
}
