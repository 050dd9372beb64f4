//! `[paths.NAME] output`: which lists are kept in a store, and how.

use super::fields::{Fields, Located, advise_word};
use super::paths::RawWalk;
use super::problem::{Place, Problem};
use super::raw::RawSink;
use super::tree::Text;
use proxima_graph::path::Paths;
use proxima_graph::{Direction, KindId, RelationId};
use proxima_view::Plan;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many objects a list holds where neither the output nor the path says so.
const N: usize = 100;

/// How long changes of a list are held back where the job does not say: what changes with every event is of more use to
/// nobody.
pub const EVERY: Duration = Duration::from_secs(1);

/// An output as it was written.
#[derive(Debug)]
pub struct RawOutput {
    place: Place,
    key: String,
    sink: Option<Located<Text>>,
    n: Option<Located<u64>>,
    every: Option<Located<Duration>>,
}

/// What is kept in a store: lists of a path, or what else a recommendation is answered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPlan {
    /// The sink of kind `redis`; none for the embedded key-value store.
    pub sink: Option<String>,
    /// How many objects a list holds at the most.
    pub n: usize,
    /// How often a list is written at the most.
    pub every: Duration,
    /// What is kept.
    pub kept: Kept,
}

/// What an output keeps of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The list of the path of the output's name.
    Path,
    /// What a relation leads to.
    Related(RelationId, Direction),
    /// The attributes of a kind.
    Attributes(KindId),
}

impl RawOutput {
    /// Reads the key `output` of a path. It may be just `true`.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let key = fields.key("output");
        if !fields.holds_table("output") {
            let wanted = fields.boolean("output").filter(|wanted| wanted.value)?;
            return Some(Self { place: wanted.place, key, sink: None, n: None, every: None });
        }
        let mut section = fields.section("output");
        let output = Self {
            place: section.place.clone(),
            key,
            sink: section.text("sink"),
            n: section.number("n", 1),
            every: section.duration("every"),
        };
        section.finish();
        Some(output)
    }

    /// The sink that it is written to, if it names one.
    #[must_use]
    pub fn sink(&self) -> Option<&str> {
        self.sink.as_ref().map(|sink| sink.value.text.as_str())
    }

    /// Whether it says how many objects a list holds.
    #[must_use]
    pub fn has_n(&self) -> bool {
        self.n.is_some()
    }

    fn check(&self, name: &str, known: &Known<'_>, problems: &mut Vec<Problem>) -> OutputPlan {
        if let Some(sink) = &self.sink {
            check_sink((&self.place, &self.key), name, sink, known, problems);
        }
        let top = known.paths.get(name).and_then(|path| path.shape.top);
        let n = self.n.as_ref().map(|n| usize::try_from(n.value).unwrap_or(usize::MAX));
        OutputPlan {
            sink: self.sink().map(str::to_owned),
            n: n.or(top).unwrap_or(N),
            every: self.every.as_ref().map_or(EVERY, |every| every.value),
            kept: Kept::Path,
        }
    }
}

/// Checks that a sink takes lists, and that nothing else has the table there.
pub fn check_sink(
    (place, key): (&Place, &str),
    table: &str,
    sink: &Located<Text>,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) {
    let wanted = &sink.value.text;
    let of_redis = known.sinks.iter().filter(|(_, sink)| sink.redis.is_some());
    let of_redis: Vec<&str> = of_redis.map(|(name, _)| name.as_str()).collect();
    if !known.sinks.iter().any(|(known, _)| known == wanted) {
        let message = format!("the job has no sink \"{wanted}\"");
        problems.push(sink.error(message).advise(advise_word(wanted, &of_redis)));
    } else if !of_redis.contains(&wanted.as_str()) {
        let advice = "name a sink of kind redis, or leave this key out: then lists are in the data folder";
        problems.push(sink.error(format!("sink \"{wanted}\" does not take lists")).advise(advice));
    }
    let mut targets = known.views.targets.iter();
    if let Some(target) = targets.find(|target| target.sink == *wanted && target.index == table) {
        let message = format!("table {} writes to \"{table}\" of this sink as well", target.name);
        problems.push(Problem::error(place, key, message).advise("give the table another index = '…'"));
    }
}

/// What outputs are held against.
pub struct Known<'a> {
    /// The job's sinks.
    pub sinks: &'a [(String, RawSink)],
    /// Its paths.
    pub paths: &'a Paths,
    /// Its SQL.
    pub views: &'a Plan,
}

/// Checks the outputs of all paths.
pub fn check(
    walks: &[(String, RawWalk)],
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, OutputPlan> {
    let outputs = walks.iter().filter_map(|(name, walk)| Some((name, walk.output.as_ref()?)));
    outputs.map(|(name, output)| (name.clone(), output.check(name, known, problems))).collect()
}
