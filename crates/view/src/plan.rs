//! What planning gives: the tables, targets and queries of a job, and the operators between them.

use crate::explain;
use crate::frontend;
use crate::lower;
use crate::meaning;
use crate::problem::Problem;
use crate::script::Script;
use crate::tree::{Ix, Tree};
use arrow::datatypes::SchemaRef;
use proxima_engine::{NodeId, Topology};
use proxima_event::Epoch;
use proxima_event::decode::{ChangeConfig, DecodeConfig, EpochUnit};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What planning needs to know of the job.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The zone of the job: what timestamps without an offset are in.
    pub zone: chrono_tz::Tz,
}

impl Default for Options {
    fn default() -> Self {
        Self { zone: chrono_tz::UTC }
    }
}

/// A query of `job.toml` over the tables and views of `views.sql`.
#[derive(Clone, Copy, Debug)]
pub struct QuerySource<'a> {
    /// Its name, for problems and results: `relations.bought`.
    pub name: &'a str,
    /// A bare `SELECT`.
    pub sql: &'a str,
}

/// A checked job: nothing in it is left to guess.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The input tables that the job reads, in the order of their declarations.
    pub tables: Vec<Table>,
    /// What is written, in the order of the declarations.
    pub targets: Vec<Target>,
    /// The queries, in the order given.
    pub queries: Vec<Query>,
    /// The names of the tables that are read, by the number that the graph knows them by.
    pub(crate) table_names: HashMap<usize, String>,
    pub(crate) tree: Tree,
    /// The nodes of the targets, then of the queries.
    pub(crate) results: Vec<Ix>,
    /// What it was made from.
    pub(crate) script: Arc<Script>,
    pub(crate) zone: chrono_tz::Tz,
}

/// An input table: rows decoded from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name in SQL.
    pub name: String,
    /// The name of the source in `job.toml`.
    pub source: String,
    /// How its records are written: `csv`, `json`, `maxwell`, `debezium` or `canal`.
    pub format: String,
    /// All options as they were given.
    pub options: BTreeMap<String, String>,
    /// Only the columns and nested fields that the job uses, in the order of the declaration.
    pub schema: SchemaRef,
    /// The declared primary key, if its columns are used.
    pub key: Vec<usize>,
    /// The column that says when a row happened, if it is used.
    pub event_time: Option<EventTime>,
    /// How much older than the newest row a row may be.
    pub lifetime: Option<Duration>,
    /// Whether other sources wait until this table's has been read.
    pub dimension: bool,
    /// For formats of changes: whose changes are read, and by which key.
    pub changes: Option<ChangeConfig>,
    /// What bare numbers in TIMESTAMP columns count.
    pub epoch_unit: EpochUnit,
    /// Whether rows only come and are never taken back.
    pub append_only: bool,
    /// Line and column of its declaration.
    pub position: (u64, u64),
}

impl Table {
    /// What its decoder is made from, in a job of this zone.
    #[must_use]
    pub fn decode_config(&self, zone: chrono_tz::Tz, batch_rows: usize) -> DecodeConfig {
        let (schema, epoch_unit) = (SchemaRef::clone(&self.schema), self.epoch_unit);
        DecodeConfig { schema, zone, epoch_unit, batch_rows, changes: self.changes.clone() }
    }

    /// The key by which its rows are normalised, if they are.
    pub(crate) fn change_key(&self) -> Option<&[usize]> {
        self.changes.as_ref().map(|changes| &changes.key[..]).filter(|key| !key.is_empty())
    }
}

/// The column that says when a row happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// Its name.
    pub name: String,
    /// Its number in the table's schema.
    pub column: usize,
}

/// What a view is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in SQL.
    pub name: String,
    /// The name of the sink in `job.toml`.
    pub sink: String,
    /// The name of the index; the target's own unless it says otherwise.
    pub index: String,
    /// Its columns, as declared.
    pub schema: SchemaRef,
    /// The columns of its primary key.
    pub key: Vec<usize>,
    /// Its query is said to give one row for each key at a time, so that none are kept to find the greatest.
    pub one_row_per_key: bool,
    /// Line and column of its declaration.
    pub position: (u64, u64),
}

/// A query and the columns that it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its name, as given.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Whether rows only come and are never taken back.
    pub append_only: bool,
}

/// Columns by table.
pub type HeldColumns = BTreeMap<String, Vec<String>>;

/// The nodes that hold the results in a topology.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// By target: changes netted by key, on the worker that owns the key.
    pub targets: HashMap<String, NodeId>,
    /// By query: the changes of its rows.
    pub queries: HashMap<String, NodeId>,
}

