//! Objects, relations and paths over them.
//!
//! A relation is a stream of (subject, object) rows from SQL. A path over it is kept true by every row that comes:
//!
//! ```text
//! relation ─ by object ─> Identify ─ by subject ─> Couple ──> Union ──> key-value sink ~~> PathReader
//!                            └──────── local ────> Announce ────┘
//! ```
//!
//! [`Identify`] gives objects dense ids, [`Couple`] keeps subjects' logs and counts pairs, [`Announce`] publishes names.
//! [`PathReader`] turns published counts into scores, at the time of the question. The operators do no I/O and read no
//! clock; the reader only reads a store.
//!
//! [`path`] is the language of hops and jumps, evaluated over any [`Graph`].

pub mod announce;
pub mod catalogue;
mod codec;
mod columns;
pub mod config;
pub mod couple;
mod entries;
mod gather;
pub mod graph;
pub mod identify;
pub mod live;
mod logs;
pub mod lower;
mod names;
mod numbers;
pub mod objects;
mod pairs;
pub mod path;
pub mod read;
mod rows;
mod slab;
mod sums;
mod table;

pub use announce::{Announce, Union};
pub use catalogue::{Attribute, AttributeKind, Catalogue, Kind, Relation};
pub use config::{
    ColumnError, Merger, ObjectConfig, PathConfig, PathKind, RelationColumns, RelationConfig, check_forget,
    object_attributes, object_id_column,
};
pub use couple::{Couple, HOT_ABOVE};
pub use gather::Gather;
pub use graph::{Direction, Edge, EdgeRow, Graph, KindId, ObjectId, Pair, PairCount, RelationId, Value, Version};
pub use identify::Identify;
pub use live::{
    FedRelation, Feed, HOT_WORK, LiveGraph, ObjectInput, RelationInput, RelationRules, Touched, Watch, lower_forgotten,
    lower_live,
};
pub use lower::{ObjectSpec, PathSpec, list_table, lower, lower_objects, object_table, path_table};
pub use objects::ObjectRows;
pub use read::{Neighbour, PathReader, ReadError, Similar};
