//! How good lists are: judged by what came after them, against what is popular.

mod live;
mod metrics;
mod popular;
mod report;
mod saved;

pub use live::{LiveJudge, REMEMBERED, Saved};
pub use metrics::{Judge, Metrics};
pub use popular::Popular;
pub use report::{plot, table};
