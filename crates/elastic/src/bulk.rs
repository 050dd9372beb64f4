//! Bulk requests as bytes: an action line and, for a document, the document's line, one item after another.

use bytes::{BufMut, Bytes, BytesMut};
use std::collections::HashMap;
use std::ops::Range;

/// What a bulk request asks for one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The document's id.
    pub(crate) id: Box<str>,
    /// Both lines within the body.
    lines: Range<usize>,
    /// Where the document begins; the end of `lines` for a delete.
    document: usize,
}

impl Item {
    /// Whether the document is to go.
    pub(crate) fn is_delete(&self) -> bool {
        self.document == self.lines.end
    }
}

/// A bulk request that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    body: BytesMut,
    items: Vec<Item>,
    places: HashMap<Box<str>, usize>,
    /// Bytes of items that a later version has replaced.
    replaced: usize,
}

impl Batch {
    /// Adds a write of `document`, or a delete. An earlier write of the same id is left out: both would be acknowledged
    /// together, and the later version stands.
    pub(crate) fn push(&mut self, index: &str, id: &str, version: u64, document: Option<&[u8]>) {
        let start = self.body.len();
        let action = if document.is_some() { "index" } else { "delete" };
        self.body.put_slice(b"{\"");
        self.body.put_slice(action.as_bytes());
        self.body.put_slice(b"\":{\"_index\":\"");
        // Names of indexes have no signs that JSON would escape.
        self.body.put_slice(index.as_bytes());
        self.body.put_slice(b"\",\"_id\":");
        serde_json::to_writer((&mut self.body).writer(), id).expect("text always becomes JSON");
        let tail = format!(",\"version\":{version},\"version_type\":\"external_gte\"}}}}\n");
        self.body.put_slice(tail.as_bytes());
        let at = self.body.len();
        if let Some(document) = document {
            self.body.put_slice(document);
            self.body.put_u8(b'\n');
        }
        let item = Item { id: id.into(), lines: start..self.body.len(), document: at };
        self.keep(item);
    }

    fn keep(&mut self, item: Item) {
        match self.places.get(&item.id) {
            Some(&place) => {
                self.replaced += self.items[place].lines.len();
                self.items[place] = item;
            }
            None => {
                self.places.insert(item.id.clone(), self.items.len());
                self.items.push(item);
            }
        }
    }

    /// How many documents it asks for.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Whether both ask for the same document.
    pub(crate) fn overlaps(&self, sent: &Sent) -> bool {
        let (fewer, more) = if self.places.len() < sent.places.len() {
            (&self.places, &sent.places)
        } else {
            (&sent.places, &self.places)
        };
        fewer.keys().any(|id| more.contains_key(id))
    }

    /// Ends the filling.
    pub(crate) fn close(self) -> Bulk {
        let Self { body, items, places, replaced } = self;
        let body = body.freeze();
        let bulk = Bulk { body, items, sent: Sent { places } };
        if replaced == 0 { bulk } else { bulk.compact() }
    }
}

/// The ids of a bulk request on its way.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    places: HashMap<Box<str>, usize>,
}

/// A bulk request.
#[derive(Debug)]
pub(crate) struct Bulk {
    /// What is sent.
    pub(crate) body: Bytes,
    /// What it asks for, in the order of the answer's items.
    pub(crate) items: Vec<Item>,
    sent: Sent,
}

impl Bulk {
    /// Takes out the ids, for who must know what is on its way.
    pub(crate) fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    /// The same request for some of its items alone.
    pub(crate) fn only(&self, items: impl IntoIterator<Item = usize>) -> Self {
        let mut body = BytesMut::new();
        let mut kept = Vec::new();
        for at in items {
            let item = &self.items[at];
            let start = body.len();
            body.put_slice(&self.body[item.lines.clone()]);
            let document = start + item.document - item.lines.start;
            kept.push(Item { id: item.id.clone(), lines: start..body.len(), document });
        }
        Self { body: body.freeze(), items: kept, sent: Sent::default() }
    }

    fn compact(mut self) -> Self {
        let sent = self.take_sent();
        Self { sent, ..self.only(0..self.items.len()) }
    }

    /// The document of an item as JSON text; `None` for a delete.
    pub(crate) fn document(&self, at: usize) -> Option<String> {
        let item = &self.items[at];
        let text = &self.body[item.document..item.lines.end];
        (!item.is_delete()).then(|| String::from_utf8_lossy(text).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bulk: &Bulk) -> &str {
        std::str::from_utf8(&bulk.body).unwrap()
    }

    #[test]
    fn a_request_is_made_of_lines() {
        let mut batch = Batch::default();
        batch.push("daily", "a\"b", 7, Some(b"{\"n\":1}"));
        batch.push("daily", "c", 7, None);
        let bulk = batch.close();
        let expected = concat!(
            r#"{"index":{"_index":"daily","_id":"a\"b","version":7,"version_type":"external_gte"}}"#,
            "\n{\"n\":1}\n",
            r#"{"delete":{"_index":"daily","_id":"c","version":7,"version_type":"external_gte"}}"#,
            "\n"
        );
        assert_eq!(text(&bulk), expected);
        assert_eq!((bulk.document(0).as_deref(), bulk.document(1)), (Some("{\"n\":1}"), None));
        assert!(bulk.items[1].is_delete() && !bulk.items[0].is_delete());
    }

    #[test]
    fn of_two_versions_the_later_one_goes() {
        let mut batch = Batch::default();
        batch.push("daily", "a", 7, Some(b"{\"n\":1}"));
        batch.push("daily", "b", 7, Some(b"{\"n\":2}"));
        batch.push("daily", "a", 8, None);
        assert_eq!(batch.len(), 2);
        let bulk = batch.close();
        assert_eq!(text(&bulk).lines().count(), 3);
        assert!(text(&bulk).starts_with(r#"{"delete":{"_index":"daily","_id":"a","version":8"#), "{bulk:?}");
        assert_eq!(bulk.document(1).as_deref(), Some("{\"n\":2}"));
    }

    #[test]
    fn some_items_are_sent_again() {
        let mut batch = Batch::default();
        for (at, id) in ["a", "b", "c"].iter().enumerate() {
            batch.push("daily", id, 1, (at != 1).then_some(b"{}".as_slice()));
        }
        let bulk = batch.close();
        let again = bulk.only([1, 2]);
        assert_eq!(again.items.iter().map(|item| &*item.id).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((again.document(0), again.document(1).as_deref()), (None, Some("{}")));
        assert!(text(&again).starts_with(r#"{"delete":{"_index":"daily","_id":"b""#));
    }

    #[test]
    fn what_is_on_its_way_is_known() {
        let mut first = Batch::default();
        first.push("daily", "a", 1, None);
        let mut second = Batch::default();
        second.push("daily", "b", 2, None);
        let sent = first.close().take_sent();
        assert!(!second.overlaps(&sent));
        second.push("daily", "a", 2, None);
        assert!(second.overlaps(&sent));
    }
}
