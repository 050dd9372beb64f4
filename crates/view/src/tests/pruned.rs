//! Decoders are asked for no more than the job uses.

use super::plan;

/// The columns and nested fields that are read of one table.
fn read(query: &str, table: &str) -> String {
    let plan = plan("", &[query]);
    let table = plan.tables.iter().find(|known| known.name == table).expect("the table is read");
    let columns = table.schema.fields().iter().map(|field| field.name().clone() + &nested(field.data_type()));
    columns.collect::<Vec<_>>().join(", ")
}

fn nested(data_type: &arrow::datatypes::DataType) -> String {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| field.name().clone() + &nested(field.data_type())).collect();
            format!("<{}>", fields.join(" "))
        }
        DataType::List(item) => format!("[{}]", nested(item.data_type())),
        _ => String::new(),
    }
}

#[test]
fn only_used_columns_are_read() {
    assert_eq!(read("SELECT Country FROM orders WHERE Quantity > 0", "orders"), "Quantity, Country");
    assert_eq!(read("SELECT Country, count(*) FROM orders GROUP BY Country", "orders"), "Country");
}

#[test]
fn a_star_that_is_not_used_reads_nothing() {
    assert_eq!(read("SELECT Country FROM (SELECT * FROM orders)", "orders"), "Country");
    assert_eq!(read("SELECT id, name FROM (SELECT * FROM items)", "items"), "id, name");
}

#[test]
fn a_bare_count_reads_one_column() {
    assert_eq!(read("SELECT count(*) FROM orders", "orders"), "InvoiceNo");
}

#[test]
fn the_event_time_is_read_for_the_lifetime() {
    assert_eq!(read("SELECT item FROM clicks", "clicks"), "item, ts");
}

#[test]
fn columns_of_utc_keep_their_places() {
    let table = "CREATE TABLE stays (a STRING, made TIMESTAMP, b STRING, ended TIMESTAMP, id BIGINT,
        PRIMARY KEY (id) NOT ENFORCED)
        WITH (source = 'changes', format = 'maxwell', table = 'stays', utc = 'made, ended');";
    let plan = plan(table, &["SELECT id, ended FROM stays"]);
    let stays = plan.tables.iter().find(|known| known.name == "stays").expect("the table is read");
    let names: Vec<&str> = stays.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let changes = stays.changes.as_ref().expect("it is one of changes");
    assert_eq!((names, &changes.utc, &changes.key), (vec!["ended", "id"], &vec![0], &vec![1]));
}

#[test]
fn structs_keep_only_used_fields() {
    assert_eq!(read("SELECT common.ar FROM clicks", "clicks"), "ts, common<ar>");
    assert_eq!(read("SELECT common['device']['model'] AS m FROM clicks", "clicks"), "ts, common<device<model>>");
    assert_eq!(
        read("SELECT c.os FROM (SELECT common AS c FROM clicks) WHERE c.ar = 'x'", "clicks"),
        "ts, common<ar os>"
    );
    assert_eq!(
        read("SELECT common FROM clicks", "clicks"),
        "ts, common<ar os device<brand model>>",
        "a struct that is wanted whole stays whole"
    );
}

#[test]
fn items_of_lists_keep_only_used_fields() {
    let query = "SELECT d['item'] AS item FROM (SELECT unnest(displays) AS d FROM clicks) WHERE d['place'] = 1";
    assert_eq!(read(query, "clicks"), "ts, displays[<item place>]");
    assert_eq!(read("SELECT count(*) FROM (SELECT unnest(displays) FROM clicks)", "clicks"), "ts, displays[<item>]");
}

#[test]
fn branches_of_a_union_keep_their_types() {
    let query = "SELECT c.ar FROM (SELECT common AS c FROM clicks UNION ALL SELECT common FROM clicks WHERE type = 1)";
    assert_eq!(read(query, "clicks"), "type, ts, common<ar os device<brand model>>");
}

#[test]
fn tables_that_nobody_reads_are_left_out() {
    let plan = plan("CREATE VIEW unused AS SELECT * FROM items;", &["SELECT Country FROM orders"]);
    assert_eq!(plan.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["orders"]);
}

#[test]
fn columns_are_found_again_after_pruning() {
    let plan = plan("", &["SELECT i.name, c.ts FROM clicks c JOIN items i ON c.item = i.id"]);
    let (clicks, items) = (&plan.tables[0], &plan.tables[1]);
    assert_eq!(clicks.schema.field(clicks.event_time.as_ref().unwrap().column).name(), "ts");
    assert_eq!(items.schema.field(items.key[0]).name(), "id");
    assert!(items.dimension);
}
