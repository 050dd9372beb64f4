//! The HTTP interface over result stores and run status.
//!
//! Here a record's way ends: someone asks. Handlers read through [`Search`] and [`SimilarPath`] what the sinks made
//! visible last, and through [`StatusSource`] how the run goes. Nothing here touches the dataflow, and nothing that is
//! asked can hold it up: searches run on threads of their own, so many at a time and no more.

mod answers;
mod app;
mod error;
mod forget;
mod ingest;
mod metrics;
mod pretty;
pub mod queries;
mod routes;
mod server;
mod state;
mod status;
mod stores;
#[cfg(test)]
mod tests;

pub use answers::{Asked, Because, Document, Failure, Field, IndexInfo, Near, Neighbour, Search, SimilarPath};
pub use app::app;
pub use forget::{Forget, ForgetRoute, Told};
pub use ingest::{Ingest, IngestAnswer, IngestRoute, Ingested};
pub use queries::NamedQuery;
pub use server::{Answer, Server, ask, serve};
pub use state::{AppState, Limits};
pub use status::{
    Checkpoints, Epochs, JudgeStatus, ListStatus, Memory, ModelMetrics, ModelStatus, OperatorStatus, PartitionStatus,
    Queued, RunState, SinkStatus, SourceStatus, Status, StatusSource, VariantStatus,
};
