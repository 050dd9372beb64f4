//! The first step of a relation: objects get dense ids at the worker that owns their key group.
//!
//! Behind it texts of objects do not travel: rows carry the subject, the object's id and the weight.

use crate::columns::{integers, key_hashes, text};
use crate::config::RelationColumns;
use crate::names::NameTable;
use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, StringArray, StringViewArray, StringViewBuilder, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use proxima_engine::{EpochEnd, Operator, OperatorStats, Outbox, SnapshotError, StateReader, StateWriter};
use proxima_event::hash::hash_columns;
use proxima_event::{Changes, KEY_GROUPS, KeyGroup, KeyGroupSet};
use std::sync::{Arc, LazyLock};

/// The columns that [`Identify`] puts out.
pub(crate) mod output {
    /// The subject's text; null in rows that only tell a name.
    pub(crate) const SUBJECT: usize = 0;
    /// The object's id.
    pub(crate) const ID: usize = 1;
    /// The object's name, in the first row that has its id; null in all others.
    pub(crate) const NAME: usize = 2;
}

/// Low bits of an id that say which key group gave it. The other bits count up within the group, so that ids are
/// unique without any worker asking another, stay the same when groups move, and are nearly dense.
const GROUP_BITS: u32 = 8;
const _: () = assert!(KEY_GROUPS == 1 << GROUP_BITS, "an id has room for the key groups");

/// Gives each object an id. Reads a relation routed by its object.
///
/// An id is never used for another object, even when no row holds the object any more.
pub struct Identify {
    columns: RelationColumns,
    groups: Vec<NameTable>,
    /// How many names of each key group stand in the last save.
    saved: Vec<u32>,
    /// Ids that were loaded and have to be told to the store again.
    untold: Vec<u32>,
}

impl Identify {
    /// No objects yet.
    #[must_use]
    pub fn new(columns: RelationColumns) -> Self {
        let groups = (0..KEY_GROUPS).map(|_| NameTable::default()).collect();
        Self { columns, groups, saved: vec![0; KEY_GROUPS], untold: Vec::new() }
    }

    fn intern(&mut self, hash: u64, name: &str) -> (u32, bool) {
        let group = KeyGroup::of(hash, KEY_GROUPS);
        let (number, new) = self.groups[group.0 as usize].intern(hash, name);
        assert!(number < 1 << (u32::BITS - GROUP_BITS), "a key group holds at most 16 million objects");
        (number << GROUP_BITS | u32::from(group.0), new)
    }

    fn name(&self, id: u32) -> &str {
        self.groups[id as usize % KEY_GROUPS].name(id >> GROUP_BITS)
    }

    /// Rows that tell the names of loaded ids and nothing else.
    fn tell_loaded(&mut self, out: &mut Outbox) {
        const ROWS_MAX: usize = 4096;
        for ids in std::mem::take(&mut self.untold).chunks(ROWS_MAX) {
            let names: StringViewArray = ids.iter().map(|&id| Some(self.name(id))).collect();
            let rows = output_rows(StringViewArray::new_null(ids.len()), ids.to_vec(), names);
            out.push(Changes::weighted(rows, vec![0; ids.len()]));
        }
    }
}

impl Operator for Identify {
    fn apply(&mut self, _input: usize, changes: Changes, out: &mut Outbox) {
        let changes = self.columns.without_nulls(changes);
        if changes.is_empty() {
            return;
        }
        let hashes = key_hashes(&changes, self.columns.object);
        let objects = text(changes.column(self.columns.object));
        let mut ids = Vec::with_capacity(changes.len());
        let mut names = StringViewBuilder::new();
        for (row, &hash) in hashes.iter().enumerate() {
            let (id, new) = self.intern(hash, objects.value(row));
            ids.push(id);
            names.append_option(new.then(|| objects.value(row)));
        }
        let rows = output_rows(text(changes.column(self.columns.subject)), ids, names.finish());
        let weights = match self.columns.weight {
            None => changes.weights,
            Some(column) => {
                let factors = integers(changes.column(column));
                let weigh = |row| changes.weight(row).wrapping_mul(factors.value(row));
                (0..changes.len()).map(weigh).collect::<Vec<_>>().into()
            }
        };
        out.push(Changes { weights, ..Changes::inserts(rows) });
    }

    fn finish(&mut self, _end: EpochEnd, out: &mut Outbox) {
        self.tell_loaded(out);
    }

    /// Names only ever come: a key group's changes are those that came since the last save.
    fn save(&mut self, rewrite: &KeyGroupSet, out: &mut StateWriter) {
        for (group, (names, saved)) in (0..).zip(self.groups.iter().zip(&mut self.saved)) {
            let (group, first) = (KeyGroup(group), std::mem::replace(saved, names.len() as u32));
            let whole = rewrite.contains(group);
            let numbers = if whole { 0 } else { first }..names.len() as u32;
            if numbers.is_empty() {
                continue;
            }
            let texts: StringArray = numbers.map(|number| Some(names.name(number))).collect();
            let schema = Schema::new(vec![Field::new("object", DataType::Utf8, false)]);
            let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts)]).expect("one column of text");
            if whole { out.full(group, &rows) } else { out.changes(group, &rows) }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), SnapshotError> {
        while let Some(batch) = state.next_batch()? {
            let names = batch.column(0).as_string_opt::<i32>();
            let names = names.ok_or_else(|| SnapshotError::Mismatch("objects are not text".into()))?;
            for (name, &hash) in names.iter().zip(&hash_columns(batch.columns(), names.len())) {
                let name = name.ok_or_else(|| SnapshotError::Mismatch("an object without a name".into()))?;
                let (id, _) = self.intern(hash, name);
                self.untold.push(id);
            }
        }
        let group = usize::from(state.group().0);
        self.saved[group] = self.groups[group].len() as u32;
        Ok(())
    }

    fn stats(&self) -> OperatorStats {
        let keys = self.groups.iter().map(|names| names.len() as u64).sum();
        let bytes = self.groups.iter().map(|names| names.bytes() as u64).sum();
        OperatorStats { keys, bytes, ..OperatorStats::default() }
    }
}

