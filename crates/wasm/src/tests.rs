//! Modules written as text: what they may do, and what becomes of those that do more.

use super::*;
use arrow::array::{BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray};

/// dot / (1 + middles), which are the first two of all columns.
const DAMPED: &str = r#"(module
    (memory (export "memory") 2)
    (func (export "reserve") (param $bytes i32) (result i32) (i32.const 1024))
    (func (export "score") (param $rows i32) (param $columns i32) (param $values i32) (param $scores i32)
        (local $row i32) (local $at i32)
        (loop $next
            (if (i32.lt_s (local.get $row) (local.get $rows)) (then
                (local.set $at (i32.shl (local.get $row) (i32.const 3)))
                (f64.store (i32.add (local.get $scores) (local.get $at))
                    (f64.div
                        (f64.load (i32.add (local.get $values) (local.get $at)))
                        (f64.add (f64.const 1) (f64.load
                            (i32.add (i32.add (local.get $values) (i32.shl (local.get $rows) (i32.const 3))) (local.get $at))))))
                (local.set $row (i32.add (local.get $row) (i32.const 1)))
                (br $next))))))"#;

fn load(text: &str, limits: Limits) -> Result<Module, ModuleError> {
    Module::load(&wat::parse_str(text).unwrap(), limits)
}

fn scores(module: &Module, rows: &RecordBatch) -> Vec<f64> {
    let mut scores = vec![-1.0];
    module.bind(&rows.schema()).unwrap().evaluate(rows, &mut scores);
    scores.split_off(1)
}

fn parts(rows: i64) -> RecordBatch {
    let dots = (0..rows).map(|row| row as f64 / 4.0).collect::<Float64Array>();
    let middles = (0..rows).map(|row| row % 7).collect::<Int64Array>();
    RecordBatch::try_from_iter([("dot", Arc::new(dots) as ArrayRef), ("middles", Arc::new(middles))]).unwrap()
}

#[test]
fn a_module_scores_batches_of_any_size() {
    let module = load(DAMPED, Limits::default()).unwrap();
    for rows in [0, 1, 7, 1024, 1025, 5000] {
        let expected: Vec<f64> = (0..rows).map(|row| row as f64 / 4.0 / (1.0 + (row % 7) as f64)).collect();
        assert_eq!(scores(&module, &parts(rows)), expected, "{rows} rows");
    }
}

#[test]
fn callers_side_by_side_get_their_own_answers() {
    let module = load(DAMPED, Limits::default()).unwrap();
    let bound = module.bind(&parts(1).schema()).unwrap();
    std::thread::scope(|scope| {
        for rows in 1..9 {
            let bound = &bound;
            scope.spawn(move || {
                for _ in 0..50 {
                    let mut scores = Vec::new();
                    bound.evaluate(&parts(rows), &mut scores);
                    assert_eq!(scores.len(), rows as usize);
                    assert_eq!(scores[0], 0.0);
                }
            });
        }
    });
}

#[test]
fn columns_come_as_floats_without_texts() {
    let module = load(DAMPED, Limits::default()).unwrap();
    let rows = RecordBatch::try_from_iter([
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef),
        ("time", Arc::new(TimestampMicrosecondArray::from(vec![Some(8), Some(6), None]))),
        ("sold", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true)]))),
    ]);
    let scores = scores(&module, &rows.unwrap());
    assert_eq!(scores[..2], [4.0, 6.0]);
    assert!(scores[2].is_nan(), "null is no number");
}

#[test]
fn work_and_memory_have_an_end() {
    let endless = r#"(module (memory (export "memory") 1)
        (func (export "reserve") (param i32) (result i32) (i32.const 0))
        (func (export "score") (param i32 i32 i32 i32) (loop $on (br $on))))"#;
    let module = load(endless, Limits::default()).unwrap();
    assert!(scores(&module, &parts(3)).iter().all(|score| score.is_nan()));

    // It asks for a hundred pages, and writes where they would be.
    let greedy = r#"(module (memory (export "memory") 1)
        (func (export "reserve") (param i32) (result i32) (drop (memory.grow (i32.const 100))) (i32.const 6000000))
        (func (export "score") (param i32 i32 i32 i32)))"#;
    // Growing is work as well.
    let enough = Limits { memory: 200 << 16, fuel: 1_000_000 };
    assert_eq!(scores(&load(greedy, enough).unwrap(), &parts(2)), [0.0, 0.0]);
    let little = Limits { memory: 10 << 16, ..Limits::default() };
    assert!(scores(&load(greedy, little).unwrap(), &parts(2)).iter().all(|score| score.is_nan()));
    let refused = load(r#"(module (memory (export "memory") 11))"#, little).err().unwrap();
    assert!(matches!(refused, ModuleError::Start(_)), "{refused}");
}

#[test]
fn what_a_module_lacks_is_told() {
    let told = |text: &str| load(text, Limits::default()).err().unwrap().to_string();
    assert!(Module::load(b"\0asm and so on", Limits::default()).err().unwrap().to_string().starts_with("no module: "));
    let imports = r#"(module (import "env" "now" (func (result i64))))"#;
    assert_eq!(told(imports), r#"it imports "env.now", but a module gets nothing but numbers"#);
    assert_eq!(told("(module)"), "it must export memory");
    let memory = r#"(memory (export "memory") 1)"#;
    assert_eq!(told(&format!("(module {memory})")), "it must export reserve(i32) -> i32");
    let reserve = r#"(func (export "reserve") (param i32) (result i32) (i32.const 0))"#;
    let other = format!(r#"(module {memory} {reserve} (func (export "score") (param i32)))"#);
    assert_eq!(told(&other), "it must export score(i32, i32, i32, i32)");
}
