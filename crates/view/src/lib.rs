//! SQL to a plan, and the plan to incremental operators.
//!
//! The way from text to dataflow: [`compile`] cuts `views.sql` into statements, reads the declarations, has DataFusion
//! plan the queries, builds from its plans one graph of operators for the whole job, takes out of that what nobody
//! reads, and gives a [`Plan`]. [`Plan::lower`] adds the operators to an engine's topology.
//!
//! Names in SQL keep their case, as in Flink: `InvoiceNo` and `invoiceno` are two columns.

mod aggregates;
mod assign;
mod build;
mod catalog;
mod clauses;
mod declare;
mod dialect;
mod duration;
mod explain;
mod expression;
mod frontend;
mod functions;
mod kernels;
mod lower;
mod meaning;
mod names;
mod needs;
pub mod operators;
mod plan;
mod problem;
mod prune;
mod scalar;
mod script;
mod share;
mod spans;
mod syntax;
mod times;
mod tree;
mod types;
mod upsert;
mod wall_clock;

#[cfg(test)]
mod tests;

pub use duration::parse_duration;
pub use expression::NumberExpression;
pub use plan::{
    EventTime, HeldColumns, Lowered, Options, Plan, Query, QuerySource, Table, Target, compile, compile_changelog,
    declared, sound,
};
pub use problem::{Origin, Problem};
