//! Nanoseconds for each record of the hot paths: `cargo bench -p proxima-event`.
//!
//! Best of several rounds over records in memory, cut into chunks as a source would; the best round is the one that
//! the rest of the machine disturbed least. Ends with one line of JSON.

use arrow::array::{ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use proxima_event::decode::{ChangeConfig, DecodeConfig, Decoded, EpochUnit, Format, decoder};
use proxima_event::hash::hash_columns;
use proxima_event::{Chunk, PartitionId};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const RECORDS: usize = 200_000;
const ROUNDS: usize = 15;

fn main() {
    let events = behaviour();
    println!("{:<44}{:>10}{:>14}", "", "ns/record", "predicted");
    let four = json("json: 4 columns of a behaviour event", &events, four_columns());
    let nine = json("json: all 9 columns", &events, nine_columns());
    let list = Field::new("tags", DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))), true);
    json("json: an event and a column that it lacks", &events, [four_columns(), vec![list]].concat());
    let broken = events.replace("\"common\":{\"mid\"", "\"common\":{\"\\u006did\"");
    let general = json("json: the same, the general way only", &broken, four_columns());
    let csv = csv();
    let (maxwell, others) = maxwell();
    hashes();
    println!(
        "{{\"bench\":\"decode\",\"json_4_columns_ns\":{four:.1},\"json_9_columns_ns\":{nine:.1},\
         \"json_4_columns_general_ns\":{general:.1},\"csv_5_columns_ns\":{csv:.1},\"maxwell_5_columns_ns\":{maxwell:.1},\
         \"maxwell_of_20_tables_ns\":{others:.1}}}"
    );
}

/// Events of about 260 bytes, as the benchmark job reads them.
fn behaviour() -> String {
    let mut lines = String::new();
    for n in 0..RECORDS as u64 {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (user, item, mid) = (mixed % 1_000_000, mixed % 50_000, mixed % 300_000);
        let kind = ["pv", "cart", "fav", "buy"][(mixed >> 40 & 3) as usize];
        let ts = 1_594_652_955_000 + n * 86;
        writeln!(
            lines,
            "{{\"user_id\":{user},\"item_id\":{item},\"type\":\"{kind}\",\"ts\":{ts},\"common\":{{\"mid\":\"mid_{mid}\",\"ar\":\"110000\",\
             \"os\":\"Android 11.0\",\"vc\":\"v2.1.134\",\"is_new\":\"{}\",\"channel\":\"a channel with a long name\",\
             \"page\":\"items\"}}}}",
            n % 2
        )
        .expect("a string takes any text");
    }
    lines
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

fn stamp() -> Field {
    Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false)
}

fn four_columns() -> Vec<Field> {
    let common = DataType::Struct(Fields::from(vec![text("mid")]));
    vec![Field::new("item_id", DataType::Int64, true), text("type"), stamp(), Field::new("common", common, true)]
}

fn nine_columns() -> Vec<Field> {
    let common = Fields::from(["mid", "ar", "os", "vc", "is_new"].map(text).to_vec());
    let ids = ["user_id", "item_id"].map(|name| Field::new(name, DataType::Int64, true));
    [ids.to_vec(), vec![text("type"), stamp(), Field::new("common", DataType::Struct(common), true)]].concat()
}

fn json(name: &str, lines: &str, fields: Vec<Field>) -> f64 {
    measure(name, Format::Json, fields, &chunks(lines, None))
}

