//! Kafka: the source that reads topics, the sink that writes one, lines as they are, and offsets for a consumer group.
//!
//! On librdkafka. What its Rust wrapper lacks is in [`native`], the only module with `unsafe`.

mod client;
mod config;
mod contact;
mod group;
mod lines;
mod native;
mod security;
mod sink;
mod source;
mod topics;

pub use config::{Connection, Isolation, LostOffsets, RESERVED, SinkConfig, SourceConfig, Start, Topics};
pub use group::GroupOffsets;
pub use lines::LineWriter;
pub use security::{Login, Mechanism, Security, Tls};
pub use sink::KafkaSink;
pub use source::KafkaSource;
