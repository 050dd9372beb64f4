//! The Redis sink, its rows read back, and offsets kept in Redis.
//!
//! At the end of a record's way: [`RedisSink`] sets whole rows with their versions, so that dimensions and results can be
//! read by other programs; [`RedisReader`] reads them for a process that answers from them; [`RedisOffsets`] keeps how far
//! a job has come. All go through one client that opens its connection anew when it is lost, to one server, to the master
//! that Sentinels name, or to a cluster. Decisions that must not be raced are Lua scripts in `scripts/`.
//!
//! | file | what |
//! |---|---|
//! | `config` | what a connector is told |
//! | `pattern`, `rows` | pure: from rows to keys and arguments |
//! | `link`, `client`, `fault` | a connection, how it is kept, what errors mean |
//! | `sink`, `reader`, `offsets` | what is done with it |

mod client;
mod config;
mod fault;
mod link;
mod offsets;
mod pattern;
mod reader;
mod rows;
mod sink;

pub use config::{Layout, Mode, RedisConfig, Secret, SinkConfig, Tls};
pub use offsets::RedisOffsets;
pub use pattern::{KeyPattern, tombstone};
pub use reader::RedisReader;
pub use sink::RedisSink;
