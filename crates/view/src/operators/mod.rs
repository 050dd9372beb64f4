//! The operators that keep views true: each takes in changes of rows and puts out the changes of its result.
//!
//! They stand between the decoders and the sinks of a record's way. The planner makes each from a plain *spec*; keys,
//! arguments and filters are column numbers, for a [`FilterProject`] in front has computed them: only it evaluates
//! expressions. A stream is a multiset of rows; what a stateful operator puts out at the end of an epoch is the net
//! change of its result in that epoch, and does not depend on the order of the rows inside it.

mod aggregate;
mod distinct;
mod expiry;
mod filter_project;
mod group_table;
mod join;
mod keyed_rows;
mod keys;
mod late;
mod lookup;
mod net;
mod normalize;
mod ordered;
mod snapshot;
mod top_n;
mod union;
mod unnest;

#[cfg(test)]
mod testing;

pub use aggregate::{Aggregate, AggregateCall, AggregateFunction, AggregateSpec};
pub use distinct::{Distinct, DistinctSpec};
pub use expiry::Expiry;
pub use filter_project::FilterProject;
pub use join::{Join, JoinKind, JoinSpec};
pub use late::{DropLate, DropLateSpec, JoinBounds, MaxTime, TimeBoundSpec, bound_schema, newest_time};
pub use lookup::{Lookup, LookupSpec};
pub use net::{Net, NetSpec};
pub use normalize::{Normalize, NormalizeSpec};
pub use top_n::{SortColumn, TopN, TopNSpec};
pub use union::Union;
pub use unnest::{Unnest, UnnestSpec};
