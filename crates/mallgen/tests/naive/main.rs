//! The answer key once more, from nothing but the written files, in the plainest way.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod input;
mod logs;
mod orders;

use input::Input;
use proxima_mallgen::{Answers, Counts, Files, Mall, Settings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Documents by index.
type Documents = BTreeMap<&'static str, Vec<Value>>;

fn generate(folder: &Path, settings: &Settings, partitions: usize) -> Counts {
    let mut answers = Answers::create(&folder.join("answers"), true).unwrap();
    let mut files = Files::create(folder, partitions, settings.seed).unwrap();
    let counts = Mall::new(settings).run(&mut files, Some(&mut answers)).unwrap();
    answers.write().unwrap();
    counts
}

fn small(seed: u64) -> Settings {
    Settings { seed, days: 2, users: 300, products: 60, orders_per_day: 120, ..Settings::default() }
}

fn sorted(documents: impl Iterator<Item = Value>) -> Vec<String> {
    let mut texts: Vec<String> = documents.map(|document| document.to_string()).collect();
    texts.sort();
    texts
}

#[test]
fn the_answers_are_those_of_a_naive_pass_over_the_files() {
    for (seed, partitions) in [(1, 1), (2, 3), (3, 1), (4, 20)] {
        let folder = tempfile::tempdir().unwrap();
        let counts = generate(folder.path(), &small(seed), partitions);
        let input = Input::read(folder.path());
        assert_eq!(input.broken, counts.broken, "seed {seed}");
        let mut expected = Documents::new();
        logs::recompute(&input, &mut expected);
        orders::recompute(&input, &mut expected);
        let mut indexes = 0;
        for file in fs::read_dir(folder.path().join("answers")).unwrap() {
            let path = file.unwrap().path();
            let index = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let found = sorted(text.lines().map(|line| serde_json::from_str(line).unwrap()));
            let wanted = expected.remove(index.as_str()).unwrap_or_else(|| panic!("nothing is expected of {index}"));
            assert!(!found.is_empty(), "seed {seed}: {index} is empty");
            let wanted = sorted(wanted.into_iter());
            let differs = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
            assert_eq!(differs, None, "seed {seed}, {index}");
            assert_eq!(found.len(), wanted.len(), "seed {seed}, {index}");
            indexes += 1;
        }
        assert!(expected.is_empty(), "not answered: {:?}", expected.keys());
        assert_eq!(indexes, 19);
    }
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let texts = [5, 5, 6].map(|seed| {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), &small(seed), 1);
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        (read("logs/0.jsonl"), read("changes/0.jsonl"), read("answers/orders_wide.jsonl"))
    });
    assert!(texts[0] == texts[1]);
    assert!(texts[0].0 != texts[2].0 && texts[0].1 != texts[2].1);
}

/// What the model promises to make: without it, a job that is right only on easy input would pass.
#[test]
fn the_shop_has_all_habits() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { orders_per_day: 600, ..small(7) };
    let counts = generate(folder.path(), &settings, 1);
    let input = Input::read(folder.path());
    assert!(counts.orders > 400, "{counts:?}");
    let share = counts.broken as f64 / counts.lines as f64;
    assert!((0.005..0.02).contains(&share), "{share} of the lines are broken");
    assert!(counts.doubled > 20 && input.doubled >= counts.doubled);
    assert!(input.late > 20, "{} late lines", input.late);
    for kind in ["insert", "update", "delete", "bootstrap-start", "bootstrap-insert", "bootstrap-complete"] {
        assert!(input.kinds.contains_key(kind), "no {kind}");
    }
    assert!(input.changed_in_bootstrap > 0 && input.resent > 0 && input.lines_before_orders > 0);
    let statuses: Vec<&str> = ["1002", "1003", "1004", "1006"].into();
    for status in statuses {
        assert!(input.rows("order_info").any(|order| order["order_status"] == status), "no order in {status}");
    }
    let sizes: std::collections::BTreeSet<usize> = input.sizes_of_orders().collect();
    assert!((1..=10).all(|size| sizes.contains(&size)), "{sizes:?}");
}