fn output_rows(subjects: StringViewArray, ids: Vec<u32>, names: StringViewArray) -> RecordBatch {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("subject", DataType::Utf8View, true),
            Field::new("id", DataType::UInt32, false),
            Field::new("name", DataType::Utf8View, true),
        ]))
    });
    let columns: Vec<ArrayRef> = vec![Arc::new(subjects), Arc::new(UInt32Array::from(ids)), Arc::new(names)];
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns).expect("the columns have one value for each row")
}

/// The ids in a batch of [`Identify`]'s.
pub(crate) fn ids(changes: &Changes) -> &[u32] {
    changes.column(output::ID).as_primitive::<UInt32Type>().values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int32Array;
    use proxima_engine::{Section, StateReader};
    use proxima_event::Epoch;

    const END: EpochEnd = EpochEnd { epoch: Epoch(0), last: false };

    fn relation(rows: &[(Option<&str>, Option<&str>, i32)], weights: Vec<i64>) -> Changes {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("subject", Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>())),
            ("object", Arc::new(rows.iter().map(|row| row.1).collect::<StringViewArray>())),
            ("weight", Arc::new(rows.iter().map(|row| row.2).collect::<Int32Array>())),
        ];
        Changes::weighted(
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap(),
            weights,
        )
    }

    fn run(identify: &mut Identify, changes: Changes) -> Vec<Changes> {
        let mut out = Outbox::default();
        identify.apply(0, changes, &mut out);
        identify.finish(END, &mut out);
        out.drain().collect()
    }

    fn saved(identify: &mut Identify, rewrite: &KeyGroupSet) -> Vec<Section> {
        let mut state = StateWriter::default();
        identify.save(rewrite, &mut state);
        state.encode().unwrap()
    }

    #[test]
    fn an_object_keeps_its_id_and_its_name_is_told_once() {
        let mut identify = Identify::new(RelationColumns { subject: 0, object: 1, weight: None, time: None });
        let input = [(Some("u"), Some("a"), 0), (Some("u"), Some("b"), 0), (Some("v"), Some("a"), 0)];
        let out = run(&mut identify, relation(&input, vec![1, 1, -1]));
        let found = ids(&out[0]);
        assert!(found[0] == found[2] && found[0] != found[1]);
        let names = text(out[0].column(output::NAME));
        assert_eq!(names.iter().collect::<Vec<_>>(), [Some("a"), Some("b"), None]);
        assert_eq!((out[0].weight(1), out[0].weight(2)), (1, -1));
        let again = run(&mut identify, relation(&input[..1], vec![1]));
        assert!(again[0].column(output::NAME).is_null(0));
    }

    #[test]
    fn rows_without_subject_or_object_are_no_relations_and_weights_multiply() {
        let mut identify = Identify::new(RelationColumns { subject: 0, object: 1, weight: Some(2), time: None });
        let input = [(None, Some("a"), 1), (Some("u"), None, 1), (Some("u"), Some("c"), 7)];
        let out = run(&mut identify, relation(&input, vec![1, 1, -2]));
        assert_eq!((out[0].len(), out[0].weight(0)), (1, -14));
        assert_eq!(identify.stats().keys, 1);
    }

    #[test]
    fn loaded_objects_have_their_ids_and_are_told_again() {
        let columns = RelationColumns { subject: 0, object: 1, weight: None, time: None };
        let mut identify = Identify::new(columns);
        let names: Vec<String> = (0..1000).map(|number| format!("object {number}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (Some("u"), Some(name.as_str()), 0)).collect();
        run(&mut identify, relation(&rows[..600], vec![1; 600]));
        let mut sections = saved(&mut identify, &KeyGroupSet::all());
        run(&mut identify, relation(&rows[..800], vec![1; 800]));
        sections.extend(saved(&mut identify, &KeyGroupSet::none()));
        assert!(saved(&mut identify, &KeyGroupSet::none()).is_empty(), "nothing has come since");
        let before = run(&mut identify, relation(&rows, vec![1; 1000]));
        let rewrite = KeyGroupSet::of_worker(2, 7);
        sections.retain(|section| !rewrite.contains(section.group));
        sections.extend(saved(&mut identify, &rewrite));

        let mut loaded = Identify::new(columns);
        for section in &sections {
            loaded.load(&mut StateReader::from(section)).unwrap();
        }
        assert!(saved(&mut loaded, &KeyGroupSet::none()).is_empty(), "nothing that was loaded counts as changed");
        let mut out = Outbox::default();
        loaded.finish(END, &mut out);
        let told: Vec<_> = out.drain().collect();
        assert_eq!(told.iter().map(Changes::len).sum::<usize>(), 1000);
        let after = run(&mut loaded, relation(&rows, vec![1; 1000]));
        assert_eq!(ids(&after[0]), ids(&before[0]));
        assert_eq!(after[0].column(output::NAME).null_count(), 1000);
    }
}
