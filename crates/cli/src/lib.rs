//! The parts of the `proxima` command: job files checked into plans, commands, progress.
//!
//! The way of a command: [`args`] reads the command line, [`commands`] carries it out, [`job`] makes the checked plan
//! of a job, [`run`] joins it to engine, stores and server, and [`failure`] says how it went wrong.

pub mod args;
pub mod assemble;
pub mod checkpoints;
pub mod client;
pub mod commands;
mod consumer_group;
pub mod data;
pub mod evaluate;
pub mod failure;
pub mod generate;
pub mod hints;
pub mod ingest;
pub mod job;
pub mod monitor;
pub mod page;
pub mod progress;
pub mod rejected;
pub mod run;
pub mod stop;
pub mod stores;
pub mod upgrade;
