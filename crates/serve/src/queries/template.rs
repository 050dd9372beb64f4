//! Bodies with parameters. A parameter is put in as a JSON value, never as text into text, so that no argument can change
//! what a query asks.

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A day: `2026-11-21`.
    Date,
}

impl Kind {
    /// The kinds by their words.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date such as 2026-11-21",
        }
    }

    /// Reads an argument, which comes as text where it stands in an address.
    fn read(self, value: &Value) -> Option<Value> {
        let text = value.as_str();
        match self {
            Self::Text => match value {
                Value::String(_) => Some(value.clone()),
                Value::Number(number) => Some(number.to_string().into()),
                Value::Bool(truth) => Some(truth.to_string().into()),
                _ => None,
            },
            Self::Integer => value.as_i64().or_else(|| text?.trim().parse().ok()).map(Value::from),
            Self::Number => match value {
                Value::Number(_) => Some(value.clone()),
                _ => serde_json::from_str::<serde_json::Number>(text?.trim()).ok().map(Value::Number),
            },
            Self::Boolean => value.as_bool().or_else(|| text?.trim().parse().ok()).map(Value::from),
            Self::Date => text?.trim().parse::<NaiveDate>().ok().map(|day| day.to_string().into()),
        }
    }
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// What it is where the caller does not say; without, the caller must.
    pub default: Option<Value>,
}

impl Parameter {
    /// A parameter; the default is read as an argument is.
    ///
    /// # Errors
    /// When the default is of another kind.
    pub fn new(name: String, kind: Kind, default: Option<&str>) -> Result<Self, String> {
        let read = |text: &str| kind.read(&text.into()).ok_or_else(|| format!("\"{text}\" is not {}", kind.describe()));
        let default = default.map(read).transpose()?;
        Ok(Self { name, kind, default })
    }
}

/// Values by the parameters' names.
pub(super) type Arguments = BTreeMap<String, Value>;

/// The values of all parameters; what the caller has given beyond them is refused.
pub(super) fn arguments(parameters: &[Parameter], given: &Map<String, Value>) -> Result<Arguments, String> {
    if let Some(unknown) = given.keys().find(|name| !parameters.iter().any(|known| known.name == **name)) {
        let known: Vec<_> = parameters.iter().map(|known| known.name.as_str()).collect();
        return Err(format!("the query has no parameter \"{unknown}\"; it has: {}", known.join(", ")));
    }
    let one = |parameter: &Parameter| {
        let Parameter { name, kind, default } = parameter;
        let value = match (given.get(name), default) {
            (Some(value), _) => {
                kind.read(value).ok_or_else(|| format!("{name}: {value} is not {}", kind.describe()))?
            }
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(format!("the query needs parameter \"{name}\": {}", kind.describe())),
        };
        Ok((name.clone(), value))
    };
    parameters.iter().map(one).collect()
}

/// Holds a body's placeholders and the parameters against each other.
pub(super) fn check(body: &Value, parameters: &[Parameter]) -> Result<(), String> {
    let mut used = Vec::new();
    visit(body, &mut |text| {
        for part in parts(text)? {
            if let Part::Place { name, days } = part {
                let parameter = parameters.iter().find(|known| known.name == name);
                let parameter =
                    parameter.ok_or_else(|| format!("the body has {{{{{name}}}}}, which is no parameter"))?;
                if days != 0 && !matches!(parameter.kind, Kind::Date | Kind::Integer) {
                    return Err(format!("{name} is {}, to which nothing can be added", parameter.kind.describe()));
                }
                used.push(name.to_owned());
            }
        }
        Ok(())
    })?;
    match parameters.iter().find(|parameter| !used.contains(&parameter.name)) {
        Some(unused) => Err(format!("the body does not use parameter \"{}\"", unused.name)),
        None => Ok(()),
    }
}

/// The body with values in the place of its placeholders.
pub(super) fn fill(body: &Value, arguments: &Arguments) -> Result<Value, String> {
    Ok(match body {
        Value::String(text) => fill_text(text, arguments)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, arguments)).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Ok::<_, String>((name.clone(), fill(value, arguments)?));
            Value::Object(members.iter().map(member).collect::<Result<_, _>>()?)
        }
        other => other.clone(),
    })
}

