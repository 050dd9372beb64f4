//! A target that takes only so much in a second, for shops that are watched while they live.

use crate::change::{Row, Transaction};
use crate::clock::Millis;
use crate::schema::Table;
use crate::target::Target;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long records wait to be seen at most, as long as some come.
const FLUSH: Duration = Duration::from_millis(50);

/// Holds records back so that a target gets no more than so many in a second.
#[derive(Debug)]
pub struct Paced<T> {
    target: T,
    per_second: u32,
    began: Instant,
    flushed: Instant,
    records: u64,
}

impl<T: Target> Paced<T> {
    /// Log lines and changed rows in a second, together; above 0.
    pub fn new(target: T, per_second: u32) -> Self {
        let now = Instant::now();
        Self { target, per_second, began: now, flushed: now, records: 0 }
    }

    /// Counts records, and waits until they are due.
    fn wait(&mut self, records: usize) -> io::Result<()> {
        self.records += records as u64;
        let due = Duration::from_secs_f64(self.records as f64 / f64::from(self.per_second));
        let ahead = due.saturating_sub(self.began.elapsed());
        if self.flushed.elapsed() > FLUSH || ahead > FLUSH {
            self.target.flush()?;
            self.flushed = Instant::now();
        }
        sleep(ahead);
        Ok(())
    }
}

impl<T: Target> Target for Paced<T> {
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()> {
        self.wait(rows.len())?;
        self.target.bootstrap(at, table, rows)
    }

    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()> {
        self.wait(1)?;
        self.target.log(arrival, device, line)
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.wait(transaction.changes.len())?;
        self.target.commit(transaction)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.target.finish()
    }
}
