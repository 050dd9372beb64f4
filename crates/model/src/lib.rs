//! Models that learn from a stream: logistic regression over hashed features.
//!
//! A model is a query with a label. Its rows become samples, each a label and a sparse vector of features; the samples
//! come to the one worker that owns the model, which learns from them in a fixed order:
//!
//! ```text
//! query ─ local ─> Encode ─ to the owner ─> Train ~~> LiveModel ~~> scores, metrics
//! ```
//!
//! [`Encode`] turns rows to samples by the [`Encoder`], the same that later scores candidates. [`Train`] first predicts
//! a sample, notes how good that was ([`Progress`]), then learns from it. Readers see the weights through [`LiveModel`].

mod encode;
mod features;
mod learn;
mod lessons;
mod live;
mod lower;
mod metrics;
mod pending;
mod samples;
mod spec;
mod state;
mod train;

pub use encode::Encode;
pub use features::Encoder;
pub use learn::{Learner, learner};
pub use lessons::Lessons;
pub use live::LiveModel;
pub use lower::lower;
pub use metrics::{Progress, Summary};
pub use samples::{feature, slot_of, value_of};
pub use spec::{BindError, FeatureKind, FeatureSpec, LearnerSpec, Missing, ModelSpec};
pub use train::Train;