/// A text that is one placeholder becomes the value with its own type; others stay texts.
fn fill_text(text: &str, arguments: &Arguments) -> Result<Value, String> {
    let parts = parts(text)?;
    if let [Part::Place { name, days }] = parts.as_slice() {
        return moved(&arguments[*name], *days);
    }
    let mut filled = String::new();
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Place { name, days } => match moved(&arguments[name], days)? {
                Value::String(text) => filled.push_str(&text),
                other => filled.push_str(&other.to_string()),
            },
        }
    }
    Ok(filled.into())
}

/// A day some days later, or a number that much greater.
fn moved(value: &Value, by: i64) -> Result<Value, String> {
    match value {
        _ if by == 0 => Ok(value.clone()),
        Value::String(day) => {
            let days = Days::new(by.unsigned_abs());
            let day = day.parse::<NaiveDate>().ok();
            let moved =
                day.and_then(|day| if by < 0 { day.checked_sub_days(days) } else { day.checked_add_days(days) });
            moved.map(|day| day.to_string().into()).ok_or_else(|| "the day is beyond the calendar".to_owned())
        }
        other => Ok(other.as_i64().unwrap_or_default().saturating_add(by).into()),
    }
}

enum Part<'a> {
    Text(&'a str),
    /// A parameter, and what is added to it: `{{day-1}}`.
    Place {
        name: &'a str,
        days: i64,
    },
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}").ok_or_else(|| format!("\"{text}\" has {{{{ without }}}}"))?;
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(
            place(inside.trim())
                .ok_or_else(|| format!("\"{inside}\" is not a parameter, alone or with a number added"))?,
        );
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

fn place(inside: &str) -> Option<Part<'_>> {
    let (name, days) = match inside.find(['+', '-']) {
        Some(at) => (inside[..at].trim_end(), inside[at..].replace(' ', "").parse().ok()?),
        None => (inside, 0),
    };
    let fits = !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    fits.then_some(Part::Place { name, days })
}

fn visit(body: &Value, see: &mut impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    match body {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().try_for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().try_for_each(|value| visit(value, see)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters() -> Vec<Parameter> {
        let parameter = |name: &str, kind, default| Parameter::new(name.to_owned(), kind, default).unwrap();
        vec![
            parameter("day", Kind::Date, None),
            parameter("size", Kind::Integer, Some("10")),
            parameter("words", Kind::Text, Some("")),
        ]
    }

    fn body() -> Value {
        json!({"size": "{{size}}", "query": [{"gte": "{{day-1}}", "lte": "{{ day }}T23:59"}, {"match": "a {{words}} {{size+1}}"}]})
    }

    #[test]
    fn values_stay_values() {
        check(&body(), &parameters()).unwrap();
        let given = json!({"day": "2026-03-01", "words": "\"}, {\"match_all\": {}"});
        let arguments = arguments(&parameters(), given.as_object().unwrap()).unwrap();
        let expected = json!({"size": 10, "query": [
            {"gte": "2026-02-28", "lte": "2026-03-01T23:59"}, {"match": "a \"}, {\"match_all\": {} 11"},
        ]});
        assert_eq!(fill(&body(), &arguments).unwrap(), expected);
    }

    #[test]
    fn arguments_are_checked() {
        let refused = |given: Value| arguments(&parameters(), given.as_object().unwrap()).unwrap_err();
        assert_eq!(refused(json!({})), "the query needs parameter \"day\": a date such as 2026-11-21");
        assert_eq!(refused(json!({"day": "2026-13-01"})), "day: \"2026-13-01\" is not a date such as 2026-11-21");
        assert_eq!(refused(json!({"day": "2026-03-01", "size": "1.5"})), "size: \"1.5\" is not a whole number");
        let unknown = refused(json!({"dya": "2026-03-01"}));
        assert_eq!(unknown, "the query has no parameter \"dya\"; it has: day, size, words");
        let given = json!({"day": " 2026-03-01 ", "size": "7"});
        assert_eq!(arguments(&parameters(), given.as_object().unwrap()).unwrap()["size"], 7);
    }

    #[test]
    fn bodies_are_checked() {
        let wrong = |body: Value| check(&body, &parameters()).unwrap_err();
        assert!(wrong(json!(["{{day}}", "{{size}}"])).contains("does not use parameter \"words\""));
        assert!(wrong(json!("{{hour}}")).contains("{{hour}}, which is no parameter"));
        assert!(wrong(json!("{{words+1}}")).contains("nothing can be added"));
        assert!(wrong(json!("{{day")).contains("{{ without }}"));
        assert!(Parameter::new("n".to_owned(), Kind::Integer, Some("x")).is_err());
    }
}
