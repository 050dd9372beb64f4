//! Named queries: searches that a job writes down once, with parameters, and that answer alike from every kind of index.

mod rows;
mod template;

pub use template::{Kind, Parameter};

use crate::answers::Failure;
use rows::Rows;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A query of the job.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedQuery {
    /// The index that is asked.
    pub index: String,
    parameters: Vec<Parameter>,
    body: Value,
    rows: Option<Rows>,
}

impl NamedQuery {
    /// Reads a query as a job has it: the body is JSON in which `"{{name}}"` stands for a parameter; `rows` is `hits` or
    /// the names of aggregations with dots between, whose buckets become rows.
    ///
    /// # Errors
    /// With a sentence for the first thing that is wrong.
    pub fn new(index: String, parameters: Vec<Parameter>, body: &str, rows: Option<&str>) -> Result<Self, String> {
        let body: Value = serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
        if !body.is_object() {
            return Err("the body is not a JSON object".to_owned());
        }
        template::check(&body, &parameters)?;
        let rows = rows.map(|rows| Rows::parse(rows, &body)).transpose()?;
        Ok(Self { index, parameters, body, rows })
    }

    /// What can be asked for.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The search for these arguments.
    pub(crate) fn request(&self, arguments: &Map<String, Value>) -> Result<Value, Failure> {
        let refused = |message| Failure { status: 400, code: "bad_request", message };
        let known = template::arguments(&self.parameters, arguments).map_err(refused)?;
        template::fill(&self.body, &known).map_err(refused)
    }

    /// The search's answer as the query shows it.
    pub(crate) fn answer(&self, answer: Box<RawValue>) -> Result<Box<RawValue>, Failure> {
        match &self.rows {
            None => Ok(answer),
            Some(rows) => rows.shape(&answer).map_err(|error| Failure {
                status: 500,
                code: "internal",
                message: format!("the answer has another shape than the query expects: {error}"),
            }),
        }
    }
}
