//! The members of a JSON object in the order in which they are written.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// The members of an object, in their order. What their values are says how much of the text is read: a `RawValue` keeps
/// every digit.
#[derive(Clone, Debug)]
pub struct Members<V>(pub Vec<(String, V)>);

impl<V> Members<V> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The value of a name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.0.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Sets the value of a name: in the place of the one that it had, else at the end.
    pub fn insert(&mut self, name: String, value: V) {
        match self.get_mut(&name) {
            Some(known) => *known = value,
            None => self.0.push((name, value)),
        }
    }
}

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> FromIterator<(String, V)> for Members<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<V: Serialize> Serialize for Members<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect()
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn members_keep_their_order_and_their_digits() {
        let text = r#"{"z":58960.790,"a":{"c":1,"b":12345678901234567890.10}}"#;
        let mut members: Members<&RawValue> = serde_json::from_str(text).expect("JSON");
        assert_eq!(serde_json::to_string(&members).expect("texts"), text);
        assert_eq!((members.get("z").map(|value| value.get()), members.get("b").is_some()), (Some("58960.790"), false));
        let nothing: &RawValue = serde_json::from_str("null").expect("JSON");
        members.insert("z".to_owned(), nothing);
        members.insert("m".to_owned(), nothing);
        let changed = r#"{"z":null,"a":{"c":1,"b":12345678901234567890.10},"m":null}"#;
        assert_eq!(serde_json::to_string(&members).expect("texts"), changed);
    }
}
