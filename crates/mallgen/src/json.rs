//! JSON text, written field by field in the order of the calls: decimals keep every digit.

use crate::clock;
use crate::clock::Millis;
use chrono::NaiveDate;
use std::io::Write;

/// An object that is being written.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`; [`Object::close`] ends it.
    pub fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Ends the object.
    pub fn close(self) {
        self.out.push(b'}');
    }

    /// The name of the next field; its value is written to what this gives.
    pub fn field(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        write_text(self.field(name), value);
        self
    }

    /// A text, or null.
    pub fn text_or_null(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    /// A whole number.
    pub fn int(&mut self, name: &str, value: i64) -> &mut Self {
        write_int(self.field(name), value);
        self
    }

    /// A whole number, or null.
    pub fn int_or_null(&mut self, name: &str, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.int(name, value),
            None => self.null(name),
        }
    }

    /// An amount of cents as a decimal with two digits.
    pub fn cents(&mut self, name: &str, value: i64) -> &mut Self {
        write_cents(self.field(name), value);
        self
    }

    /// A truth.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.field(name).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// Nothing.
    pub fn null(&mut self, name: &str) -> &mut Self {
        self.field(name).extend_from_slice(b"null");
        self
    }

    /// A date.
    pub fn date(&mut self, name: &str, value: NaiveDate) -> &mut Self {
        let out = self.field(name);
        out.push(b'"');
        clock::write_date(out, value).expect("memory takes all that is written");
        out.push(b'"');
        self
    }

    /// A moment on the shop's clock, as documents show it, or null.
    pub fn moment(&mut self, name: &str, value: Option<Millis>) -> &mut Self {
        self.text_or_null(name, value.map(clock::iso).as_deref())
    }

    /// An object within this one.
    pub fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::open(self.field(name));
        write(&mut inner);
        inner.close();
        self
    }

    /// A list of objects, one for each item.
    pub fn objects<T>(&mut self, name: &str, items: &[T], mut write: impl FnMut(&mut Object<'_>, &T)) -> &mut Self {
        let out = self.field(name);
        out.push(b'[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            let mut inner = Object::open(out);
            write(&mut inner, item);
            inner.close();
        }
        out.push(b']');
        self
    }
}

/// Appends a text with its quotes.
pub fn write_text(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, value).expect("a text is always written to memory");
    }
}

/// Appends a whole number.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").expect("memory takes all that is written");
}

/// Appends an amount of cents as a decimal.
pub fn write_cents(out: &mut Vec<u8>, value: i64) {
    let sign = if value < 0 { "-" } else { "" };
    let cents = value.unsigned_abs();
    write!(out, "{sign}{}.{:02}", cents / 100, cents % 100).expect("memory takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text("a", "x\"y").int("b", -3).cents("c", -105).null("d").boolean("e", true);
        object.object("f", |inner| {
            inner.int("g", 1);
        });
        object.objects("h", &[1, 2], |inner, item| {
            inner.int("i", *item);
        });
        object.close();
        let text = String::from_utf8(out).unwrap();
        let wanted = r#"{"a":"x\"y","b":-3,"c":-1.05,"d":null,"e":true,"f":{"g":1},"h":[{"i":1},{"i":2}]}"#;
        assert_eq!(text, wanted);
    }
}
