//! `proxima evaluate`: how good a job's lists would have been, asked in the order of time.
//!
//! The job's sources are read to their end once, and the rows of its relations gathered ([`gather`]). Then they are written
//! to a fresh graph again, one after the other in the order of their times, and each list is asked for before the row
//! that it should foretell is known ([`replay`]). Models learn beside it what they would have by then ([`Models`]). Attributes
//! of objects are those at the end.

mod gather;
mod models;
mod replay;
mod texts;
mod variants;

pub use gather::{Gathered, RelationRows, gather};
pub use models::Models;
pub use replay::{Protocol, Replay, Variant, replay};
pub use texts::Texts;
pub use variants::{Chosen, left_out, variants};
