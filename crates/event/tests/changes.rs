//! Records of changes that the samples do not have: schemas, other ways of writing values, bad records.
#![allow(clippy::unwrap_used)]

use arrow::datatypes::{DataType, Field, TimeUnit};
use proxima_event::decode::{DecodeConfig, Format, SourceDecoded, source_decoder};
use proxima_event::{Chunk, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{column, decode, table};

mod support;

fn users(key: usize) -> [DecodeConfig; 1] {
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        column("name", DataType::Utf8View),
        column("tags", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))),
    ];
    [table("shop.users", fields, key)]
}

#[test]
fn nested_columns_keep_their_old_value() {
    let line = r#"{"database":"shop","table":"users","type":"update","data":{"id":1,"name":"b","tags":["x","y"]},"old":{"name":"a"}}"#;
    let given = decode(Format::Maxwell, &users(0), &[line, line], 2);
    assert_eq!(given.tables[0], ["+ 1 | b | [x, y]", "- 1 | a | [x, y]", "+ 1 | b | [x, y]", "- 1 | a | [x, y]"]);
    let null = r#"{"database":"shop","table":"users","type":"update","data":{"id":1,"name":"b"},"old":{"name":null}}"#;
    assert_eq!(decode(Format::Maxwell, &users(0), &[null], 2).tables[0], ["+ 1 | b | ~", "- 1 | ~ | ~"]);
}

