//! The names of objects in the store, and what they say.
//!
//! ```text
//! log/{seq}.json                            what was decided, one entry after another
//! state/{generation}/{epoch}-{worker}.{part}.bin   what operators held
//! cuts/{generation}/{number}-{first epoch}.cuts    where each epoch ended
//! ```
//!
//! Numbers have leading noughts, so that the order of names is the order of numbers. Nothing else may stand under
//! these prefixes: what does is left alone by the sweep.

use proxima_event::{Epoch, Generation};

/// Everything that was decided.
pub(crate) const LOG: &str = "log/";
/// What operators held.
pub(crate) const STATE: &str = "state/";
/// Where epochs ended.
pub(crate) const CUTS: &str = "cuts/";

/// The name of the log's entry with this number.
pub(crate) fn log_entry(seq: u64) -> String {
    format!("{LOG}{seq:020}.json")
}

/// The number of a log entry's name.
pub(crate) fn log_seq(name: &str) -> Option<u64> {
    number(name.strip_prefix(LOG)?.strip_suffix(".json")?)
}

/// What the name of a file of state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StateName {
    /// The checkpoint's epoch. It stands first: along the line of checkpoints epochs only grow.
    pub(crate) epoch: Epoch,
    pub(crate) generation: Generation,
    pub(crate) worker: usize,
    /// Large state is cut into several files.
    pub(crate) part: usize,
}

impl StateName {
    /// Whether it belongs to what the same worker saved at the same time.
    pub(crate) fn is_of_save(&self, other: &Self) -> bool {
        (self.epoch, self.generation, self.worker) == (other.epoch, other.generation, other.worker)
    }

    pub(crate) fn print(self) -> String {
        let Self { epoch, generation, worker, part } = self;
        format!("{STATE}{:020}/{:020}-{worker}.{part}.bin", generation.0, epoch.0)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (generation, file) = name.strip_prefix(STATE)?.split_once('/')?;
        let (epoch, rest) = file.strip_suffix(".bin")?.split_once('-')?;
        let (worker, part) = rest.split_once('.')?;
        let (generation, epoch) = (Generation(number(generation)?), Epoch(number(epoch)?));
        Some(Self { epoch, generation, worker: worker.parse().ok()?, part: part.parse().ok()? })
    }
}

/// What the name of a file of cuts says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CutsName {
    pub(crate) generation: Generation,
    /// Files of a generation count up.
    pub(crate) number: u64,
    /// The first epoch that the file may hold.
    pub(crate) first: Epoch,
}

impl CutsName {
    pub(crate) fn print(self) -> String {
        let Self { generation, number, first } = self;
        format!("{CUTS}{:020}/{number:010}-{:020}.cuts", generation.0, first.0)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (generation, file) = name.strip_prefix(CUTS)?.split_once('/')?;
        let (file_number, first) = file.strip_suffix(".cuts")?.split_once('-')?;
        let (generation, first) = (Generation(number(generation)?), Epoch(number(first)?));
        Some(Self { generation, number: number(file_number)?, first })
    }
}

/// A number of digits alone: `parse` would take a sign too, and then two names would say the same.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        assert_eq!(log_seq(&log_entry(17)), Some(17));
        let state = StateName { epoch: Epoch(9), generation: Generation(3), worker: 12, part: 1 };
        assert_eq!(StateName::parse(&state.print()), Some(state));
        let cuts = CutsName { generation: Generation(3), number: 8, first: Epoch(77) };
        assert_eq!(CutsName::parse(&cuts.print()), Some(cuts));
    }

    #[test]
    fn other_names_say_nothing() {
        for name in ["log/7.txt", "log/+7.json", "log/.tmp-1", "state/1/2.bin", "cuts/1/x", "notes", ""] {
            assert_eq!((log_seq(name), StateName::parse(name), CutsName::parse(name)), (None, None, None), "{name}");
        }
    }

    #[test]
    fn the_order_of_names_is_the_order_of_numbers() {
        assert!(log_entry(9) < log_entry(10));
        assert!(log_entry(u64::MAX - 1) < log_entry(u64::MAX));
    }
}
