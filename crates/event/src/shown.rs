//! The `_source` of a search: which parts of a row its hits show.

use crate::Members;
use serde_json::Value;
use serde_json::value::RawValue;

/// Which parts of the source to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The whole row.
    All,
    /// No source at all.
    Nothing,
    /// The fields that match one of the first patterns (any, when there are none) and none of the second.
    Some(Vec<String>, Vec<String>),
}

impl Shown {
    /// Reads `_source`: true, false, a pattern, a list of them, or an object with `includes` and `excludes`.
    ///
    /// # Errors
    /// When it is something else, with what it takes.
    pub fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(true) => Ok(Self::All),
            Value::Bool(false) => Ok(Self::Nothing),
            Value::Object(members) => {
                let known = ["includes", "include", "excludes", "exclude"];
                if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
                    return Err(format!("[_source] takes [includes] and [excludes], not [{other}]"));
                }
                let either = |one, other| match (members.get(one), members.get(other)) {
                    (Some(_), Some(_)) => Err(format!("[_source] has both [{one}] and [{other}]")),
                    (one, other) => patterns(one.or(other)),
                };
                Ok(Self::Some(either("includes", "include")?, either("excludes", "exclude")?))
            }
            value => Ok(Self::Some(patterns(Some(value))?, Vec::new())),
        }
    }

    /// The part of a source to show, with every digit that it has there.
    ///
    /// # Panics
    /// Never: parts of JSON put together as an object are JSON.
    #[must_use]
    pub fn apply(&self, source: Box<RawValue>) -> Option<Box<RawValue>> {
        match self {
            Self::All => Some(source),
            Self::Nothing => None,
            Self::Some(includes, excludes) => {
                let text = filter(source.get(), "", includes, excludes).unwrap_or_else(|| "{}".to_owned());
                Some(RawValue::from_string(text).expect("parts of JSON put together as an object are JSON"))
            }
        }
    }
}

fn patterns(value: Option<&Value>) -> Result<Vec<String>, String> {
    let wrong = |value: &Value| format!("[_source] takes names and patterns, not {value}");
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(value));
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// The members of an object whose paths are wanted; `None` when it has none.
fn filter(text: &str, path: &str, includes: &[String], excludes: &[String]) -> Option<String> {
    let members: Members<&RawValue> = serde_json::from_str(text).ok()?;
    let mut kept = Vec::new();
    for (name, value) in members.0 {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if excludes.iter().any(|pattern| matches(pattern, &path)) {
            continue;
        }
        let whole = includes.is_empty() || includes.iter().any(|pattern| matches(pattern, &path));
        // Below a member that is wanted whole, only the exclusions still say something.
        let below = if whole { &[] } else { includes };
        if let Some(value) = filter_value(value.get(), &path, below, excludes, whole) {
            let name = serde_json::to_string(&name).expect("a string is JSON");
            kept.push(format!("{name}:{value}"));
        }
    }
    (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")))
}

fn filter_value(text: &str, path: &str, includes: &[String], excludes: &[String], whole: bool) -> Option<String> {
    if whole && excludes.is_empty() {
        return Some(text.to_owned());
    }
    match text.as_bytes().first() {
        Some(b'{') => filter(text, path, includes, excludes).or(whole.then(|| "{}".to_owned())),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let kept: Vec<_> =
                items.iter().filter_map(|item| filter_value(item.get(), path, includes, excludes, whole)).collect();
            (whole || !kept.is_empty()).then(|| format!("[{}]", kept.join(",")))
        }
        _ => whole.then(|| text.to_owned()),
    }
}

/// Whether the pattern, in which `*` stands for anything, is the path. Looks at each part of the pattern once.
fn matches(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == path };
    let (middle, last) = tail.rsplit_once('*').unwrap_or(("", tail));
    let Some(mut rest) = path.strip_prefix(head) else { return false };
    for part in middle.split('*') {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(request: &Value) -> Option<String> {
        let source =
            r#"{"day":"2010-12-01","gmv":58960.790,"at":{"lat":1.50,"lon":2.50},"tags":[{"a":1,"b":2},{"b":3}]}"#;
        let source = RawValue::from_string(source.to_owned()).unwrap();
        Shown::parse(request).unwrap().apply(source).map(|shown| shown.get().to_owned())
    }

    #[test]
    fn shows_what_is_asked_for_digit_by_digit() {
        assert_eq!(shown(&json!(false)), None);
        assert_eq!(shown(&json!("gmv")).unwrap(), r#"{"gmv":58960.790}"#);
        assert_eq!(shown(&json!(["at.*", "day"])).unwrap(), r#"{"day":"2010-12-01","at":{"lat":1.50,"lon":2.50}}"#);
        assert_eq!(shown(&json!(["at.lon"])).unwrap(), r#"{"at":{"lon":2.50}}"#);
        assert_eq!(shown(&json!(["tags.a"])).unwrap(), r#"{"tags":[{"a":1}]}"#);
        assert_eq!(
            shown(&json!({"excludes": ["at.lat", "tags", "d*y"]})).unwrap(),
            r#"{"gmv":58960.790,"at":{"lon":2.50}}"#
        );
        assert_eq!(shown(&json!({"includes": "at", "excludes": ["*.lat"]})).unwrap(), r#"{"at":{"lon":2.50}}"#);
        assert_eq!(shown(&json!("nothing")).unwrap(), "{}");
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, is_path, is_not) in [
            ("*", &["", "a.b"][..], &[][..]),
            ("a*", &["a", "ab"], &["", "ba"]),
            ("*a", &["a", "ba"], &["ab"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a**b*c", &["abc", "axxbxc", "abbcc"], &["acb", "ac"]),
            ("*ab*ab*", &["abab", "xabxabx"], &["ab", "aab", "abxa"]),
        ] {
            assert!(is_path.iter().all(|path| matches(pattern, path)), "{pattern}");
            assert!(!is_not.iter().any(|path| matches(pattern, path)), "{pattern}");
        }
        // It had taken longer than anybody waits.
        assert!(!matches(&format!("{}x", "*".repeat(60)), &"name_of_product".repeat(9)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(Shown::parse(&json!({"fields": []})).unwrap_err().contains("[fields]"));
        assert!(Shown::parse(&json!([1])).is_err());
        assert!(Shown::parse(&json!({"include": "a", "includes": "b"})).unwrap_err().contains("both [includes]"));
    }
}
