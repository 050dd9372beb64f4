//! Odd SQL is planned or refused; nothing panics.

use super::TABLES;
use crate::{Options, QuerySource, compile};

const QUERIES: [&str; 52] = [
    "",
    ";",
    "SELECT",
    "SELECT * FROM orders, orders",
    "SELECT * FROM orders a, orders b",
    "SELECT unnest(displays), unnest(displays) FROM clicks",
    "SELECT unnest(displays) AS a, displays FROM clicks",
    "SELECT unnest(common) FROM clicks",
    "SELECT [1, 2] AS list FROM orders",
    "SELECT unnest([1, 2]) AS n FROM orders",
    "SELECT unnest([[1], [2]]) AS n FROM orders",
    "SELECT unnest(unnest([[1], [2]])) AS n FROM orders",
    "VALUES (1)",
    "SELECT 1",
    "TABLE orders",
    "SELECT * FROM (VALUES (1)) t",
    "SELECT count(*) FROM orders GROUP BY ()",
    "SELECT max(displays) FROM clicks",
    "SELECT sum(Description) FROM orders",
    "SELECT common.* FROM clicks",
    "SELECT * FROM orders NATURAL JOIN items",
    "SELECT * FROM items a JOIN items b USING (id)",
    "SELECT * FROM items a FULL JOIN items b USING (id)",
    "SELECT $1 FROM orders",
    "SELECT @x FROM orders",
    "SELECT Country, count(*) FROM orders GROUP BY ALL",
    "SELECT INTERVAL '1 day' AS i FROM orders",
    "FROM orders |> SELECT Country",
    "FROM orders",
    "SELECT DISTINCT ON (Country) Country FROM orders",
    "SELECT Country FROM orders ORDER BY Country LIMIT 0",
    "SELECT Country FROM orders ORDER BY Country LIMIT ALL",
    "SELECT Country FROM orders ORDER BY Country FETCH FIRST 3 ROWS ONLY",
    "SELECT Country FROM orders ORDER BY Country OFFSET 3",
    "SELECT TOP 3 Country FROM orders",
    "SELECT Country FROM orders WHERE false",
    "SELECT Country FROM orders WHERE NULL",
    "SELECT Country FROM orders WHERE Quantity",
    "SELECT NULL AS nothing FROM orders",
    "SELECT DISTINCT NULL AS nothing FROM orders",
    "SELECT count(NULL) FROM orders",
    "SELECT count(DISTINCT Country, StockCode) FROM orders",
    "SELECT count(Country, StockCode) FROM orders",
    "SELECT tumble(Quantity, INTERVAL '1 minute') FROM orders",
    "SELECT tumble(ts, INTERVAL '1 month') FROM clicks",
    "SELECT tumble(ts, INTERVAL '0 minutes') FROM clicks",
    "SELECT hop(ts, INTERVAL '7 minutes', INTERVAL '5 minutes') FROM clicks",
    "SELECT tumble(ts, ts - ts) FROM clicks",
    "SELECT ROW_NUMBER() OVER (ORDER BY ts) AS n FROM clicks QUALIFY n <= 0",
    "SELECT ROW_NUMBER() OVER (ORDER BY ts) AS n FROM clicks QUALIFY n <= 2.5",
    "SELECT Country FROM missing.orders",
    "WITH orders AS (SELECT Country FROM orders) SELECT * FROM orders",
];

#[test]
fn nothing_panics() {
    let mut planned = 0;
    for sql in QUERIES {
        match compile(TABLES, &[QuerySource { name: "q", sql }], &Options::default()) {
            Ok(plan) => {
                planned += 1;
                assert!(plan.explain().contains("query q"), "{sql}");
            }
            Err(problems) => {
                assert!(!problems.is_empty(), "{sql}: refused without a problem");
            }
        }
    }
    assert!(planned > 12, "{planned} are planned");
}