#[test]
fn a_keyed_update_is_one_row_unless_its_key_changed() {
    let record = |old: &str| {
        format!(r#"{{"database":"shop","table":"users","type":"update","data":{{"id":1,"name":"b"}},"old":{old}}}"#)
    };
    let given = decode(Format::Maxwell, &users(1), &[&record(r#"{"name":"a"}"#), &record(r#"{"id":7}"#)], 1);
    assert_eq!(given.tables[0], ["+ 1 | b | ~", "+ 1 | b | ~", "- 7 | b | ~"]);
    let debezium = |before: &str| {
        format!(
            r#"{{"before":{before},"after":{{"id":1,"name":"b"}},"source":{{"db":"shop","table":"users"}},"op":"u"}}"#
        )
    };
    let lines = [debezium("null"), debezium(r#"{"name":"a","id":1}"#), debezium(r#"{"id":7,"name":"a"}"#)];
    let given = decode(Format::Debezium, &users(1), &lines.each_ref().map(String::as_str), 9);
    assert_eq!(given.tables[0], ["+ 1 | b | ~", "+ 1 | b | ~", "+ 1 | b | ~", "- 7 | a | ~"]);
    let given = decode(Format::Debezium, &users(0), &[&lines[0]], 9);
    assert_eq!(given.rejected[0].reason, "missing \"before\": without it the table needs a PRIMARY KEY");
}

#[test]
fn canal_lists_the_rows_of_a_statement() {
    let update = r#"{"data":[{"id":"1","name":"b","tags":"x,y"},{"id":"2","name":"d","tags":null}],"database":"shop","es":1,"id":3,"isDdl":false,"mysqlType":{"id":"bigint","name":"varchar(9)"},"old":[{"name":"a"},{"id":"9"}],"pkNames":["id"],"sql":"","sqlType":{"id":-5},"table":"users","ts":2,"type":"UPDATE"}"#;
    let rows = ["+ 1 | b | [x, y]", "- 1 | a | [x, y]", "+ 2 | d | ~", "- 9 | d | ~"];
    assert_eq!(decode(Format::Canal, &users(0), &[update], 1).tables[0], rows);
    let given = decode(Format::Canal, &users(1), &[update], 1);
    assert_eq!(given.tables[0], [rows[0], rows[2], rows[3]]);
    let insert = update.replace("UPDATE", "INSERT").replace(r#""old":[{"name":"a"},{"id":"9"}]"#, r#""old":null"#);
    let delete = insert.replace("INSERT", "DELETE");
    assert_eq!(decode(Format::Canal, &users(1), &[&insert], 1).tables[0], [rows[0], rows[2]]);
    assert_eq!(decode(Format::Canal, &users(1), &[&insert, &delete], 1).held[0].len(), 0);
    let ddl = r#"{"data":null,"database":"shop","es":1,"id":1,"isDdl":true,"mysqlType":null,"old":null,"pkNames":null,"sql":"CREATE TABLE users (id INT)","sqlType":null,"table":"users","ts":2,"type":"CREATE"}"#;
    let other = update.replace("users", "orders");
    let query = insert.replace("INSERT", "TRUNCATE");
    let given = decode(Format::Canal, &users(0), &[ddl, &other, &query], 1);
    assert_eq!((given.skipped, given.tables[0].len(), given.rejected.len()), (3, 0, 0));
}

/// A schema as Kafka Connect writes it, of these columns.
fn schema(columns: &str) -> String {
    let row = |name: &str| format!(r#"{{"type":"struct","fields":[{columns}],"optional":true,"field":"{name}"}}"#);
    format!(
        r#"{{"type":"struct","fields":[{},{},{{"type":"string","optional":false,"field":"op"}}],"optional":false,"name":"Envelope"}}"#,
        row("before"),
        row("after")
    )
}

#[test]
fn a_schema_says_how_values_are_written() {
    let columns = r#"{"type":"int64","optional":false,"field":"id"},
        {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"price"},
        {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"text"},
        {"type":"int64","name":"io.debezium.time.MicroTimestamp","version":1,"field":"at"},
        {"type":"int32","name":"io.debezium.time.Time","version":1,"field":"daytime"},
        {"type":"bytes","name":"io.debezium.data.Bits","parameters":{"length":"10"},"field":"flags"}"#
        .replace(['\n', ' '], "");
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        column("price", DataType::Decimal128(12, 2)),
        column("text", DataType::Utf8View),
        column("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        column("daytime", DataType::Time64(TimeUnit::Microsecond)),
        column("flags", DataType::Int32),
    ];
    let record = |columns: &str, at: i64| {
        format!(
            r#"{{"schema":{},"payload":{{"before":null,"after":{{"id":1,"price":"AJiWdg==","text":"lw==","at":{at},"daytime":1000,"flags":"qgI="}},"source":{{"db":"shop","table":"t"}},"op":"c"}}}}"#,
            schema(columns)
        )
    };
    let lines = [record(&columns, 1_000_000), record(&columns, 2_000_000)];
    let tombstone = format!(r#"{{"schema":{},"payload":null}}"#, schema(&columns));
    let millis = record(&columns.replace("MicroTimestamp", "Timestamp"), 3_000);
    let heartbeat = format!(r#"{{"schema":{},"payload":{{"ts_ms":1}}}}"#, schema(&columns));
    let plain = r#"{"ts_ms":1}"#.to_owned();
    let lines = [&lines[0], &lines[1], &tombstone, &heartbeat, &plain, &millis].map(String::as_str);
    let given = decode(Format::Debezium, &[table("t", fields, 1)], &lines, 2);
    assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
    let row = |second| format!("+ 1 | 99999.90 | -1.05 | 1970-01-01T00:00:0{second} | 00:00:01 | 682");
    assert_eq!(given.tables[0], [row(1), row(2), row(3)]);
    assert_eq!(given.skipped, 3);
}

#[test]
fn iso_texts_and_days_are_those_of_the_wall() {
    let columns = r#"{"type":"string","name":"io.debezium.time.IsoTimestamp","version":1,"field":"at"},
        {"type":"string","name":"io.debezium.time.IsoDate","version":1,"field":"day"},
        {"type":"string","name":"io.debezium.time.IsoTime","version":1,"field":"daytime"},
        {"type":"int32","name":"io.debezium.time.Date","version":1,"field":"since"},
        {"type":"int32","name":"io.debezium.time.Date","version":1,"field":"born"}"#
        .replace(['\n', ' '], "");
    let fields = vec![
        column("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        column("day", DataType::Date32),
        column("daytime", DataType::Time64(TimeUnit::Microsecond)),
        column("since", DataType::Timestamp(TimeUnit::Millisecond, None)),
        column("born", DataType::Date32),
    ];
    let line = format!(
        r#"{{"schema":{},"payload":{{"before":null,"after":{{"at":"2026-11-11T00:00:01.123Z","day":"1990-02-28Z","daytime":"23:59:59Z","since":7363,"born":-1}},"source":{{"db":"shop","table":"t"}},"op":"c"}}}}"#,
        schema(&columns)
    );
    let given = decode(Format::Debezium, &[table("t", fields, 0)], &[&line], 1);
    assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
    let row = "+ 2026-11-11T00:00:01.123 | 1990-02-28 | 23:59:59 | 1990-02-28T00:00:00 | 1969-12-31";
    assert_eq!(given.tables[0], [row]);
}

/// A connector's setting was changed: what an earlier schema said does not stick.
#[test]
fn texts_of_utc_are_turned_to_the_jobs_zone() {
    let stamp =
        |name: &str, zone: Option<&str>| column(name, DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into)));
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        stamp("wall", None),
        stamp("wrote", None),
        stamp("at", Some("UTC")),
    ];
    let mut config = table("shop.t", fields, 1);
    config.zone = chrono_tz::Asia::Shanghai;
    config.changes.as_mut().unwrap().utc = vec![2, 3];
    let record = |text: &str| {
        format!(
            r#"{{"database":"shop","table":"t","type":"insert","data":{{"id":1,"wall":"{text}","wrote":"{text}","at":"{text}"}}}}"#
        )
    };
    let lines = [record("2026-03-03 02:11:12"), record("2026-03-02 18:11:12.5"), record("0000-00-00 00:00:00")];
    let given = decode(Format::Maxwell, &[config], &lines.each_ref().map(String::as_str), 9);
    assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
    let rows = [
        "+ 1 | 2026-03-03T02:11:12 | 2026-03-03T10:11:12 | 2026-03-03T02:11:12Z",
        "+ 1 | 2026-03-02T18:11:12.500 | 2026-03-03T02:11:12.500 | 2026-03-02T18:11:12.500Z",
        "+ 1 | ~ | ~ | ~",
    ];
    assert_eq!(given.tables[0], rows);
}

#[test]
fn each_record_is_read_by_its_own_schema() {
    let fields = vec![Field::new("id", DataType::Int64, false), column("amount", DataType::Decimal128(12, 2))];
    let id = r#"{"type":"int64","optional":false,"field":"id"},"#;
    let base64 = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"amount"}"#;
    let text = r#"{"type":"string","optional":true,"field":"amount"}"#;
    let row = |id: u32, amount: &str| {
        format!(r#"{{"after":{{"id":{id},"amount":"{amount}"}},"source":{{"db":"shop","table":"t"}},"op":"c"}}"#)
    };
    let record = |amount: &str, payload: &str| {
        format!(r#"{{"schema":{},"payload":{payload}}}"#, schema(&format!("{id}{amount}")))
    };
    let lines = [
        record(base64, &row(1, "MDk=")),
        record(text, &row(2, "1234")),
        record(text, &row(3, "56.78")),
        record(base64, &row(4, "MDk=")),
        row(5, "1234"),
        record(base64, &row(6, "MDk=")),
        // The schema comes last: what was read ahead is read once more.
        format!(r#"{{"payload":{},"schema":{}}}"#, row(7, "1234"), schema(&format!("{id}{text}"))),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let rows =
        [(1, "123.45"), (2, "1234.00"), (3, "56.78"), (4, "123.45"), (5, "1234.00"), (6, "123.45"), (7, "1234.00")];
    let rows = rows.map(|(id, amount)| format!("+ {id} | {amount}"));
    let mut config = table("t", fields, 1);
    for at_once in [1, lines.len()] {
        let given = decode(Format::Debezium, &[config.clone()], &lines, at_once);
        assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
        assert_eq!(given.tables[0], rows);
    }
    // What the table is told counts only where no schema says so: with the fifth record.
    config.changes.as_mut().unwrap().decimals_base64 = true;
    let given = decode(Format::Debezium, &[config], &lines, 1);
    assert!(given.rejected.is_empty(), "{}", given.rejected[0]);
    let told = given.tables[0].iter().enumerate().filter(|&(at, row)| *row != rows[at]).map(|(at, _)| at);
    assert_eq!(told.collect::<Vec<_>>(), [4]);
}

#[test]
fn without_a_schema_types_and_sizes_tell() {
    let fields = vec![
        column("ms", DataType::Timestamp(TimeUnit::Microsecond, None)),
        column("us", DataType::Timestamp(TimeUnit::Microsecond, None)),
        column("zero", DataType::Timestamp(TimeUnit::Microsecond, None)),
        column("day", DataType::Date32),
        column("price", DataType::Decimal128(12, 2)),
        column("bit", DataType::Int32),
    ];
    let line = |price: &str| {
        format!(
            r#"{{"op":"r","after":{{"ms":1639440000000,"us":1639440000123456,"zero":"0000-00-00 00:00:00","day":7363,"price":{price},"bit":true}},"source":{{"db":"gmall","table":"t"}}}}"#
        )
    };
    let mut config = table("t", fields, 0);
    let row = "+ 2021-12-14T00:00:00 | 2021-12-14T00:00:00.123456 | ~ | 1990-02-28 | 8197.00 | 1";
    for price in ["8197.0", "\"8197.00\""] {
        assert_eq!(decode(Format::Debezium, &[config.clone()], &[&line(price)], 1).tables[0], [row]);
    }
    config.changes.as_mut().unwrap().decimals_base64 = true;
    assert_eq!(decode(Format::Debezium, &[config], &[&line("\"DIH0\"")], 1).tables[0], [row]);
}

#[test]
fn binary_and_zero_dates() {
    let fields = || vec![column("raw", DataType::BinaryView), column("day", DataType::Date32)];
    let maxwell = r#"{"database":"d","table":"t","type":"insert","data":{"raw":"AP8Q","day":"0000-00-00"}}"#;
    assert_eq!(decode(Format::Maxwell, &[table("t", fields(), 0)], &[maxwell], 1).tables[0], ["+ 00ff10 | ~"]);
    let canal = "{\"data\":[{\"raw\":\"\\u0000\u{ff}\\u0010\",\"day\":\"1990-02-28\"}],\"database\":\"d\",\"table\":\"t\",\"type\":\"INSERT\",\"isDdl\":false}";
    assert_eq!(decode(Format::Canal, &[table("t", fields(), 0)], &[canal], 1).tables[0], ["+ 00ff10 | 1990-02-28"]);
}

#[test]
fn bad_records_are_rejected_with_their_reason() {
    let bad = [
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"insert","data":{"id":"x"}}"#,
            "column \"id\": \"x\" is not a BIGINT",
        ),
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"insert","data":{"name":"x"}}"#,
            "missing column \"id\"",
        ),
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"insert","data":{"id":1}"#,
            "not valid JSON: EOF while parsing an object at byte 66",
        ),
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"insert","data":{"id":1}}}"#,
            "not valid JSON: trailing characters at byte 68",
        ),
        (Format::Maxwell, r#"{"database":"shop","table":"users","type":"insert"}"#, "missing \"type\" or \"data\""),
        (Format::Maxwell, r#"{"id":1}"#, "missing \"database\" or \"table\""),
        (Format::Maxwell, "[1]", "not a record of changes: nested too deeply, or not an object"),
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"insert","data":[1]}"#,
            "expected an object, found […]",
        ),
        (
            Format::Maxwell,
            r#"{"database":"shop","table":"users","type":"update","data":{"id":1},"old":{"id":null}}"#,
            "column \"id\": NULL where NOT NULL is declared",
        ),
        (
            Format::Debezium,
            r#"{"id":1,"name":"x"}"#,
            "missing \"op\": a record of Debezium has its envelope (no ExtractNewRecordState)",
        ),
        (Format::Debezium, "{}", "missing \"op\": a record of Debezium has its envelope (no ExtractNewRecordState)"),
        (Format::Debezium, r#"{"op":"c","after":null,"source":{"db":"shop","table":"users"}}"#, "missing \"after\""),
        (Format::Debezium, r#"{"op":"x","after":{},"source":{"db":"shop","table":"users"}}"#, "unknown op \"x\""),
        (Format::Canal, r#"{"data":[],"database":"shop","table":"users","type":"INSERT"}"#, "missing \"data\""),
    ];
    for (format, line, reason) in bad {
        let given = decode(format, &users(0), &[line], 1);
        assert_eq!(given.rejected.len(), 1, "{line}");
        assert_eq!(given.rejected[0].reason, reason, "{line}");
        assert_eq!(given.tables[0].len(), 0);
    }
}

#[test]
fn a_record_is_taken_whole_or_not_at_all() {
    let good = r#"{"database":"shop","table":"users","type":"insert","data":{"id":5,"name":"good"}}"#;
    let half = r#"{"database":"shop","table":"users","type":"update","data":{"id":1,"name":"new"},"old":{"id":"x"}}"#;
    for lines in [[good, half, good], [half, good, good], [good, good, half]] {
        for chunk_lines in [1, 3] {
            let given = decode(Format::Maxwell, &users(0), &lines, chunk_lines);
            assert_eq!(given.tables[0], ["+ 5 | good | ~", "+ 5 | good | ~"]);
            assert_eq!(given.rejected.len(), 1);
        }
    }
}

/// What else the record says may not be readable: the table's column may be wider now.
#[test]
fn a_key_that_is_no_more_is_gone_whatever_else_cannot_be_read() {
    let fields = || {
        let place = DataType::Struct(vec![Field::new("x", DataType::Int32, false)].into());
        vec![
            Field::new("id", DataType::Int64, false),
            column("price", DataType::Decimal128(6, 2)),
            Field::new("name", DataType::Utf8View, false),
            Field::new("place", place, false),
        ]
    };
    let row = |id: u8, price: &str| format!(r#"{{"id":{id},"price":{price},"name":"a","place":{{"x":1}}}}"#);
    let maxwell = |kind: &str, row: String, old: &str| {
        format!(r#"{{"database":"shop","table":"t","type":"{kind}","data":{row}{old}}}"#)
    };
    let debezium = |op: &str, before: &str, after: &str| {
        format!(r#"{{"before":{before},"after":{after},"source":{{"db":"shop","table":"t"}},"op":"{op}"}}"#)
    };
    let wide = "10000.00";
    let lines = [
        maxwell("insert", row(1, "1.00"), ""),
        maxwell("update", row(1, wide), r#","old":{"price":1.00}"#),
        maxwell("delete", row(1, wide), ""),
        maxwell("update", row(3, wide), r#","old":{"id":2}"#),
        maxwell("delete", r#"{"id":4,"price":1}"#.to_owned(), ""),
        maxwell("delete", r#"{"price":1.00}"#.to_owned(), ""),
    ];
    let given = decode(Format::Maxwell, &[table("shop.t", fields(), 1)], &lines.each_ref().map(String::as_str), 9);
    let gone = |id: u8| format!("- {id} | ~ |  | {{x: 0}}");
    assert_eq!(given.tables[0], ["+ 1 | 1.00 | a | {x: 1}".to_owned(), gone(1), gone(2), gone(4)]);
    assert_eq!(given.rejected.len(), 3, "two updates, and what does not say its key");

    let lines = [
        debezium("d", &row(1, wide), "null"),
        debezium("d", r#"{"id":2}"#, "null"),
        debezium("u", &row(3, "1.00"), &row(4, wide)),
        debezium("u", &row(5, "1.00"), &row(5, wide)),
    ];
    let given = decode(Format::Debezium, &[table("t", fields(), 1)], &lines.each_ref().map(String::as_str), 9);
    assert_eq!(given.tables[0], [1, 2, 3].map(gone));
    assert_eq!(given.rejected.len(), 2);
    // Without a key a row goes by all that it was.
    let given = decode(Format::Debezium, &[table("t", fields(), 0)], &[&lines[0]], 9);
    assert_eq!((given.tables[0].len(), given.rejected.len()), (0, 1));
}

#[test]
fn what_one_table_cannot_read_is_no_row_of_another_in_either_order() {
    let number = table("s.o", vec![Field::new("id", DataType::Int64, false), column("n", DataType::Int32)], 1);
    let text = table("s.o", vec![Field::new("id", DataType::Int64, false), column("s", DataType::Utf8View)], 1);
    let record = |rest: &str| format!(r#"{{"database":"s","table":"o",{rest}}}"#);
    let lines = [
        record(r#""type":"insert","data":{"id":1,"n":1,"s":"x"}"#),
        record(r#""type":"insert","data":{"id":2,"n":1,"s":"x"}"#),
        record(r#""type":"insert","data":{"id":3,"n":99999999999,"s":"x"}"#),
        record(r#""type":"update","data":{"id":4,"n":99999999999,"s":"x"},"old":{"id":1,"n":1}"#),
        record(r#""type":"delete","data":{"id":2,"n":99999999999,"s":"x"}"#),
        record(r#""type":"insert","data":{"id":5,"n":5,"s":"y"}"#),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let held = |value: &str| BTreeMap::from([("5".to_owned(), format!("5 | {value}"))]);
    for chunk_lines in [1, 6] {
        let given = decode(Format::Maxwell, &[number.clone(), text.clone()], &lines, chunk_lines);
        assert_eq!((given.held, given.rejected.len()), (vec![held("5"), held("y")], 2));
        let given = decode(Format::Maxwell, &[text.clone(), number.clone()], &lines, chunk_lines);
        assert_eq!((given.held, given.rejected.len()), (vec![held("y"), held("5")], 2));
    }
}

#[test]
fn messages_are_numbered_by_their_offsets() {
    let partition = Arc::new(PartitionId { source: "kafka".into(), name: "changes-3".into() });
    let mut messages = Chunk::of_messages(partition, 40);
    let record =
        |id: &str| format!(r#"{{"database":"shop","table":"users","type":"insert",{}"data":{{"id":{id}}}}}"#, "\n");
    for (offset, id) in [(41, "1"), (47, "\"x\""), (48, "2")] {
        messages.push(offset, record(id).as_bytes());
    }
    let mut out = SourceDecoded::new(1);
    source_decoder(Format::Maxwell, users(1).to_vec()).decode(&Chunk { order: 3, ..messages.finish(50) }, &mut out);
    assert_eq!(out.rejected[0].to_string(), "kafka/changes-3@47: column \"id\": \"x\" is not a BIGINT");
    let sequences = out.tables[0][0].rows.column(3).to_data().buffer::<u64>(0).to_vec();
    let inserted = |behind_start: u64| ((3 << 24) + behind_start) * 65_536 + 1;
    assert_eq!(sequences, [inserted(1), inserted(8)]);
}
