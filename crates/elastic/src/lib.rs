//! The sink for Elasticsearch (7.0 and later) and OpenSearch (1.0 and later), and searches passed through to them.
//!
//! The last step of a record's way where a job's results rest in a cluster. Both servers are asked in the same plain HTTP
//! calls: what differs is read from `GET /`. A row is a document whose id is its key, whose source is the whole row, and
//! whose version is that of its epoch, so writing twice changes nothing and a late write loses.

mod backoff;
mod bulk;
mod claim;
mod client;
pub mod config;
mod deliver;
mod mapping;
pub mod pattern;
mod reply;
mod rewrite;
mod search;
mod setup;
mod sink;

pub use client::{Cluster, ClusterError};
pub use config::{ClusterConfig, Existing, Login, Refresh, TargetConfig};
pub use pattern::IndexPattern;
pub use search::{AskError, ElasticDocument, ElasticReader};
pub use sink::ElasticSink;
