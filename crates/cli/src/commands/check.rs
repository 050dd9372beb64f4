//! `proxima check` and `proxima explain`: what a job is, before it runs.

use super::{load_job, print};
use crate::args::JobArgs;
use crate::failure::Failure;
use crate::job::JobPlan;

/// Checks a job. All problems come at once, as the failure.
pub(super) fn check(args: &JobArgs) -> Result<(), Failure> {
    let plan = load_job(&args.job, &args.overlay())?;
    print(&summary(&plan))
}

/// Prints the operators that a job becomes.
pub(super) fn explain(args: &JobArgs) -> Result<(), Failure> {
    let overlay = crate::job::Overlay { without_inputs: true, ..args.overlay() };
    let plan = load_job(&args.job, &overlay)?;
    print(&plan.views.explain())
}

fn summary(plan: &JobPlan) -> String {
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let parts = [
        counted(plan.sources.len(), "source"),
        counted(plan.views.targets.len(), "target"),
        counted(plan.relations.len(), "relation"),
        counted(plan.paths.len(), "path"),
        counted(plan.models.len(), "model"),
    ];
    format!("{}: {}; the job is right\n", plan.name, parts.join(", "))
}
