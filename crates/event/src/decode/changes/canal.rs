//! Records of Canal, flat: `{"data":[{…}],"database":…,"isDdl":false,"old":[{…}],"table":…,"type":"UPDATE",…}`.
//!
//! One record holds all rows of a statement; each value is a string.

use super::members::{Then, Walked, elements, members, word};
use super::table::Names;
use super::{Change, Found};
use crate::decode::json::{Input, skip};

/// Reads the record that begins at `at`; `None` when it is not valid JSON.
pub(super) fn read<'a>(input: Input<'a>, at: usize, names: &Names, changes: &mut Vec<Change>) -> Option<Found<'a>> {
    let (mut database, mut table, mut kind, mut is_ddl) = (None, None, None, false);
    let (mut rows, mut olds) = (Vec::new(), Vec::new());
    let walked = members(input, at, |name, at| {
        let end;
        match name {
            "database" => (database, end) = word(input, at)?,
            "table" => (table, end) = word(input, at)?,
            "type" => (kind, end) = word(input, at)?,
            "data" if input.byte(at)? == b'[' => end = elements(input, at, &mut rows)?,
            "old" if input.byte(at)? == b'[' => end = elements(input, at, &mut olds)?,
            "isDdl" => {
                is_ddl = input.byte(at)? == b't';
                end = skip::end_of(input, at)?;
            }
            _ => return skip::end_of(input, at).map(Then::On),
        }
        let of_others = matches!((database, table), (Some(database), Some(table)) if !names.has(database, table));
        Some(if of_others || is_ddl { Then::Stop } else { Then::On(end) })
    })?;
    let Walked::End(end) = walked else { return Some(Found::Skipped) };
    let Some(kind) = kind else { return Some(Found::lacks("type")) };
    if !matches!(kind, "INSERT" | "UPDATE" | "DELETE") {
        return Some(Found::Skipped);
    }
    let (Some(database), Some(table)) = (database, table) else { return Some(Found::lacks("database\" or \"table")) };
    if rows.is_empty() {
        return Some(Found::lacks("data"));
    }
    let mut olds = olds.into_iter();
    changes.extend(rows.into_iter().map(|row| match kind {
        "UPDATE" => Change::Overlay { after: row, old: olds.next() },
        "DELETE" => Change::Delete(row),
        _ => Change::Insert(row),
    }));
    Some(Found::Rows { database, table, end })
}
