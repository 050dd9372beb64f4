//! `proxima check` and `proxima explain`: what a job is, before it runs.

use super::{load_job, print};
use crate::args::{ExplainArgs, JobArgs};
use crate::failure::Failure;
use crate::job::JobPlan;

/// Checks a job. All problems come at once, as the failure.
pub(super) fn check(args: &JobArgs) -> Result<(), Failure> {
    let plan = load_job(&args.job, &args.overlay())?;
    print(&summary(&plan))
}

/// Prints the operators that a job becomes, or how one of its paths is computed.
pub(super) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let overlay = crate::job::Overlay { without_inputs: true, ..args.job.overlay() };
    let plan = load_job(&args.job.job, &overlay)?;
    let Some(name) = &args.path else { return print(&plan.views.explain()) };
    if let Some(path) = plan.walks.get(name) {
        return print(&path.describe(&plan.catalogue));
    }
    if let Some(path) = plan.paths.get(name) {
        let (relation, hot) = (&path.relation, path.hot_above);
        return print(&format!(
            "{name}: pairs of {relation}, by {:?}\n  maintained: counts of objects with more than {hot} subjects are \
             kept, the others gathered when they are published\n",
            path.merger
        ));
    }
    let known: Vec<&str> =
        plan.walks.iter().map(|(name, _)| name).chain(plan.paths.keys().map(String::as_str)).collect();
    Err(Failure::NotFound(format!("the job has no path \"{name}\"; there are: {}", known.join(", "))))
}

fn summary(plan: &JobPlan) -> String {
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let parts = [
        counted(plan.sources.len(), "source"),
        counted(plan.views.targets.len(), "target"),
        counted(plan.relations.len(), "relation"),
        counted(plan.paths.len() + plan.walks.iter().count(), "path"),
        counted(plan.models.len(), "model"),
        counted(plan.recommendations.plain.len() + plan.recommendations.splits.len(), "recommendation"),
    ];
    format!("{}: {}; the job is right\n", plan.name, parts.join(", "))
}
