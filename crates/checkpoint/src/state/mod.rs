//! What operators hold, as files: written a checkpoint at a time, read back by operator and key group.

mod chains;
mod format;
mod restore;
mod write;

pub(crate) use chains::{Chains, within_budget};
pub use format::{Kind, Section};
pub(crate) use restore::Damage;
pub use restore::{Restored, StoredSection};
pub(crate) use write::{WrittenFile, write_files};

use crate::operators::OperatorId;
use proxima_event::KeyGroup;

/// Whose state: an operator's in one key group.
pub type StateKey = (OperatorId, KeyGroup);
