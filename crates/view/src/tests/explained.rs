//! The operators that SQL becomes, as accepted snapshots in `snapshots/`.

use super::{explain, plan};
use crate::{Options, QuerySource, compile};

/// The SQL and its operators must be as they were accepted.
#[track_caller]
fn accepted(name: &str, query: &str) {
    insta::assert_snapshot!(name, format!("{query}\n\n{}", explain(query)));
}

#[test]
fn stateless_steps_are_one() {
    accepted(
        "stateless",
        "SELECT c, q * 2 AS twice FROM (SELECT Country AS c, Quantity AS q FROM orders WHERE Quantity > 0) WHERE c <> 'x'",
    );
}

#[test]
fn what_costs_something_is_computed_once() {
    accepted(
        "computed_once",
        "SELECT upper(n) AS a, lower(n) AS b FROM (SELECT trim(Description) AS n FROM orders WHERE Quantity > 0)",
    );
}

#[test]
fn a_key_that_is_named_twice_is_one() {
    let of = |keys: &str, by: &str| {
        explain(&format!("SELECT {keys}, count(*) AS n, sum(Quantity) AS q FROM orders GROUP BY {by}"))
    };
    let once = of("Country", "Country");
    assert!(once.contains("count(*), sum("), "{once}");
    assert_eq!(of("Country", "Country, Country"), once);
    assert_eq!(of("Country", "Country, orders.Country, 1"), once);
    let twice = of("Country, Country AS b", "1, 2");
    assert!(twice.contains("aggregate by [Country] [count(*), sum("), "{twice}");
    let days = of("CAST(InvoiceDate AS DATE) AS day", "1, CAST(InvoiceDate AS DATE)");
    assert_eq!(days, of("CAST(InvoiceDate AS DATE) AS day", "1"));
    let inner = "SELECT x, y, count(*) AS n FROM (SELECT Country AS x, Country AS y FROM orders) GROUP BY x, y";
    assert!(explain(inner).contains("count(*)"), "{}", explain(inner));
}

#[test]
fn groups() {
    accepted(
        "groups",
        "SELECT CAST(InvoiceDate AS DATE) AS day, count(*) AS n, count(DISTINCT CASE WHEN Quantity > 0 THEN InvoiceNo END) AS orders, \
         sum(Quantity * UnitPrice) AS revenue, max(Quantity) FILTER (WHERE Country = 'France') AS french FROM orders GROUP BY 1",
    );
    accepted("having", "SELECT Country, avg(Quantity) AS a FROM orders GROUP BY Country HAVING count(*) > 3");
    accepted("global", "SELECT count(*) AS n FROM orders");
}

#[test]
fn buckets_of_the_event_time_expire() {
    accepted("distinct_day", "SELECT DISTINCT CAST(ts AS DATE) AS day, mid FROM clicks WHERE type IN (3)");
    accepted("minutes", "SELECT item, date_trunc('minute', ts) AS minute, count(*) AS n FROM clicks GROUP BY 1, 2");
    accepted(
        "tumble",
        "SELECT tumble(ts, INTERVAL '5 minutes') AS w, approx_distinct(mid) AS n FROM clicks GROUP BY 1",
    );
    accepted(
        "hop",
        "SELECT w, count(*) AS n FROM (SELECT unnest(hop(ts, INTERVAL '1 minute', INTERVAL '5 minutes')) AS w FROM clicks) GROUP BY w",
    );
    accepted(
        "day_of_minutes",
        "SELECT CAST(m AS DATE) AS day, max(n) AS busiest FROM \
         (SELECT date_trunc('minute', ts) AS m, count(*) AS n FROM clicks GROUP BY 1) GROUP BY 1",
    );
}

