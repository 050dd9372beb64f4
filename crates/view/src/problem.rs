//! What is wrong with a job's SQL: said with its place, and with what to write instead.

use datafusion_common::{Column, DataFusionError, SchemaError};
use datafusion_sql::sqlparser::tokenizer::{Location, Span};
use std::fmt;

/// Which text a problem is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file `views.sql`.
    Views,
    /// A query of `job.toml`, by its name: `relations.bought`.
    Query(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Views => f.write_str("views.sql"),
            Self::Query(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong, or that the supported subset of SQL leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line in its text, from 1.
    pub line: u64,
    /// The column in its line, from 1.
    pub column: u64,
    /// The text it is in.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub advice: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.origin, self.line, self.column, self.message)?;
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

/// A place in a text: line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place {
    /// Where `span` starts; `None` when the parser did not keep it.
    pub(crate) fn of(span: Span) -> Option<Self> {
        Self::at(span.start)
    }

    pub(crate) fn at(location: Location) -> Option<Self> {
        (location.line > 0).then_some(Self { line: location.line, column: location.column })
    }
}

/// A problem whose place may still be unknown: whoever knows the statement fills it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), advice: None }
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = self.place.or(place);
        self
    }

    /// The problem, at its own place or else at the start of its statement.
    pub(crate) fn into_problem(self, origin: &Origin, statement: Place) -> Problem {
        let place = self.place.unwrap_or(statement);
        let Self { message, advice, .. } = self;
        Problem { line: place.line, column: place.column, origin: origin.clone(), message, advice }
    }

    /// The name or text that the message is about: what it quotes, or a function in front of its arguments.
    pub(crate) fn about(&self) -> Option<&str> {
        let quoted =
            self.message.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')).map(|(quoted, _)| quoted);
        quoted
            .or_else(|| self.message.split_once("()").map(|(function, _)| function).filter(|name| !name.contains(' ')))
    }
}

impl From<DataFusionError> for Refusal {
    fn from(error: DataFusionError) -> Self {
        let place = error.diagnostic().and_then(|diagnostic| diagnostic.span).and_then(|span| {
            (span.start.line > 0).then_some(Place { line: span.start.line, column: span.start.column })
        });
        if let DataFusionError::SchemaError(schema, _) = error.find_root()
            && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
        {
            return Self { place, ..missing_column(field, valid_fields, &error.to_string()) };
        }
        let message = plain_message(&error);
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if let Some(refusal) = in_our_words(&message, &error.find_root().strip_backtrace()) {
            return Self { place, ..refusal };
        }
        let advice = if says(&["unique expression names"]) {
            Some("give each its own name: expression AS name".to_string())
        } else if says(&OF_TYPES) {
            Some("write CAST(… AS …) where types differ".to_string())
        } else {
            error.diagnostic().and_then(|diagnostic| diagnostic.helps.first()).map(|help| help.message.clone())
        };
        Self { place, message, advice }
    }
}

/// What the planner says at length (`whole`) or in words of its own.
fn in_our_words(message: &str, whole: &str) -> Option<Refusal> {
    if message.contains("must appear in the GROUP BY clause") {
        let column = message.split_once("column \"")?.1.split_once('"')?.0;
        let refusal = Refusal::new(format!("{column} is neither in GROUP BY nor in an aggregate function"));
        return Some(refusal.advise(format!("add it to GROUP BY, or take max({column})")));
    }
    if message.contains("Dot access not supported") {
        let refusal = Refusal::new("a field is taken with a dot of what is no column");
        return Some(refusal.advise("write the field's name in brackets: items[1]['sku']"));
    }
    if let Some((_, why)) = whole.split_once("regex parse error").and_then(|(_, why)| why.rsplit_once("error: ")) {
        let why = why.lines().next().unwrap_or_default();
        return Some(Refusal::new(format!("no regular expression: {why}")).advise("see the syntax of the crate regex"));
    }
    if message.contains("not supported") && message.starts_with("Date part") {
        return Some(Refusal::new(message).advise("use year, quarter, month, week, day, hour, minute or second"));
    }
    None
}

/// Which column is missing, and which may be meant: the one that the planner guesses, or any.
fn missing_column(missed: &Column, there_are: &[Column], told: &str) -> Refusal {
    let refusal = Refusal::new(format!("there is no column {}", missed.flat_name()));
    let guess = told.split_once("Did you mean '").and_then(|(_, guess)| guess.split_once("'?"));
    if let Some((guess, _)) = guess {
        return refusal.advise(format!("did you mean {}?", guess.replace('"', "")));
    }
    let names: Vec<&str> = there_are.iter().map(Column::name).take(COLUMNS_TOLD).collect();
    let more = if there_are.len() > names.len() { ", …" } else { "" };
    match names[..] {
        [] => refusal,
        _ => refusal.advise(format!("there are {}{more}", names.join(", "))),
    }
}

/// So many columns are named to who missed one.
const COLUMNS_TOLD: usize = 20;

/// What the planner's messages about types hold.
const OF_TYPES: [&str; 5] =
    ["Cannot cast", "match any signature", " expects ", "Cannot infer common argument type", "Cannot coerce"];

/// What the planner's messages start with, outermost first.
const PREFIXES: [&str; 8] = [
    "Internal error: ",
    "Execution error: ",
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "This feature is not implemented: ",
    "Arrow error: ",
    "Cast error: ",
];

/// Where that begins which only the planner's developers need.
const ENDS: [&str; 5] =
    ["\n\nbacktrace:", "This issue was likely caused by", " No function matches", ", errors: ", "\n"];

/// The planner's message without its prefix and without what only its developers need.
fn plain_message(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let text = text.rsplit("user-defined coercion failed with: ").next().unwrap_or(&text);
    let text = PREFIXES.iter().fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    let text = ENDS.iter().fold(text, |text, end| text.split(end).next().unwrap_or(text));
    // A node of the syntax tree as its developers see it: its name and its fields.
    let text = text.split_once(" { ").and_then(|(text, _)| text.rsplit_once(' ')).map_or(text, |(text, _)| text);
    let text =
        TYPES.iter().fold(text.replace(crate::catalog::AS_OF, ""), |text, (arrow, sql)| text.replace(arrow, sql));
    text.trim().trim_end_matches('.').to_string()
}

/// Types as the planner calls them, and as SQL does.
const TYPES: [(&str, &str); 8] = [
    ("Utf8View", "STRING"),
    ("Utf8", "STRING"),
    ("Int64", "BIGINT"),
    ("Int32", "INT"),
    ("Float64", "DOUBLE"),
    ("Float32", "FLOAT"),
    ("Date32", "DATE"),
    ("Decimal128", "DECIMAL"),
];
