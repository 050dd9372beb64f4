//! The network between the app and its collector: lines come a moment later, some minutes later, some twice, and some
//! broken.

use crate::clock::{MINUTE, Millis, SECOND};
use crate::dice::Dice;
use crate::log::Record;
use crate::queue::Queue;
use crate::target::Target;
use std::io;

/// Of 1,000 lines, how many are late by minutes, and how many come twice.
const LATE: u32 = 20;
const DOUBLED: u32 = 5;
const LATE_MAX: Millis = 10 * MINUTE;

/// Lines on their way. They are held for minutes of the shop's time at most, so their number is bounded by its rate.
#[derive(Debug)]
pub(crate) struct Network {
    dice: Dice,
    on_the_way: Queue<(u64, Vec<u8>)>,
    broken_per_mille: u32,
    /// Lines that were delivered.
    pub(crate) lines: u64,
    /// Lines that were delivered a second time.
    pub(crate) doubled: u64,
    /// Broken lines that were delivered.
    pub(crate) broken: u64,
}

impl Network {
    /// A network with chances of its own.
    pub(crate) fn new(dice: Dice, broken_per_mille: u32) -> Self {
        Self { dice, on_the_way: Queue::default(), broken_per_mille, lines: 0, doubled: 0, broken: 0 }
    }

    /// Sends a record.
    pub(crate) fn send(&mut self, record: &Record) {
        let line = record.line();
        let device = record.client.device;
        let mut arrival = record.sent() + self.dice.between(20, SECOND);
        if self.dice.chance(LATE) {
            arrival += self.dice.between(MINUTE, LATE_MAX);
        }
        if self.dice.chance(DOUBLED) {
            let again = arrival + self.dice.between(0, 2 * MINUTE);
            self.on_the_way.push(again, (device, line.clone()));
            self.doubled += 1;
        }
        if self.dice.chance(self.broken_per_mille) {
            let broken = self.broken(&line);
            self.on_the_way.push(arrival, (device, broken));
            self.broken += 1;
        }
        self.on_the_way.push(arrival, (device, line));
    }

    /// A line that is no record: cut, without its time, with a wrong one, or not of the app at all.
    fn broken(&mut self, line: &[u8]) -> Vec<u8> {
        let ts = line.windows(6).rposition(|bytes| bytes == b",\"ts\":").expect("each record ends with its time");
        match self.dice.below(5) {
            0 => [&line[..ts], b"}"].concat(),
            1 => [&line[..ts], b",\"ts\":\"yesterday\"}"].concat(),
            2 => b"<html>502 Bad Gateway</html>".to_vec(),
            _ => line[..1 + self.dice.below(line.len() as u64 - 1) as usize].to_vec(),
        }
    }

    /// Delivers what has arrived before `until`.
    pub(crate) fn deliver(&mut self, until: Millis, target: &mut dyn Target) -> io::Result<()> {
        while let Some((arrival, (device, line))) = self.on_the_way.pop_before(until) {
            self.lines += 1;
            target.log(arrival, device, &line)?;
        }
        Ok(())
    }
}
