//! The retail example from its real files, through the file source and the decoders: every view equals a batch run of
//! the same SQL, and `daily` equals the answer key, whatever the number of workers and the cut of epochs.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use proxima_engine::{EpochConfig, RunConfig};
use proxima_event::Changes;
use proxima_testkit::harness::{Results, plan, run_files};
use proxima_testkit::oracle::{Inputs, Oracle, Script, Statement};
use proxima_testkit::{files, rows};
use proxima_view::Plan;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The queries of `job.toml`, which are checked against the file below.
const QUERIES: [(&str, &str); 2] = [
    ("bought", "SELECT customer AS subject, stock_code AS object FROM purchases"),
    ("product", "SELECT stock_code AS id, description FROM products"),
];
const NEVER: Duration = Duration::from_secs(3_600);

fn sql() -> String {
    std::fs::read_to_string(files::example("retail").join("views.sql")).unwrap()
}

fn batch(days: &[PathBuf]) -> Oracle {
    let script = Script::parse(&sql(), "UTC").unwrap();
    let Some(Statement::Input { schema, .. }) = script.statements.first() else { panic!("orders comes first") };
    let orders = days.iter().map(|day| Changes::inserts(files::read_csv(schema, day))).collect();
    Oracle::run(&sql(), "UTC", &Inputs::from([("orders".into(), orders)])).unwrap()
}

fn maintained(plan: &Plan, path: &Path, workers: usize, epochs: EpochConfig) -> Results {
    let config = RunConfig { workers, epochs, ..RunConfig::default() };
    run_files(plan, path, config, |_, _| {}).unwrap()
}

fn assert_equal(results: &Results, oracle: &Oracle, place: &str) {
    for name in oracle.targets() {
        let difference = rows::difference(&results.targets[name].rows(), oracle.target(name), 0.0);
        assert_eq!(difference, None, "{place}, target {name}");
    }
    for (name, sql) in QUERIES {
        let difference = rows::difference(&results.queries[name].rows(), &oracle.query(sql).unwrap(), 0.0);
        assert_eq!(difference, None, "{place}, query {name}");
    }
    assert_eq!(results.status.rejected(), 0, "{place}");
}

/// What the SQL says of products and customers.
fn assert_products(oracle: &Oracle) {
    let ask = |sql: &str| rows::as_csv(&oracle.query(sql).unwrap());
    let postage = "SELECT stock_code FROM products WHERE stock_code IN ('POST', 'DOT', 'M', 'm', 'D', 'BANK CHARGES')";
    assert_eq!(ask(postage), "");
    let twice = "SELECT stock_code FROM products GROUP BY stock_code HAVING count(*) > 1";
    assert_eq!(ask(twice), "", "a product has one description");
    let described = "SELECT stock_code, description FROM products WHERE stock_code IN ('85123A', 'DCGS0004')";
    assert_eq!(ask(described), "85123A,WHITE HANGING HEART T-LIGHT HOLDER\nDCGS0004,HAYNES CAMPER SHOULDER BAG\n");
    let unknown = "SELECT count(*) FROM purchases WHERE customer LIKE '%.%' OR customer = ''";
    assert_eq!(ask(unknown), "0\n", "customers are numbers");
}

#[test]
fn every_view_equals_batch_and_daily_the_answer_key() {
    let orders = files::example("retail").join("orders");
    let oracle = batch(&files::list(&orders));
    assert_products(&oracle);
    let plan = plan(&sql(), &QUERIES).unwrap();
    let cuts = [
        (1, EpochConfig { interval: NEVER, records: usize::MAX, lag: 4 }),
        (2, EpochConfig { interval: NEVER, records: 1_000, lag: 4 }),
        (4, EpochConfig::default()),
    ];
    let runs = cuts.map(|(workers, epochs)| (workers, maintained(&plan, &orders, workers, epochs)));
    let bytes = |results: &Results| -> Vec<_> {
        results.targets.iter().chain(&results.queries).map(|(name, rows)| (name.clone(), rows.bytes())).collect()
    };
    for (workers, results) in &runs {
        assert_eq!(results.status.records(), 245_903);
        assert_equal(results, &oracle, &format!("{workers} workers"));
        assert!(bytes(results) == bytes(&runs[0].1), "{workers} workers: not the same bytes");
        let expected = std::fs::read_to_string(files::example("retail").join("expected/daily.csv")).unwrap();
        let (_, expected) = expected.split_once('\n').unwrap();
        assert_eq!(rows::as_csv(&results.targets["daily"].rows()), expected);
    }
}

