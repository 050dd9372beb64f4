//! The layout in tantivy's terms: which of its fields holds what.

use super::layout::{FieldLayout, Kind, Layout};
use super::words::WORDS;
use std::collections::HashMap;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

/// One searchable field and where tantivy keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The name that requests use.
    pub(crate) path: String,
    /// How its values are indexed.
    pub(crate) kind: Kind,
    /// The indexed values, which are also a column for sorting and aggregating.
    pub(crate) field: Field,
    /// The column's name in tantivy. Own names keep dots and leading underscores of users out of its way.
    pub(crate) column: String,
    /// The analysed words, where there are any.
    pub(crate) words: Option<Field>,
}

/// All fields of an index.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// What they are derived from.
    pub(crate) layout: Layout,
    /// What tantivy is told.
    pub(crate) schema: Schema,
    /// The document's id: one term, and a column to break ties by.
    pub(crate) id: Field,
    /// The version of the write, as a column.
    pub(crate) version: Field,
    /// The whole row as JSON text.
    pub(crate) source: Field,
    /// The searchable fields.
    pub(crate) leaves: Vec<Leaf>,
    by_path: HashMap<String, usize>,
}

/// The column of ids.
pub(crate) const ID: &str = "_id";
/// The column of versions.
pub(crate) const VERSION: &str = "_version";

impl Mapping {
    /// Lays out tantivy's fields.
    pub(crate) fn new(layout: Layout) -> Self {
        let mut builder = Schema::builder();
        let id = builder.add_text_field(ID, keyword().set_stored());
        let version = builder.add_u64_field(VERSION, NumericOptions::default().set_fast().set_stored());
        let source = builder.add_text_field("_source", TextOptions::default().set_stored());
        let leaves: Vec<Leaf> =
            layout.fields.iter().enumerate().map(|(at, field)| leaf(&mut builder, at, field)).collect();
        let by_path = leaves.iter().enumerate().map(|(at, leaf)| (leaf.path.clone(), at)).collect();
        Self { layout, schema: builder.build(), id, version, source, leaves, by_path }
    }

    /// The field that a request names: a path, or for strings also the path with `.keyword` behind.
    pub(crate) fn leaf(&self, name: &str) -> Option<&Leaf> {
        if let Some(&at) = self.by_path.get(name) {
            return Some(&self.leaves[at]);
        }
        let &at = self.by_path.get(name.strip_suffix(".keyword")?)?;
        Some(&self.leaves[at]).filter(|leaf| leaf.kind.is_string())
    }

    /// The fields below a struct's path.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = &Leaf> {
        let prefix = format!("{path}.");
        self.leaves.iter().filter(move |leaf| leaf.path.starts_with(&prefix))
    }
}

fn leaf(builder: &mut SchemaBuilder, at: usize, field: &FieldLayout) -> Leaf {
    let column = format!("c{at}");
    let numeric = NumericOptions::default().set_indexed().set_fast();
    let main = match field.kind {
        Kind::Boolean => builder.add_bool_field(&column, numeric),
        Kind::Integer | Kind::Decimal { .. } | Kind::Date | Kind::Timestamp { .. } => {
            builder.add_i64_field(&column, numeric)
        }
        Kind::Unsigned => builder.add_u64_field(&column, numeric),
        Kind::Float | Kind::Double | Kind::WideDecimal { .. } => builder.add_f64_field(&column, numeric),
        Kind::Text | Kind::Time => builder.add_text_field(&column, keyword()),
    };
    let words = field.analysed.then(|| builder.add_text_field(&format!("w{at}"), analysed()));
    Leaf { path: field.path.clone(), kind: field.kind, field: main, column, words }
}

fn keyword() -> TextOptions {
    let whole = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    TextOptions::default().set_indexing_options(whole).set_fast("raw")
}

fn analysed() -> TextOptions {
    let words = TextFieldIndexing::default().set_tokenizer(WORDS).set_index_option(IndexRecordOption::WithFreqs);
    TextOptions::default().set_indexing_options(words)
}
