//! Where epochs ended: written before a sink may hold anything of them, so that a restart cuts them again alike.

mod file;
mod replay;
mod thread;
mod write;

pub(crate) use file::{CutsHeader, ReadCuts, read_cuts};
pub(crate) use replay::replay;
pub(crate) use thread::CutsQueue;
pub(crate) use write::CutsLog;

use proxima_event::{Epoch, Position};
use serde::{Deserialize, Serialize};

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The epoch. Epochs that held nothing need no cut.
    pub epoch: Epoch,
    /// Where the partitions stood that moved in it.
    pub positions: Vec<Position>,
}
