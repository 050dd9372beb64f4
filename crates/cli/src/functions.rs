//! Functions of Rust crates that paths may name beside SQL.
//!
//! A crate of one's own implements [`Function`] and has a `main` that hands it over:
//!
//! ```no_run
//! use proxima_cli::functions::{Function, Functions};
//! use std::{process::ExitCode, sync::Arc};
//!
//! fn start(damped: impl Function + 'static) -> ExitCode {
//!     proxima_cli::main(Functions::from([("damped".to_owned(), Arc::new(damped) as _)]))
//! }
//! ```
//!
//! Its binary is `proxima` with a word more: `merger = { function = "damped" }`. `examples/own_function.rs` of this crate
//! is a whole one.

pub use proxima_graph::path::{Expression, Function, Functions};
use std::sync::OnceLock;

static OFFERED: OnceLock<Functions> = OnceLock::new();

/// Makes functions known to every job that this process reads from now on. Only the first call does.
pub fn offer(functions: Functions) {
    OFFERED.get_or_init(|| functions);
}

/// What this binary has.
pub fn offered() -> Functions {
    OFFERED.get().cloned().unwrap_or_default()
}
