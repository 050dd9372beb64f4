//! Which field of a record belongs to which column: read from the header once, and again only where it changes.

use super::fields::Fields;

/// A header and what it means for the wanted columns.
#[derive(Debug)]
pub(super) struct Header {
    /// Its bytes, by which a chunk's header is known to be this one.
    pub(super) raw: Box<[u8]>,
    /// How many fields it names.
    pub(super) fields: usize,
    /// For each wanted column its field.
    pub(super) columns: Vec<usize>,
    /// Why no record under it can be read.
    flaw: Option<String>,
}

impl Header {
    pub(super) fn read(raw: &[u8], wanted: &[String], fields: &mut Fields) -> Self {
        let text = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
        let mut records = fields.records();
        if fields.next(text, &mut records).is_none() {
            let flaw = Some("there is no header".into());
            return Self { raw: raw.into(), fields: 0, columns: vec![], flaw };
        }
        let names: Vec<_> =
            (0..fields.len()).map(|at| String::from_utf8_lossy(fields.bytes(at)).into_owned()).collect();
        let (columns, flaw) = match wanted.iter().map(|column| find(column, &names)).collect() {
            Ok(columns) => (columns, None),
            Err(flaw) => (vec![], Some(flaw)),
        };
        Self { raw: raw.into(), fields: names.len(), columns, flaw }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.flaw.clone().map_or(Ok(()), Err)
    }
}

/// The field of that name: the very same, or the only one that differs in case (or in blanks around it) alone.
fn find(column: &str, names: &[String]) -> Result<usize, String> {
    let all = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
        names.iter().enumerate().filter(|(_, name)| same(name)).map(|(at, _)| at).collect()
    };
    let mut found = all(&|name| name == column);
    if found.is_empty() {
        found = all(&|name| name.trim().eq_ignore_ascii_case(column));
    }
    match found[..] {
        [field] => Ok(field),
        [] => Err(format!("column \"{column}\" is not in the header")),
        _ => Err(format!("column \"{column}\" is in the header more than once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, wanted: &[&str]) -> Result<Vec<usize>, String> {
        let wanted: Vec<_> = wanted.iter().map(|&name| name.to_owned()).collect();
        let header = Header::read(raw.as_bytes(), &wanted, &mut Fields::default());
        header.check().map(|()| header.columns)
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(read("a,b,c", &["c", "a"]), Ok(vec![2, 0]));
        assert_eq!(read("\u{feff}a,\"b,b\"", &["a", "b,b"]), Ok(vec![0, 1]));
        assert_eq!(read("InvoiceNo, Price", &["invoiceno", "price"]), Ok(vec![0, 1]));
        assert_eq!(read("id,ID", &["ID"]), Ok(vec![1]));
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(read("a,b", &["a", "x"]), Err("column \"x\" is not in the header".into()));
        assert_eq!(read("id,Id", &["ID"]), Err("column \"ID\" is in the header more than once".into()));
        assert_eq!(read("a,a", &["a"]), Err("column \"a\" is in the header more than once".into()));
        assert_eq!(read("", &["a"]), Err("there is no header".into()));
    }
}
