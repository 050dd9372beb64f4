//! A shop as a run keeps it: paths over the live graph, attributes of its objects, models that learn beside it.

use crate::recommend::Request;
use crate::shop::{Candidate, Shop};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proxima_graph::path::{Keeping, Memo, Path, Reached, Scratch};
use proxima_graph::{
    Attribute, AttributeKind, Catalogue, Direction, Graph, KindId, ObjectId, RelationId, Value, Version,
};
use proxima_model::{BindError, Encoder, LiveModel, ModelSpec};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How far a recommendation may be behind what happens, beside what the stream itself takes, in microseconds.
const PATIENCE_US: u64 = 250_000;

/// What a recommendation asks, answered from memory. Shared by all threads that serve.
pub struct LiveShop {
    graph: Arc<dyn Graph + Send + Sync>,
    catalogue: Arc<Catalogue>,
    subject: KindId,
    item: KindId,
    paths: BTreeMap<String, Arc<Path>>,
    models: BTreeMap<String, Ranker>,
    /// The names of the items' attributes, in their order.
    names: Vec<Arc<str>>,
    /// What earlier questions left behind, and an empty list; as many as were ever asked at the same time.
    scratch: Mutex<Vec<(Scratch, Vec<Reached>)>>,
    keeping: Option<Keeping>,
}

impl LiveShop {
    /// A shop where items are recommended to subjects.
    #[must_use]
    pub fn new(
        graph: Arc<dyn Graph + Send + Sync>,
        catalogue: Arc<Catalogue>,
        (subject, item): (KindId, KindId),
        paths: BTreeMap<String, Arc<Path>>,
        models: BTreeMap<String, Ranker>,
    ) -> Self {
        let names = catalogue[item].attributes.iter().map(|attribute| attribute.name.as_str().into()).collect();
        Self { graph, catalogue, subject, item, paths, models, names, scratch: Mutex::default(), keeping: None }
    }

    /// The same, keeping lists for later questions, together with others that ask paths of the same job and graph: an
    /// answer may be some moments behind the graph.
    #[must_use]
    pub fn keeping(self, memo: Arc<Memo>) -> Self {
        Self { keeping: Some(Keeping::patient(memo, PATIENCE_US)), ..self }
    }

    /// The place of an attribute among those of its kind.
    fn place(&self, kind: KindId, attribute: &str) -> Option<usize> {
        self.catalogue[kind].attributes.iter().position(|known| known.name == attribute)
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch, &mut Vec<Reached>) -> T) -> T {
        let lent = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = lent().pop();
        let (mut scratch, mut list) = taken.unwrap_or_else(|| (Scratch::keeping(self.keeping.clone()), Vec::new()));
        let done = work(&mut scratch, &mut list);
        list.clear();
        lent().push((scratch, list));
        done
    }

    /// The rows that a model ranks: one for each item.
    fn rows(&self, ranker: &Ranker, request: &Request<'_>, items: &[ObjectId]) -> RecordBatch {
        let of_subject = |name: &str| {
            let told = request.attributes.iter().find(|(told, _)| told == name).map(|(_, value)| value.clone());
            told.unwrap_or_else(|| self.subject_attribute(request.subject, name))
        };
        let columns = ranker.columns.iter().map(|(end, attribute)| {
            let values = match end {
                End::Subject => vec![of_subject(&attribute.name); items.len()],
                End::Item => self.items_attribute(items, &attribute.name),
            };
            column(attribute.kind, values.into_iter())
        });
        RecordBatch::try_new(Arc::clone(&ranker.schema), columns.collect()).expect("a column has a value for each item")
    }
}

impl Shop for LiveShop {
    fn item(&self, text: &str) -> Option<ObjectId> {
        self.graph.id(self.item, text)
    }

    fn text(&self, item: ObjectId) -> Option<Arc<str>> {
        self.graph.name(self.item, item)
    }

