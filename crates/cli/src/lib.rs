//! The parts of the `proxima` command: job files checked into plans, commands, progress.

pub mod generate;
pub mod job;
