//! Where a generated shop is written to: contracts, and logs apart from changes.

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

/// What a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The app's logs.
    Logs,
    /// The changes of the database's tables.
    Changes,
}

/// Partitions of lines: files, or those of topics.
pub trait Lines {
    /// How many there are; at least one.
    fn partitions(&self, stream: Stream) -> usize;

    /// Appends a line, which comes without a newline.
    ///
    /// # Errors
    /// When writing fails.
    fn write(&mut self, stream: Stream, partition: usize, line: &[u8]) -> io::Result<()>;

    /// Makes what was written visible to readers soon.
    ///
    /// # Errors
    /// When writing fails.
    fn flush(&mut self) -> io::Result<()>;

    /// Returns when all that was written will last.
    ///
    /// # Errors
    /// When writing fails.
    fn finish(&mut self) -> io::Result<()>;
}

/// Logs go to one target and what happens in the database to another one.
#[derive(Debug)]
pub struct Split<L, C> {
    /// Takes the logs.
    pub logs: L,
    /// Takes rows and transactions.
    pub changes: C,
}

impl<L: Target, C: Target> Target for Split<L, C> {
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()> {
        self.changes.bootstrap(at, table, rows)
    }

    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()> {
        self.logs.log(arrival, device, line)
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.changes.commit(transaction)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.logs.flush()?;
        self.changes.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.logs.finish()?;
        self.changes.finish()
    }
}

impl<T: Target + ?Sized> Target for Box<T> {
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()> {
        (**self).bootstrap(at, table, rows)
    }

    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()> {
        (**self).log(arrival, device, line)
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        (**self).commit(transaction)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        (**self).finish()
    }
}