/// Checks and plans a job's SQL: `views_sql` and the queries over it.
///
/// # Errors
/// All problems at once, in the order of the text.
///
/// # Example
/// ```
/// use proxima_view::{Options, QuerySource, compile};
/// let views = "CREATE TABLE orders (id BIGINT, amount DECIMAL(10, 2), note STRING) WITH (source = 'o', format = 'csv');
///              CREATE TABLE total (id BIGINT, amount DECIMAL(20, 2), PRIMARY KEY (id) NOT ENFORCED) WITH (sink = 'index');
///              INSERT INTO total SELECT id, sum(amount) FROM orders GROUP BY id";
/// let plan = compile(views, &[], &Options::default()).expect("the SQL is right");
/// assert_eq!(plan.tables[0].schema.fields().len(), 2, "the note is not used, so it is not read");
///
/// let problems = compile("CREATE VIEW v AS SELECT now()", &[], &Options::default()).expect_err("replays must agree");
/// assert_eq!((problems[0].line, problems[0].column), (1, 25));
/// ```
pub fn compile(views_sql: &str, queries: &[QuerySource<'_>], options: &Options) -> Result<Plan, Vec<Problem>> {
    frontend::compile(views_sql, queries, options, true)
}

/// As [`compile`], for sources that may take rows back that they have given: changes of a database, not lines of files.
/// Operators then keep what a retraction needs.
///
/// # Errors
/// As for [`compile`].
pub fn compile_changelog(
    views_sql: &str,
    queries: &[QuerySource<'_>],
    options: &Options,
) -> Result<Plan, Vec<Problem>> {
    frontend::compile(views_sql, queries, options, false)
}

/// The tables and targets that a job's SQL declares, as far as it can be read, with all their columns: also those that
/// nothing uses, and also where something else is wrong.
#[must_use]
pub fn declared(views_sql: &str, zone: chrono_tz::Tz) -> (Vec<Table>, Vec<Target>) {
    frontend::declared(views_sql, zone)
}

/// The plan of what is right in a job's SQL where something else is wrong, so that what else the job says can be held
/// against it. What reads something wrong is not in it.
#[must_use]
pub fn sound(views_sql: &str, queries: &[QuerySource<'_>], options: &Options) -> Plan {
    frontend::sound(views_sql, queries, options)
}

impl Plan {
    /// Adds the operators of the plan to a topology. `tables` holds the decoded rows of each table, by its name.
    ///
    /// # Panics
    /// When a table of the plan is missing.
    pub fn lower(&self, topology: &mut Topology, tables: &HashMap<String, NodeId>) -> Lowered {
        self.lower_begun(topology, tables, Epoch(0))
    }

    /// As [`lower`](Self::lower), for results that began to be computed at an epoch: what state of theirs holds has
    /// come since, so that it is not the state of the same results that began at another.
    ///
    /// # Panics
    /// When a table of the plan is missing.
    pub fn lower_begun(&self, topology: &mut Topology, tables: &HashMap<String, NodeId>, began: Epoch) -> Lowered {
        lower::lower(self, topology, tables, began)
    }

    /// What each target and query computes, as a number that is the same for as long as it computes the same: whatever
    /// else the job computes, and however the SQL is written down.
    #[must_use]
    pub fn meanings(&self) -> BTreeMap<String, u64> {
        meaning::of_results(self)
    }

    /// The identities of the state that a target or query rests on, in a run that began to fill it at an epoch.
    #[must_use]
    pub fn state(&self, result: &str, began: Epoch) -> BTreeSet<String> {
        meaning::state(self, result, began)
    }

    /// The sources that a target or query reads.
    #[must_use]
    pub fn sources(&self, result: &str) -> BTreeSet<String> {
        meaning::sources(self, result)
    }

    /// The plan of these targets and queries alone: it shares nothing with the others, not even the columns of tables.
    /// Tables of changes keep the columns that `held` names, although nobody reads them any more: their state has them.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool, held: &HeldColumns) -> Self {
        frontend::plan(&self.script, self.zone, &wanted, held)
            .expect("what could be planned together can be planned alone")
    }

    /// The columns of which tables of changes hold state.
    #[must_use]
    pub fn held_columns(&self) -> HeldColumns {
        let names = |table: &Table| table.schema.fields().iter().map(|field| field.name().clone()).collect();
        let changes = self.tables.iter().filter(|table| table.change_key().is_some());
        changes.map(|table| (table.name.clone(), names(table))).collect()
    }

    pub(crate) fn table(&self, number: usize) -> &Table {
        let name = &self.table_names[&number];
        self.tables.iter().find(|table| table.name == *name).expect("the tables that are read are kept")
    }

    /// The operators as an indented tree, for people and for tests.
    #[must_use]
    pub fn explain(&self) -> String {
        explain::explain(self)
    }
}
