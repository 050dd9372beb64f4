//! `proxima` with a function of one's own: a merger that counts a meeting through many objects less than their number.
//!
//! ```toml
//! [paths.also]
//! left = { hop = "bought", reverse = true }
//! right = { hop = "bought" }
//! merger = { function = "damped" }
//! ```

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef};
use proxima_cli::functions::{Expression, Function, Functions};
use std::process::ExitCode;
use std::sync::Arc;

/// The sum of products over the square root of how many there are.
#[derive(Debug)]
struct Damped;

impl Function for Damped {
    fn bind(&self, columns: &SchemaRef) -> Result<Arc<dyn Expression>, String> {
        match columns.column_with_name("dot") {
            Some(_) => Ok(Arc::new(Self)),
            None => Err("damped is for mergers".to_owned()),
        }
    }
}

impl Expression for Damped {
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>) {
        let dots = rows["dot"].as_primitive::<Float64Type>().values();
        let middles = rows["middles"].as_primitive::<Int64Type>().values();
        scores.extend(dots.iter().zip(middles).map(|(dot, middles)| dot / (*middles as f64).sqrt()));
    }
}

fn main() -> ExitCode {
    proxima_cli::main(Functions::from([("damped".to_owned(), Arc::new(Damped) as _)]))
}
