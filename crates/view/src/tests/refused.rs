//! Everything outside the subset is refused with its place and with what to write instead.

use super::{TABLES, problems};
use crate::Origin;

/// Line and column of a problem in the text behind the tables, its message and advice.
fn told(sql: &str) -> Vec<(u64, u64, String)> {
    let before = TABLES.lines().count() as u64;
    let text = |problem: crate::Problem| format!("{} | {}", problem.message, problem.advice.unwrap_or_default());
    problems(sql, &[]).into_iter().map(|problem| (problem.line - before, problem.column, text(problem))).collect()
}

/// One problem is told of `sql`, at this place, with these words in message or advice.
#[track_caller]
fn refused(sql: &str, place: (u64, u64), words: &[&str]) {
    let told = told(sql);
    assert_eq!(told.len(), 1, "{sql}: {told:?}");
    let (line, column, text) = &told[0];
    for word in words {
        assert!(text.contains(word), "{sql}: {text:?} does not say {word:?}");
    }
    assert_eq!((*line, *column), place, "{sql}: {text}");
    let says = ["must be", "wants a", ": use", "Supported values are"];
    let advises = !text.ends_with("| ") || says.iter().any(|word| text.contains(word));
    assert!(advises, "{sql}: {text:?} gives no advice");
}

/// The same for what is only found in the plan of a view: the place is that of the statement, the advice may be in the
/// message.
#[track_caller]
fn refused_plan(query: &str, words: &[&str]) {
    refused(&format!("CREATE VIEW v AS\n{query}"), (1, 1), words);
}

/// The same for the query of a view.
#[track_caller]
fn refused_view(query: &str, column: u64, words: &[&str]) {
    refused(&format!("CREATE VIEW v AS\n{query}"), (2, column), words);
}

#[test]
fn what_a_replay_would_answer_otherwise() {
    refused_view("SELECT now() FROM orders", 8, &["now() reads the clock", "replay"]);
    refused_view("SELECT Country FROM orders WHERE InvoiceDate < current_timestamp", 48, &["clock"]);
    refused_view("SELECT random() FROM orders", 8, &["another value each time"]);
    refused_view("SELECT Country FROM orders LIMIT 3", 1, &["LIMIT without ORDER BY"]);
    refused_plan(
        "SELECT * FROM (SELECT Country, row_number() OVER (PARTITION BY Country) AS n FROM orders) WHERE n = 1",
        &["without ORDER BY", "OVER"],
    );
}

#[test]
fn functions_that_there_are_not() {
    refused_view("SELECT coutn(*) FROM orders", 8, &["no function coutn()", "count"]);
    refused_view("SELECT median(Quantity) FROM orders", 8, &["median()", "approx_distinct"]);
    refused_view("SELECT sum(Quantity) OVER (ORDER BY InvoiceDate) FROM orders", 8, &["window function", "GROUP BY"]);
    refused_view("SELECT rank() OVER (ORDER BY InvoiceDate) FROM orders", 8, &["window function", "ROW_NUMBER"]);
}

/// The planner would pass over most of them without a word.
#[test]
fn clauses_of_other_dialects() {
    for (behind, words) in [
        ("PREWHERE Quantity = 1", ["PREWHERE", "WHERE"]),
        ("TABLESAMPLE BERNOULLI (10)", ["TABLESAMPLE", "% 10"]),
        ("PARTITION (p0)", ["PARTITION", "WHERE"]),
        ("WITH (NOLOCK)", ["a hint", "leave it out"]),
        ("START WITH Quantity = 1 CONNECT BY Quantity = PRIOR Quantity", ["CONNECT BY", "view"]),
        ("SORT BY Quantity", ["SORT BY", "LIMIT"]),
        ("ORDER BY Quantity FETCH FIRST 3 ROWS ONLY", ["FETCH", "LIMIT"]),
        ("ORDER BY Quantity LIMIT 3 BY Country", ["LIMIT … BY", "ROW_NUMBER"]),
        ("ORDER BY Quantity WITH FILL LIMIT 3", ["WITH FILL", "leave it out"]),
        ("FOR UPDATE", ["FOR UPDATE", "leave it out"]),
        ("SETTINGS max_threads = 1", ["SETTINGS", "leave it out"]),
        ("FORMAT JSON", ["FORMAT", "leave it out"]),
    ] {
        let sql = format!("CREATE VIEW v AS\nSELECT Country FROM orders {behind}");
        let told = told(&sql);
        assert_eq!(told.len(), 1, "{sql}: {told:?}");
        assert!(told[0].0 == 2 && words.iter().all(|word| told[0].2.contains(word)), "{sql}: {told:?}");
    }
    refused_view("SELECT TOP 3 Country FROM orders", 1, &["TOP", "LIMIT"]);
    refused_view("SELECT Country FROM orders WHERE Country RLIKE 'a'", 34, &["RLIKE", "regexp_like"]);
    refused("CREATE VIEW v WITH (a = 1) AS SELECT Country FROM orders", (1, 1), &["CREATE VIEW", "AS SELECT"]);
    refused(
        "CREATE TABLE t (a INT) PARTITIONED BY (a) WITH (source = 's', format = 'json')",
        (1, 1),
        &["CREATE TABLE", "columns"],
    );
}

