//! JSON records to columns: kinds of values, nesting, and every way in which a record can be bad.

use crate::decode::{DecodeConfig, DecodeStats, Decoded, EpochUnit, Format, decoder};
use crate::{Chunk, PartitionId};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

pub(super) fn config(fields: Vec<Field>) -> DecodeConfig {
    let schema = Arc::new(Schema::new(fields));
    DecodeConfig { schema, zone: chrono_tz::UTC, epoch_unit: EpochUnit::Millis, batch_rows: 100, changes: None }
}

pub(super) fn chunk(lines: &[u8]) -> Chunk {
    let partition = Arc::new(PartitionId { source: "clicks".into(), name: "clicks.json".into() });
    Chunk::from_bytes(partition, 500, lines.to_vec(), 0, 11, None)
}

pub(super) type Read = (Vec<Vec<String>>, Vec<String>, DecodeStats);

/// Rows as text, NULL as `∅`, and rejected records as `line@offset: reason`.
pub(super) fn decode(config: DecodeConfig, chunks: &[&[u8]]) -> Read {
    let mut out = Decoded::default();
    let batch_rows = config.batch_rows;
    let mut decoder = decoder(Format::Json, config);
    chunks.iter().for_each(|lines| decoder.decode(&chunk(lines), &mut out));
    let options = FormatOptions::default().with_null("∅");
    let mut rows = vec![];
    for batch in out.batches {
        assert!((1..=batch_rows).contains(&batch.len()), "batches keep to their size");
        let columns: Vec<_> =
            batch.rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        rows.extend((0..batch.len()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()));
    }
    let rejected = out.rejected.iter().map(|bad| format!("{}@{}: {}", bad.line, bad.offset, bad.reason)).collect();
    (rows, rejected, decoder.stats())
}

pub(super) fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

pub(super) fn nested(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(Fields::from(fields)), true)
}

fn one(data_type: DataType, lines: &str) -> (Vec<String>, Vec<String>) {
    let (rows, rejected, _) = decode(config(vec![Field::new("x", data_type, true)]), &[lines.as_bytes()]);
    (rows.into_iter().map(|mut row| row.remove(0)).collect(), rejected)
}

#[test]
fn nested_objects_and_only_what_is_wanted() {
    let fields = vec![
        nested("common", vec![text("mid"), Field::new("is_new", DataType::Boolean, true)]),
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
    ];
    let lines = r#"{"common":{"ar":"110000","mid":"mid_168","is_new":"1"},"start":{"x":[1,{"y":null}]},"ts":1594652955000}
{"ts":"2020-07-13 15:09:15","common":null}
{"ts":1594652955000,"common":{"mid":"a mid that is \"long\""}}

{"ts":1,"common":{"mid":"first"},"common":{"is_new":0},"ts":2}
"#;
    let (rows, rejected, _) = decode(config(fields), &[lines.as_bytes()]);
    assert_eq!(rejected, [""; 0]);
    assert_eq!(
        rows,
        [
            ["{mid: mid_168, is_new: true}", "2020-07-13T15:09:15"],
            ["∅", "2020-07-13T15:09:15"],
            ["{mid: a mid that is \"long\", is_new: ∅}", "2020-07-13T15:09:15"],
            ["{mid: ∅, is_new: false}", "1970-01-01T00:00:00.002"],
        ]
    );
}

#[test]
fn lists_of_structs_and_maps() {
    let display = DataType::Struct(vec![text("item"), Field::new("order", DataType::Int32, true)].into());
    let entry = DataType::Struct(
        vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Int64, true)].into(),
    );
    let fields = vec![
        Field::new("displays", DataType::List(Arc::new(Field::new_list_field(display, true))), true),
        Field::new("counts", DataType::Map(Arc::new(Field::new("entries", entry, false)), false), true),
    ];
    let lines = r#"{"displays":[{"item":"7","order":1},{"pos":2,"item":8},null],"counts":{"a":1,"b":null}}
{"displays":[{"item":"9","order":"x"}],"counts":{}}
{"displays":[{"item":"10"},{"item":"11"}],"counts":{"c":1,"d":1.5}}
{"displays":[],"counts":{}}
{"displays":[{"item":"twice"}],"displays":[{"item":"12"}]}
{"displays":{"item":"7"}}
"#;
    let (rows, rejected, _) = decode(config(fields), &[lines.as_bytes()]);
    assert_eq!(
        rows,
        [
            ["[{item: 7, order: 1}, {item: 8, order: ∅}, ∅]", "{a: 1, b: ∅}"],
            ["[]", "{}"],
            ["[{item: 12, order: ∅}]", "∅"],
        ]
    );
    assert_eq!(
        rejected,
        [
            "12@588: column \"displays[].order\": \"x\" is not an INT",
            "13@640: column \"counts{}.value\": 1.5 is not a BIGINT",
            "16@795: column \"displays\": {…} is not an ARRAY",
        ]
    );
}

