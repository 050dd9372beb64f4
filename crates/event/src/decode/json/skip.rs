//! Passing over a value of any kind: finds its end, and accepts exactly what the general way accepts.

use super::scan::{Portable, Scan, WINDOW};

/// Nesting of passed-over values at the most; deeper ones go the general way, which needs no stack for them.
const DEPTH_MAX: usize = 64;

/// The records that may be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::decode) struct Input<'a> {
    /// The chunk with its slack, so that a window can be taken at each byte of a record.
    pub(in crate::decode) padded: &'a [u8],
    /// Where the records end that are known to be UTF-8.
    pub(in crate::decode) end: usize,
}

impl<'a> Input<'a> {
    #[inline(always)]
    pub(super) fn window<const N: usize>(self, at: usize) -> Option<&'a [u8; N]> {
        self.padded.get(at..)?.first_chunk()
    }

    /// The byte at a place, if it belongs to a record.
    #[inline(always)]
    pub(in crate::decode) fn byte(self, at: usize) -> Option<u8> {
        if at < self.end { self.padded.get(at).copied() } else { None }
    }

    /// The text between two places that ASCII bytes border.
    #[inline(always)]
    pub(in crate::decode) fn text(self, start: usize, end: usize) -> Option<&'a str> {
        if end > self.end {
            return None;
        }
        let bytes = self.padded.get(start..end)?;
        // SAFETY: all bytes before `self.end` are lines of valid UTF-8. `start` and `end` are where a JSON token or what
        // is between its quotes begins and ends, that is beside an ASCII byte, so no character is cut.
        Some(unsafe { std::str::from_utf8_unchecked(bytes) })
    }
}

/// The end of the value that begins at `at`; `None` where there is no valid one in this line.
#[inline(always)]
pub(super) fn value<S: Scan>(input: Input<'_>, at: usize) -> Option<usize> {
    match input.byte(at)? {
        b'"' => match plain_string::<S>(input, at) {
            Some(quote) => Some(quote + 1),
            None => escaped_string(input, at),
        },
        b'0'..=b'9' | b'-' => number::<S>(input, at),
        _ => other(input, at, 0),
    }
}

/// As [`value`], for those who look at few values.
pub(in crate::decode) fn end_of(input: Input<'_>, at: usize) -> Option<usize> {
    value::<Portable>(input, at)
}

/// What stands between the quotes of the string that begins at `at`, escapes as they are, and where the string ends.
pub(in crate::decode) fn string(input: Input<'_>, at: usize) -> Option<(&str, usize)> {
    let end = any_string(input, at)?;
    Some((input.text(at + 1, end - 1)?, end))
}

fn any_string(input: Input<'_>, at: usize) -> Option<usize> {
    if input.byte(at)? != b'"' {
        return None;
    }
    match plain_string::<Portable>(input, at) {
        Some(quote) => Some(quote + 1),
        None => escaped_string(input, at),
    }
}

/// The closing quote of the string without escapes that begins at `at`.
#[inline(always)]
pub(super) fn plain_string<S: Scan>(input: Input<'_>, at: usize) -> Option<usize> {
    let window = input.window::<WINDOW>(at)?;
    // The opening quote is special itself.
    let specials = S::specials(window) & !1;
    let stop =
        if specials != 0 { at + specials.trailing_zeros() as usize } else { long_string::<S>(input, at + WINDOW)? };
    (input.byte(stop)? == b'"').then_some(stop)
}

/// The next byte from `at` on that a plain string cannot hold.
#[inline(always)]
fn long_string<S: Scan>(input: Input<'_>, mut at: usize) -> Option<usize> {
    while at < input.end {
        let specials = S::specials(input.window(at)?);
        if specials != 0 {
            return Some(at + specials.trailing_zeros() as usize);
        }
        at += WINDOW;
    }
    None
}

#[inline(always)]
fn number<S: Scan>(input: Input<'_>, at: usize) -> Option<usize> {
    let window = input.window::<16>(at)?;
    let digits = S::digits(window);
    let plain = digits < 16 && !matches!(window[digits], b'.' | b'e' | b'E');
    if plain && (digits == 1 || digits > 1 && window[0] != b'0') { Some(at + digits) } else { any_number(input, at) }
}