#[test]
fn types_that_do_not_fit() {
    refused_view("SELECT sum(Country) AS n FROM orders", 8, &["Function 'sum'", "CAST"]);
    refused_view("SELECT abs(Country) AS n FROM orders", 8, &["expects Numeric", "CAST"]);
    refused_view("SELECT Quantity > 'abc' AS a FROM orders", 19, &["Cannot cast string 'abc'", "CAST"]);
    refused_view("SELECT tumble(Country, INTERVAL '1 minute') AS t FROM orders", 8, &["tumble() wants a TIMESTAMP"]);
    let told = told("CREATE VIEW v AS SELECT substr(Country) AS s FROM orders");
    assert!(told.len() == 1 && !told[0].2.contains('{'), "{told:?}");
}

#[test]
fn joins_that_cannot_be_maintained() {
    refused_view("SELECT 1 AS x FROM orders CROSS JOIN items", 38, &["CROSS JOIN", "ON a = b"]);
    refused_plan("SELECT o.Country FROM orders o JOIN items i ON o.Quantity > i.id", &["equality", "left.a = right.b"]);
    refused_plan("SELECT id FROM items FULL JOIN items AS other USING (id)", &["USING", "coalesce(a.key, b.key)"]);
    refused_view(
        "SELECT o.Country FROM orders o LEFT SEMI JOIN items i ON o.Quantity = i.id",
        47,
        &["semi", "DISTINCT"],
    );
    refused_plan(
        "SELECT o.Country FROM orders o LEFT JOIN items i ON o.Quantity = i.id AND o.Country = 'x'",
        &["outer join"],
    );
    refused_view("SELECT Country FROM orders WHERE Quantity IN (SELECT id FROM items)", 34, &["IN (SELECT", "JOIN"]);
    refused_view("SELECT Country FROM orders WHERE EXISTS (SELECT id FROM items)", 42, &["EXISTS", "JOIN"]);
    refused_view("SELECT (SELECT max(id) FROM items) AS x FROM orders", 9, &["subquery", "JOIN"]);
    refused_plan("SELECT i.name FROM items FOR SYSTEM_TIME AS OF i.id AS i", &["right side of a JOIN"]);
}

#[test]
fn sets_and_orders() {
    refused_view("SELECT Country FROM orders ORDER BY Country", 1, &["ORDER BY has no meaning", "LIMIT"]);
    refused_view("SELECT Country FROM orders EXCEPT SELECT name FROM items", 1, &["EXCEPT", "LEFT JOIN"]);
    refused_view("SELECT Country, count(*) FROM orders GROUP BY ROLLUP (Country)", 55, &["ROLLUP", "UNION ALL"]);
    let ranked =
        "CREATE VIEW r AS SELECT Country, ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Quantity) AS n FROM orders;";
    assert_eq!(problems(ranked, &["SELECT * FROM r WHERE n < 10 AND Country <> 'x'"]), []);
    let unbounded = problems(ranked, &["SELECT * FROM r WHERE n > 10"]);
    assert!(unbounded[0].message.contains("without a bound"), "{unbounded:?}");
    assert!(unbounded[0].advice.as_ref().is_some_and(|advice| advice.contains("WHERE n <= 10")), "{unbounded:?}");
    refused_plan("SELECT sum(DISTINCT Quantity) FROM orders", &["sum(DISTINCT", "subquery"]);
    refused_view(
        "SELECT c.mid FROM clicks c CROSS JOIN UNNEST(c.displays) AS d",
        46,
        &["UNNEST in FROM", "unnest(list)"],
    );
}

