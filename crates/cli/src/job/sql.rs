//! Where the job meets its SQL: compiles `views.sql` and the queries of relations, objects and models, and points at what is
//! wrong in the file that it was written in.

use super::problem::{Place, Problem};
use super::tree::Text;
use chrono_tz::Tz;
use proxima_graph::{RelationColumns, check_forget, object_id_column};
use proxima_view::{Options, Origin, Plan, QuerySource};

/// What a query of `job.toml` is for, which decides the columns that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A relation: subject, object and, if wanted, weight.
    Relation,
    /// Objects: id and attributes.
    Objects,
    /// What is forgotten: kind and id.
    Forget,
    /// What requests ask to be forgotten.
    ForgetRequests,
    /// Samples of a model, whose columns the model names.
    Model,
}

/// A query in `job.toml`.
#[derive(Debug)]
pub struct Query<'a> {
    /// Its name among the compiled ones: `relations.bought`.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Its text.
    pub sql: &'a Text,
    /// Where its value stands.
    pub place: &'a Place,
}

impl Query<'_> {
    fn key(&self) -> String {
        format!("{}.from", self.name)
    }

    /// Where in the job file a line and column of the query are; the whole value where the file shows it with escapes.
    fn place_of(&self, line: u32, column: u32) -> Place {
        match &self.sql.first {
            Some(first) if line <= 1 => first.at(first.line, first.column + column.max(1) - 1),
            Some(first) => first.at(first.line + line - 1, column),
            None => self.place.clone(),
        }
    }
}

/// Compiles a job's SQL. Gives what is right of it, and whether that is all.
pub fn compile(views: &Place, sql: &str, queries: &[Query<'_>], zone: Tz, problems: &mut Vec<Problem>) -> (Plan, bool) {
    let sources: Vec<_> = queries.iter().map(|query| QuerySource { name: &query.name, sql: &query.sql.text }).collect();
    let options = Options { zone };
    let compiled = proxima_view::compile(sql, &sources, &options);
    let is_whole = compiled.is_ok();
    let plan = compiled.unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|problem| translate(problem, views, queries)));
        proxima_view::sound(sql, &sources, &options)
    });
    check_columns(&plan, queries, problems);
    (plan, is_whole)
}

/// A problem of the planner in the job's words.
fn translate(found: proxima_view::Problem, views: &Place, queries: &[Query<'_>]) -> Problem {
    let (line, column) = (clamp(found.line), clamp(found.column));
    let (place, key) = match &found.origin {
        Origin::Views => (views.at(line, column), String::new()),
        Origin::Query(name) => match queries.iter().find(|query| query.name == *name) {
            Some(query) => (query.place_of(line, column), query.key()),
            None => (views.clone(), name.clone()),
        },
    };
    // A problem is one line, for people who look for it with other tools.
    let message = found.message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Problem::error(&place, key, message).advise(found.advice.unwrap_or_default())
}

/// The columns that a relation or objects must have.
fn check_columns(plan: &Plan, queries: &[Query<'_>], problems: &mut Vec<Problem>) {
    let compiled = |query: &Query<'_>| plan.queries.iter().find(|compiled| compiled.name == query.name);
    for (query, compiled) in queries.iter().filter_map(|query| Some((query, compiled(query)?))) {
        let errors = match query.purpose {
            Purpose::Relation => RelationColumns::of(&compiled.schema).err().unwrap_or_default(),
            Purpose::Model | Purpose::ForgetRequests => Vec::new(),
            Purpose::Objects => object_id_column(&compiled.schema).err().into_iter().collect(),
            Purpose::Forget => check_forget(&compiled.schema).err().into_iter().collect(),
        };
        let problem = |error: proxima_graph::ColumnError| Problem::error(query.place, query.key(), error.to_string());
        problems.extend(errors.into_iter().map(problem));
    }
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
