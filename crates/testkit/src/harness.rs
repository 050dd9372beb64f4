//! Runs a job's views in the engine over rows in memory and gives what the sinks hold in the end.

use crate::memory::{MemorySource, PickTable};
use crate::random::{Case, Event};
use crate::sinks::{CollectSink, Collected};
use crate::wait::finish;
use arrow::array::{Array, RecordBatch};
use proxima_engine::{NodeId, RunConfig, RunStatus, SinkNode, SourceNode, Topology, run};
use proxima_event::Changes;
use proxima_event::decode::{Decoder, Format, source_decoder};
use proxima_source::file::{FileConfig, FileSource, Framing};
use proxima_view::{Lowered, Options, Plan, Problem, QuerySource, Table, compile, compile_changelog};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// What a run left in its sinks.
pub struct Results {
    /// By target, as its key holds it.
    pub targets: BTreeMap<String, Collected>,
    /// By query, each row as often as it is there.
    pub queries: BTreeMap<String, Collected>,
    /// The counters at the end.
    pub status: RunStatus,
}

/// Epochs of batches, each with its table.
pub type Epochs = Vec<Vec<(String, Changes)>>;

/// Plans views and queries over tables whose rows only come.
///
/// # Errors
/// All problems, one a line.
pub fn plan(views_sql: &str, queries: &[(&str, &str)]) -> Result<Plan, String> {
    plan_by(compile, views_sql, queries)
}

/// Plans views and queries over tables whose rows may be taken back.
///
/// # Errors
/// All problems, one a line.
pub fn plan_changelog(views_sql: &str, queries: &[(&str, &str)]) -> Result<Plan, String> {
    plan_by(compile_changelog, views_sql, queries)
}

