//! Where results land: the embedded search index and the key-value store.
//!
//! | what | write | read |
//! |---|---|---|
//! | [`index`]: a folder that tantivy searches, asked in Elasticsearch's words | [`IndexSink`] | [`IndexReader`] |
//! | [`kv`]: values by key, in one redb file | [`KvSink`] | [`KvReader`] |
//! | [`discard`]: counts alone | [`DiscardSink`] | [`Counters`] |
//!
//! Sinks are the end of a record's way. They keep the version of every write beside its value, so that writing an
//! epoch twice does no harm, and know nothing of the engine that calls them.

pub mod discard;
pub mod index;
pub mod kv;

pub use discard::{Counters, DiscardSink};
pub use index::{Answer, IndexConfig, IndexError, IndexReader, IndexSink, SearchError};
pub use kv::{KvReader, KvSink, KvStore};
