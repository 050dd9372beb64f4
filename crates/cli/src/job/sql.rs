//! Where the job meets its SQL: compiles `views.sql` and the queries of relations and objects, and points at what is
//! wrong in the file that it was written in.

use super::problem::{Place, Problem};
use super::tree::Text;
use chrono_tz::Tz;

/// The compiled views. (Stands in for the planner's own type until the two are joined.)
pub type Views = ();

/// A query in `job.toml`.
pub struct Query<'a> {
    /// The path of its key: `relations.bought`.
    pub name: String,
    /// Its text.
    pub sql: &'a Text,
    /// Where its value stands.
    pub place: &'a Place,
}

/// Compiles a job's SQL.
pub fn compile(
    views: &Place,
    sql: &str,
    queries: &[Query<'_>],
    zone: Tz,
    problems: &mut Vec<Problem>,
) -> Option<Views> {
    let _ = (views, sql, queries, zone, problems);
    Some(())
}
