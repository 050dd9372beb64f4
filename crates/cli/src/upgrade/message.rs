//! What is said to somebody whose job has changed: what has, what that costs, and what to do.

use super::{Definition, Layout, Why};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names in a line, at the most.
const NAMED_MAX: usize = 12;

/// Why the job does not simply go on.
pub(super) fn refuse(
    layout: &Layout,
    why: &BTreeMap<String, Why>,
    definitions: &BTreeMap<String, Definition>,
) -> String {
    let mut text = "the job is not the one that its checkpoint was made by".to_owned();
    let of = |wanted: Why| why.iter().filter(move |(_, why)| **why == wanted).map(|(name, _)| name.as_str());
    line(&mut text, "changed", of(Why::Changed));
    line(&mut text, "new", of(Why::Added));
    line(&mut text, "gone", layout.gone.keys().map(String::as_str));
    line(&mut text, "shares its state with one of these", of(Why::Shared));
    line(&mut text, "was started anew by a run that came to no checkpoint", of(Why::Emptied));
    line(&mut text, "goes on as it is", layout.cohorts.iter().flat_map(|cohort| &cohort.results).map(String::as_str));
    text += "\nChoose:\n  --restart-changed   the unchanged goes on exactly";
    let is_whole = |name: &&String| definitions[*name].sources.is_subset(&layout.reset);
    let (whole, from_here): (Vec<_>, Vec<_>) = layout.restarted.iter().partition(is_whole);
    let reset = list(layout.reset.iter().map(String::as_str));
    line(
        &mut text,
        "      begins empty, and knows only what comes from here on",
        from_here.into_iter().map(String::as_str),
    );
    line(
        &mut text,
        &format!("      begins anew, and reads {reset} from the beginning"),
        whole.into_iter().map(String::as_str),
    );
    let dropped = "      is dropped with its state and embedded index; what servers hold of it stays";
    line(&mut text, dropped, layout.gone.keys().map(String::as_str));
    text += "\n  --fresh   everything begins anew, and all sources are read from the beginning";
    text += "\n  or put the old definition back: nothing was touched";
    text
}

fn line<'a>(text: &mut String, what: &str, names: impl Iterator<Item = &'a str>) {
    let names = list(names);
    if !names.is_empty() {
        let _ = write!(text, "\n  {what}: {names}");
    }
}

/// Names in a line; of very many only the first.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
