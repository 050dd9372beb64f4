//! CSV records to columns, and against the `csv` crate.

use crate::decode::{DecodeConfig, Decoded, EpochUnit, Format, decoder};
use crate::{Chunk, PartitionId};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

fn config(fields: Vec<Field>) -> DecodeConfig {
    let schema = Arc::new(Schema::new(fields));
    DecodeConfig { schema, zone: chrono_tz::UTC, epoch_unit: EpochUnit::Millis, batch_rows: 3, changes: None }
}

fn chunk(header: &str, text: &[u8]) -> Chunk {
    let partition = Arc::new(PartitionId { source: "orders".into(), name: "orders.csv".into() });
    Chunk::from_bytes(partition, 1_000, text.to_vec(), 0, 2, Some(header.as_bytes().into()))
}

/// Rows as text, NULL as `∅`, and rejected records as `line@offset: reason`.
fn decode(fields: Vec<Field>, header: &str, text: impl AsRef<[u8]>) -> (Vec<Vec<String>>, Vec<String>) {
    let mut out = Decoded::default();
    decoder(Format::Csv, config(fields)).decode(&chunk(header, text.as_ref()), &mut out);
    let options = FormatOptions::default().with_null("∅");
    let mut rows = vec![];
    for batch in out.batches {
        assert!(batch.len() <= 3, "batches keep to their size");
        let columns: Vec<_> =
            batch.rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        rows.extend((0..batch.len()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()));
    }
    let rejected = out.rejected.iter().map(|bad| format!("{}@{}: {}", bad.line, bad.offset, bad.reason)).collect();
    (rows, rejected)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

#[test]
fn wanted_columns_are_typed_and_others_skipped() {
    let fields = vec![
        Field::new("UnitPrice", DataType::Decimal128(12, 3), true),
        Field::new("InvoiceDate", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        text("Description"),
        Field::new("Quantity", DataType::Int32, false),
    ];
    let (rows, rejected) = decode(
        fields,
        "InvoiceNo,Description,Quantity,InvoiceDate,UnitPrice",
        "536365,\"LANTERN, WHITE \"\"METAL\"\"\",6,2010-12-01 08:26:00,2.55\r\n\
         536366,,-1,2010-12-01 08:28,.5\n\n\"536367\",\"two\nlines of a text\",3,,\n1,\"\",1,,4.\n",
    );
    assert_eq!(rejected, [""; 0]);
    assert_eq!(
        rows,
        [
            ["2.550", "2010-12-01T08:26:00", "LANTERN, WHITE \"METAL\"", "6"],
            ["0.500", "2010-12-01T08:28:00", "∅", "-1"],
            ["∅", "∅", "two\nlines of a text", "3"],
            ["4.000", "∅", "", "1"],
        ]
    );
}

#[test]
fn a_record_that_the_source_cut_off_is_rejected() {
    let mut record = b"1,".to_vec();
    record.resize(crate::chunk::RECORD_BYTES_MAX, b'x');
    let (rows, rejected) = decode(vec![text("name")], "id,name", record);
    assert_eq!(rows.len(), 0);
    assert_eq!(rejected, ["2@1000: longer than 16 MiB"]);
}

#[test]
fn each_bad_record_is_rejected_alone_with_its_place() {
    let fields = vec![Field::new("id", DataType::Int8, false), text("name")];
    let lines: &[u8] = b"1,a\n\"2\n\",b\nx,c\n300,d\n,e\n4\n5,e,f\n6,\xff\n7,good\n8,\"open\n";
    let (rows, rejected) = decode(fields, "id,name", lines);
    assert_eq!(rows, [["1", "a"], ["2", "b"], ["7", "good"]]);
    assert_eq!(
        rejected,
        [
            "5@1011: column \"id\": \"x\" is not a TINYINT",
            "6@1015: column \"id\": \"300\" does not fit TINYINT",
            "7@1021: column \"id\": NULL where NOT NULL is declared",
            "8@1024: 1 fields under a header of 2",
            "9@1026: 3 fields under a header of 2",
            "10@1032: not valid UTF-8",
            "12@1043: a quoted field has no end",
        ]
    );
}

#[test]
fn a_quote_within_a_plain_field_is_a_character() {
    let fields = vec![text("id"), text("name"), text("more")];
    let lines = b"1,5\" disc,\"\"\n2,5\" x 6\",\n3,\"a\"\"b\",x\"\"y\n4,\"a\"b\"\",\"c\"\n5,6\" disc,\"open\n";
    let (rows, rejected) = decode(fields, "id,name,more", lines);
    assert_eq!(rows, [["1", "5\" disc", ""], ["2", "5\" x 6\"", "∅"], ["3", "a\"b", "x\"\"y"], ["4", "ab\"\"", "c"]]);
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert!(rejected[0].ends_with("a quoted field has no end"), "{rejected:?}");
}

#[test]
fn a_column_that_the_header_lacks_rejects_each_record() {
    let (rows, rejected) = decode(vec![text("a"), text("x")], "a,b", "1,2\n3,4");
    assert!(rows.is_empty());
    let reason = "column \"x\" is not in the header";
    assert_eq!(rejected, [format!("2@1000: {reason}"), format!("3@1004: {reason}")]);
}

#[test]
fn a_header_may_change_between_chunks() {
    let mut decoder = decoder(Format::Csv, config(vec![text("b")]));
    let mut out = Decoded::default();
    decoder.decode(&chunk("a,b", b"1,2\n"), &mut out);
    decoder.decode(&chunk("b,a", b"3,4\n"), &mut out);
    let texts: Vec<_> = out.batches.iter().map(|batch| format!("{:?}", batch.column(0))).collect();
    assert!(texts[0].contains("\"2\"") && texts[1].contains("\"3\""), "{texts:?}");
}

#[test]
fn nested_columns_hold_json() {
    let item = Field::new_list_field(DataType::Int64, true);
    let fields = vec![Field::new("tags", DataType::List(Arc::new(item)), true)];
    let (rows, rejected) = decode(fields, "id,tags", "1,\"[1,2]\"\n2,\n3,[1]\n4,[x]\n");
    assert_eq!(rows, [["[1, 2]"], ["∅"], ["[1]"]]);
    assert_eq!(rejected.len(), 1, "{rejected:?}");
}

#[test]
fn no_columns_are_wanted_but_rows_are_counted() {
    let mut out = Decoded::default();
    decoder(Format::Csv, config(vec![])).decode(&chunk("a,b", b"1,2\n3,4\n"), &mut out);
    assert_eq!(out.batches.iter().map(|batch| batch.len()).sum::<usize>(), 2);
}

/// Random texts of few characters hit every state of the reader. The `csv` crate says what the fields are.
#[test]
fn fields_are_those_of_the_csv_crate() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for case in 0..3_000 {
        let len = random.random_range(0..40);
        let lines: String = (0..len)
            .map(|_| *[",", "\"", "\n", "a", "b", "\r\n", "é"].get(random.random_range(0..7)).unwrap())
            .collect();
        let mut oracle = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(lines.as_bytes());
        let expected: Vec<Vec<String>> = oracle
            .records()
            .map(|record| record.unwrap())
            .filter(|record| record.len() == 2)
            .map(|record| record.iter().map(str::to_owned).collect())
            .collect();
        let (rows, rejected) = decode(vec![text("x"), text("y")], "x,y", &lines);
        if rejected.iter().any(|reason| reason.contains("no end")) {
            continue;
        }
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.into_iter().map(|value| value.replace('∅', "")).collect()).collect();
        assert_eq!(rows, expected, "case {case}: {lines:?}");
    }
}
