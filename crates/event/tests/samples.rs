//! What real Maxwell and real Debezium wrote of `samples/workload.sql`, against rows written by hand from that.
#![allow(clippy::unwrap_used)]

use arrow::datatypes::{DataType, Field, TimeUnit};
use proxima_event::decode::{DecodeConfig, Format};
use std::sync::Arc;
use support::{Given, column, decode, table};

mod support;

const MAXWELL: [&str; 3] = [
    include_str!("samples/maxwell-mariadb-default.json"),
    include_str!("samples/maxwell-mariadb-alloptions.json"),
    include_str!("samples/maxwell-mysql56-gtid.json"),
];
const DEBEZIUM: [&str; 2] =
    [include_str!("samples/debezium-mariadb.json"), include_str!("samples/debezium-mysql9.json")];

fn stamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

fn text(name: &str) -> Field {
    column(name, DataType::Utf8View)
}

fn orders() -> Vec<Field> {
    vec![
        Field::new("id", DataType::Int64, false),
        text("status"),
        column("amount", DataType::Decimal128(12, 2)),
        text("note"),
        column("paid", DataType::Boolean),
    ]
}

fn items() -> Vec<Field> {
    vec![column("order_id", DataType::Int64), text("sku"), column("quantity", DataType::Int32)]
}

fn events() -> Vec<Field> {
    vec![column("a", DataType::Int32), text("b")]
}

fn tables(keyed: bool) -> [DecodeConfig; 3] {
    let key = |columns| if keyed { columns } else { 0 };
    [
        table("shop.orders", orders(), key(1)),
        table("order_items", items(), key(2)),
        table("shop.event_no_key", events(), 0),
    ]
}

fn lines(file: &str) -> Vec<&str> {
    file.lines().collect()
}

const NOTE: &str = "say \"hi\" / \\ 你好 😀";

/// The changes of the workload's orders, in their order. The last one's id depends on the server.
fn order_changes(last: u32) -> Vec<String> {
    let first = format!("1 | paid | 99999.90 | {NOTE} | true");
    let changes = [
        format!("+ {first}"),
        "+ 2 | created | 0.00 | ~ | ~".into(),
        "+ 3 | created | 12.34 | ~ | ~".into(),
        "+ 3 | paid | 12.34 | ~ | true".into(),
        "- 3 | created | 12.34 | ~ | ~".into(),
        "+ 30 | paid | 12.34 | ~ | true".into(),
        "- 3 | paid | 12.34 | ~ | true".into(),
        "+ 1 | paid | -1.05 | ~ | true".into(),
        format!("- {first}"),
        "- 2 | created | 0.00 | ~ | ~".into(),
        format!("+ {last} | created | 5.00 | ~ | ~"),
    ];
    changes.to_vec()
}

fn check_rest(given: &Given) {
    assert_eq!(given.tables[2], ["+ 1 | x", "+ 2 | y", "+ 3 | ~", "- 2 | y"]);
    assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
}

#[test]
fn maxwell_gives_every_change() {
    for (file, last, skipped) in std::iter::zip(MAXWELL, [32, 32, 5]).zip([3, 8, 9]).map(|((f, l), s)| (f, l, s)) {
        for chunk_lines in [1, 4, 100] {
            let given = decode(Format::Maxwell, &tables(false), &lines(file), chunk_lines);
            let mut orders = order_changes(last);
            // The bootstrap comes behind, in the order of the key: with weights alone every row is there twice.
            let mut again = vec![(1, "paid | -1.05 | ~ | true"), (30, "paid | 12.34 | ~ | true")];
            again.push((last, "created | 5.00 | ~ | ~"));
            again.sort_unstable();
            orders.extend(again.into_iter().map(|(id, rest)| format!("+ {id} | {rest}")));
            assert_eq!(given.tables[0], orders);
            assert_eq!(given.tables[1], ["+ 3 | SKU-1 | 2", "+ 3 | SKU-2 | 1"]);
            assert_eq!(given.skipped, skipped);
            check_rest(&given);
        }
    }
}

