//! Connectors that read: files, and what clients post.
//!
//! A source stands at the beginning of a record's way. It cuts its partitions into chunks of whole records, each with
//! its position, and offers them to an [`Intake`](proxima_event::Intake). It does not know what stands behind that.

pub mod file;
pub mod http;

pub use file::{FileConfig, FileSource, Framing};
pub use http::{HttpConfig, HttpLog, HttpSource};
