//! The gateway's structures as bytes and back: those of its interface (`hbase.thrift`) that we need, with the numbers of
//! their fields.

use crate::fault::Fault;
use proxima_checkpoint::store::rows::{Cell, Change, Family, NewCell, NewRow, Row};
use std::io::Read;
use std::ops::Range;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier, TOutputProtocol,
    TType,
};

/// Where requests are written.
pub(crate) type Output<'a> = TBinaryOutputProtocol<&'a mut Vec<u8>>;
/// Where answers come from.
pub(crate) type Input = TBinaryInputProtocol<Box<dyn Read + Send>>;

/// All versions of a column up to a time.
const DELETE_COLUMNS: i32 = 1;
/// Cells without their values.
const KEYS_ONLY: &[u8] = b"KeyOnlyFilter()";

/// The families of our tables, in the order of [`Family`].
pub(crate) const FAMILIES: [&[u8]; 2] = [b"h", b"v"];

fn family(family: Family) -> &'static [u8] {
    FAMILIES[family as usize]
}

// Fields.

fn field(out: &mut Output<'_>, kind: TType, id: i16) -> thrift::Result<()> {
    out.write_field_begin(&TFieldIdentifier::new::<Option<String>, String, i16>(None, kind, id))
}

pub(crate) fn binary(out: &mut Output<'_>, id: i16, bytes: &[u8]) -> thrift::Result<()> {
    field(out, TType::String, id)?;
    out.write_bytes(bytes)
}

pub(crate) fn number(out: &mut Output<'_>, id: i16, number: i32) -> thrift::Result<()> {
    field(out, TType::I32, id)?;
    out.write_i32(number)
}

fn stamp(out: &mut Output<'_>, id: i16, stamp: Option<i64>) -> thrift::Result<()> {
    let Some(stamp) = stamp else { return Ok(()) };
    field(out, TType::I64, id)?;
    out.write_i64(stamp)
}

