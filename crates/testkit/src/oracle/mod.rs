//! The batch oracle: the same `views.sql`, run by DataFusion over the whole input at once.
//!
//! It shares nothing with the code under test but the language: it reads the statements by itself, has its own time
//! windows, and knows no changes, only tables.

mod dialect;
mod tables;
mod windows;

pub use dialect::{Script, Statement};

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement as PlanStatement;
use datafusion::sql::sqlparser::ast;
use proxima_event::Changes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The changes of each input table, by its name.
pub type Inputs = BTreeMap<String, Vec<Changes>>;

/// The answers of one `views.sql` over one input.
pub struct Oracle {
    context: SessionContext,
    runtime: Runtime,
    targets: BTreeMap<String, RecordBatch>,
}

impl Oracle {
    /// Runs all statements over the net rows of `inputs`. Tables that are missing there are empty.
    ///
    /// # Errors
    /// When a statement cannot be read, planned or run.
    ///
    /// # Panics
    /// When the net weight of an input row is below zero: such an input has no batch equivalent.
    pub fn run(views_sql: &str, zone: &str, inputs: &Inputs) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O needs nothing");
        let mut oracle = Self { context: context(zone), runtime, targets: BTreeMap::new() };
        for statement in Script::parse(views_sql, zone)?.statements {
            oracle.take(statement, inputs)?;
        }
        Ok(oracle)
    }

    /// The rows of a target, with the columns that it declares.
    ///
    /// # Panics
    /// When nothing is inserted into a target of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> &RecordBatch {
        self.targets.get(name).unwrap_or_else(|| panic!("nothing is inserted into {name}"))
    }

    /// The names of all targets.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// The rows of a query over the tables and views.
    ///
    /// # Errors
    /// When it cannot be read, planned or run.
    pub fn query(&self, sql: &str) -> Result<RecordBatch> {
        self.collect(dialect::parse_query(sql)?)
    }

    fn take(&mut self, statement: Statement, inputs: &Inputs) -> Result<()> {
        match statement {
            Statement::Input { name, schema } => {
                let changes = inputs.get(&name).map_or(&[][..], Vec::as_slice);
                self.register(&name, crate::rows::expand(&schema, changes))
            }
            Statement::View { name, query } => {
                let rows = self.collect(query)?;
                self.register(&name, rows)
            }
            Statement::Insert { target, schema, query } => {
                let rows = conform(&self.collect(query)?, &schema)?;
                let old = self.targets.insert(target.clone(), rows);
                assert!(old.is_none(), "{target} is inserted into twice");
                Ok(())
            }
        }
    }

    fn collect(&self, query: Box<ast::Query>) -> Result<RecordBatch> {
        self.runtime.block_on(async {
            let statement = PlanStatement::Statement(Box::new(ast::Statement::Query(query)));
            let state = self.context.state();
            let plan = state.statement_to_plan(statement).await?;
            // The types that coercion gives. Optimisation may change them again: it sums decimals twice for a DISTINCT.
            let analysed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
            let schema: SchemaRef = Arc::new(analysed.schema().as_arrow().clone());
            let batches = self.context.execute_logical_plan(plan).await?.collect().await?;
            let batches: Vec<_> = batches.iter().map(|batch| conform(batch, &schema)).collect::<Result<_>>()?;
            Ok(concat_batches(&schema, &batches)?)
        })
    }

    fn register(&self, name: &str, rows: RecordBatch) -> Result<()> {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        self.context.register_table(TableReference::bare(name), Arc::new(table))?;
        Ok(())
    }
}

/// One partition and names as they are written, as our dialect has them.
fn context(zone: &str) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .set_bool("datafusion.sql_parser.enable_ident_normalization", false)
        .set_str("datafusion.execution.time_zone", zone);
    let context = SessionContext::new_with_config(config);
    context.register_udf(windows::tumble());
    context.register_udf(windows::hop());
    context
}

/// The same columns under the names and types of `schema`, by position; nothing is required to be there.
fn conform(rows: &RecordBatch, schema: &Schema) -> Result<RecordBatch> {
    if rows.num_columns() != schema.fields().len() {
        let (found, declared) = (rows.num_columns(), schema.fields().len());
        return Err(DataFusionError::Plan(format!("{found} columns are inserted into {declared}")));
    }
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let columns = rows.columns().iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}
