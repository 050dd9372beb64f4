//! The mall example over generated shops: every document of every index equals the answer key, and every index equals a
//! batch run of the same SQL, whatever the number of workers and the cut of epochs.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use proxima_event::Changes;
use proxima_mallgen::{Answers, Files, Mall, Settings};
use proxima_testkit::harness::{Epochs, Results, plan_changelog, run_memory};
use proxima_testkit::oracle::{Inputs, Oracle, Script, Statement};
use proxima_testkit::{files, rows};
use proxima_view::Plan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The shop's clock is so far ahead of UTC.
const AHEAD_MS: i64 = 8 * 3_600_000;

/// The example's SQL. Rows are handed over as they are, so the formats do not matter.
fn sql() -> String {
    let sql = fs::read_to_string(files::example("mall").join("views.sql")).unwrap();
    let lines = sql.lines().map(|line| match line.find("format = 'maxwell'") {
        Some(at) => format!("{}format = 'json');", &line[..at]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A row that comes or goes.
type Change = (Value, i64);

/// What happens: to which table, and the rows that come and go.
type Happening = (String, Vec<Change>);

fn generate(folder: &Path, settings: &Settings) {
    let mut answers = Answers::create(&folder.join("answers"), true).unwrap();
    let mut target = Files::create(folder, 1, settings.seed).unwrap();
    Mall::new(settings).run(&mut target, Some(&mut answers)).unwrap();
    answers.write().unwrap();
}

/// The log's records, with times on the shop's clock. Broken lines are left out.
fn logs(folder: &Path) -> Vec<Happening> {
    let text = fs::read_to_string(folder.join("logs/0.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).ok()?;
        record["ts"] = Value::from(record["ts"].as_i64()? + AHEAD_MS);
        for action in record["actions"].as_array_mut().into_iter().flatten() {
            action["ts"] = Value::from(action["ts"].as_i64()? + AHEAD_MS);
        }
        Some(("logs".to_owned(), vec![(record, 1)]))
    };
    text.lines().filter_map(record).collect()
}

/// What happens to the database's tables: the row of a key goes, another one comes.
fn changes(folder: &Path) -> Vec<Happening> {
    let mut tables = HashMap::<(String, i64), Value>::new();
    let text = fs::read_to_string(folder.join("changes/0.jsonl")).unwrap();
    let happening = |line: &str| {
        let change: Value = serde_json::from_str(line).unwrap();
        let (table, data) = (change["table"].as_str()?.to_owned(), change["data"].clone());
        let key = (table.clone(), data["id"].as_i64()?);
        let old = match change["type"].as_str()? {
            "delete" => tables.remove(&key).map(|old| vec![(old, -1)]),
            _ => Some(tables.insert(key, data.clone()).map(|old| (old, -1)).into_iter().chain([(data, 1)]).collect()),
        };
        Some((table, old?))
    };
    text.lines().filter_map(happening).collect()
}

/// Both streams as one: evenly, or the one wholly before the other.
fn merged(logs: Vec<Happening>, changes: Vec<Happening>, how: usize) -> Vec<Happening> {
    match how % 3 {
        0 => {
            let share = |(number, happening): (usize, Happening), count: usize| (number * 1_000_000 / count, happening);
            let (all_logs, all_changes) = (logs.len(), changes.len());
            let mut all: Vec<_> = logs.into_iter().enumerate().map(|item| share(item, all_logs)).collect();
            all.extend(changes.into_iter().enumerate().map(|item| share(item, all_changes)));
            all.sort_by_key(|(place, _)| *place);
            all.into_iter().map(|(_, happening)| happening).collect()
        }
        1 => logs.into_iter().chain(changes).collect(),
        _ => changes.into_iter().chain(logs).collect(),
    }
}

fn batch(schema: &SchemaRef, changes: &[&Change]) -> Changes {
    let mut decoder = arrow::json::ReaderBuilder::new(Arc::clone(schema))
        .with_batch_size(changes.len().max(1))
        .build_decoder()
        .unwrap();
    let rows: Vec<&Value> = changes.iter().map(|(row, _)| row).collect();
    decoder.serialize(&rows).unwrap();
    let rows = decoder.flush().unwrap().unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)));
    let weights = changes.iter().map(|(_, weight)| *weight).collect();
    Changes::weighted(rows, weights)
}

/// Batches for the engine: each epoch holds so many happenings, in two batches for each table.
fn epochs(plan: &Plan, happenings: &[Happening], size: usize) -> Epochs {
    let epoch = |happenings: &[Happening]| {
        let halves = happenings.chunks(happenings.len().div_ceil(2));
        let batches = halves.flat_map(|half| {
            plan.tables.iter().filter_map(|table| {
                let mine = half.iter().filter(|(name, _)| *name == table.name).flat_map(|(_, changes)| changes);
                let mine: Vec<&Change> = mine.collect();
                (!mine.is_empty()).then(|| (table.name.clone(), batch(&table.schema, &mine)))
            })
        });
        batches.collect()
    };
    happenings.chunks(size).map(epoch).collect()
}

fn batch_run(happenings: &[Happening]) -> Oracle {
    let script = Script::parse(&sql(), "Asia/Shanghai").unwrap();
    let mut inputs = Inputs::new();
    for statement in script.statements {
        let Statement::Input { name, schema } = statement else { continue };
        let mine = happenings.iter().filter(|(table, _)| *table == name).flat_map(|(_, changes)| changes);
        let mine: Vec<&Change> = mine.collect();
        inputs.insert(name, vec![batch(&schema, &mine)]);
    }
    Oracle::run(&sql(), "Asia/Shanghai", &inputs).unwrap()
}

/// What the example ships was made by `proxima generate mall --users 300 --products 100 --orders-per-day 80`: a seed
/// gives the same bytes on every machine and, unless the example is made anew, in every version.
#[test]
fn the_shipped_input_is_what_the_generator_makes() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), &Settings { users: 300, products: 100, orders_per_day: 80, ..Settings::default() });
    for name in ["logs/0.jsonl", "changes/0.jsonl"] {
        let shipped = fs::read(files::example("mall").join("input").join(name).with_extension("jsonl.zst")).unwrap();
        let same = zstd::decode_all(&shipped[..]).unwrap() == fs::read(folder.path().join(name)).unwrap();
        assert!(same, "examples/mall/input/{name} is not what the generator makes now");
    }
    let shipped = fs::read_to_string(files::example("mall").join("input/ddl.sql")).unwrap();
    assert_eq!(shipped, fs::read_to_string(folder.path().join("ddl.sql")).unwrap());
}