    fn compare(&self, left: ObjectId, right: ObjectId) -> Ordering {
        self.graph.compare_names(self.item, left, right)
    }

    fn candidates(&self, path: &str, start: &str, n: usize) -> Vec<Candidate> {
        let Some(path) = self.paths.get(path) else { return Vec::new() };
        let Some(id) = self.graph.id(path.from, start) else { return Vec::new() };
        self.with_scratch(|scratch, list| {
            path.first(&*self.graph, id, n, scratch, list);
            list.iter().map(|reached| Candidate { item: reached.object, score: reached.score }).collect()
        })
    }

    fn related(&self, relation: &str, subject: &str) -> Vec<ObjectId> {
        let Some((relation, direction)) = walk(&self.catalogue, relation, self.subject, self.item) else {
            return Vec::new();
        };
        let Some(id) = self.graph.id(self.subject, subject) else { return Vec::new() };
        let mut edges = Vec::new();
        self.graph.edges(relation, direction, id, &mut edges);
        edges.into_iter().map(|edge| edge.other).collect()
    }

    fn subject_attribute(&self, subject: &str, attribute: &str) -> Value {
        let (place, id) = (self.place(self.subject, attribute), self.graph.id(self.subject, subject));
        let found = place.zip(id).map(|(place, id)| self.graph.attribute(self.subject, id, place));
        found.unwrap_or(Value::Null)
    }

    fn item_attribute(&self, item: ObjectId, attribute: &str) -> Value {
        let place = self.place(self.item, attribute);
        place.map_or(Value::Null, |place| self.graph.attribute(self.item, item, place))
    }

    fn at_rest(&self) -> Option<Version> {
        let (keeping, version) = self.keeping.as_ref().zip(self.graph.version())?;
        keeping.is_at_rest(version).then_some(version)
    }

    fn items_attribute(&self, items: &[ObjectId], attribute: &str) -> Vec<Value> {
        let Some(place) = self.place(self.item, attribute) else { return vec![Value::Null; items.len()] };
        let mut values = Vec::with_capacity(items.len());
        self.graph.attributes(self.item, items, place, &mut values);
        values
    }

    fn item_attributes(&self, item: ObjectId) -> Vec<(Arc<str>, Value)> {
        let values = (0..).zip(&self.names).map(|(place, name)| (name, self.graph.attribute(self.item, item, place)));
        values.filter(|(_, value)| *value != Value::Null).map(|(name, value)| (Arc::clone(name), value)).collect()
    }

    fn rank(&self, model: &str, request: &Request<'_>, items: &[ObjectId]) -> Vec<i64> {
        let Some(ranker) = self.models.get(model) else { return vec![0; items.len()] };
        ranker.model.units(&ranker.encoder, &self.rows(ranker, request, items))
    }

    fn rank_parts(&self, model: &str, request: &Request<'_>, item: ObjectId) -> Vec<(String, i64)> {
        let Some(ranker) = self.models.get(model) else { return Vec::new() };
        ranker.model.parts(&ranker.encoder, &self.rows(ranker, request, &[item]))
    }
}

/// The relation of a name and the way from subjects to items.
#[must_use]
pub fn walk(catalogue: &Catalogue, relation: &str, subject: KindId, item: KindId) -> Option<(RelationId, Direction)> {
    let relation = catalogue.relation(relation)?;
    let ways = [Direction::Forward, Direction::Reverse];
    let way = ways.into_iter().find(|&way| catalogue[relation].ends(way) == (subject, item))?;
    Some((relation, way))
}

/// A model that ranks items.
pub struct Ranker {
    model: Arc<LiveModel>,
    encoder: Encoder,
    schema: SchemaRef,
    columns: Vec<(End, Attribute)>,
}

/// Whose attribute a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Subject,
    Item,
}

