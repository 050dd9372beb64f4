//! The operators that keep views true: each takes in changes of rows and puts out the changes of its result.
//!
//! They stand between the decoders and the sinks of a record's way. The planner makes each from a plain *spec*; keys,
//! arguments and filters are column numbers, for a [`FilterProject`] in front has computed them: only it evaluates
//! expressions. A stream is a multiset of rows; what a stateful operator puts out at the end of an epoch is the net
//! change of its result in that epoch, and does not depend on the order of the rows inside it.

mod aggregate;
mod filter_project;
mod join;
mod late;
mod lookup;
mod net;
mod top_n;
mod union;
mod unnest;

pub use aggregate::{Aggregate, AggregateCall, AggregateFunction, AggregateSpec};
pub use filter_project::FilterProject;
pub use join::{Join, JoinKind, JoinSpec};
pub use late::{DropLate, DropLateSpec, MaxTime, TimeBoundSpec, bound_schema};
pub use lookup::{Lookup, LookupSpec};
pub use net::{Net, NetSpec};
pub use top_n::{SortColumn, TopN, TopNSpec};
pub use union::Union;
pub use unnest::{Unnest, UnnestSpec};

/// When state may be forgotten: once a time bound has passed what a column says.
///
/// At the end of an epoch everything whose time lies wholly before the newest bound leaves the state without output:
/// its results stand. A bucket lies before the bound when its end does (`column + span <= bound`), a plain time
/// (`span_us` = 0) when it is older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The column (of the input) that holds the start of a time bucket, or a row's time.
    pub column: usize,
    /// The length of the bucket in microseconds; 0 for a plain time.
    pub span_us: i64,
    /// The input on which the bounds come; see [`bound_schema`].
    pub input: usize,
}
