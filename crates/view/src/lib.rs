//! SQL to a plan, and the plan to incremental operators.

pub mod operators;
