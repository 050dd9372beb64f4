//! Recommendations: what to show an object, made of paths.
//!
//! ```text
//! paths ─ candidates ─> blend or model ─ boosts ─> rules ─> order ─ caps, pins ─> list ─ fallback ─> answer
//! ```
//!
//! 1. Each path of the recommendation gives candidates. Its scores are divided by its highest, so that paths of different
//!    kinds can be mixed, and count by the path's share of all shares; or a model gives each candidate the log odds that it
//!    is what is wanted.
//! 2. Boosts add to the score and buries take from it, by attributes of the candidate.
//! 3. Rules drop candidates: those that the object is related to already, that lack something, that score too little.
//! 4. The rest is put in order, the highest first, equals by their texts, and dealt out: no more than so many of one value
//!    of an attribute; what is pinned stands at its place.
//! 5. What is still missing comes from the fallback paths, one after the other, held to the same rules.
//!
//! Scores are whole numbers of units of 2^-32: every part of a score is rounded before it is added, so that the parts that
//! an explanation shows sum to the score exactly.
//!
//! This crate does no I/O and reads no clock. What it asks is behind [`Shop`]: [`LiveShop`] answers from the live graph,
//! [`StoredShop`] from what a run keeps in a store for processes without one.

mod deal;
pub mod evaluate;
mod gather;
mod kept;
mod live;
mod recommend;
mod score;
mod service;
mod shop;
mod spec;
mod split;
mod stored;

pub use live::{LiveShop, Ranker, walk};
pub use recommend::{Answer, Item, NUMBER_MAX, Origin, Request, explain, recommend};
pub use score::{Part, UNIT, to_number};
pub use service::{AskError, Asks, Explained, Keep, Recommended, Recommender, Service, SwitchError};
pub use shop::{Candidate, Shop};
pub use spec::{Boost, Cap, Fallback, Feed, Is, Pin, Recommendation, Require, Rules, Start};
pub use split::Split;
pub use stored::StoredShop;
