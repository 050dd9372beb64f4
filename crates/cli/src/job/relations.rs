//! `[relations.NAME]` and `[objects.NAME]`: read, checked, and put together to the catalogue of the job's graph.

use super::fields::{Fields, Located, is_name};
use super::plan::{QueryPlan, RelationPlan};
use super::problem::{Place, Problem};
use super::raw::RawQuery;
use super::tree::Text;
use arrow::datatypes::Schema;
use proxima_graph::{Attribute, Catalogue, Kind, KindId, Relation, RelationColumns, RelationRules, object_attributes};
use proxima_view::{Plan, Query};
use std::collections::BTreeMap;
use std::time::Duration;

/// A relation as it was written.
#[derive(Debug)]
pub struct RawRelation {
    /// Where its header stands.
    pub place: Place,
    /// `from`
    pub query: RawQuery,
    /// `subject`
    pub subject: Option<Located<Text>>,
    /// `object`
    pub object: Option<Located<Text>>,
    /// `lifetime`
    pub lifetime: Option<Located<Duration>>,
    /// `keep`
    pub keep: Option<Located<u64>>,
    /// `signed`
    pub signed: Option<Located<bool>>,
}

impl RawRelation {
    /// Reads the relation's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            place: fields.place.clone(),
            query: RawQuery::read(fields, "write from = \"SELECT … AS subject, … AS object FROM …\""),
            subject: fields.text("subject"),
            object: fields.text("object"),
            lifetime: fields.duration("lifetime"),
            keep: fields.number("keep", 1),
            signed: fields.boolean("signed"),
        }
    }

    /// Checks the relation against its query, which is known unless the SQL is wrong. `forgets` says whether objects may be
    /// forgotten.
    fn check(&self, name: &str, query: Option<&Query>, forgets: bool, problems: &mut Vec<Problem>) -> RelationPlan {
        let mut kind = |written: Option<&Located<Text>>, end: &str| match written {
            Some(written) if !is_name(&written.value.text) => {
                let problem = written.error(format!("\"{}\" is no name", written.value.text));
                problems.push(problem.advise("use letters, digits, _ and -, at most 64 of them"));
                String::new()
            }
            Some(written) => written.value.text.clone(),
            // A kind of its own: what is not said to be the same is not taken for the same.
            None => format!("{name}.{end}"),
        };
        let (subject, object) = (kind(self.subject.as_ref(), "subject"), kind(self.object.as_ref(), "object"));
        if query.is_some_and(|query| !has_column(query, "time")) {
            let lifetime = self.lifetime.as_ref().map(|lifetime| lifetime.error("this goes by time"));
            let keep = self.keep.as_ref().map(|keep| keep.error("the newest are kept, which goes by time"));
            let advice = "add a column to the query: … AS time, a TIMESTAMP";
            problems.extend([lifetime, keep].into_iter().flatten().map(|problem| problem.advise(advice)));
        }
        if let Some(zero) = self.lifetime.as_ref().filter(|lifetime| lifetime.value.is_zero()) {
            problems.push(zero.error("nothing would live").advise("write a time such as \"30 days\""));
        }
        if let Some(signed) = self.signed.as_ref().filter(|it| it.value)
            && query.is_some_and(|query| !has_column(query, "weight"))
        {
            problems.push(
                signed.error("each row weighs one").advise("leave it out, or add a column to the query: … AS weight"),
            );
        }
        let is_signed = self.signed.as_ref().is_some_and(|signed| signed.value);
        let rules = RelationRules {
            lifetime_us: self.lifetime.as_ref().map(|it| i64::try_from(it.value.as_micros()).unwrap_or(i64::MAX)),
            keep: self.keep.as_ref().map(|keep| u32::try_from(keep.value).unwrap_or(u32::MAX)),
            only_newest: self.keep.is_some()
                && !forgets
                && query.is_some_and(|query| query.append_only && !has_column(query, "weight")),
            forgets: forgets && !is_signed && query.is_some_and(|query| !query.append_only),
            // Paths decide on rows.
            hot_work: None,
            hot_counts: None,
        };
        RelationPlan { query: format!("relations.{name}"), subject, object, rules }
    }
}

/// Checks all relations.
pub fn check(
    relations: &[(String, RawRelation)],
    views: Option<&Plan>,
    forgets: bool,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, RelationPlan> {
    let check = |(name, relation): &(String, RawRelation)| {
        let query = views.and_then(|views| query_of(views, &format!("relations.{name}")));
        (name.clone(), relation.check(name, query, forgets, problems))
    };
    relations.iter().map(check).collect()
}

/// What the graph is made of: a kind for each `[objects.*]`, then those that relations name besides; and the relations.
#[must_use]
pub fn catalogue(
    relations: &BTreeMap<String, RelationPlan>,
    objects: &BTreeMap<String, QueryPlan>,
    views: &Plan,
) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for (name, object) in objects {
        let attributes = schema_of(views, &object.query).map(object_attributes).unwrap_or_default();
        let attributes = attributes.into_iter().map(|(_, attribute)| attribute).collect();
        catalogue.kinds.push(Kind { name: name.clone(), attributes });
    }
    for (name, relation) in relations {
        let (subject, object) = (kind_of(&mut catalogue, &relation.subject), kind_of(&mut catalogue, &relation.object));
        let schema = schema_of(views, &relation.query);
        let timed = schema.is_some_and(|schema| schema.column_with_name("time").is_some());
        let attributes = schema.and_then(|schema| RelationColumns::attributes(schema).ok()).unwrap_or_default();
        let attributes: Vec<Attribute> = attributes.into_iter().map(|(_, attribute)| attribute).collect();
        catalogue.relations.push(Relation { name: name.clone(), subject, object, timed, attributes });
    }
    catalogue
}

fn kind_of(catalogue: &mut Catalogue, name: &str) -> KindId {
    catalogue.kind(name).unwrap_or_else(|| {
        catalogue.kinds.push(Kind { name: name.to_owned(), attributes: Vec::new() });
        catalogue.kind(name).expect("it was just added")
    })
}

fn schema_of<'a>(views: &'a Plan, query: &str) -> Option<&'a Schema> {
    query_of(views, query).map(|compiled| compiled.schema.as_ref())
}

fn query_of<'a>(views: &'a Plan, query: &str) -> Option<&'a Query> {
    views.queries.iter().find(|compiled| compiled.name == query)
}

fn has_column(query: &Query, name: &str) -> bool {
    query.schema.column_with_name(name).is_some()
}