#[test]
fn buckets_without_a_fixed_length() {
    refused_plan("SELECT tumble(ts, INTERVAL '1 month') AS w FROM clicks", &["months", "date_trunc"]);
    refused_plan("SELECT tumble(ts, INTERVAL '0 minutes') AS w FROM clicks", &["positive"]);
    refused_plan("SELECT hop(ts, INTERVAL '7 min', INTERVAL '10 min') AS w FROM clicks", &["multiple of the slide"]);
}

/// They had passed, and left out every row.
#[test]
fn units_that_there_are_not() {
    refused_plan("SELECT date_trunc('fortnight', ts) AS w FROM clicks", &["fortnight"]);
    refused_plan("SELECT count(*) FROM clicks WHERE date_part('fortnight', ts) = 1", &["fortnight"]);
    refused_plan("SELECT regexp_like(mid, '[') AS w FROM clicks", &["no regular expression: unclosed character class"]);
}

#[test]
fn what_the_planner_says_is_said_in_our_words() {
    refused_view("SELECT user FROM orders", 8, &["user is a word of SQL", "\"user\" in double quotes"]);
    refused_view(
        "SELECT Country, Quantity FROM orders GROUP BY Country",
        17,
        &["orders.Quantity is neither in GROUP BY", "max(orders.Quantity)"],
    );
    refused_plan("SELECT displays[1].item FROM clicks", &["['sku']"]);
    refused_view("SELECT mid FROM clicks WHERE item = ANY([1, 2])", 30, &["ANY and ALL of a list", "array_has"]);
    let target = "CREATE TABLE t (a BIGINT, b BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH (sink = 's');\n";
    refused(
        &format!("{target}INSERT INTO t SELECT item, ts FROM clicks"),
        (2, 1),
        &["column b of t is BIGINT, but TIMESTAMP(3) is selected"],
    );
    let told = told(&format!("{target}INSERT INTO t SELECT item 1 FROM clicks"));
    assert_eq!(told.len(), 1, "what could not be read may be what fills the target: {told:?}");
}

/// They were refused.
#[test]
fn what_needs_no_names_and_any_order() {
    let target = "CREATE TABLE t (a BIGINT, b BIGINT, c BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH (sink = 's');\n";
    assert_eq!(problems(&format!("{target}INSERT INTO t SELECT item, 1, 1 FROM clicks"), &[]), []);
    let twice = "INSERT INTO t SELECT item, type, type FROM clicks UNION ALL SELECT item, 2, 2 FROM clicks";
    assert_eq!(problems(&format!("{target}{twice}"), &[]), []);
    let marked = crate::compile(&format!("\u{feff}{TABLES}"), &[], &crate::Options::default());
    assert!(marked.is_ok(), "{marked:?}");
    let ranked = |order: &str| {
        format!("SELECT mid, ROW_NUMBER() OVER (PARTITION BY mid ORDER BY {order}) AS n FROM clicks QUALIFY n = 1")
    };
    for order in ["CAST(ts AS TIME)", "CAST(mid AS BYTEA)", "displays[1]", "common"] {
        assert_eq!(problems("", &[&ranked(order)]), [], "{order}");
    }
}

#[test]
fn names_that_there_are_not() {
    let told = told("CREATE VIEW v AS\nSELECT Contry\nFROM orders");
    assert_eq!((told.len(), told[0].0, told[0].1), (1, 2, 8), "{told:?}");
    let told = self::told("CREATE VIEW v AS SELECT * FROM w;\nCREATE VIEW w AS SELECT * FROM orders;");
    assert_eq!((told.len(), told[0].0), (1, 1), "{told:?}");
    assert!(told[0].2.contains("no table or view 'w' before"), "{told:?}");
    let told = self::told("CREATE VIEW v AS SELECT now() FROM orders;\nCREATE VIEW w AS SELECT * FROM v;");
    assert_eq!(told.len(), 1, "what reads a broken view is not blamed: {told:?}");
}

