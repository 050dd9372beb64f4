//! The calls as rows, and the table's creation.

use crate::address::Address;
use crate::calls::{ChangeIf, Create, Delete, Exists, Get, Put, Scan};
use crate::client::Client;
use proxima_checkpoint::store::rows::{
    Change, Family, Layout, NewRow, Row, RowStore, Rows, RowsError, Seen, region_splits,
};
use proxima_checkpoint::{Retry, StoreError};
use proxima_event::Health;
use std::ops::Range;
use std::sync::Arc;
use tracing::info;

/// A table in HBase.
pub struct HBaseTable {
    client: Client,
    address: Address,
}

impl HBaseTable {
    /// A table whose calls tell `health` what they wait for, and end when it says so. Nothing is asked yet.
    #[must_use]
    pub fn new(address: Address, health: Health) -> Self {
        Self { client: Client::new(address.clone(), health), address }
    }

    /// Makes the table if it is not there, spread over the servers.
    ///
    /// # Errors
    /// When HBase cannot be reached or refuses.
    pub fn create(&self) -> Result<(), RowsError> {
        let name = self.address.namespace();
        if self.client.call(&Exists(name))? {
            return Ok(());
        }
        info!(table = self.address.table, "the table is made");
        match self.client.call(&Create { name, splits: &region_splits() }) {
            // Another process was faster.
            Err(error) if error.reason.contains("TableExistsException") => Ok(()),
            created => created,
        }
    }
}

impl Rows for HBaseTable {
    fn get(&self, keys: &[Vec<u8>], family: Option<Family>) -> Result<Vec<Row>, RowsError> {
        let rows = self.client.call(&Get { table: &self.address.table, keys, family })?;
        let fits = |(row, key): (&Row, &Vec<u8>)| row.cells.is_empty() || row.key == *key;
        if rows.len() == keys.len() && rows.iter().zip(keys).all(fits) {
            return Ok(rows);
        }
        let reason = format!("{} rows were asked for, and {} others came", keys.len(), rows.len());
        Err(RowsError { reason, lasting: false })
    }

    fn put(&self, rows: &[NewRow]) -> Result<(), RowsError> {
        self.client.call(&Put { table: &self.address.table, rows })
    }

    fn change_if(&self, key: &[u8], column: &str, expected: Option<&[u8]>, change: Change) -> Result<bool, RowsError> {
        self.client.call(&ChangeIf { table: &self.address.table, key, column, expected, change: &change })
    }

    fn delete(&self, keys: &[Vec<u8>], up_to: Option<i64>) -> Result<(), RowsError> {
        self.client.call(&Delete { table: &self.address.table, keys, up_to })
    }

    fn scan(&self, range: Range<&[u8]>, seen: Seen, limit: usize) -> Result<Vec<Row>, RowsError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        self.client.call(&Scan { table: &self.address.table, range, seen, limit })
    }
}

/// Opens a store of checkpoints in a table, which is made if it is not there.
///
/// # Errors
/// When HBase cannot be reached, also when tried again, or refuses.
pub fn open(address: &Address, health: Health, retry: Retry) -> Result<RowStore, StoreError> {
    let table = Arc::new(HBaseTable::new(address.clone(), health));
    let failed = |error: RowsError| StoreError {
        tried: "open",
        place: address.to_string(),
        reason: error.reason,
        lasting: error.lasting,
    };
    retry.run(|| table.create().map_err(failed))?;
    let rows: Arc<dyn Rows> = table;
    retry.run(|| {
        RowStore::open(Arc::clone(&rows), &address.prefix, &format!("hbase://{}", address.table), Layout::default())
    })
}
