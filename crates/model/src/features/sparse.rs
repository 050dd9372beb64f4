//! Texts of features as LIBSVM's files have them: `name:value name:value`; a name alone has the value 1.

use crate::samples::feature;
use proxima_event::hash::{combine, hash_str};

/// Appends the features of a text. `None` when it cannot be read.
///
/// A name of digits is the number that they are, so that `007` is `7`.
pub(super) fn read(text: &[u8], namespace: u64, mask: u64, vector: &mut Vec<u64>) -> Option<()> {
    let mut rest = text;
    loop {
        while let [b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (name, after) = name(rest)?;
        let (value, after) = match after {
            [b':', after @ ..] => value(after)?,
            _ => (1.0, after),
        };
        rest = after;
        if value != 0.0 {
            vector.push(feature((combine(namespace, name) & mask) as u32, value));
        }
    }
}

/// The hash of a name, and what is behind it.
fn name(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    let mut digits = 0;
    while let Some(digit) = text.get(digits).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        // What overflows is longer than any number that anyone writes, and is read as a text below.
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        digits += 1;
    }
    match text.get(digits) {
        None | Some(b':' | b' ' | b'\t') if (1..20).contains(&digits) => Some((number, &text[digits..])),
        _ => {
            let end = text.iter().position(|byte| matches!(byte, b':' | b' ' | b'\t')).unwrap_or(text.len());
            let name = std::str::from_utf8(&text[..end]).ok().filter(|name| !name.is_empty())?;
            Some((hash_str(name), &text[end..]))
        }
    }
}

/// A number, and what is behind it.
fn value(text: &[u8]) -> Option<(f32, &[u8])> {
    // Nearly all values are a single digit.
    if let [digit @ b'0'..=b'9', rest @ ..] = text
        && matches!(rest, [] | [b' ' | b'\t', ..])
    {
        return Some((f32::from(digit - b'0'), rest));
    }
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    let value: f32 = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    value.is_finite().then_some((value, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{slot_of, value_of};

    fn features(text: &str) -> Option<Vec<(usize, f32)>> {
        let mut vector = Vec::new();
        read(text.as_bytes(), 5, u64::from(u32::MAX), &mut vector)?;
        Some(vector.into_iter().map(|x| (slot_of(x), value_of(x))).collect())
    }

    fn slot(hash: u64) -> usize {
        (combine(5, hash) & u64::from(u32::MAX)) as usize
    }

    #[test]
    fn numbers_and_names_with_and_without_values() {
        let read = features(" 3:1  11:0.25\tcolour:-2e1 red 5:0 ").unwrap();
        let expected =
            [(slot(3), 1.0), (slot(11), 0.25), (slot(hash_str("colour")), -20.0), (slot(hash_str("red")), 1.0)];
        assert_eq!(read, expected);
        assert_eq!(features(""), Some(vec![]));
        assert_eq!(features("007"), features("7"));
        let long = "123456789012345678901234567890";
        assert_eq!(features(long), Some(vec![(slot(hash_str(long)), 1.0)]));
        assert_eq!(features("3d:1"), Some(vec![(slot(hash_str("3d")), 1.0)]));
    }

    #[test]
    fn what_is_no_feature_is_refused() {
        for bad in [":1", "3:", "3:x", "3:nan", "3:1e99", "3:1 :"] {
            assert_eq!(features(bad), None, "{bad:?}");
        }
    }
}