#[test]
fn first_rows() {
    let ranked = "SELECT *, ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity DESC) AS n FROM orders";
    accepted("first_row", &format!("SELECT Country, StockCode FROM ({ranked}) WHERE n = 1"));
    accepted("numbered_rows", &format!("SELECT Country, StockCode, n FROM ({ranked}) WHERE n <= 3 AND Quantity > 1"));
    accepted("third_row", &format!("SELECT Country, StockCode FROM ({ranked}) WHERE 3 = n"));
    accepted(
        "qualify",
        "SELECT Country, StockCode FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity) < 3",
    );
    accepted(
        "distinct_on",
        "SELECT DISTINCT ON (Country) Country, StockCode FROM orders ORDER BY Country, InvoiceDate DESC",
    );
    accepted(
        "order_limit",
        "SELECT StockCode, sum(Quantity) AS q FROM orders GROUP BY StockCode ORDER BY q DESC LIMIT 10",
    );
    accepted("offset", "SELECT StockCode FROM orders ORDER BY Quantity DESC LIMIT 5 OFFSET 2");
}

#[test]
fn joins() {
    accepted(
        "join",
        "SELECT c.mid, i.name FROM clicks c JOIN items i ON c.item = i.id AND c.type > i.id WHERE i.category = 'x' AND c.type = 1",
    );
    accepted("comma_join", "SELECT o.Country, i.name FROM orders o, items i WHERE o.Quantity = i.id");
    accepted("full_join", "SELECT o.Country, i.name FROM orders o FULL JOIN items i ON o.Quantity = i.id");
    accepted(
        "left_join",
        "SELECT o.Country, i.name FROM orders o LEFT JOIN items i ON o.Quantity = i.id AND i.category = 'x'",
    );
    accepted(
        "lookup",
        "SELECT c.mid, i.name FROM clicks c JOIN items FOR SYSTEM_TIME AS OF c.ts AS i ON c.item = i.id WHERE i.category = 'x'",
    );
    accepted("self_join", "SELECT a.Country FROM orders a JOIN orders b ON a.InvoiceNo = b.StockCode");
}

#[test]
fn unions_and_lists() {
    accepted("union_all", "SELECT Country AS x FROM orders UNION ALL SELECT name FROM items");
    accepted("union", "SELECT Quantity AS x FROM orders UNION SELECT id FROM items");
    accepted("unnest", "SELECT mid, d['item'] AS item FROM (SELECT mid, unnest(displays) AS d FROM clicks)");
}

#[test]
fn views_and_filters_are_shared() {
    let sql = "CREATE VIEW lines AS SELECT *, Quantity * UnitPrice AS revenue FROM orders WHERE Quantity > 0;
        CREATE VIEW by_country AS SELECT Country, sum(revenue) AS revenue FROM lines GROUP BY Country;
        CREATE TABLE a (country STRING, revenue DECIMAL(38, 3), PRIMARY KEY (country) NOT ENFORCED) WITH (sink = 's');
        CREATE TABLE b (country STRING, PRIMARY KEY (country) NOT ENFORCED) WITH (sink = 's');
        CREATE TABLE c (stock STRING, n BIGINT, note STRING, PRIMARY KEY (stock) NOT ENFORCED) WITH (sink = 's');
        INSERT INTO a SELECT * FROM by_country;
        INSERT INTO b SELECT Country FROM by_country WHERE revenue > 100;
        INSERT INTO c (n, stock) SELECT count(*), StockCode FROM lines GROUP BY StockCode;";
    insta::assert_snapshot!("shared", plan(sql, &["SELECT CustomerID AS subject FROM lines"]).explain());
}

#[test]
fn the_behaviour_benchmark() {
    let views = include_str!("../../../../benches/behaviour/views.sql");
    insta::assert_snapshot!("behaviour", compile(views, &[], &Options::default()).unwrap().explain());
}

#[test]
fn the_retail_example() {
    let views = include_str!("../../../../examples/retail/views.sql");
    let queries = [
        QuerySource {
            name: "relations.bought",
            sql: "SELECT customer AS subject, stock_code AS object FROM purchases",
        },
        QuerySource { name: "objects.product", sql: "SELECT stock_code AS id, description FROM products" },
    ];
    insta::assert_snapshot!("retail", compile(views, &queries, &Options::default()).unwrap().explain());
}