#[cold]
fn any_number(input: Input<'_>, mut at: usize) -> Option<usize> {
    at += usize::from(input.byte(at)? == b'-');
    at = match input.byte(at)? {
        b'0' => at + 1,
        _ => digits(input, at)?,
    };
    if input.byte(at) == Some(b'.') {
        at = digits(input, at + 1)?;
    }
    if matches!(input.byte(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(input.byte(at)?, b'+' | b'-'));
        at = digits(input, at)?;
    }
    Some(at)
}

/// The end of at least one digit.
fn digits(input: Input<'_>, start: usize) -> Option<usize> {
    let mut at = start;
    while input.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
        at += 1;
    }
    (at > start).then_some(at)
}

fn escaped_string(input: Input<'_>, mut at: usize) -> Option<usize> {
    loop {
        at += 1;
        match input.byte(at)? {
            b'"' => return Some(at + 1),
            0..0x20 => return None,
            b'\\' => at = escape(input, at + 1)?,
            _ => {}
        }
    }
}

/// The last byte of what a backslash before `at` introduces.
fn escape(input: Input<'_>, at: usize) -> Option<usize> {
    match input.byte(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at),
        b'u' => (1..=4).all(|hex| input.byte(at + hex).is_some_and(|byte| byte.is_ascii_hexdigit())).then_some(at + 4),
        _ => None,
    }
}

/// Words, lists and objects, and all that lies in them.
fn other(input: Input<'_>, at: usize, depth: usize) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    match input.byte(at)? {
        b'"' => any_string(input, at),
        b'0'..=b'9' | b'-' => any_number(input, at),
        b't' => word(input, at, b"true"),
        b'f' => word(input, at, b"false"),
        b'n' => word(input, at, b"null"),
        b'[' => members(input, at, b']', |at| other(input, at, depth + 1)),
        b'{' => members(input, at, b'}', |at| {
            let colon = blanks(input, any_string(input, at)?);
            (input.byte(colon)? == b':').then(|| other(input, blanks(input, colon + 1), depth + 1))?
        }),
        _ => None,
    }
}

fn word(input: Input<'_>, at: usize, word: &[u8]) -> Option<usize> {
    let end = at + word.len();
    (end <= input.end && input.padded.get(at..end)? == word).then_some(end)
}

/// The end of a bracketed row of members, divided by commas.
fn members(input: Input<'_>, at: usize, close: u8, member: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let mut at = blanks(input, at + 1);
    if input.byte(at)? == close {
        return Some(at + 1);
    }
    loop {
        at = blanks(input, member(at)?);
        match input.byte(at)? {
            b',' => at = blanks(input, at + 1),
            byte if byte == close => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The first byte that is no blank. A line end is no blank here: a record does not go on behind it.
pub(in crate::decode) fn blanks(input: Input<'_>, mut at: usize) -> usize {
    while matches!(input.byte(at), Some(b' ' | b'\t' | b'\r')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::scan::Portable;
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn end_of(json: &str) -> Option<usize> {
        let mut padded = json.as_bytes().to_vec();
        padded.extend([b'7'; 64]);
        value::<Portable>(Input { padded: &padded, end: json.len() }, 0)
    }

    #[test]
    fn slack_is_no_part_of_a_value() {
        assert_eq!(end_of("\"open"), None);
        assert_eq!(end_of("[1,2"), None);
        assert_eq!(end_of("tru"), None);
        assert_eq!(end_of("{\"a\":[true,null,{}],\"b\":-0.5e+3}x"), Some(32));
        assert_eq!(end_of("[1,\n2]"), None);
        assert_eq!(end_of(&format!("{}{}", "[".repeat(70), "]".repeat(70))), None);
    }

    proptest! {
        /// Whatever is accepted is what `serde_json` accepts, over texts that look like JSON.
        #[test]
        fn accepts_what_serde_json_accepts(json in r#"([\[\]{}:,0-9.eE+\-" ]|true|null|"a"|\\u12ef|\\n|é|"[^"]{28,40}"){1,9}"#) {
            prop_assume!(!json.contains('\n'));
            let expected = serde_json::from_str::<&RawValue>(&json).is_ok() && !json.starts_with(' ');
            let all = end_of(&json).map(|end| json[end..].trim_start_matches([' ', '\t', '\r']).is_empty());
            // A number at the very end runs into the slack, where the end of the record must stop it.
            prop_assert_eq!(all == Some(true), expected, "{}", json);
        }
    }
}
