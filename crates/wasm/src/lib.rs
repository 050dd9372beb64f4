//! Functions of paths from WebAssembly modules, so that a selector or a merger may be written in any language.
//!
//! A module imports nothing, and exports
//!
//! - `memory`;
//! - `reserve(bytes: i32) -> i32`: the address, a multiple of eight, of so many bytes, which stay as they are until the
//!   next call;
//! - `score(rows: i32, columns: i32, values: i32, scores: i32)`: at `values` lie the columns one behind the other, each
//!   with a 64-bit float for each row; it puts a 64-bit float for each row at `scores`.
//!
//! Columns are those of the schema in its order, but for texts, which are left out; null is not-a-number, true is 1, and
//! a time is in microseconds since 1970. Rows come in batches of at most [`BATCH_ROWS`]. What a module keeps from one
//! batch to the next is its own affair: there may be several instances, and a batch goes to any of them.
//!
//! A batch has [`Limits::fuel`] for each of its rows, and an instance has at most [`Limits::memory`]. The rows of a
//! batch that needs more, or that traps otherwise, have no score; the first such batch is told in the log.

mod instance;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit};
use instance::{Instance, State};
use parking_lot::Mutex;
use proxima_graph::path::{Expression, Function};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;
use wasmi::{Config, Engine, Linker};
use xxhash_rust::xxh3::xxh3_64;

/// The most rows that a module is called with.
pub const BATCH_ROWS: usize = 1024;

/// What a module may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of work for each row of a batch: about one an instruction.
    pub fuel: u64,
    /// Bytes of memory of an instance.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel: 10_000, memory: 16 << 20 }
    }
}

/// Why a module cannot be used.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// It is no WebAssembly, or needs what is not supported.
    #[error("no module: {0}")]
    Broken(wasmi::Error),
    /// It wants something from outside.
    #[error("it imports \"{0}\", but a module gets nothing but numbers")]
    Imports(String),
    /// It cannot be started within its limits.
    #[error("cannot be started: {0}")]
    Start(wasmi::Error),
    /// It lacks an export, or the export has another type.
    #[error("it must export {0}")]
    Export(&'static str),
}

/// A module that was loaded: a function of paths.
#[derive(Clone)]
pub struct Module {
    code: wasmi::Module,
    /// Tells it from others.
    hash: u64,
    limits: Limits,
}

impl Module {
    /// Loads a module, and starts it once to see that it can be.
    ///
    /// # Errors
    /// See [`ModuleError`].
    pub fn load(bytes: &[u8], limits: Limits) -> Result<Self, ModuleError> {
        let mut config = Config::default();
        config.consume_fuel(true);
        let code = wasmi::Module::new(&Engine::new(&config), bytes).map_err(ModuleError::Broken)?;
        if let Some(import) = code.imports().next() {
            return Err(ModuleError::Imports(format!("{}.{}", import.module(), import.name())));
        }
        let module = Self { code, hash: xxh3_64(bytes), limits };
        module.start()?;
        Ok(module)
    }

    fn start(&self) -> Result<Instance, ModuleError> {
        let mut store = State::store(self.code.engine(), self.limits);
        let linker = Linker::new(self.code.engine());
        let instance = linker.instantiate_and_start(&mut store, &self.code).map_err(ModuleError::Start)?;
        Instance::new(store, instance)
    }
}

impl Function for Module {
    fn bind(&self, columns: &SchemaRef) -> Result<Arc<dyn Expression>, String> {
        let numbers = columns.fields().iter().enumerate();
        let numbers = numbers.filter(|(_, field)| is_number(field.data_type())).map(|(place, _)| place);
        Ok(Arc::new(Bound {
            module: self.clone(),
            columns: numbers.collect(),
            idle: Mutex::default(),
            has_failed: AtomicBool::new(false),
        }))
    }
}

fn is_number(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Timestamp(TimeUnit::Microsecond, None)
    )
}

/// A module over the columns of a schema.
struct Bound {
    module: Module,
    /// The columns that it is given.
    columns: Vec<usize>,
    /// Instances that nobody uses at the moment: as many as there ever were callers at a time.
    idle: Mutex<Vec<Instance>>,
    has_failed: AtomicBool,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever compares descriptions sees that a module was replaced.
        write!(f, "of the WebAssembly module {:016x}", self.module.hash)
    }
}

impl Expression for Bound {
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>) {
        let columns: Vec<Float64Array> = self.columns.iter().map(|&place| floats(rows.column(place))).collect();
        for begin in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            let batch = begin..rows.num_rows().min(begin + BATCH_ROWS);
            let end = scores.len() + batch.len();
            if let Err(error) = self.batch(&columns, batch, scores) {
                if !self.has_failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!("rows have no score, since a WebAssembly module fails: {error}");
                }
                scores.resize(end, f64::NAN);
            }
        }
    }
}

impl Bound {
    fn batch(
        &self,
        columns: &[Float64Array],
        batch: std::ops::Range<usize>,
        scores: &mut Vec<f64>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let idle = self.idle.lock().pop();
        let mut instance = idle.map_or_else(|| self.module.start(), Ok)?;
        let slices = columns.iter().map(|column| &column.values()[batch.clone()]);
        instance.score(slices, batch.len(), self.module.limits.fuel, scores)?;
        // One that failed is dropped: nobody knows what state it is in.
        self.idle.lock().push(instance);
        Ok(())
    }
}

/// A column as 64-bit floats, null as not-a-number.
fn floats(column: &ArrayRef) -> Float64Array {
    let numbers = match column.data_type() {
        DataType::Timestamp(..) => cast(column, &DataType::Int64),
        _ => Ok(Arc::clone(column)),
    };
    let of = |row: usize, number: f64| if column.is_valid(row) { number } else { f64::NAN };
    let numbers = numbers.expect("a time is a whole number");
    let rows = 0..column.len();
    let floats: Vec<f64> = match numbers.data_type() {
        DataType::Boolean => rows.map(|row| of(row, f64::from(u8::from(numbers.as_boolean().value(row))))).collect(),
        DataType::Int64 => rows.map(|row| of(row, numbers.as_primitive::<Int64Type>().value(row) as f64)).collect(),
        _ => rows.map(|row| of(row, numbers.as_primitive::<Float64Type>().value(row))).collect(),
    };
    floats.into()
}

#[cfg(test)]
mod tests;