fn csv() -> f64 {
    let mut lines = String::new();
    for n in 0..RECORDS {
        let item = n * 7 % 4_000;
        writeln!(
            lines,
            "{n},{item},WHITE HANGING HEART T-LIGHT HOLDER,{},2010-12-01 08:26:00,2.55,17850.0,United Kingdom",
            n % 12
        )
        .expect("a string takes any text");
    }
    let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
    let date = Field::new("InvoiceDate", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let price = Field::new("UnitPrice", DataType::Decimal128(12, 3), true);
    let fields =
        vec![text("InvoiceNo"), text("Description"), Field::new("Quantity", DataType::Int32, true), date, price];
    measure("csv: 5 of 8 columns of an order line", Format::Csv, fields, &chunks(&lines, Some(header)))
}

/// Orders as Maxwell writes them, one in four an update: alone, and among the records of nineteen other tables.
fn maxwell() -> (f64, f64) {
    let (mut orders, mut mixed) = (String::new(), String::new());
    for n in 0..RECORDS {
        let (table, kind) = if n % 20 == 0 { ("order_info", n / 20 % 4) } else { ("other_table", 0) };
        for (lines, table, kind) in [(&mut orders, "order_info", n % 4), (&mut mixed, table, kind)] {
            let (kind, old) = match kind {
                0 => ("update", ",\"old\":{\"order_status\":\"1001\",\"operate_time\":null}"),
                _ => ("insert", ""),
            };
            writeln!(
                lines,
                "{{\"database\":\"gmall\",\"table\":\"{table}\",\"type\":\"{kind}\",\"ts\":1654704598,\"xid\":{n},\
                 \"commit\":true,\"data\":{{\"id\":{n},\"consignee\":\"a name of a person\",\"consignee_tel\":\"13811111111\",\
                 \"total_amount\":{}.00,\"order_status\":\"1002\",\"user_id\":{},\"payment_way\":null,\
                 \"delivery_address\":\"a street and a number in a town\",\"order_comment\":null,\
                 \"out_trade_no\":\"986933477288817\",\"trade_body\":\"十月稻田 长粒香大米 东北大米等3件商品\",\
                 \"create_time\":\"2022-06-08 00:08:57\",\"operate_time\":\"2022-06-08 00:09:58\",\"province_id\":{}}}{old}}}",
                n % 9_999,
                n % 3_000,
                n % 34
            )
            .expect("a string takes any text");
        }
    }
    let of_table = || {
        let time = Field::new("create_time", DataType::Timestamp(TimeUnit::Millisecond, None), true);
        let amount = Field::new("total_amount", DataType::Decimal128(16, 2), true);
        let ids = ["id", "user_id"].map(|name| Field::new(name, DataType::Int64, true));
        [ids.to_vec(), vec![text("order_status"), amount, time]].concat()
    };
    let alone = changes("maxwell: 5 of 14 columns of an order", of_table(), &chunks(&orders, None), RECORDS);
    let mixed = changes("maxwell: the same, one in twenty", of_table(), &chunks(&mixed, None), RECORDS);
    (alone, mixed)
}

/// The best time for a record of changes, of this table or not.
fn changes(name: &str, fields: Vec<Field>, chunks: &[Chunk], records: usize) -> f64 {
    let table = "gmall.order_info".parse().ok();
    let changes = Some(ChangeConfig { table, key: vec![0], decimals_base64: false, utc: vec![] });
    let (schema, zone, epoch_unit) = (Arc::new(Schema::new(fields)), chrono_tz::UTC, EpochUnit::Millis);
    let mut decoder = decoder(Format::Maxwell, DecodeConfig { schema, zone, epoch_unit, batch_rows: 1_024, changes });
    let best = best_of(|| {
        for chunk in chunks {
            let mut out = Decoded::default();
            decoder.decode(chunk, &mut out);
            assert!(out.rejected.is_empty(), "{}", out.rejected[0]);
            black_box(out);
        }
        records
    });
    let stats = decoder.stats();
    let share = stats.predicted as f64 * 100.0 / (stats.predicted + stats.general).max(1) as f64;
    println!("{name:<44}{best:>10.1}{share:>13.1}%");
    best
}

/// Chunks of about 256 KiB.
fn chunks(lines: &str, header: Option<&str>) -> Vec<Chunk> {
    let partition = Arc::new(PartitionId { source: "bench".into(), name: "memory".into() });
    let mut chunks = vec![];
    let (mut start, bytes) = (0, lines.as_bytes());
    while start < bytes.len() {
        let wanted = (start + (256 << 10)).min(bytes.len());
        let end = bytes[..wanted].iter().rposition(|&byte| byte == b'\n').map_or(wanted, |at| at + 1);
        let header = header.map(|header| header.as_bytes().into());
        chunks.push(Chunk::from_bytes(partition.clone(), start as u64, bytes[start..end].to_vec(), 0, 1, header));
        start = end;
    }
    chunks
}

/// The best time for a record, printed and given.
fn measure(name: &str, format: Format, fields: Vec<Field>, chunks: &[Chunk]) -> f64 {
    let schema = Arc::new(Schema::new(fields));
    let config =
        DecodeConfig { schema, zone: chrono_tz::UTC, epoch_unit: EpochUnit::Millis, batch_rows: 1_024, changes: None };
    let mut decoder = decoder(format, config);
    let best = best_of(|| {
        let mut rows = 0;
        for chunk in chunks {
            let mut out = Decoded::default();
            decoder.decode(chunk, &mut out);
            assert!(out.rejected.is_empty(), "{}", out.rejected[0]);
            rows += out.batches.iter().map(|batch| batch.len()).sum::<usize>();
            black_box(out);
        }
        rows
    });
    let stats = decoder.stats();
    let share = stats.predicted as f64 * 100.0 / (stats.predicted + stats.general).max(1) as f64;
    println!("{name:<44}{best:>10.1}{share:>13.1}%");
    best
}

fn hashes() {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..RECORDS as i64));
    let short: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..RECORDS).map(|n| format!("mid_{n}"))));
    let long: ArrayRef =
        Arc::new(StringViewArray::from_iter_values((0..RECORDS).map(|n| format!("a device named {n}"))));
    for (name, columns) in
        [("hash: number and short string", [ids.clone(), short]), ("hash: number and long string", [ids, long])]
    {
        let batches: Vec<_> =
            (0..RECORDS / 1_024).map(|at| columns.each_ref().map(|column| column.slice(at * 1_024, 1_024))).collect();
        let best = best_of(|| batches.iter().map(|batch| black_box(hash_columns(batch, 1_024)).len()).sum());
        println!("{name:<44}{best:>10.1}");
    }
}

/// Nanoseconds for each row in the best round.
fn best_of(mut round: impl FnMut() -> usize) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let rows = round();
            start.elapsed().as_nanos() as f64 / rows as f64
        })
        .fold(f64::INFINITY, f64::min)
}
