//! What results mean: the same for as long as they compute the same, whatever stands beside them.

use super::plan;
use crate::HeldColumns;
use proxima_engine::{SourceNode, Topology};
use proxima_event::{Epoch, Intake, Source, SourceError};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

const TARGETS: &str = "CREATE TABLE daily (day DATE, n BIGINT, PRIMARY KEY (day) NOT ENFORCED) WITH (sink = 'index');
CREATE TABLE revenue (code STRING, gbp DECIMAL(20, 3), PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
";
const DAILY: &str =
    "INSERT INTO daily SELECT CAST(InvoiceDate AS DATE), count(*) FROM orders WHERE Quantity > 0 GROUP BY 1;";
const REVENUE: &str =
    "INSERT INTO revenue SELECT StockCode, sum(Quantity * UnitPrice) FROM orders WHERE Quantity > 0 GROUP BY 1;";

fn meaning(sql: &str, result: &str) -> u64 {
    plan(sql, &[]).meanings()[result]
}

#[test]
fn layout_and_neighbours_make_no_difference() {
    let both = format!("{TARGETS}{DAILY}\n{REVENUE}");
    let alone = format!("{}{DAILY}", TARGETS.lines().next().unwrap());
    assert_eq!(meaning(&both, "daily"), meaning(&alone, "daily"));
    let turned = format!("{TARGETS}{REVENUE}\n-- days\n{}", DAILY.replace("FROM orders", "\n  FROM orders AS o"));
    assert_eq!(meaning(&both, "daily"), meaning(&turned, "daily"));
    let through_a_view = format!(
        "{TARGETS}CREATE VIEW sold AS SELECT * FROM orders WHERE Quantity > 0;
        {}{REVENUE}",
        DAILY.replace("FROM orders WHERE Quantity > 0", "FROM sold")
    );
    assert_eq!(meaning(&both, "daily"), meaning(&through_a_view, "daily"));
}

#[test]
fn whatever_changes_the_answer_changes_the_meaning() {
    let base = format!("{TARGETS}{DAILY}\n{REVENUE}");
    for (from, to) in [
        ("Quantity > 0 GROUP", "Quantity > 1 GROUP"),
        ("count(*)", "count(DISTINCT StockCode)"),
        ("count(*)", "count(*) FILTER (WHERE Country = 'x')"),
        ("CAST(InvoiceDate AS DATE)", "CAST(InvoiceDate + INTERVAL '1 hour' AS DATE)"),
        ("(day DATE, n", "(day DATE, m"),
    ] {
        let changed = base.replacen(from, to, 1);
        assert_ne!(changed, base);
        assert_ne!(meaning(&base, "daily"), meaning(&changed, "daily"), "{from} to {to}");
        assert_eq!(meaning(&base, "revenue"), meaning(&changed, "revenue"), "{from} to {to}");
    }
}

#[test]
fn a_column_that_may_not_be_null_any_more_has_another_meaning() {
    let of = |days: &str| {
        let days = format!("CREATE TABLE days (day DATE{days}) WITH (source = 'orders', format = 'csv');");
        let daily = "INSERT INTO daily SELECT day, count(*) FROM days GROUP BY day;";
        meaning(&format!("{TARGETS}{days}{daily}{REVENUE}"), "daily")
    };
    assert_ne!(of(""), of(" NOT NULL"));
}

#[test]
fn how_an_expression_is_nested_is_part_of_its_meaning() {
    let of = |sum: &str| {
        let sum = format!("CAST(sum({sum}) AS DECIMAL(20, 3))");
        meaning(&format!("{TARGETS}{DAILY}{}", REVENUE.replace("sum(Quantity * UnitPrice)", &sum)), "revenue")
    };
    for (sum, other) in [
        ("Quantity - UnitPrice + 3", "Quantity - (UnitPrice + 3)"),
        ("Quantity / UnitPrice * 3", "Quantity / (UnitPrice * 3)"),
        ("Quantity - UnitPrice", "UnitPrice - Quantity"),
        (
            "CASE WHEN Quantity > 1 AND (Quantity > 2 OR Quantity > 3) THEN 1 END",
            "CASE WHEN Quantity > 1 AND Quantity > 2 OR Quantity > 3 THEN 1 END",
        ),
    ] {
        assert_ne!(of(sum), of(other), "{sum} and {other}");
        assert_eq!(of(sum), of(&format!("({sum})")), "{sum}");
    }
}

struct Silent;

impl Source for Silent {
    fn run(self: Box<Self>, _: Arc<dyn Intake>) -> Result<(), SourceError> {
        Ok(())
    }
}

/// The identities of the operators with state.
fn identities(plan: &crate::Plan, began: Epoch) -> BTreeSet<String> {
    let mut topology = Topology::new();
    let source = topology.source(SourceNode { name: "s".into(), source: Box::new(Silent), dimension: false });
    let tables: HashMap<_, _> =
        plan.tables.iter().map(|table| (table.name.clone(), topology.table(&table.name, source, None))).collect();
    plan.lower_begun(&mut topology, &tables, began);
    topology.operators().into_iter().filter(|operator| operator.has_state).map(|operator| operator.identity).collect()
}

#[test]
fn state_is_known_again_beside_others_and_from_its_beginning_alone() {
    let both = plan(&format!("{TARGETS}{DAILY}\n{REVENUE}"), &[]);
    let daily = both.only(|result| result == "daily", &HeldColumns::new());
    assert_eq!(daily.targets.len(), 1);
    let (all, of_daily) = (identities(&both, Epoch(0)), identities(&daily, Epoch(0)));
    assert!(!of_daily.is_empty() && of_daily.is_subset(&all), "{of_daily:?} {all:?}");
    assert!(identities(&daily, Epoch(7)).is_disjoint(&all));
}

#[test]
fn the_sources_of_a_result_are_known() {
    let sql = "CREATE TABLE seen (name STRING, n BIGINT, PRIMARY KEY (name) NOT ENFORCED) WITH (sink = 'index');
        INSERT INTO seen SELECT i.name, count(*) FROM clicks c JOIN items i ON c.item = i.id GROUP BY 1;";
    let names = |result| plan(sql, &["SELECT Country FROM orders"]).sources(result).into_iter().collect::<Vec<_>>();
    assert_eq!(names("seen"), ["clicks", "items"]);
    assert_eq!(names("q1"), ["orders"]);
}

#[test]
fn what_a_table_of_changes_holds_stays_when_nobody_reads_it_any_more() {
    let sql = "CREATE TABLE bought (id BIGINT, code STRING, price DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED)
          WITH (source = 'changes', format = 'maxwell', table = 'shop.orders');
        CREATE TABLE sold (code STRING, n BIGINT, PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
        INSERT INTO sold SELECT code, count(*) FROM bought GROUP BY code;
        CREATE TABLE paid (code STRING, gbp DECIMAL(20, 2), PRIMARY KEY (code) NOT ENFORCED) WITH (sink = 'index');
        INSERT INTO paid SELECT code, sum(price) FROM bought GROUP BY code;";
    let both = plan(sql, &[]);
    let all = identities(&both, Epoch(0));
    let sold = |held: &HeldColumns| identities(&both.only(|result| result == "sold", held), Epoch(0));
    assert!(sold(&HeldColumns::new()).is_disjoint(&all), "without the price it would be other state");
    assert!(sold(&both.held_columns()).is_subset(&all));
    assert_eq!(both.state("sold", Epoch(0)), sold(&both.held_columns()));
}