/// The documents of a target as an index would hold them.
fn documents(rows: &RecordBatch) -> BTreeSet<String> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format("%Y-%m-%dT%H:%M:%S%.3f".to_owned())
        .build::<_, arrow::json::writer::LineDelimited>(Vec::new());
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect()
}

/// The answer key, by index.
fn answers(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let read = |file: std::io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let documents = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string());
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), documents.collect())
    };
    fs::read_dir(folder.join("answers")).unwrap().map(read).collect()
}

fn assert_answers(results: &Results, answers: &BTreeMap<String, BTreeSet<String>>, place: &str) {
    assert_eq!(results.targets.keys().collect::<Vec<_>>(), answers.keys().collect::<Vec<_>>());
    for (index, expected) in answers {
        let found = documents(&results.targets[index].rows());
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let wrong: Vec<_> = found.difference(expected).take(3).collect();
        assert!(missing.is_empty() && wrong.is_empty(), "{place}, {index}: missing {missing:#?}, wrong {wrong:#?}");
    }
}

fn shop(seed: u64, orders_per_day: u32) -> (tempfile::TempDir, Vec<Happening>, Vec<Happening>) {
    let folder = tempfile::tempdir().unwrap();
    generate(
        folder.path(),
        &Settings { seed, days: 2, users: 300, products: 60, orders_per_day, ..Settings::default() },
    );
    let (logs, changes) = (logs(folder.path()), changes(folder.path()));
    (folder, logs, changes)
}

#[test]
fn every_document_equals_the_answer_key_and_the_batch() {
    let plan = plan_changelog(&sql(), &[]).unwrap();
    for seed in [1, 2, 3] {
        let (folder, logs, changes) = shop(seed, 60);
        let answers = answers(folder.path());
        for (workers, size) in [(1, 500), (2, 37), (4, 100_000)] {
            let happenings = merged(logs.clone(), changes.clone(), seed as usize + workers);
            let results = run_memory(&plan, epochs(&plan, &happenings, size), workers).unwrap();
            let place = format!("seed {seed}, {workers} workers, {size} an epoch");
            assert_answers(&results, &answers, &place);
            if workers == 2 {
                let oracle = batch_run(&happenings);
                for name in oracle.targets() {
                    let difference = rows::difference(&results.targets[name].rows(), oracle.target(name), 0.0);
                    assert_eq!(difference, None, "{place}, target {name}");
                }
            }
        }
    }
}
