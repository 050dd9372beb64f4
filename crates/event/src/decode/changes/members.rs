//! Walking through a JSON object or array in place: names and ends of values, nothing read that nobody asks for.

use crate::decode::json::{Input, skip};
use std::ops::Range;

/// What to do behind a member.
pub(super) enum Then {
    /// Its value ends here; the next one comes.
    On(usize),
    /// Enough is known.
    Stop,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// The object ends here.
    End(usize),
    /// It was left before its end.
    Stopped,
}

/// Shows each member of the object that begins at `at`: its name as it is written, and where its value begins.
/// `None` where that is no valid object, or `visit` says so.
pub(super) fn members<'a>(
    input: Input<'a>,
    at: usize,
    mut visit: impl FnMut(&'a str, usize) -> Option<Then>,
) -> Option<Walked> {
    let mut at = open(input, at, b'{')?;
    if input.byte(at)? == b'}' {
        return Some(Walked::End(at + 1));
    }
    loop {
        let (name, end) = skip::string(input, at)?;
        let colon = skip::blanks(input, end);
        let value = open(input, colon, b':')?;
        at = match visit(name, value)? {
            Then::On(end) => skip::blanks(input, end),
            Then::Stop => return Some(Walked::Stopped),
        };
        match input.byte(at)? {
            b',' => at = skip::blanks(input, at + 1),
            b'}' => return Some(Walked::End(at + 1)),
            _ => return None,
        }
    }
}

/// Lists the elements of the array that begins at `at`, and says where it ends.
pub(super) fn elements(input: Input<'_>, at: usize, found: &mut Vec<Range<usize>>) -> Option<usize> {
    let mut at = open(input, at, b'[')?;
    if input.byte(at)? == b']' {
        return Some(at + 1);
    }
    loop {
        let end = skip::end_of(input, at)?;
        found.push(at..end);
        at = skip::blanks(input, end);
        match input.byte(at)? {
            b',' => at = skip::blanks(input, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The value of a member of the object that begins at `at`; the last one of that name.
pub(super) fn member(input: Input<'_>, at: usize, wanted: &str) -> Option<Range<usize>> {
    let mut found = None;
    members(input, at, |name, at| {
        let end = skip::end_of(input, at)?;
        if is_named(name, wanted) {
            found = Some(at..end);
        }
        Some(Then::On(end))
    })?;
    found
}

/// Whether a name, as it is written, is this one.
pub(super) fn is_named(written: &str, name: &str) -> bool {
    written == name
        || written.contains('\\')
            && serde_json::from_str::<String>(&format!("\"{written}\"")).is_ok_and(|text| text == name)
}

/// A string without escapes, or `None` in its place for any other value; and where it ends.
pub(super) fn word(input: Input<'_>, at: usize) -> Option<(Option<&str>, usize)> {
    if input.byte(at)? != b'"' {
        return Some((None, skip::end_of(input, at)?));
    }
    let (text, end) = skip::string(input, at)?;
    Some((Some(text), end))
}

/// A value, or `None` in its place where it is `null`; and where it ends.
pub(super) fn present(input: Input<'_>, at: usize) -> Option<(Option<Range<usize>>, usize)> {
    let end = skip::end_of(input, at)?;
    Some(((input.byte(at)? != b'n').then_some(at..end), end))
}

fn open(input: Input<'_>, at: usize, bracket: u8) -> Option<usize> {
    (input.byte(at)? == bracket).then(|| skip::blanks(input, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Option<Vec<(String, String)>> {
        let mut padded = json.as_bytes().to_vec();
        padded.extend([b' '; 64]);
        let input = Input { padded: &padded, end: json.len() };
        let mut found = Vec::new();
        let walked = members(input, 0, |name, at| {
            let end = skip::end_of(input, at)?;
            found.push((name.to_owned(), json[at..end].to_owned()));
            Some(Then::On(end))
        })?;
        assert_eq!(walked, Walked::End(json.len()));
        Some(found)
    }

    #[test]
    fn members_are_shown_as_they_stand() {
        assert_eq!(names("{}"), Some(vec![]));
        assert_eq!(names("{ }"), Some(vec![]));
        let found = names(r#"{"a":1, "b" : {"c":[2]},"d\n":"x"}"#).unwrap();
        let expected = [("a", "1"), ("b", r#"{"c":[2]}"#), ("d\\n", "\"x\"")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for broken in ["", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1", "{a:1}", "[1]", "{\"a\":1 \"b\":2}"] {
            assert_eq!(names(broken), None, "{broken}");
        }
    }

    #[test]
    fn names_may_be_escaped() {
        assert!(is_named("ab", "ab") && is_named("\\u0061b", "ab") && !is_named("ab", "abc") && !is_named("\\x", "x"));
    }
}
