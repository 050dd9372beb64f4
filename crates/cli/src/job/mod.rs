//! A job: from a folder with `job.toml` and `views.sql` to a [`JobPlan`] that `run` can carry out.
//!
//! The way: [`tree`] reads TOML with the place of every value, `--connect` files and `--set` overrides are laid over
//! it, [`raw`] takes typed values out, [`check`] holds them against each other, the files they name and the SQL. Every
//! problem found on the way is told at once.

pub mod broken;
pub mod check;
pub mod elastic;
pub mod fields;
pub mod forget;
pub mod functions;
pub mod http_source;
pub mod inputs;
pub mod judges;
pub mod kafka;
pub mod kept;
pub mod links;
pub mod models;
pub mod nearest;
pub mod outputs;
pub mod overrides;
pub mod paths;
pub mod plan;
pub mod problem;
pub mod queries;
pub mod raw;
pub mod recommendations;
pub mod redis;
pub mod relations;
pub mod secret;
pub mod sql;
pub mod tree;
pub mod units;

pub use elastic::ElasticPlan;
pub use outputs::{Kept, OutputPlan};
pub use plan::{
    CheckpointPlace, CheckpointPlan, EpochPlan, HttpPlan, JobPlan, PathPlan, QueryPlan, RelationPlan, SinkKind,
    SourcePlan,
};
pub use problem::{Origin, Place, Problem, Problems, Severity};

use fields::Fields;
use proxima_elastic::IndexPattern;
use raw::RawJob;
use std::path::{Path, PathBuf};
use tree::{Node, Table, Value};

/// What is laid over the job file, and how strictly the job is checked.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Files given with `--connect`, in order.
    pub connect: Vec<PathBuf>,
    /// Overrides given with `--set`, in order; they come after all files.
    pub set: Vec<String>,
    /// Leave alone whether the files that sources name exist: for commands that do not read them.
    pub without_inputs: bool,
    /// Look up what opens the stores that lists are read from, also where nothing else is asked for.
    pub lists: bool,
}

/// Reads and checks the job in a folder.
///
/// # Errors
/// With every problem that was found, in the order of files and lines.
pub fn load(folder: &Path, overlay: &Overlay) -> Result<JobPlan, Problems> {
    let mut problems = Vec::new();
    let plan = read_tree(folder, overlay, &mut problems).and_then(|job| {
        let raw = RawJob::read(Fields::new("", job, &mut problems));
        check::check(folder, raw, overlay, &mut problems)
    });
    let mut problems = Problems(problems);
    problems.sort();
    match plan {
        Some(plan) if problems.errors() == 0 => Ok(JobPlan { warnings: problems.0, ..plan }),
        _ => {
            // Beside errors, warnings are mostly their shadows: a misspelt name leaves the right one unused.
            problems.0.retain(|problem| problem.severity == Severity::Error);
            Err(problems)
        }
    }
}

/// The job file with everything laid over it. `None` when there is no use in looking further.
fn read_tree(folder: &Path, overlay: &Overlay, problems: &mut Vec<Problem>) -> Option<Node> {
    let file = folder.join("job.toml");
    let advice = "a job is a folder with job.toml and views.sql";
    let mut job = read_file(&file, advice, problems)?;
    for path in &overlay.connect {
        let advice = "--connect takes a file in the words of job.toml";
        let over = read_file(path, advice, problems);
        tree::merge(&mut job, over.unwrap_or_else(|| empty(path)));
    }
    for text in &overlay.set {
        if let Err(problem) = overrides::apply(&mut job, text) {
            problems.push(problem);
        }
    }
    Some(job)
}

fn read_file(path: &Path, advice: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    match std::fs::read_to_string(path) {
        Ok(source) => {
            let (node, mut found) = tree::parse(path, &source);
            // What a broken file seems to say would only mislead.
            let whole = found.is_empty();
            problems.append(&mut found);
            whole.then_some(node)
        }
        Err(error) => {
            problems.push(Problem::error(&Place::file(path), "", format!("cannot read: {error}")).advise(advice));
            None
        }
    }
}

/// By what people and routes call an index whose name may have columns in it.
#[must_use]
pub fn index_name(written: &str) -> String {
    written.parse().map_or_else(|_| written.to_owned(), |pattern: IndexPattern| pattern.base_name())
}

fn empty(path: &Path) -> Node {
    Node { place: Place::file(path), value: Value::Table(Table::new()) }
}

#[cfg(test)]
mod tests;