impl Ranker {
    /// A model whose features read attributes: of the item, or else of the subject.
    ///
    /// # Errors
    /// What is wrong, where a feature's column is no attribute or of another type than it was trained on.
    pub fn new(model: Arc<LiveModel>, catalogue: &Catalogue, subject: KindId, item: KindId) -> Result<Self, String> {
        let read = Read::of(model.spec(), catalogue, subject, item);
        let Read { columns, schema, encoder } = read.map_err(|errors| errors[0].to_string())?;
        Ok(Self { model, encoder, schema, columns })
    }

    /// Whether a model can rank items for subjects.
    ///
    /// # Errors
    /// Everything that is wrong, as [`Ranker::new`] has it.
    pub fn check(spec: &ModelSpec, catalogue: &Catalogue, subject: KindId, item: KindId) -> Result<(), Vec<BindError>> {
        Read::of(spec, catalogue, subject, item).map(drop)
    }
}

/// The attributes that a model reads.
struct Read {
    columns: Vec<(End, Attribute)>,
    schema: SchemaRef,
    encoder: Encoder,
}

impl Read {
    fn of(spec: &ModelSpec, catalogue: &Catalogue, subject: KindId, item: KindId) -> Result<Self, Vec<BindError>> {
        let find =
            |kind: KindId, name: &str| catalogue[kind].attributes.iter().find(|known| known.name == name).cloned();
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for name in spec.columns() {
            let of_item = find(item, name).map(|attribute| (End::Item, attribute));
            match of_item.or_else(|| find(subject, name).map(|attribute| (End::Subject, attribute))) {
                Some(found) => columns.push(found),
                None => problems.push(missing(name, catalogue, subject, item)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let field = |(_, attribute): &(End, Attribute)| Field::new(&attribute.name, data_type(attribute.kind), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let encoder = Encoder::bind(spec, &schema)?;
        Ok(Self { columns, schema, encoder })
    }
}

/// A column is no attribute.
fn missing(name: &str, catalogue: &Catalogue, subject: KindId, item: KindId) -> BindError {
    let (item, subject) = (&catalogue[item].name, &catalogue[subject].name);
    let ends = if item == subject { item.clone() } else { format!("{item} or {subject}") };
    BindError {
        key: "features".to_owned(),
        message: format!("a feature reads \"{name}\", which is no attribute of {ends}"),
        advice: "select it in the query of the objects, or leave the feature out".to_owned(),
    }
}

fn data_type(kind: AttributeKind) -> DataType {
    match kind {
        AttributeKind::Bool => DataType::Boolean,
        AttributeKind::Int => DataType::Int64,
        AttributeKind::Float => DataType::Float64,
        AttributeKind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
        AttributeKind::Text => DataType::Utf8View,
    }
}

/// Values of one type as a column; a value of another type is NULL.
fn column(kind: AttributeKind, values: impl Iterator<Item = Value>) -> ArrayRef {
    // A question may tell a whole number with a point.
    let int = |value| match value {
        Value::Int(number) => Some(number),
        Value::Float(number) if number as i64 as f64 == number => Some(number as i64),
        _ => None,
    };
    match kind {
        AttributeKind::Bool => {
            let bool = |value| if let Value::Bool(truth) = value { Some(truth) } else { None };
            Arc::new(values.map(bool).collect::<BooleanArray>())
        }
        AttributeKind::Int => Arc::new(values.map(int).collect::<Int64Array>()),
        AttributeKind::Time => Arc::new(values.map(int).collect::<TimestampMicrosecondArray>()),
        AttributeKind::Float => {
            // A question may tell a whole number.
            let float = |value| match value {
                Value::Float(number) => Some(number),
                Value::Int(number) => Some(number as f64),
                _ => None,
            };
            Arc::new(values.map(float).collect::<Float64Array>())
        }
        AttributeKind::Text => {
            let text = |value| if let Value::Text(text) = value { Some(text) } else { None };
            Arc::new(values.map(text).collect::<StringViewArray>())
        }
    }
}
