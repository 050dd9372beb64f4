//! Where a generated shop is written to.

use crate::change::{Row, Transaction};
use crate::clock::Millis;
use crate::schema::Table;
use std::io;

/// A place for logs and changes: files, a broker, a database.
///
/// Everything comes in the order of time. A target that is a database commits transactions and leaves it to a real
/// Maxwell to tell of them; one that stands for Maxwell writes the lines itself.
pub trait Target {
    /// Takes the rows that a table holds at the beginning.
    ///
    /// # Errors
    /// When writing fails.
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()>;

    /// Takes a line of a device's log, without a newline. Lines come as they arrive: some late, twice or broken.
    ///
    /// # Errors
    /// When writing fails.
    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()>;

    /// Takes a transaction.
    ///
    /// # Errors
    /// When writing fails.
    fn commit(&mut self, transaction: &Transaction) -> io::Result<()>;

    /// Makes what was written visible to readers.
    ///
    /// # Errors
    /// When writing fails.
    fn flush(&mut self) -> io::Result<()>;

    /// Writes what was held back: nothing comes any more.
    ///
    /// # Errors
    /// When writing fails.
    fn finish(&mut self) -> io::Result<()>;
}
