//! From a table and a row's id to keys in Redis.

use std::fmt;
use std::str::FromStr;

/// The placeholders of a pattern.
const TABLE: &str = "{table}";
const ID: &str = "{id}";

/// How the key of a row is made: `dim:{table}:{id}`.
///
/// The pattern ends with `{id}`, and between `{table}` and `{id}` stands a sign that no table's name has: so rows of
/// different tables never share a key. Braces and `%` within an id are percent-encoded, because Redis Cluster reads
/// braces in a key.
///
/// ```
/// use proxima_redis::KeyPattern;
/// let pattern: KeyPattern = "dim:{table}:{id}".parse()?;
/// assert_eq!(pattern.key("user", "17"), "dim:user:17");
/// assert!("dim:{id}".parse::<KeyPattern>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    before: String,
    between: String,
}

impl Default for KeyPattern {
    fn default() -> Self {
        Self { before: String::new(), between: ":".to_owned() }
    }
}

impl FromStr for KeyPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let inner = text.strip_suffix(ID).ok_or_else(|| format!("a key pattern ends with {ID}"))?;
        let (before, between) = inner.split_once(TABLE).ok_or_else(|| format!("a key pattern holds {TABLE}"))?;
        if [before, between].iter().any(|part| part.contains(['{', '}'])) {
            return Err(format!("a key pattern holds {TABLE} once, {ID} once and no other braces"));
        }
        let parts_names = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !between.contains(parts_names) {
            return Err(format!("between {TABLE} and {ID} stands a sign that no table's name has, such as \":\""));
        }
        Ok(Self { before: before.to_owned(), between: between.to_owned() })
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{TABLE}{}{ID}", self.before, self.between)
    }
}

impl KeyPattern {
    /// Where the value of a row stands.
    #[must_use]
    pub fn key(&self, table: &str, id: &str) -> String {
        format!("{}{table}{}{}", self.before, self.between, without_braces(id))
    }
}

/// Where the tombstone of a key stands: in the same slot of a cluster, and under a beginning of its own, so that who
/// looks for rows does not meet it.
#[must_use]
pub fn tombstone(key: &str) -> String {
    format!("proxima:deleted:{{{key}}}")
}

fn without_braces(id: &str) -> String {
    if !id.contains(['{', '}', '%']) {
        return id.to_owned();
    }
    id.replace('%', "%25").replace('{', "%7B").replace('}', "%7D")
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cluster_routing::Slot;

    #[test]
    fn patterns_that_let_rows_meet_are_refused() {
        let refused = |text: &str| text.parse::<KeyPattern>().unwrap_err();
        assert!(refused("dim:{table}").contains("ends with {id}"));
        assert!(refused("dim:{id}").contains("holds {table}"));
        assert!(refused("{table}-{id}").contains("a sign that no table's name has"));
        assert!(refused("{table}{id}").contains("a sign that no table's name has"));
        assert!(refused("{day}:{table}:{id}").contains("no other braces"));
        assert_eq!("a/{table}/{id}".parse::<KeyPattern>().unwrap().to_string(), "a/{table}/{id}");
        assert_eq!(KeyPattern::default(), "{table}:{id}".parse().unwrap());
    }

    #[test]
    fn a_tombstone_is_in_the_slot_of_its_key() {
        let pattern: KeyPattern = "dim:{table}:{id}".parse().unwrap();
        for id in ["17", "a|b", "{x}", "}{", "{}", "100%", "%7B", "日本"] {
            let key = pattern.key("user", id);
            assert_eq!(Slot::for_key(&key), Slot::for_key(tombstone(&key)), "{id}");
        }
        assert_ne!(pattern.key("user", "{"), pattern.key("user", "%7B"));
    }
}
