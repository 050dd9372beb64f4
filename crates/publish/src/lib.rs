//! Keeps the lists of paths in a store true: asked for again when the graph has changed, coalesced, put out in epochs.
//!
//! ```text
//! Relate ── what has changed ──> supervisors of each path ── ReqIndirect: who reaches this? ──> evaluators
//!   │                              ^     │  marks, windows <───────── RetDirect ────────────────   │
//!   │                              └─────┴──── ReqDirect: what does it lead to? ────────────────>  │
//!   └── end of the epoch ──> Publish ── the lists that came back ──> sink
//! ```
//!
//! [`trace`] knows whose lists a change may change, [`window`] and [`lanes`] what is sent when, [`publisher`] holds them
//! together for each worker; [`evaluators`] has the threads, [`operator`] the place in the dataflow, by which sinks and checkpoints treat
//! lists as all other results.

mod content;
mod evaluate;
pub mod evaluators;
pub mod lanes;
pub mod lately;
pub mod message;
pub mod operator;
mod priority;
pub mod publisher;
pub mod reader;
pub mod rows;
mod shares;
pub mod trace;
pub mod window;

pub use content::Content;
pub use evaluators::{Evaluators, Faults, Setting};
pub use operator::{Publish, lower_publish};
pub use publisher::{PUBLISHES, PublishFigures, PublishRules, Publisher};
pub use reader::{AttributeReader, Item, ListReader, ShareReader};
pub use rows::list_schema;
pub use shares::{Shares, SharesOf, lower_shares};
pub use window::{Figures, WindowRules};
