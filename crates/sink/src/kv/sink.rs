//! Writes an epoch's net rows into a table: the first column is the key, the second the value.

use super::{Inner, KvStore, Table, VERSION_BYTES, split};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use proxima_event::{Changes, Sink, SinkError, Version};
use redb::ReadableTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Writes that wait for a flush are held in memory up to here, then they are committed early.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// The sink of one table.
pub struct KvSink {
    store: Arc<Inner>,
    table: String,
    /// Writes since the last flush, sorted, as a tree takes them fastest: the version and what is to stand.
    waiting: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>,
    waiting_bytes: usize,
}

impl KvSink {
    /// A sink that writes to a table of the store; the table is made with its first value.
    #[must_use]
    pub fn new(store: &KvStore, table: impl Into<String>) -> Self {
        let store = Arc::clone(&store.inner);
        Self { store, table: table.into(), waiting: BTreeMap::new(), waiting_bytes: 0 }
    }

    fn take(&mut self, version: u64, changes: &Changes) -> Result<(), String> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.rows.num_columns() < 2 {
            return Err("rows need a key and a value column".to_owned());
        }
        for row in 0..changes.len() {
            let weight = changes.weight(row);
            let Some(key) = bytes_at(changes.column(0).as_ref(), row)?.filter(|_| weight != 0) else { continue };
            let value = match weight > 0 {
                true => Some(bytes_at(changes.column(1).as_ref(), row)?.unwrap_or_default().to_vec()),
                false => None,
            };
            self.waiting_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            self.waiting.insert(key.to_vec(), (version, value));
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), redb::Error> {
        let mut commit = self.store.database.begin_write()?;
        let durability = self.store.durability();
        commit.set_durability(durability)?;
        {
            let mut table = commit.open_table(Table::new(&self.table))?;
            let mut stored = Vec::new();
            for (key, (version, value)) in &self.waiting {
                let newer = table.get(key.as_slice())?.is_some_and(|standing| split(standing.value()).0 > *version);
                match value {
                    _ if newer => {}
                    Some(value) => {
                        stored.clear();
                        stored.reserve(VERSION_BYTES + value.len());
                        stored.extend_from_slice(&version.to_be_bytes());
                        stored.extend_from_slice(value);
                        table.insert(key.as_slice(), stored.as_slice())?;
                    }
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        commit.commit()?;
        if matches!(durability, redb::Durability::Immediate) {
            *self.store.synced.lock() = std::time::Instant::now();
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn failed(&self, tried: &'static str, reason: String) -> SinkError {
        SinkError { tried, target: format!("table {} of {}", self.table, self.store.name), reason }
    }
}

impl Sink for KvSink {
    fn write(&mut self, version: Version, changes: &[Changes]) -> Result<(), SinkError> {
        for batch in changes {
            self.take(version.0, batch).map_err(|reason| self.failed("write to", reason))?;
            if self.waiting_bytes > WAITING_BYTES_MAX {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.commit().map_err(|error| self.failed("commit", error.to_string()))
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.store.sync().map_err(|error| self.failed("sync", error.to_string()))
    }
}

/// The bytes of a key or value; `None` for NULL.
fn bytes_at(array: &dyn Array, row: usize) -> Result<Option<&[u8]>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            return bytes_at(dictionary.values().as_ref(), dictionary.normalized_keys()[row]);
        }
        other => return Err(format!("keys and values are BYTES or STRING, not {other}")),
    }))
}