#[test]
fn strings_take_any_value_as_its_text() {
    let (values, rejected) = one(
        DataType::Utf8View,
        "{\"x\":12.50}\n{\"x\":true}\n{\"x\":{\"a\": [1, 2]}}\n{\"x\":null}\n{}\n{\"x\":\"\"}\n{\"x\":\"\\u4f60\\n\"}\n",
    );
    assert_eq!(values, ["12.50", "true", "{\"a\": [1, 2]}", "∅", "∅", "", "你\n"]);
    assert!(rejected.is_empty());
}

#[test]
fn numbers_are_exact_also_in_quotes() {
    let (values, rejected) = one(
        DataType::Decimal128(38, 4),
        "{\"x\":0.1}\n{\"x\":\"1234567890123456789012345678.9\"}\n{\"x\":1e-4}\n{\"x\":-5}\n{\"x\":1e-5}\n{\"x\":true}\n",
    );
    assert_eq!(values, ["0.1000", "1234567890123456789012345678.9000", "0.0001", "-5.0000"]);
    assert_eq!(
        rejected,
        [
            "15@569: column \"x\": 1e-5 has more decimals than DECIMAL(38, 4)",
            "16@580: column \"x\": true is not a DECIMAL(38, 4)",
        ]
    );
    assert_eq!(one(DataType::Int8, "{\"x\":\"12\"}\n{\"x\":127.0}\n").0, ["12", "127"]);
    assert_eq!(one(DataType::Int8, "{\"x\":128}").1, ["11@500: column \"x\": 128 does not fit TINYINT"]);
    assert_eq!(one(DataType::Date32, "{\"x\":\"2021-01-01\"}\n{\"x\":18628}\n").0, ["2021-01-01", "2021-01-01"]);
}

#[test]
fn the_zone_of_the_job_turns_instants_to_its_wall_clock() {
    let zone = chrono_tz::Asia::Shanghai;
    let instants = DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Shanghai".into()));
    let fields =
        vec![Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), true), Field::new("l", instants, true)];
    let lines = r#"{"t":1594652955,"l":1594652955}
{"t":"2020-07-13 15:09:15Z","l":"2020-07-13 23:09:15"}
{"t":"2020-07-13 23:09:15","l":"2020-07-13T17:09:15+02:00"}
"#;
    let config = DecodeConfig { zone, epoch_unit: EpochUnit::Seconds, ..config(fields) };
    let (rows, ..) = decode(config, &[lines.as_bytes()]);
    assert_eq!(rows, vec![["2020-07-13T23:09:15", "2020-07-13T23:09:15+08:00"]; 3]);
}

#[test]
fn each_bad_record_is_rejected_alone_with_its_place() {
    let fields = vec![nested("common", vec![text("mid")]), Field::new("n", DataType::Int32, false)];
    let lines: &[u8] = b"{\"n\":1}\n[1]\n{\"n\":\"x\"}\n\n{\"common\":{}}\n{\"n\":2,\"s\":\"\xff\"}\n{\"n\":null}\n{\"n\":3,\"common\":5}\n{\"n\":4} x\n12\n{\"n\":5,}\n{\"n\":6}\r\n{\"n\":7,\"common\":{\"mid\":\"\\ud800\"}}\n{\"n\":8,\"com";
    let (rows, rejected, stats) = decode(config(fields), &[lines]);
    assert_eq!(rows.iter().map(|row| row[1].as_str()).collect::<Vec<_>>(), ["1", "6"]);
    assert_eq!(
        rejected,
        [
            "12@508: expected an object, found […]",
            "13@512: column \"n\": \"x\" is not an INT",
            "15@523: missing column \"n\"",
            "16@537: not valid UTF-8",
            "17@553: column \"n\": NULL where NOT NULL is declared",
            "18@564: column \"common\": 5 is not a STRUCT",
            "19@583: not valid JSON: trailing characters at byte 9",
            "20@593: expected an object, found 12",
            "21@596: not valid JSON: trailing comma at byte 8",
            "23@614: column \"common.mid\": \"\\ud800\" has an escape of no character",
            "24@648: not valid JSON: EOF while parsing a string at byte 11",
        ]
    );
    assert_eq!(stats.general + stats.predicted, 13);
}

#[test]
fn fields_below_null_may_be_declared_not_null() {
    let fields = vec![nested("s", vec![Field::new("a", DataType::Int32, false)])];
    let (rows, rejected, _) = decode(config(fields), &[b"{\"s\":null}\n{\"s\":{}}\n{\"s\":{\"a\":1}}\n"]);
    assert_eq!(rows, [["∅"], ["{a: 1}"]]);
    assert_eq!(rejected, ["12@511: missing column \"s.a\""]);
}