#[test]
fn declarations() {
    refused("CREATE TABLE t (a INT)", (1, 1), &["neither a source nor a sink", "WITH"]);
    refused("CREATE TABLE t (a INT) WITH (source = 's', format = 'xml')", (1, 44), &["'xml'", "'csv', 'json'"]);
    refused(
        "CREATE TABLE t (a INT) WITH (source = 's', format = 'csv', fromat = 'csv')",
        (1, 60),
        &["fromat", "format"],
    );
    refused(
        "CREATE TABLE t (a INT,\n  b GEOMETRY) WITH (source = 's', format = 'csv')",
        (2, 3),
        &["GEOMETRY", "STRUCT"],
    );
    refused("CREATE TABLE t (a DECIMAL(50, 2)) WITH (source = 's', format = 'csv')", (1, 17), &["38 digits"]);
    let table = "CREATE TABLE t (a INT, b TIMESTAMP) WITH (source = 's', format = 'csv'";
    refused(&format!("{table}, event_time = 'a')"), (1, 73), &["holds no time", "TIMESTAMP"]);
    refused(&format!("{table}, lifetime = '1 day')"), (1, 73), &["event time", "event_time"]);
    refused(&format!("{table}, event_time = 'b', lifetime = 'long')"), (1, 91), &["'long'", "30 days"]);
    refused("CREATE TABLE t (a INT) WITH (sink = 's'); INSERT INTO t SELECT Quantity FROM orders", (1, 1), &["no key"]);
}

#[test]
fn declarations_of_changes() {
    let table = |columns: &str, options: &str| format!("CREATE TABLE t ({columns}) WITH (source = 's', {options})");
    let refused = |columns: &str, options: &str, column: u64, words: &[&str]| {
        refused(&table(columns, options), (1, column), words);
    };
    refused("a INT", "format = 'maxwell'", 44, &["whose changes", "table = 'database.table'"]);
    refused("a INT", "format = 'maxwel', table = 't'", 44, &["'maxwel'", "'maxwell'"]);
    refused("a INT", "format = 'json', table = 't'", 61, &["option table", "'debezium'"]);
    refused("a INT", "format = 'canal', table = 'd.'", 62, &["'d.'", "'database.table'"]);
    refused(
        "a INT, PRIMARY KEY (b) NOT ENFORCED",
        "format = 'canal', table = 't'",
        37,
        &["key column b", "name columns"],
    );
    refused("a INT", "format = 'debezium', table = 't', epoch_unit = 'us'", 78, &["epoch_unit", "schema"]);
    refused("a INT", "format = 'debezium', table = 't', decimals = 'no'", 78, &["'no'", "'base64'"]);
    refused("a INT", "format = 'maxwell', table = 't', decimals = 'text'", 77, &["'text'", "leave it out"]);
    refused(
        "a INT",
        "format = 'maxwell', table = 't', utc = 'a'",
        77,
        &["has no TIMESTAMP \"a\"", "utc = 'created_at"],
    );
    refused(
        "a TIMESTAMP",
        "format = 'debezium', table = 't', utc = 'a'",
        84,
        &["'maxwell' and 'canal'", "leave it out"],
    );
}

#[test]
fn targets() {
    let target = "CREATE TABLE t (a STRING, n BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH (sink = 's');\n";
    refused(target, (1, 1), &["nothing is written", "INSERT INTO t"]);
    let insert = |query: &str| format!("{target}{query}");
    refused(&insert("INSERT INTO t SELECT Country FROM orders"), (2, 1), &["1 columns", "select a, n"]);
    refused(&insert("INSERT INTO t SELECT Country, StockCode FROM orders"), (2, 1), &["column n of t", "CAST"]);
    let both = told(&insert("INSERT INTO t SELECT Quantity, Country FROM orders"));
    assert!(both.len() == 2 && both[0].2.contains("column a") && both[1].2.contains("column n"), "{both:?}");
    refused(&insert("INSERT INTO t (n) SELECT Quantity FROM orders"), (2, 1), &["key column a"]);
    refused("INSERT INTO u SELECT Country FROM orders", (1, 13), &["no target u", "CREATE TABLE u"]);
    let twice = "INSERT INTO t SELECT Country, 1 FROM orders;\nINSERT INTO t SELECT name, id FROM items";
    refused(&insert(twice), (3, 13), &["filled twice", "UNION ALL"]);
    let flag = target.replace("sink = 's'", "sink = 's', one_row_per_key = 'yes'");
    let told_of_flag = "one_row_per_key = 'yes' is neither true nor false";
    refused(&format!("{flag}INSERT INTO t SELECT Country, 1 FROM orders"), (1, 85), &[told_of_flag, "write one_row"]);
    let overwrite = "INSERT OVERWRITE t SELECT Country, 1 FROM orders";
    let told_of_clause = |told: &(u64, u64, String)| told.2.contains("a clause of INSERT");
    assert!(told(&insert(overwrite)).iter().any(told_of_clause));
    refused("DROP TABLE orders", (1, 1), &["DROP TABLE", "CREATE VIEW"]);
    refused("SELECT 1", (1, 1), &["goes nowhere", "CREATE VIEW"]);
}

