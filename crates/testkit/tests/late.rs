//! What is late in files goes by the order in which they are read: it is the same however epochs are cut, and on any
//! number of workers that decode them.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampSecondType};
use proxima_engine::{EpochConfig, RunConfig};
use proxima_testkit::harness::{plan, run_files};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

const LIFETIME_S: i64 = 600;

const SQL: &str = "
    CREATE TABLE clicks (item STRING, ts TIMESTAMP(3))
    WITH (source = 'clicks', format = 'json', event_time = 'ts', lifetime = '10 minutes', epoch_unit = 's');";
const QUERY: &str = "SELECT item, date_trunc('minute', ts) AS minute, count(*) AS clicks FROM clicks
    WHERE ts IS NOT NULL GROUP BY 1, 2";

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Clicks of three files: each goes on a while after the one before, and a good part of them is late.
fn clicks(dice: &mut Dice) -> Vec<Vec<(String, Option<i64>)>> {
    let mut now = 1_700_000_000;
    let click = |dice: &mut Dice, now: &mut i64| {
        *now += dice.below(6) as i64;
        let age = if dice.below(4) == 0 { dice.below(1_500) } else { dice.below(60) };
        let time = (dice.below(30) > 0).then_some(*now - age as i64);
        (format!("item {}", dice.below(7)), time)
    };
    (0..3).map(|_| (0..2_500).map(|_| click(dice, &mut now)).collect()).collect()
}

/// The clicks of each item and minute that are in time, and how many are late: the rule, written as it is said.
fn naive(files: &[Vec<(String, Option<i64>)>]) -> (BTreeMap<(String, i64), i64>, u64) {
    let (mut counts, mut late, mut newest) = (BTreeMap::new(), 0, i64::MIN);
    for (item, time) in files.iter().flatten() {
        let Some(time) = *time else { continue };
        newest = newest.max(time);
        if time < newest - LIFETIME_S {
            late += 1;
        } else {
            *counts.entry((item.clone(), time.div_euclid(60) * 60)).or_default() += 1;
        }
    }
    (counts, late)
}

/// The rows of [`QUERY`].
fn counts(rows: &RecordBatch) -> BTreeMap<(String, i64), i64> {
    let column = |index: usize, data_type| cast(rows.column(index), &data_type).unwrap();
    let (items, clicks) = (column(0, DataType::Utf8View), column(2, DataType::Int64));
    let minutes = column(1, DataType::Timestamp(TimeUnit::Second, None));
    let (items, minutes) = (items.as_string_view(), minutes.as_primitive::<TimestampSecondType>());
    let clicks = clicks.as_primitive::<Int64Type>();
    (0..rows.num_rows()).map(|row| ((items.value(row).to_owned(), minutes.value(row)), clicks.value(row))).collect()
}

#[test]
fn lateness_goes_by_the_order_of_what_is_read() {
    let files = clicks(&mut Dice(7));
    let folder = tempfile::tempdir().unwrap();
    for (number, clicks) in files.iter().enumerate() {
        let mut text = String::new();
        for (item, time) in clicks {
            let time = time.map_or("null".to_owned(), |time| time.to_string());
            writeln!(text, "{{\"item\":\"{item}\",\"ts\":{time}}}").unwrap();
        }
        std::fs::write(folder.path().join(format!("{number}.json")), text).unwrap();
    }
    let (expected, late) = naive(&files);
    assert!(late > 500, "{late} clicks are late");
    let plan = plan(SQL, &[("clicks", QUERY)]).unwrap();
    for records in [1, 20, 1_000, 8_192, 1 << 20] {
        for workers in if records == 1 { vec![2] } else { vec![1, 2, 4] } {
            let epochs = EpochConfig { interval: Duration::from_secs(3_600), records, ..EpochConfig::default() };
            let config = RunConfig { workers, epochs, ..RunConfig::default() };
            let results = run_files(&plan, folder.path(), config, |_, _| {}).unwrap();
            let place = format!("{records} records an epoch, {workers} workers");
            let counts = counts(&results.queries["clicks"].rows());
            let counted: u64 = results.status.operators.iter().map(|operator| operator.stats.late).sum();
            assert_eq!(counted, late, "{place}");
            assert!(counts == expected, "{place}");
        }
    }
}
