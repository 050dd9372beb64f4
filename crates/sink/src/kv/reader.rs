//! Reads the store: each call sees the newest flushed state, and a scan one state from its begin to its end.

use super::{CACHE_BYTES, Inner, KvStore, Table, split, why_not_open};
use proxima_event::{KeyValueRead, KeyValueScan, StoreError};
use redb::{Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableError};
use std::path::Path;
use std::sync::Arc;

/// A handle that reads every table of a store. Cheap to clone, free to use from any thread.
#[derive(Clone)]
pub struct KvReader {
    name: Arc<str>,
    from: From,
}

#[derive(Clone)]
enum From {
    /// The store that this process writes.
    Store(Arc<Inner>),
    /// A store that nobody writes.
    File(Arc<ReadOnlyDatabase>),
    /// The same, after a crash: it had to be opened for writing to be made whole.
    Repaired(Arc<Database>),
}

impl KvReader {
    pub(super) fn of(store: &KvStore) -> Self {
        Self { name: store.inner.name.as_str().into(), from: From::Store(Arc::clone(&store.inner)) }
    }

    /// Opens a store for reading alone, without its job. While a job writes it, only that job's server can be asked.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read, or a process is writing it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let from = match Database::builder().set_cache_size(CACHE_BYTES).open_read_only(path) {
            Ok(file) => Ok(From::File(Arc::new(file))),
            Err(DatabaseError::RepairAborted) => {
                Database::open(path).map(|database| From::Repaired(Arc::new(database)))
            }
            Err(error) => Err(error),
        };
        match from {
            Ok(from) => Ok(Self { name: name.into(), from }),
            Err(error) => Err(StoreError { tried: "open", store: name, reason: why_not_open(&error), passing: false }),
        }
    }

    fn begin(&self) -> Result<ReadTransaction, redb::TransactionError> {
        match &self.from {
            From::Store(store) => store.database.begin_read(),
            From::File(file) => file.begin_read(),
            From::Repaired(database) => database.begin_read(),
        }
    }

    fn get_one(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let Some(table) = open(&self.begin()?, table)? else { return Ok(None) };
        let found = table.get(key)?;
        Ok(found.map(|stored| split(stored.value()).1.to_vec()))
    }

    fn scan_all(
        &self,
        table: &str,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), redb::Error> {
        let Some(table) = open(&self.begin()?, table)? else { return Ok(()) };
        for entry in table.range::<&[u8]>(prefix..)? {
            let (key, stored) = entry?;
            if !key.value().starts_with(prefix) || !visit(key.value(), split(stored.value()).1) {
                break;
            }
        }
        Ok(())
    }

    fn failed(&self, error: &redb::Error) -> StoreError {
        StoreError { tried: "read", store: self.name.to_string(), reason: error.to_string(), passing: false }
    }
}

impl KeyValueRead for KvReader {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get_one(table, key).map_err(|error| self.failed(&error))
    }
}

impl KeyValueScan for KvReader {
    fn scan(&self, table: &str, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
        self.scan_all(table, prefix, visit).map_err(|error| self.failed(&error))
    }
}

type OpenTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A table, or nothing while it has never been written.
fn open(snapshot: &ReadTransaction, table: &str) -> Result<Option<OpenTable>, redb::Error> {
    match snapshot.open_table(Table::new(table)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
