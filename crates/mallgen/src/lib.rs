//! A seeded model of a shop with real habits: what its app logs, what its database changes, and what a job must answer.
//!
//! [`Mall`] is the shop: people who come by the hour of the day, walk through pages, fill carts, order, pay, ask for
//! their money back; and clerks who change prices and names. It hands each log line and each transaction to a
//! [`Target`] ([`Shipped`] writes them as a collector and Maxwell would, [`Statements`] has a database commit them), and
//! to [`Answers`], which computes every document of every index of `examples/mall` from the same facts. Nothing of the
//! engine is used here, so that an answer that both give is right.
//!
//! A seed gives the same bytes on every machine.

pub mod answers;
pub mod catalog;
pub mod change;
pub mod clock;
pub mod dice;
mod feed;
pub mod files;
pub mod json;
pub mod log;
mod mall;
pub mod maxwell;
mod orders;
pub mod pace;
mod people;
mod products;
mod queue;
mod reductions;
pub mod schema;
pub mod settings;
pub mod shipped;
pub mod statements;
pub mod target;
mod upkeep;
mod visits;
pub mod zipf;

pub use answers::Answers;
pub use files::Files;
pub use mall::{Counts, Mall};
pub use pace::Paced;
pub use settings::Settings;
pub use shipped::Shipped;
pub use statements::Statements;
pub use target::{Lines, Split, Stream, Target};
