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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what it is given.
    #[derive(Default)]
    struct Counter {
        rows: usize,
        lines: usize,
        finished: bool,
    }

    impl Target for Counter {
        fn bootstrap(&mut self, _: Millis, _: Table, rows: &[Row]) -> io::Result<()> {
            self.rows += rows.len();
            Ok(())
        }

        fn log(&mut self, _: Millis, _: u64, _: &[u8]) -> io::Result<()> {
            self.lines += 1;
            Ok(())
        }

        fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
            self.rows += transaction.changes.len();
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.finished = true;
            Ok(())
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_too_early() {
        const PER_SECOND: u32 = 200_000;
        let settings = crate::Settings { days: 1, users: 50, products: 20, orders_per_day: 20, ..Default::default() };
        let mut paced = Paced::new(Counter::default(), PER_SECOND);
        let counts = crate::Mall::new(&settings).run(&mut paced, None).unwrap();
        let least = Duration::from_secs_f64(paced.records as f64 / f64::from(PER_SECOND));
        assert!(paced.began.elapsed() >= least, "{} records came too early", paced.records);
        assert_eq!(paced.target.lines as u64, counts.lines);
        assert!(paced.target.finished && paced.target.rows as u64 > counts.changes);
        assert_eq!(paced.records, (paced.target.lines + paced.target.rows) as u64);
    }
}
