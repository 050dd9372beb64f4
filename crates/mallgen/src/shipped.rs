//! Ships a shop's records as lines: logs as a collector would, changes as Maxwell would.
//!
//! A device's lines are in one partition, and so are the changes of a table: readers may rely on the order within a
//! partition, and on no order between partitions.

use crate::change::{Change, Row, Transaction};
use crate::clock::{MINUTE, Millis, START};
use crate::dice::Dice;
use crate::maxwell::{self, Place};
use crate::queue::Queue;
use crate::schema::Table;
use crate::target::{Lines, Stream, Target};
use std::collections::VecDeque;
use std::io;

/// How long a table's changes are held up, when they are.
const LAG_MAX: Millis = 5 * MINUTE;
/// Of 1,000 rows, after how many the reader of the binlog begins again a few rows before.
const RESENT: u32 = 2;
const RESENT_ROWS: usize = 20;
/// One row in so many of the customers is changed while their bootstrap runs.
const CHANGED_IN_BOOTSTRAP: usize = 97;

/// The changes of one table, on their way.
#[derive(Debug, Default)]
struct Lane {
    /// How long rows are held up, and until when that is so.
    lag: Millis,
    lag_until: Millis,
    /// When the last row arrived or will: none overtakes another one of its table.
    last: Millis,
    /// The rows that may be sent again.
    recent: VecDeque<Vec<u8>>,
}

/// Hands lines to their partitions: files of a folder, or those of topics.
#[derive(Debug)]
pub struct Shipped<L> {
    lines: L,
    dice: Dice,
    lanes: Vec<Lane>,
    on_the_way: Queue<(Table, Vec<u8>)>,
    xid: i64,
}

impl<L: Lines> Shipped<L> {
    /// Ships to these partitions; the seed decides what is held up and what is sent again.
    pub fn new(lines: L, seed: u64) -> Self {
        let lanes = Table::ALL.iter().map(|_| Lane { last: START, ..Lane::default() }).collect();
        Self { lines, dice: Dice::new(seed, 3), lanes, on_the_way: Queue::default(), xid: 1_000 }
    }

    fn write_change(&mut self, table: Table, line: &[u8]) -> io::Result<()> {
        let partition = table as usize % self.lines.partitions(Stream::Changes);
        self.lines.write(Stream::Changes, partition, line)
    }

    fn deliver(&mut self, until: Millis) -> io::Result<()> {
        while let Some((_, (table, line))) = self.on_the_way.pop_before(until) {
            self.write_change(table, &line)?;
        }
        Ok(())
    }

    /// Sends a row behind those of its table; now and then the last ones are sent once more.
    fn send(&mut self, at: Millis, table: Table, line: Vec<u8>) {
        let lane = &mut self.lanes[table as usize];
        if at >= lane.lag_until {
            lane.lag = if self.dice.chance(150) { self.dice.between(0, LAG_MAX) } else { self.dice.between(0, 200) };
            lane.lag_until = at + self.dice.between(MINUTE, 20 * MINUTE);
        }
        lane.last = lane.last.max(at + lane.lag);
        if lane.recent.len() == RESENT_ROWS {
            lane.recent.pop_front();
        }
        lane.recent.push_back(line.clone());
        self.on_the_way.push(lane.last, (table, line));
        if self.dice.chance(RESENT) {
            let from = self.dice.below(lane.recent.len() as u64) as usize;
            for line in lane.recent.iter().skip(from) {
                self.on_the_way.push(lane.last, (table, line.clone()));
            }
        }
    }
}

impl<L: Lines> Target for Shipped<L> {
    fn bootstrap(&mut self, at: Millis, table: Table, rows: &[Row]) -> io::Result<()> {
        self.write_change(table, &maxwell::bootstrap("start", table.name(), at, None))?;
        for (number, row) in rows.iter().enumerate() {
            // The bootstrap reads what the table holds by then: the change has come before the row.
            if table == Table::User && number % CHANGED_IN_BOOTSTRAP == 0 {
                self.xid += 1;
                let change = Change::Update { old: row.with("user_level", "0"), new: row.clone() };
                let place = Place { xid: self.xid, offset: 0, last: true };
                self.write_change(table, &maxwell::change(&change, at, place))?;
            }
            self.write_change(table, &maxwell::bootstrap("insert", table.name(), at, Some(row)))?;
        }
        self.write_change(table, &maxwell::bootstrap("complete", table.name(), at, None))
    }

    fn log(&mut self, arrival: Millis, device: u64, line: &[u8]) -> io::Result<()> {
        self.deliver(arrival)?;
        let partition = (device % self.lines.partitions(Stream::Logs) as u64) as usize;
        self.lines.write(Stream::Logs, partition, line)
    }

    fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.deliver(transaction.at)?;
        self.xid += 1;
        for (number, change) in transaction.changes.iter().enumerate() {
            let last = number + 1 == transaction.changes.len();
            let place = Place { xid: self.xid, offset: number as i64, last };
            let line = maxwell::change(change, transaction.at, place);
            self.send(transaction.at, change.table(), line);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.deliver(Millis::MAX)?;
        self.lines.finish()
    }
}