#[test]
fn every_line_can_be_an_epoch() {
    let day = files::example("retail").join("orders/2010-12-03.csv.zst");
    let oracle = batch(std::slice::from_ref(&day));
    let plan = plan(&sql(), &QUERIES).unwrap();
    for workers in [1, 2] {
        let epochs = EpochConfig { interval: NEVER, records: 1, lag: 4 };
        assert_equal(&maintained(&plan, &day, workers, epochs), &oracle, &format!("{workers} workers"));
    }
}

/// Days that the example does not have, with all the traps of those that it has, in an order of their own.
const UNSEEN: [(&str, &str); 2] = [
    (
        "2011-07-02.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
         560001,22423,\"REGENCY CAKESTAND, 3 TIER\",2,2011-07-02 09:00:00,12.75,17850.0,United Kingdom\n\
         560001,22423,REGENCY CAKESTAND 3 TIER,1,2011-07-02 09:00:00,12.75,17850.0,United Kingdom\n\
         560002,POST,POSTAGE,1,2011-07-02 08:00:00,18.0,12583.0,France\n\
         560003,84406B,\"CREAM \"\"CUPID\"\"\nHEARTS £\",3,2011-07-02 23:59:00,2.751,,EIRE\n\
         C560004,22423,REGENCY CAKESTAND 3 TIER,-1,2011-07-02 10:00:00,12.75,17850.0,United Kingdom\n\
         C560004,21730,GLASS STAR,-2,2011-07-02 10:00:00,4.25,17850.0,United Kingdom\n\
         560005,85123a,,-10,2011-07-02 11:00:00,0.0,,United Kingdom\n\
         560006,85123A,WHITE HANGING HEART,1,2011-07-01 23:59:00,2.95,12583.0,France\n",
    ),
    (
        "2011-07-01.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
         559990,PADS,PADS TO MATCH ALL CUSHIONS,1,2011-07-01 09:27:00,0.001,13952.0,United Kingdom\n\
         559991,22423,CAKESTAND,4,2011-07-01 09:30:00,10.95,12583.0,France\n\
         A559992,B,Adjust bad debt,1,2011-07-01 14:50:00,-11062.06,,United Kingdom\n",
    ),
];

#[test]
fn days_never_seen_come_out_right() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in UNSEEN {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let oracle = batch(&files::list(folder.path()));
    let plan = plan(&sql(), &QUERIES).unwrap();
    for workers in [1, 2, 4] {
        for records in [1, 3, usize::MAX] {
            let epochs = EpochConfig { interval: NEVER, records, lag: 4 };
            let results = maintained(&plan, folder.path(), workers, epochs);
            assert_equal(&results, &oracle, &format!("{workers} workers, {records} records an epoch"));
            let daily = "2011-07-01,4,3,0,2,6,46.751\n2011-07-02,7,3,1,2,7,64.503\n";
            assert_eq!(rows::as_csv(&results.targets["daily"].rows()), daily);
        }
    }
}

#[test]
fn the_queries_here_are_those_of_the_job() {
    let job = std::fs::read_to_string(files::example("retail").join("job.toml")).unwrap();
    for (name, sql) in QUERIES {
        assert!(job.contains(sql), "{name}: {sql}");
    }
}
