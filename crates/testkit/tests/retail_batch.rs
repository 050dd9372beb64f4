//! The retail example's SQL, run in batch: the answers that the maintained views are held to are themselves right.

use proxima_event::Changes;
use proxima_testkit::oracle::{Inputs, Oracle, Script, Statement};
use proxima_testkit::{files, rows};

fn batch() -> Oracle {
    let job = files::example("retail");
    let sql = std::fs::read_to_string(job.join("views.sql")).unwrap();
    let script = Script::parse(&sql, "UTC").unwrap();
    let Some(Statement::Input { schema, .. }) = script.statements.first() else { panic!("orders comes first") };
    let days = files::list(&job.join("orders"));
    let orders = days.iter().map(|day| Changes::inserts(files::read_csv(schema, day))).collect();
    Oracle::run(&sql, "UTC", &Inputs::from([("orders".into(), orders)])).unwrap()
}

#[test]
fn the_sql_gives_the_answer_key_and_knows_products_from_postage() {
    let oracle = batch();
    let expected = std::fs::read_to_string(files::example("retail").join("expected/daily.csv")).unwrap();
    let (_, expected) = expected.split_once('\n').unwrap();
    assert_eq!(rows::as_csv(oracle.target("daily")), expected.replace('\r', ""));

    let postage = "SELECT stock_code FROM products WHERE stock_code IN ('POST', 'DOT', 'M', 'm', 'D', 'BANK CHARGES')";
    assert_eq!(rows::as_csv(&oracle.query(postage).unwrap()), "");
    let twice = "SELECT stock_code FROM products GROUP BY stock_code HAVING count(*) > 1";
    assert_eq!(rows::as_csv(&oracle.query(twice).unwrap()), "", "a product has one description");
    let described = "SELECT stock_code, description FROM products WHERE stock_code IN ('85123A', 'DCGS0004')";
    let expected = "85123A,WHITE HANGING HEART T-LIGHT HOLDER\nDCGS0004,HAYNES CAMPER SHOULDER BAG\n";
    assert_eq!(rows::as_csv(&oracle.query(described).unwrap()), expected);
    let unknown = "SELECT count(*) FROM purchases WHERE customer LIKE '%.%' OR customer = ''";
    assert_eq!(rows::as_csv(&oracle.query(unknown).unwrap()), "0\n");
}
