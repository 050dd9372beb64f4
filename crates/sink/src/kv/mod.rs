//! The embedded key-value store, on redb: one file, a table for each target, for results that are asked for by key.
//!
//! A value is kept with the version of its write in 8 bytes before it, so that an older write loses against it.
//!
//! **What a crash loses.** A commit that waits for the disk takes milliseconds, one that does not takes microseconds
//! and is visible as well. So a flush waits for the disk at most once a second; after a crash the store is whole and as
//! it was at the last wait. Nothing that matters is lost: a run replays what came after its last checkpoint, and
//! whoever makes a checkpoint calls [`KvStore::sync`] first. Closing the store waits too.

mod reader;
mod sink;
#[cfg(test)]
mod tests;

pub use reader::KvReader;
pub use sink::KvSink;

use parking_lot::Mutex;
use proxima_event::StoreError;
use redb::{Database, DatabaseError, Durability, TableDefinition};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long flushed writes may be in memory alone.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Pages kept in memory; the file system keeps the rest. What is written between two flushes is mostly new, so more of
/// them would hardly be of use again.
const CACHE_BYTES: usize = 8 << 20;

type Table<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// An open store, which this process alone may write. Cheap to clone; it is closed with its last handle.
#[derive(Clone)]
pub struct KvStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    name: String,
    synced: Mutex<Instant>,
}

impl KvStore {
    /// Opens the store in this file; it is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be used or another process has it open.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path).map_err(|error| StoreError {
            tried: "open",
            store: name.clone(),
            reason: why_not_open(&error),
            passing: false,
        })?;
        Ok(Self { inner: Arc::new(Inner { database, name, synced: Mutex::new(Instant::now()) }) })
    }

    /// A sink that writes to a table.
    #[must_use]
    pub fn sink(&self, table: impl Into<String>) -> KvSink {
        KvSink::new(self, table)
    }

    /// A handle that reads every table.
    #[must_use]
    pub fn reader(&self) -> KvReader {
        KvReader::of(self)
    }

    /// Waits until everything that was flushed is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync().map_err(|error| self.inner.failed("sync", &error))
    }

    /// Removes a table with all its values.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear(&self, table: &str) -> Result<(), StoreError> {
        self.inner.clear(table).map_err(|error| self.inner.failed("clear", &error))
    }
}

impl Inner {
    fn sync(&self) -> Result<(), redb::Error> {
        let commit = self.database.begin_write()?;
        commit.commit()?;
        *self.synced.lock() = Instant::now();
        Ok(())
    }

    fn clear(&self, table: &str) -> Result<(), redb::Error> {
        let commit = self.database.begin_write()?;
        commit.delete_table(Table::new(table))?;
        commit.commit()?;
        Ok(())
    }

    /// How the next commit is to be made, by the time of the last one that waited.
    fn durability(&self) -> Durability {
        if self.synced.lock().elapsed() >= SYNC_EVERY { Durability::Immediate } else { Durability::None }
    }

    fn failed(&self, tried: &'static str, error: &redb::Error) -> StoreError {
        StoreError { tried, store: self.name.clone(), reason: error.to_string(), passing: false }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(store = %self.name, %error, "cannot sync the store on closing: a replay will fill it again");
        }
    }
}

fn why_not_open(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            "another process has it open; stop it, ask its server, or use another data folder".to_owned()
        }
        DatabaseError::UpgradeRequired(_) => {
            "it was written by an older version; start anew with --fresh, which fills it again".to_owned()
        }
        other => other.to_string(),
    }
}

/// How many bytes of a stored value are its version.
const VERSION_BYTES: usize = 8;

/// Splits a stored value into its version and what was written.
fn split(stored: &[u8]) -> (u64, &[u8]) {
    let (version, value) = stored.split_at_checked(VERSION_BYTES).expect("every value was stored with its version");
    (u64::from_be_bytes(version.try_into().expect("the split is 8 bytes long")), value)
}
