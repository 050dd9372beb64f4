//! Lays JSON text out in lines for people. The tokens stay as they are: a decimal keeps every digit.

/// JSON text with line breaks and indents of two spaces.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let (mut in_string, mut escaped, mut opened) = (false, false, false);
    for c in json.chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        let closes = matches!(c, '}' | ']');
        if c.is_ascii_whitespace() {
            continue;
        }
        if closes {
            depth -= 1;
        }
        if opened != closes {
            // The first member after an opening, or a closing after a last member: a new line. Empty ones stay closed.
            new_line(&mut out, depth);
        }
        opened = matches!(c, '{' | '[');
        match c {
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(c),
        }
        in_string = c == '"';
        depth += usize::from(opened);
    }
    out.push('\n');
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn lines_as_serde_makes_them_with_tokens_untouched() {
        let value = serde_json::json!({"a": [1, {"b": "x, {\"y\": \\"}], "c": {}, "d": [], "e": [[]], "f": "]"});
        let expected = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(pretty(&value.to_string()), expected);
        assert_eq!(pretty(&expected), expected);
        assert_eq!(pretty("{\"n\":1.2300}"), "{\n  \"n\": 1.2300\n}\n");
    }
}