type Compile = fn(&str, &[QuerySource<'_>], &Options) -> Result<Plan, Vec<Problem>>;

fn plan_by(compile: Compile, views_sql: &str, queries: &[(&str, &str)]) -> Result<Plan, String> {
    let queries: Vec<_> = queries.iter().map(|&(name, sql)| QuerySource { name, sql }).collect();
    compile(views_sql, &queries, &Options::default())
        .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// Runs a plan whose tables are all filled from memory.
///
/// # Errors
/// When the run fails or hangs.
pub fn run_memory(plan: &Plan, epochs: Epochs, workers: usize) -> Result<Results, String> {
    let mut topology = Topology::new();
    let tables = memory_tables(plan, epochs, &mut topology);
    let (targets, queries) = collect(plan, &mut topology, &tables, |_, _| {});
    let config = RunConfig { workers, epochs: MemorySource::epoch_config(), ..RunConfig::default() };
    let status = finish(run(topology, config).map_err(|error| error.to_string())?)?;
    Ok(Results { targets, queries, status })
}

/// Adds a source in memory that fills all tables of a plan.
pub(crate) fn memory_tables(plan: &Plan, epochs: Epochs, topology: &mut Topology) -> HashMap<String, NodeId> {
    let epochs = epochs.into_iter().map(|epoch| narrow(epoch, &plan.tables)).collect();
    let source = topology.source(SourceNode {
        name: "input".into(),
        source: Box::new(MemorySource::new("input", epochs)),
        dimension: false,
    });
    let tables = plan.tables.iter().map(|table| {
        let name = table.name.clone();
        let pick = move || Box::new(PickTable { table: name.clone() }) as Box<dyn Decoder>;
        (table.name.clone(), topology.table(table.name.clone(), source, Some(Arc::new(pick))))
    });
    tables.collect()
}

/// Runs a plan over the files of one source, through the file source and the decoders. `also` adds what else the job
/// has.
///
/// # Errors
/// When a file cannot be read, the run fails or hangs.
pub fn run_files(
    plan: &Plan,
    path: &Path,
    config: RunConfig,
    also: impl FnOnce(&mut Topology, &Lowered),
) -> Result<Results, String> {
    let mut topology = Topology::new();
    let name = plan.tables[0].source.clone();
    let format: Format = plan.tables[0].format.parse().expect("plans only hold known formats");
    let framing = if format == Format::Csv { Framing::CSV } else { Framing::Lines };
    let files = FileSource::new(FileConfig::new(name.clone(), path, framing)).map_err(|error| error.to_string())?;
    let source = SourceNode { name: name.into(), source: Box::new(files), dimension: false };
    let source = topology.source(source);
    let configs: Vec<_> = plan.tables.iter().map(|table| table.decode_config(chrono_tz::UTC, 1_024)).collect();
    let names: Vec<String> = plan.tables.iter().map(|table| table.name.clone()).collect();
    let make = Arc::new(move || source_decoder(format, configs.clone()));
    let tables: HashMap<_, _> = names.clone().into_iter().zip(topology.tables(names, source, make)).collect();
    let (targets, queries) = collect(plan, &mut topology, &tables, also);
    let status = finish(run(topology, config).map_err(|error| error.to_string())?)?;
    Ok(Results { targets, queries, status })
}

type Sinks = BTreeMap<String, Collected>;

/// Puts a collecting sink behind each target and each query.
fn collect(
    plan: &Plan,
    topology: &mut Topology,
    tables: &HashMap<String, NodeId>,
    also: impl FnOnce(&mut Topology, &Lowered),
) -> (Sinks, Sinks) {
    let lowered = plan.lower(topology, tables);
    also(topology, &lowered);
    let mut targets = Sinks::new();
    for target in &plan.targets {
        let (sink, collected) = CollectSink::new(Arc::clone(&target.schema), Some(&target.key));
        let input = lowered.targets[&target.name];
        topology.sink(SinkNode { name: target.name.clone(), input, sink: Box::new(sink) });
        targets.insert(target.name.clone(), collected);
    }
    let mut queries = Sinks::new();
    for query in &plan.queries {
        let (sink, collected) = CollectSink::new(Arc::clone(&query.schema), None);
        let input = lowered.queries[&query.name];
        topology.sink(SinkNode { name: query.name.clone(), input, sink: Box::new(sink) });
        queries.insert(query.name.clone(), collected);
    }
    (targets, queries)
}

/// Only the tables and columns that the job uses, as a decoder gives them.
fn narrow(epoch: Vec<(String, Changes)>, tables: &[Table]) -> Vec<(String, Changes)> {
    let narrowed = epoch.into_iter().filter_map(|(name, changes)| {
        let table = tables.iter().find(|table| table.name == name)?;
        let schema = changes.rows.schema();
        let columns = table.schema.fields().iter().map(|field| {
            let column = changes.rows.column(schema.index_of(field.name()).expect("the table has its columns"));
            assert_eq!(column.data_type(), field.data_type(), "{name}.{}", field.name());
            Arc::clone(column)
        });
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(changes.len()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&table.schema), columns.collect(), &options);
        Some((name, changes.with_rows(rows.expect("the columns are of the table"))))
    });
    narrowed.collect()
}

/// How the input of a random case is cut into epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Every record is an epoch.
    One,
    /// A few records, 1 to 7, are an epoch.
    Few,
    /// Everything is one epoch.
    All,
}

impl Cut {
    /// All ways to cut.
    pub const ALL: [Self; 3] = [Self::One, Self::Few, Self::All];

    /// Cuts the events of a case.
    #[must_use]
    pub fn events(self, case: &Case) -> Vec<Vec<Event>> {
        let mut epochs = Vec::new();
        let mut rest = &case.events[..];
        let mut turn = case.seed as usize;
        while !rest.is_empty() {
            turn = turn.wrapping_mul(5).wrapping_add(3);
            let size = match self {
                Self::One => 1,
                Self::Few => 1 + turn % 7,
                Self::All => rest.len(),
            };
            let (epoch, after) = rest.split_at(size.min(rest.len()));
            epochs.push(epoch.to_vec());
            rest = after;
        }
        epochs
    }
}

/// The batches of epochs: several for each, so that more than one worker gets some.
#[must_use]
pub fn batches(case: &Case, epochs: &[Vec<Event>]) -> Epochs {
    let size = 1 + case.seed as usize % 5;
    let batches = |epoch: &Vec<Event>| {
        let chunks = epoch.chunks(size).flat_map(|events| case.changes(events));
        chunks.flat_map(|(table, changes)| changes.into_iter().map(move |changes| (table.clone(), changes))).collect()
    };
    epochs.iter().map(batches).collect()
}
