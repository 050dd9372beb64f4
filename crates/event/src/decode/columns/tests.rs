//! What a record appended before it proved bad is taken back at every depth.

use super::*;
use crate::decode::{DecodeConfig, EpochUnit};
use arrow::array::{Array, AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use std::sync::Arc;

fn columns(fields: Vec<Field>) -> Columns {
    let schema = Arc::new(Schema::new(fields));
    Columns::new(&DecodeConfig {
        schema,
        zone: chrono_tz::UTC,
        epoch_unit: EpochUnit::Millis,
        batch_rows: 10,
        changes: None,
    })
}

#[test]
fn views_point_into_the_chunk_or_to_copies() {
    let mut columns = columns(vec![Field::new("s", DataType::Utf8View, true)]);
    let chunk = Buffer::from(b"....a text of the chunk....".as_slice());
    let texts = [
        Text::InChunk(4, "a text of the chunk"),
        Text::Elsewhere("a text of its own"),
        Text::Elsewhere("short"),
        Text::InChunk(6, "text"),
    ];
    for text in texts {
        columns.push_text(0, text, Shown::Quoted(text.str())).unwrap();
        columns.end_row().unwrap();
    }
    let batch = columns.finish(&chunk);
    let strings = batch.column(0).as_string_view();
    assert_eq!(strings.iter().flatten().collect::<Vec<_>>(), texts.map(Text::str));
    assert_eq!(strings.data_buffers()[0].as_ptr(), chunk.as_ptr());
    assert_eq!(columns.rows(), 0);
}

#[test]
fn copies_alone_do_not_hold_the_chunk() {
    let mut columns = columns(vec![Field::new("s", DataType::Utf8View, true)]);
    columns.push_text(0, Text::Elsewhere("a text of its own"), Shown::Quoted("")).unwrap();
    columns.end_row().unwrap();
    let chunk = Buffer::from(b"chunk".as_slice());
    let batch = columns.finish(&chunk);
    assert_eq!(batch.column(0).as_string_view().value(0), "a text of its own");
    assert!(batch.column(0).as_string_view().data_buffers().iter().all(|buffer| buffer.as_ptr() != chunk.as_ptr()));
}

#[test]
fn an_undone_record_leaves_nothing() {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    let mut columns = columns(vec![
        Field::new("s", DataType::Struct(vec![Field::new("l", list, true)].into()), true),
        Field::new("n", DataType::Int32, true),
    ]);
    let (structure, list, element, number) = (0, 1, 2, 3);
    let push = |columns: &mut Columns, text| columns.push_text(element, Text::Elsewhere(text), Shown::Bare(text));
    columns.push_struct(structure);
    push(&mut columns, "1").unwrap();
    columns.end_list(list);
    columns.end_row().unwrap();

    columns.push_null(number).unwrap();
    columns.push_struct(structure);
    push(&mut columns, "2").unwrap();
    assert_eq!(push(&mut columns, "x"), Err("column \"s.l[]\": x is not an INT".into()));
    columns.undo();

    columns.push_null(structure).unwrap();
    columns.end_row().unwrap();
    let batch = columns.finish(&Buffer::from(Vec::<u8>::new()));
    assert_eq!(batch.num_rows(), 2);
    assert!(batch.column(0).is_null(1) && batch.column(1).is_null(0));
    let lists = batch.column(0).as_struct().column(0).as_list::<i32>();
    assert_eq!(lists.values().as_primitive::<Int32Type>().values(), &[1]);
    assert!(lists.is_null(1));
}