#[test]
fn keyed_tables_hold_what_the_database_holds() {
    let maxwell = MAXWELL.iter().zip([32, 32, 5]).map(|(file, last)| (Format::Maxwell, file, last));
    let debezium = DEBEZIUM.iter().map(|file| (Format::Debezium, file, 32));
    for (format, file, last) in maxwell.chain(debezium) {
        let given = decode(format, &tables(true), &lines(file), 5);
        let rows: Vec<&str> = given.held[0].values().map(String::as_str).collect();
        let mut expected = vec![
            "1 | paid | -1.05 | ~ | true".to_owned(),
            "30 | paid | 12.34 | ~ | true".to_owned(),
            format!("{last} | created | 5.00 | ~ | ~"),
        ];
        expected.sort();
        let mut rows: Vec<String> = rows.into_iter().map(str::to_owned).collect();
        rows.sort();
        assert_eq!(rows, expected, "{format:?}");
        assert_eq!(given.held[1].values().collect::<Vec<_>>(), ["3 | SKU-1 | 2", "3 | SKU-2 | 1"]);
        check_rest(&given);
    }
}

#[test]
fn debezium_gives_every_change() {
    for file in DEBEZIUM {
        let given = decode(Format::Debezium, &tables(false), &lines(file), 6);
        // Snapshots and changes, a topic after another: as weights, whatever their order.
        let mut orders: Vec<String> = order_changes(32);
        orders.extend(["+ 1 | paid | -1.05 | ~ | true", "+ 30 | paid | 12.34 | ~ | true"].map(str::to_owned));
        orders.push("+ 32 | created | 5.00 | ~ | ~".into());
        let mut given_orders = given.tables[0].clone();
        orders.sort();
        given_orders.sort();
        assert_eq!(given_orders, orders);
        let doubled = ["+ 3 | SKU-1 | 2", "+ 3 | SKU-1 | 2", "+ 3 | SKU-2 | 1", "+ 3 | SKU-2 | 1"];
        assert_eq!(given.tables[1], doubled);
        check_rest(&given);
    }
}

#[test]
fn what_is_no_row_is_skipped() {
    for file in [
        include_str!("samples/debezium-mariadb-schema-changes.json"),
        include_str!("samples/debezium-mariadb-transactions.json"),
        include_str!("samples/debezium-mysql9-transactions.json"),
    ] {
        let given = decode(Format::Debezium, &[table("", events(), 0)], &lines(file), 10);
        assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
        assert_eq!((given.skipped, given.tables[0].len()), (file.lines().count() as u64, 0));
    }
}

/// Every type of the workload's first row.
fn all_types() -> Vec<Field> {
    let detail =
        vec![text("sku"), column("n", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true))))];
    vec![
        Field::new("id", DataType::Int64, false),
        column("tags", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))),
        column("amount", DataType::Decimal128(12, 2)),
        column("rate", DataType::Float64),
        column("weight", DataType::Float32),
        column("quantity", DataType::Int16),
        column("paid", DataType::Boolean),
        column("flags", DataType::Int32),
        text("memo"),
        column("raw_bin", DataType::BinaryView),
        column("payload", DataType::BinaryView),
        column("detail", DataType::Struct(detail.into())),
        column("birthday", DataType::Date32),
        column("deliver_at", DataType::Time64(TimeUnit::Microsecond)),
        column("year_made", DataType::Int32),
        column("created_at", stamp(TimeUnit::Millisecond)),
        column("created_at_us", stamp(TimeUnit::Microsecond)),
        column("updated_at_ms", stamp(TimeUnit::Millisecond)),
    ]
}

/// The row as it was written, shown with this last TIMESTAMP.
fn everything(updated_at_ms: &str) -> String {
    [
        "1",
        "[gift, express]",
        "99999.90",
        "0.1",
        "1.5",
        "200",
        "true",
        "682",
        "line1\nline2",
        "00ff10",
        "deadbeef",
        "{sku: A-1, n: [1, N, ~, true]}",
        "1990-02-28",
        "23:59:59",
        "2026",
        "2026-11-11T00:00:01",
        "2026-11-11T00:00:01.123456",
        updated_at_ms,
    ]
    .join(" | ")
}

#[test]
fn every_type_is_read() {
    let table = || [table("shop.orders", all_types(), 1)];
    for file in MAXWELL {
        let given = decode(Format::Maxwell, &table(), &lines(file), 100);
        // MariaDB keeps JSON as it was written. Maxwell writes TIMESTAMPs without their zone.
        let row = format!("+ {}", everything("2026-11-11T08:00:00.250")).replace(", N,", ", 2.50,");
        assert_eq!(given.tables[0][0], row);
    }
    for (file, number) in DEBEZIUM.iter().zip(["2.50", "2.5"]) {
        let given = decode(Format::Debezium, &table(), &lines(file), 100);
        // A TIMESTAMP is an instant there; the job's clock is eight hours ahead.
        let row = format!("+ {}", everything("2026-11-11T16:00:00.250")).replace(", N,", &format!(", {number},"));
        assert_eq!(given.tables[0][2], row);
    }
}