/// A field that is a structure.
pub(crate) fn structure(
    out: &mut Output<'_>,
    id: i16,
    write: impl FnOnce(&mut Output<'_>) -> thrift::Result<()>,
) -> thrift::Result<()> {
    field(out, TType::Struct, id)?;
    write(out)?;
    out.write_field_stop()
}

/// A field that is a list of structures.
pub(crate) fn structures<T>(
    out: &mut Output<'_>,
    id: i16,
    items: &[T],
    write: impl Fn(&mut Output<'_>, &T) -> thrift::Result<()>,
) -> thrift::Result<()> {
    field(out, TType::List, id)?;
    out.write_list_begin(&TListIdentifier::new(TType::Struct, length(items.len())))?;
    for item in items {
        write(out, item)?;
        out.write_field_stop()?;
    }
    Ok(())
}

/// A field that is a list of texts.
pub(crate) fn binaries(out: &mut Output<'_>, id: i16, items: &[Vec<u8>]) -> thrift::Result<()> {
    field(out, TType::List, id)?;
    out.write_list_begin(&TListIdentifier::new(TType::String, length(items.len())))?;
    items.iter().try_for_each(|item| out.write_bytes(item))
}

fn length(items: usize) -> i32 {
    i32::try_from(items).expect("a call has some thousand items at the most")
}

// What is written.

/// `TGet`
pub(crate) fn get(out: &mut Output<'_>, key: &[u8], of: Option<Family>) -> thrift::Result<()> {
    binary(out, 1, key)?;
    if of.is_some() { columns(out, 2, of) } else { Ok(()) }
}

/// `list<TColumn>` of one whole family, if any.
fn columns(out: &mut Output<'_>, id: i16, of: Option<Family>) -> thrift::Result<()> {
    structures(out, id, of.as_slice(), |out, of| binary(out, 1, family(*of)))
}

/// `TPut`
pub(crate) fn put(out: &mut Output<'_>, row: &NewRow) -> thrift::Result<()> {
    cells(out, &row.key, &row.cells)?;
    stamp(out, 3, row.stamp)
}

fn cells(out: &mut Output<'_>, key: &[u8], cells: &[NewCell]) -> thrift::Result<()> {
    binary(out, 1, key)?;
    structures(out, 2, cells, |out, (of, name, value)| {
        binary(out, 1, family(*of))?;
        binary(out, 2, name.as_bytes())?;
        binary(out, 3, value)
    })
}

/// `TDelete` of a whole row.
pub(crate) fn delete(out: &mut Output<'_>, key: &[u8], up_to: Option<i64>) -> thrift::Result<()> {
    binary(out, 1, key)?;
    stamp(out, 3, up_to)
}

/// `TRowMutations`
pub(crate) fn change(out: &mut Output<'_>, key: &[u8], change: &Change) -> thrift::Result<()> {
    binary(out, 1, key)?;
    structures(out, 2, &[change], |out, change| match change {
        Change::Put(new) => structure(out, 1, |out| cells(out, key, new)),
        Change::Delete(names, up_to) => structure(out, 2, |out| {
            binary(out, 1, key)?;
            structures(out, 2, names, |out, (of, name)| {
                binary(out, 1, family(*of))?;
                binary(out, 2, name.as_bytes())?;
                stamp(out, 3, Some(*up_to))
            })?;
            number(out, 4, DELETE_COLUMNS)
        }),
    })
}

/// `TScan`; `of` is the family whose cells are wanted, and without one their keys are.
pub(crate) fn scan(out: &mut Output<'_>, range: &Range<&[u8]>, of: Option<Family>, limit: i32) -> thrift::Result<()> {
    binary(out, 1, range.start)?;
    binary(out, 2, range.end)?;
    match of {
        Some(_) => columns(out, 3, of)?,
        None => binary(out, 7, KEYS_ONLY)?,
    }
    number(out, 15, limit)
}

/// `TTableName`
pub(crate) fn table_name(out: &mut Output<'_>, (namespace, name): (Option<&str>, &str)) -> thrift::Result<()> {
    if let Some(namespace) = namespace {
        binary(out, 1, namespace.as_bytes())?;
    }
    binary(out, 2, name.as_bytes())
}

/// `TTableDescriptor` of a table as we make it: one version of each cell.
pub(crate) fn table(out: &mut Output<'_>, name: (Option<&str>, &str)) -> thrift::Result<()> {
    structure(out, 1, |out| table_name(out, name))?;
    structures(out, 2, &FAMILIES, |out, family| {
        binary(out, 1, family)?;
        number(out, 10, 1)
    })
}

// What is read.

/// Reads a structure: `read` gives `false` for a field that it does not know.
pub(crate) fn read_structure(
    input: &mut Input,
    mut read: impl FnMut(&mut Input, i16) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    input.read_struct_begin()?;
    loop {
        let TFieldIdentifier { field_type, id, .. } = input.read_field_begin()?;
        if field_type == TType::Stop {
            return Ok(input.read_struct_end()?);
        }
        if !read(input, id.unwrap_or_default())? {
            input.skip(field_type)?;
        }
    }
}

/// `list<TResult>`
pub(crate) fn read_rows(input: &mut Input) -> Result<Vec<Row>, Fault> {
    (0..input.read_list_begin()?.size).map(|_| read_row(input)).collect()
}

fn read_row(input: &mut Input) -> Result<Row, Fault> {
    let mut row = Row::default();
    let mut partial = false;
    read_structure(input, |input, id| {
        match id {
            1 => row.key = input.read_bytes()?,
            2 => {
                for _ in 0..input.read_list_begin()?.size {
                    row.cells.extend(read_cell(input)?);
                }
            }
            4 => partial = input.read_bool()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if partial { Err(Fault::Link("HBase gave a part of a row".to_owned())) } else { Ok(row) }
}

/// `TColumnValue`; `None` when its family is none of ours.
fn read_cell(input: &mut Input) -> Result<Option<Cell>, Fault> {
    let (mut of, mut name, mut value, mut stamp) = (Vec::new(), Vec::new(), Vec::new(), 0);
    read_structure(input, |input, id| {
        match id {
            1 => of = input.read_bytes()?,
            2 => name = input.read_bytes()?,
            3 => value = input.read_bytes()?,
            4 => stamp = input.read_i64()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let family = [Family::Head, Family::Value].into_iter().find(|&ours| family(ours) == of);
    let name = String::from_utf8_lossy(&name).into_owned();
    Ok(family.map(|family| Cell { family, name, value, stamp }))
}
