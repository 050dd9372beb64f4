//! A JSON object of a request, read strictly: what nobody has asked for by the end is an error that names it.

use super::SearchError;
use serde_json::{Map, Value};

/// The members of an object that are still to be read.
pub(crate) struct Params<'a> {
    what: String,
    members: &'a Map<String, Value>,
    read: Vec<&'static str>,
}

impl<'a> Params<'a> {
    /// The members of `value`, which errors call `[what]`.
    pub(crate) fn of(what: impl Into<String>, value: &'a Value) -> Result<Self, SearchError> {
        let what = what.into();
        match value {
            Value::Object(members) => Ok(Self { what, members, read: Vec::new() }),
            other => Err(SearchError::parsing(format!("[{what}] must be an object, not {}", kind_of(other)))),
        }
    }

    /// A member, if it is there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.members.get(name)
    }

    /// A member that must be there.
    pub(crate) fn need(&mut self, name: &'static str) -> Result<&'a Value, SearchError> {
        self.take(name).ok_or_else(|| SearchError::parsing(format!("[{}] needs [{name}]", self.what)))
    }

    /// A string member, if it is there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, SearchError> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A string member that must be there.
    pub(crate) fn need_text(&mut self, name: &'static str) -> Result<&'a str, SearchError> {
        self.text(name)?.ok_or_else(|| SearchError::parsing(format!("[{}] needs [{name}]", self.what)))
    }

    /// A member that counts something.
    pub(crate) fn count(&mut self, name: &'static str) -> Result<Option<usize>, SearchError> {
        self.typed(name, "a whole number from 0", |value| usize::try_from(value.as_u64()?).ok())
    }

    /// A member that is true or false.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, SearchError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, SearchError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let fits = read(value);
        let wrong = || SearchError::parsing(format!("[{name}] of [{}] must be {wanted}, not {value}", self.what));
        fits.map(Some).ok_or_else(wrong)
    }

    /// Ends the reading.
    pub(crate) fn finish(self) -> Result<(), SearchError> {
        match self.members.keys().find(|name| !self.read.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let known = self.read.join(", ");
                Err(SearchError::parsing(format!("unknown or unsupported [{name}] in [{}]; known: {known}", self.what)))
            }
        }
    }
}

/// The one member of an object that must have just one, as `{"term": …}` or `{"price": …}`.
pub(crate) fn single<'a>(what: &str, value: &'a Value) -> Result<(&'a str, &'a Value), SearchError> {
    let members = value.as_object().filter(|members| members.len() == 1);
    members.and_then(|members| members.iter().next()).map(|(name, value)| (name.as_str(), value)).ok_or_else(|| {
        SearchError::parsing(format!("[{what}] must be an object with one member, not {}", shorten(value)))
    })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value as an error shows it.
pub(crate) fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
