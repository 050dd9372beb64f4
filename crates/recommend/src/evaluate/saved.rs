//! What a judge knows as batches of rows, for checkpoints: lists that were shown last, sums, and what was ever shown.
//!
//! The three kinds of batches differ in how many columns they have. Rows that come later count more.

use super::metrics::{Judge, Totals};
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
    UInt64Array,
};
use arrow::datatypes::{Float64Type, UInt64Type};
use std::sync::Arc;

/// Lists of a batch.
const BATCH_ROWS: usize = 1 << 12;

/// The list that a subject was shown last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) variant: Arc<str>,
    pub(super) items: Vec<Arc<str>>,
    /// Whose first list came earlier has a lower number.
    pub(super) since: u64,
}

/// A row of a checkpoint.
#[derive(Debug, PartialEq)]
pub(super) enum Row {
    /// What a subject was shown last; nothing where it is remembered no more.
    List(Arc<str>, Option<Shown>),
    /// The sums of a variant.
    Totals(Arc<str>, Totals),
    /// An item that a variant has shown.
    Item(Arc<str>, Arc<str>),
}

/// Lists by subjects, in batches.
pub(super) fn lists<'a>(of: impl Iterator<Item = (&'a Arc<str>, Option<&'a Shown>)>) -> Vec<RecordBatch> {
    let all: Vec<_> = of.collect();
    all.chunks(BATCH_ROWS).map(batch_of_lists).collect()
}

fn batch_of_lists(of: &[(&Arc<str>, Option<&Shown>)]) -> RecordBatch {
    let mut items = ListBuilder::new(StringBuilder::new());
    for (_, shown) in of {
        shown.iter().flat_map(|shown| &shown.items).for_each(|item| items.values().append_value(item));
        items.append(shown.is_some());
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("subject", texts(of.iter().map(|(subject, _)| &***subject))),
        ("variant", Arc::new(of.iter().map(|(_, shown)| shown.map(|shown| &*shown.variant)).collect::<StringArray>())),
        ("items", Arc::new(items.finish())),
        ("since", numbers(of.iter().map(|(_, shown)| shown.map_or(0, |shown| shown.since)))),
    ];
    batch(columns)
}

/// The sums of variants.
pub(super) fn totals(of: &[(&Arc<str>, &Judge)]) -> RecordBatch {
    let all: Vec<Totals> = of.iter().map(|(_, judge)| judge.totals()).collect();
    let counts = |count: fn(&Totals) -> u64| numbers(all.iter().map(count));
    let sums = |sum: fn(&Totals) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(all.iter().map(sum))) };
    batch([
        ("variant", texts(of.iter().map(|(variant, _)| &***variant))),
        ("asked", counts(|totals| totals.asked)),
        ("answered", counts(|totals| totals.answered)),
        ("hits", counts(|totals| totals.hits)),
        ("reciprocal_ranks", sums(|totals| totals.reciprocal_ranks)),
        ("gains", sums(|totals| totals.gains)),
        ("recalls", sums(|totals| totals.recalls)),
    ])
}

/// Items that variants have shown.
pub(super) fn items(of: &[(&Arc<str>, &Arc<str>)]) -> RecordBatch {
    batch([
        ("variant", texts(of.iter().map(|(variant, _)| &***variant))),
        ("item", texts(of.iter().map(|(_, item)| &***item))),
    ])
}

/// The rows of a batch; none where it is of no judge.
pub(super) fn read(batch: &RecordBatch) -> Option<Vec<Row>> {
    match batch.num_columns() {
        // One without rows comes back without columns.
        0 => Some(Vec::new()),
        4 => read_lists(batch),
        7 => read_totals(batch),
        2 => {
            let (variants, items) = (batch.column(0).as_string_opt::<i32>()?, batch.column(1).as_string_opt::<i32>()?);
            let item = |row| Row::Item(variants.value(row).into(), items.value(row).into());
            Some((0..batch.num_rows()).map(item).collect())
        }
        _ => None,
    }
}

fn read_lists(batch: &RecordBatch) -> Option<Vec<Row>> {
    let text = |column: usize| batch.column(column).as_string_opt::<i32>();
    let (subjects, variants, lists) = (text(0)?, text(1)?, batch.column(2).as_list_opt::<i32>()?);
    let since = batch.column(3).as_primitive_opt::<UInt64Type>()?.values();
    let shown = |row: usize| {
        let items = items_of(lists, row)?;
        Some(Shown { variant: variants.value(row).into(), items, since: since[row] })
    };
    let list = |row: usize| {
        let shown = if variants.is_null(row) { None } else { Some(shown(row)?) };
        Some(Row::List(subjects.value(row).into(), shown))
    };
    (0..batch.num_rows()).map(list).collect()
}

fn items_of(lists: &ListArray, row: usize) -> Option<Vec<Arc<str>>> {
    let items = lists.value(row);
    Some(items.as_string_opt::<i32>()?.iter().flatten().map(Arc::from).collect())
}

fn read_totals(batch: &RecordBatch) -> Option<Vec<Row>> {
    let variants = batch.column(0).as_string_opt::<i32>()?;
    let count = |column: usize| Some(batch.column(column).as_primitive_opt::<UInt64Type>()?.values());
    let sum = |column: usize| Some(batch.column(column).as_primitive_opt::<Float64Type>()?.values());
    let (asked, answered, hits) = (count(1)?, count(2)?, count(3)?);
    let (reciprocal_ranks, gains, recalls) = (sum(4)?, sum(5)?, sum(6)?);
    let totals = |row: usize| Totals {
        asked: asked[row],
        answered: answered[row],
        hits: hits[row],
        reciprocal_ranks: reciprocal_ranks[row],
        gains: gains[row],
        recalls: recalls[row],
    };
    Some((0..batch.num_rows()).map(|row| Row::Totals(variants.value(row).into(), totals(row))).collect())
}

fn texts<'a>(of: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(of))
}

fn numbers(of: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(of))
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let columns = columns.map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("all columns have a value for each row")
}
