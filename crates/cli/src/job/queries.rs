//! `[queries.NAME]`: read, and checked into what the server answers.

use super::fields::{Fields, Located, advise_word};
use super::problem::Problem;
use super::tree::Text;
use proxima_serve::NamedQuery;
use proxima_serve::queries::{Kind, Parameter};
use std::collections::BTreeMap;

/// A query as it was written.
#[derive(Debug)]
pub struct RawNamedQuery {
    index: Option<Located<Text>>,
    body: Option<Located<Text>>,
    rows: Option<Located<Text>>,
    parameters: Vec<(String, RawParameter)>,
}

#[derive(Debug)]
struct RawParameter {
    kind: Option<Located<Kind>>,
    default: Option<Located<String>>,
}

impl RawNamedQuery {
    /// Reads the query's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            index: fields.required_text("index", "name an index of the job"),
            body: fields.required_text("body", "write a search as JSON, with \"{{name}}\" for parameters"),
            rows: fields.text("rows"),
            parameters: fields.sections("parameters", |_, fields| RawParameter {
                kind: fields.required_word("type", &Kind::WORDS),
                default: fields.scalar("default"),
            }),
        }
    }

    fn check(&self, indexes: &[String], problems: &mut Vec<Problem>) -> Option<NamedQuery> {
        let (index, body) = (self.index.as_ref()?, self.body.as_ref()?);
        if !indexes.contains(&index.value.text) {
            let known: Vec<&str> = indexes.iter().map(String::as_str).collect();
            let problem = index.error(format!("no target writes index \"{}\"", index.value.text));
            problems.push(problem.advise(advise_word(&index.value.text, &known)));
        }
        let mut parameters = Vec::new();
        for (name, parameter) in &self.parameters {
            let default = parameter.default.as_ref();
            match Parameter::new(name.clone(), parameter.kind.as_ref()?.value, default.map(|text| text.value.as_str()))
            {
                Ok(parameter) => parameters.push(parameter),
                Err(error) => problems.extend(default.map(|default| default.error(error))),
            }
        }
        if parameters.len() < self.parameters.len() {
            return None;
        }
        let rows = self.rows.as_ref().map(|rows| rows.value.text.as_str());
        match NamedQuery::new(index.value.text.clone(), parameters, &body.value.text, rows) {
            Ok(query) => Some(query),
            Err(error) => {
                problems.push(body.error(error));
                None
            }
        }
    }
}

/// Checks all queries against the indexes that the job writes.
pub fn check(
    queries: &[(String, RawNamedQuery)],
    indexes: &[String],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, NamedQuery> {
    queries.iter().filter_map(|(name, query)| Some((name.clone(), query.check(indexes, problems)?))).collect()
}
