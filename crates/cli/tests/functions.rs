//! Functions of one's own: from a Rust crate, and from a WebAssembly module, against the same written in SQL.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int64Type, SchemaRef};
use proxima_cli::assemble::empty_graph;
use proxima_cli::functions::{Expression, Function, Functions, offer};
use proxima_cli::job::{JobPlan, Overlay, load};
use proxima_event::Changes;
use proxima_graph::path::{Found, WalkReader};
use proxima_graph::{Feed, RelationColumns};
use std::path::Path;
use std::sync::Arc;

const VIEWS: &str = "CREATE TABLE orders (customer STRING, code STRING) WITH (source = 'orders', format = 'csv');";

const JOB: &str = r#"
[job]
name = "functions"
[sources.orders]
kind = "file"
path = "orders"
[relations.bought]
from = "SELECT customer AS subject, code AS object FROM orders"
[paths.by_sql]
left = { hop = "bought", reverse = true }
right = { hop = "bought" }
merger = { sql = "dot / (1 + middles)" }
[paths.by_crate]
left = { hop = "bought", reverse = true }
right = { hop = "bought" }
merger = { function = "damped" }
"#;

#[derive(Debug)]
struct Damped;

impl Function for Damped {
    fn bind(&self, columns: &SchemaRef) -> Result<Arc<dyn Expression>, String> {
        columns.column_with_name("dot").map(|_| Arc::new(Self) as _).ok_or_else(|| "damped is for mergers".to_owned())
    }
}

impl Expression for Damped {
    fn evaluate(&self, rows: &RecordBatch, scores: &mut Vec<f64>) {
        let dots = rows["dot"].as_primitive::<Float64Type>().values();
        let middles = rows["middles"].as_primitive::<Int64Type>().values();
        scores.extend(dots.iter().zip(middles).map(|(dot, middles)| dot / (1.0 + *middles as f64)));
    }
}

/// A job that has more at its end, with the function `damped` known.
fn read(folder: &Path, more: &str) -> Result<JobPlan, String> {
    offer(Functions::from([("damped".to_owned(), Arc::new(Damped) as _)]));
    std::fs::write(folder.join("job.toml"), format!("{JOB}{more}")).unwrap();
    std::fs::write(folder.join("views.sql"), VIEWS).unwrap();
    load(folder, &Overlay { without_inputs: true, ..Overlay::default() }).map_err(|problems| problems.to_string())
}

/// What a path leads to from each product, over customers who bought some of them.
fn lists(job: &JobPlan, path: &str) -> Vec<Vec<Found>> {
    let graph = empty_graph(job, 1);
    let mut feed = Feed::new(Arc::clone(&graph));
    let bought = job.catalogue.relation("bought").unwrap();
    let pairs: Vec<_> = (0..200).map(|n: u32| (n * n % 31, n * 7 % 12)).collect();
    let text =
        |of: fn(&(u32, u32)) -> String| Arc::new(pairs.iter().map(|pair| Some(of(pair))).collect::<StringArray>());
    let customers = text(|(customer, _)| format!("c{customer}"));
    let products = text(|(_, product)| format!("p{product}"));
    let rows = RecordBatch::try_from_iter([("subject", customers as _), ("object", products as _)]).unwrap();
    let columns = RelationColumns::of(&rows.schema()).unwrap();
    let mut relation = feed.relation(bought, columns, Vec::new());
    feed.relate(&mut relation, Changes::inserts(rows));
    let path = job.walks.get(path).unwrap();
    let reader = WalkReader::new(graph, Arc::new(job.catalogue.clone()), Arc::clone(path));
    let list = |product: u32| reader.walk(&format!("p{product}"), 100, false).unwrap().neighbours;
    (0..12).map(|product| list(product).into_iter().map(|to| to.found).collect()).collect()
}

#[test]
fn a_function_of_a_crate_is_as_good_as_sql() {
    let folder = tempfile::tempdir().unwrap();
    let job = read(folder.path(), "").unwrap();
    let expected = lists(&job, "by_sql");
    assert!(expected.iter().any(|list| list.len() > 5));
    assert_eq!(lists(&job, "by_crate"), expected);
}

#[test]
fn what_is_wrong_with_functions_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let more = r#"
[paths.unknown]
hop = "bought"
select = { function = "clamped" }
[paths.misplaced]
hop = "bought"
select = { function = "damped" }
[paths.both]
hop = "bought"
select = { function = "damped", sql = "weight" }
"#;
    let told = read(folder.path(), more).unwrap_err();
    assert!(
        told.contains("paths.unknown.select.function: there is no function \"clamped\"; functions here: damped"),
        "{told}"
    );
    assert!(told.contains("paths.misplaced.select.function: damped is for mergers"), "{told}");
    assert!(told.contains("paths.both.select.function: sql and function exclude each other"), "{told}");
    let told = read(folder.path(), "[functions.damped]\nwasm = \"damped.wasm\"").unwrap_err();
    assert!(told.contains("functions.damped: this binary has a function \"damped\" already"), "{told}");
}

#[cfg(not(feature = "wasm"))]
#[test]
fn a_binary_without_modules_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let told = read(folder.path(), "[functions.other]\nwasm = \"other.wasm\"").unwrap_err();
    assert!(told.contains("functions.other.wasm: this binary was built without WebAssembly"), "{told}");
}

#[cfg(feature = "wasm")]
#[test]
fn a_function_of_a_module_is_as_good_as_sql() {
    const MODULE: &str = r#"(module
        (memory (export "memory") 4)
        (func (export "reserve") (param i32) (result i32) (i32.const 8))
        (func (export "score") (param $rows i32) (param i32) (param $dots i32) (param $scores i32) (local $middles i32)
            (local.set $middles (i32.add (local.get $dots) (i32.shl (local.get $rows) (i32.const 3))))
            (loop $next
                (f64.store (local.get $scores)
                    (f64.div (f64.load (local.get $dots)) (f64.add (f64.const 1) (f64.load (local.get $middles)))))
                (local.set $dots (i32.add (local.get $dots) (i32.const 8)))
                (local.set $middles (i32.add (local.get $middles) (i32.const 8)))
                (local.set $scores (i32.add (local.get $scores) (i32.const 8)))
                (br_if $next (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("module.wasm"), wat::parse_str(MODULE).unwrap()).unwrap();
    std::fs::write(folder.path().join("broken.wasm"), "no module").unwrap();
    let more = r#"
[functions.of_module]
wasm = "module.wasm"
[paths.by_module]
left = { hop = "bought", reverse = true }
right = { hop = "bought" }
merger = { function = "of_module" }
"#;
    let job = read(folder.path(), more).unwrap();
    assert_eq!(lists(&job, "by_module"), lists(&job, "by_sql"));
    let told =
        read(folder.path(), "[functions.a]\nwasm = \"broken.wasm\"\n[functions.b]\nwasm = \"gone.wasm\"").unwrap_err();
    assert!(told.contains("functions.a.wasm: ") && told.contains("broken.wasm: no module: "), "{told}");
    assert!(told.contains("functions.b.wasm: cannot read ") && told.contains("relative to the job's folder"), "{told}");
}
