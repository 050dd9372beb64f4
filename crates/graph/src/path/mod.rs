//! Paths: how recommendations are described, and what they mean.
//!
//! A path leads from an object to scored objects. A **hop** walks along one relation; its selector says which
//! neighbours count, and how much. A **jump** goes by one path to objects in the middle and by another from each of
//! them; its merger makes one score of all that comes through the middle. Jumps are made of paths, so they can be as
//! deep as need be.
//!
//! # What a path gives
//!
//! *A score* is a whole number of units of 2^-40. Whatever is computed is rounded to units, halves away from zero, and
//! what is added up is rounded before; so results do not depend on any order. A score of zero is no relation: the object
//! is left out. Lists are ordered by score, the highest first, equal scores by the objects' texts.
//!
//! *A hop*, in this order:
//! 1. Each row has a score: its weight, or what its weight or an attribute (times the weight) stands for, or an
//!    expression; with a half-life this is multiplied by 2^(-age / half-life), the age counted from the relation's newest
//!    row. Each is rounded.
//! 2. The scores of rows to the same object are added. The object's time is that of its newest row.
//! 3. `recent`, `top` or `sample` keeps some of the objects.
//! 4. `position` multiplies scores by (n - i) / n, the newest of n objects being the 0th. `share` then divides them by
//!    their sum, of which there are none where that is 0; `power` then raises them. Each is rounded.
//!
//! *A jump* to an object has the scores `l` to the middle and `r` from there. Mergers and their sources are told at
//! [`Merger`], in `formulas.rs` and in `swing.rs`. Where a merger needs norms, both parts are single hops: the norm of
//! the object at the beginning comes from the rows of the left hop, that of the one at the end from the rows of the
//! right hop walked back from it, both after step 2, before any set is selected. A norm is the sum of the squares of
//! these scores (cosine) or how many there are (Jaccard, LLR, lift). For a cosine, products and squares above 2^54, which
//! are cut off there everywhere else, are rounded to multiples of 2^8 and cut off at 2^102; norms of weights are exact
//! below that. A cosine is cut off at -1 and 1, and 0 where a norm is. An object is not its own neighbour unless the jump
//! says so.
//!
//! *The session merger* is that of VMIS-kNN (Kersbergen, Sprangers and Schelter, "Serenade: Low-Latency Session-Based
//! Recommendation in e-Commerce at Scale", SIGMOD 2022): of the sessions that were reached, the `recent` newest, of
//! these the `neighbours` with the highest sums of l·r (equals: the newer), their scores multiplied by 1 - p / 10, where
//! p is the place, from 1, of the first object in the middle (by l) that leads there; 0 from the tenth on.
//!
//! *The shape* of a path comes last: a score is multiplied by ln(N / d) (`idf`), divided by d^β (`popularity`),
//! multiplied by `decay`, and rounded; then `top` keeps the highest. d is how many objects lead to this one by the last
//! hop's relation, N how many objects there are where that hop begins.

mod declare;
mod describe;
mod explain;
mod expression;
mod fixed;
mod fold;
mod formulas;
mod hop;
mod jump;
mod kept;
mod link;
mod memo;
mod narrow;
mod order;
mod plan;
mod reader;
mod rows;
mod scratch;
mod spec;
mod swing;
mod walk;

pub use declare::{Declaration, Declarations, DeclaredMerger, DeclaredSelect, DeclaredStep, Formula, MergerWord, Part};
pub use explain::Because;
pub use expression::{Compile, Expression, Function, Functions, parts_schema, row_schema};
pub use link::{PathProblem, Unlinked, link};
pub use memo::{Clock, Keeping, Memo, clock};
pub use order::Found;
pub use plan::{Added, Way, Why};
pub use reader::{WalkReader, Walked, WalkedTo};
pub use scratch::{Reached, Scratch};
pub use spec::{Hop, Jump, Keep, Merger, Path, Paths, RowScore, Select, Session, Set, Shape, Step, Swing, Word};
pub use swing::SWING_MIDDLES_MAX;
