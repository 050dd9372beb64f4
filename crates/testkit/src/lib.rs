//! Seeded generators, naive oracles and failing doubles for the tests. Never ships.

pub mod checkpoints;
pub mod crashing;
pub mod files;
pub mod harness;
pub mod memory;
pub mod oracle;
pub mod random;
pub mod rows;
pub mod sinks;
pub mod wait;

/// Real servers, for tests against them.
pub use proxima_servers as services;