#[test]
fn problems_of_queries_name_the_query() {
    let problems = problems("", &["SELECT Country FROM orders", "SELECT nothing FROM orders", "DELETE FROM orders"]);
    let origins: Vec<_> = problems.iter().map(|problem| problem.origin.clone()).collect();
    assert_eq!(origins, [Origin::Query("q2".into()), Origin::Query("q3".into())], "{problems:?}");
    assert_eq!((problems[0].line, problems[0].column), (1, 8));
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let told = told(
        "CREATE VIEW a AS SELECT now() FROM orders;\nCREATE VIEW b AS SELEC;\nCREATE VIEW c AS SELECT random(), uuid() FROM orders;",
    );
    let places: Vec<_> = told.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(1, 25), (2, 18), (3, 25), (3, 35)], "{told:?}");
}

/// The places of all problems of a view, and what each says is missing.
#[track_caller]
fn missed(query: &str, expected: &[(u64, u64, &str)]) {
    let told = told(&format!("CREATE VIEW v AS\n{query}"));
    let missed = |(line, column, text): (u64, u64, String)| {
        let (message, _) = text.split_once(" | ").expect("advice stands behind the message");
        (line, column, message.to_string())
    };
    let told: Vec<_> = told.into_iter().map(missed).collect();
    let expected: Vec<_> = expected.iter().map(|&(line, column, name)| (line, column, name.to_string())).collect();
    assert_eq!(told, expected, "{query}");
}

#[test]
fn every_name_that_there_is_not_is_told() {
    missed(
        "SELECT Contry, upper(Nix) AS n, coutn(Naught) AS c\nFROM orders WHERE Country = Qty AND orders.Pay > 3",
        &[
            (2, 8, "there is no column Contry"),
            (2, 22, "there is no column Nix"),
            (2, 33, "there is no function coutn()"),
            (3, 29, "there is no column Qty"),
            (3, 37, "there is no column orders.Pay"),
        ],
    );
    // A column that a subquery should have had is missing there alone.
    missed(
        "SELECT s.Contry, s.Contry || 'a' AS two\nFROM (SELECT Contry, Quantity FROM orders) AS s WHERE Missing = 1",
        &[(3, 14, "there is no column Contry"), (3, 55, "there is no column Missing")],
    );
    missed(
        "SELECT Country, count(DISTINCT Who) AS n FROM orders\nGROUP BY Country, Place HAVING count(*) > Least",
        &[(2, 32, "there is no column Who"), (3, 19, "there is no column Place"), (3, 43, "there is no column Least")],
    );
    missed(
        "SELECT a.Country, b.Nix FROM orders AS a\nJOIN orders AS b ON a.Country = b.Contry AND a.Quantity = c.Quantity",
        &[
            (2, 19, "there is no column b.Nix"),
            (3, 33, "there is no column b.Contry"),
            (3, 59, "there is no column c.Quantity"),
        ],
    );
    missed(
        "SELECT Contry, ROW_NUMBER() OVER (PARTITION BY Nix ORDER BY Sold) AS n FROM orders\nUNION ALL SELECT Land, 1 AS n FROM orders",
        &[
            (2, 8, "there is no column Contry"),
            (2, 48, "there is no column Nix"),
            (2, 61, "there is no column Sold"),
            (3, 18, "there is no column Land"),
        ],
    );
}

#[test]
fn every_field_that_there_is_not_is_told() {
    missed(
        "SELECT mid, common['nope'] AS n, common.os, common['device']['maker'] AS m, common.nix AS x\nFROM clicks",
        &[
            (2, 13, "Field nope not found in struct"),
            (2, 45, "Field maker not found in struct"),
            (2, 77, "Field nix not found in struct"),
        ],
    );
}

#[test]
fn what_there_is_where_a_name_is_missing() {
    refused_view("SELECT Zzz FROM orders", 8, &["there is no column Zzz", "there are InvoiceNo, StockCode,"]);
    refused_view("SELECT Contry FROM orders", 8, &["there is no column Contry", "did you mean orders.Country?"]);
    refused_view("SELECT o.Contry FROM orders AS o", 8, &["there is no column o.Contry", "did you mean o.Country?"]);
}
