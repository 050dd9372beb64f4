//! Records of Maxwell: `{"database":…,"table":…,"type":…,"ts":…,"xid":…,"data":{…},"old":{…}}`.
//!
//! Whose change a record is stands at its head, so records of other tables are left after a few bytes. Changes of
//! schemas (`table-create`, …), and the marks of a bootstrap's start and end, are no rows.

use super::members::{Then, Walked, members, present, word};
use super::table::Names;
use super::{Change, Found};
use crate::decode::json::{Input, skip};

/// Reads the record that begins at `at`; `None` when it is not valid JSON.
/// `ahead` may read the row of a table's change at once, and says where it ends.
pub(super) fn read<'a>(
    input: Input<'a>,
    at: usize,
    names: &Names,
    changes: &mut Vec<Change>,
    ahead: &mut dyn FnMut(&str, &str, usize) -> Option<usize>,
) -> Option<Found<'a>> {
    let (mut database, mut table, mut kind, mut data, mut old) = (None, None, None, None, None);
    let walked = members(input, at, |name, at| {
        let end;
        match name {
            "database" => (database, end) = word(input, at)?,
            "table" => (table, end) = word(input, at)?,
            "type" => (kind, end) = word(input, at)?,
            "data" => {
                let row = match (database, table, kind) {
                    (Some(database), Some(table), Some(_)) if input.byte(at)? == b'{' => ahead(database, table, at),
                    _ => None,
                };
                (data, end) = match row {
                    Some(end) => (Some(at..end), end),
                    None => present(input, at)?,
                };
            }
            "old" => (old, end) = present(input, at)?,
            _ => return skip::end_of(input, at).map(Then::On),
        }
        let of_others = matches!((database, table), (Some(database), Some(table)) if !names.has(database, table));
        let no_rows = kind.is_some_and(|kind| !is_of_rows(kind));
        Some(if of_others || no_rows { Then::Stop } else { Then::On(end) })
    })?;
    let Walked::End(end) = walked else { return Some(Found::Skipped) };
    let (Some(database), Some(table)) = (database, table) else { return Some(Found::lacks("database\" or \"table")) };
    let (Some(kind), Some(data)) = (kind, data) else { return Some(Found::lacks("type\" or \"data")) };
    changes.push(match kind {
        "update" => Change::Overlay { after: data, old },
        "delete" => Change::Delete(data),
        _ => Change::Insert(data),
    });
    Some(Found::Rows { database, table, end })
}

fn is_of_rows(kind: &str) -> bool {
    matches!(kind, "insert" | "update" | "delete" | "bootstrap-insert")
}
