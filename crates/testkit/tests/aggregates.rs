//! Aggregates that the random jobs leave out: estimates, and groups over everything.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use proxima_event::Changes;
use proxima_testkit::harness::{Epochs, plan, plan_changelog, run_memory};
use proxima_testkit::oracle::{Inputs, Oracle};
use proxima_testkit::rows::difference;
use proxima_view::Plan;
use std::sync::Arc;

const SQL: &str = "\
    CREATE TABLE clicks (page BIGINT, visitor BIGINT) WITH (source = 'input', format = 'json');\
    CREATE VIEW estimates AS SELECT page, approx_distinct(visitor) AS about, count(DISTINCT visitor) AS exactly \
        FROM clicks GROUP BY page;\
    CREATE VIEW everything AS SELECT count(*) AS clicks, sum(visitor) AS total, avg(page) AS mean, \
        min(visitor) AS least, max(visitor) AS most FROM clicks;";
const QUERIES: [(&str, &str); 2] =
    [("estimates", "SELECT * FROM estimates"), ("everything", "SELECT * FROM everything")];

/// Clicks number `from` to `to`: 5 pages, on each of which every visitor is seen three times.
fn clicks(plan: &Plan, from: i64, to: i64, weight: i64) -> (String, Changes) {
    let pages = Int64Array::from_iter_values((from..to).map(|click| click % 5));
    let visitors = Int64Array::from_iter_values((from..to).map(|click| click / 15 * 7_919));
    let rows = RecordBatch::try_new(Arc::clone(&plan.tables[0].schema), vec![Arc::new(pages), Arc::new(visitors)]);
    ("clicks".into(), Changes::weighted(rows.unwrap(), vec![weight; (to - from) as usize]))
}

fn batch(epochs: &Epochs) -> Oracle {
    let clicks = epochs.iter().flatten().map(|(_, changes)| changes.clone()).collect();
    Oracle::run(SQL, "UTC", &Inputs::from([("clicks".into(), clicks)])).unwrap()
}

#[test]
fn estimates_are_within_two_percent() {
    let plan = plan(SQL, &QUERIES).unwrap();
    let epochs: Epochs = (0..20).map(|epoch| vec![clicks(&plan, epoch * 3_000, (epoch + 1) * 3_000, 1)]).collect();
    for workers in [1, 2, 4] {
        let results = run_memory(&plan, epochs.clone(), workers).unwrap();
        let rows = results.queries["estimates"].rows();
        assert_eq!(rows.num_rows(), 5);
        let exactly = rows.column(2).as_primitive::<Int64Type>();
        let about = arrow::compute::cast(rows.column(1), &DataType::Int64).unwrap();
        for (about, exactly) in about.as_primitive::<Int64Type>().values().iter().zip(exactly.values()) {
            assert_eq!(*exactly, 4_000);
            assert!((about - exactly).abs() <= exactly / 50, "{about} instead of {exactly}");
        }
    }
}

#[test]
fn a_group_over_everything_follows_what_comes_and_goes() {
    let plan = plan_changelog(SQL, &QUERIES).unwrap();
    let epochs: Epochs = vec![
        vec![clicks(&plan, 0, 40, 1), clicks(&plan, 40, 60, 1)],
        vec![clicks(&plan, 3, 30, -1)],
        vec![clicks(&plan, 100, 130, 1), clicks(&plan, 50, 55, -1)],
    ];
    for workers in [1, 2, 4] {
        let results = run_memory(&plan, epochs.clone(), workers).unwrap();
        let expected = batch(&epochs).query("SELECT * FROM everything").unwrap();
        assert_eq!(difference(&results.queries["everything"].rows(), &expected, 0.0), None);
        let exactly = "SELECT page, exactly FROM estimates";
        let rows = results.queries["estimates"].rows().project(&[0, 2]).unwrap();
        assert_eq!(difference(&rows, &batch(&epochs).query(exactly).unwrap(), 0.0), None);
    }
}
