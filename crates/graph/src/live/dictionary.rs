//! Texts of attributes, each kept once for as long as some row has it.

use hashbrown::HashMap;
use std::sync::Arc;

/// Texts with small numbers, counted by use.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    texts: Vec<Option<Arc<str>>>,
    uses: Vec<u32>,
    free: Vec<u32>,
    codes: HashMap<Arc<str>, u32>,
}

impl Dictionary {
    /// The code of a text, which has one use more from here on.
    pub(super) fn hold(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            self.uses[code as usize] += 1;
            return code;
        }
        let code = self.free.pop().unwrap_or_else(|| {
            self.texts.push(None);
            self.uses.push(0);
            u32::try_from(self.texts.len() - 1).expect("an attribute has fewer than 2^32 texts")
        });
        let text: Arc<str> = text.into();
        self.codes.insert(Arc::clone(&text), code);
        self.texts[code as usize] = Some(text);
        self.uses[code as usize] = 1;
        code
    }

    /// Takes back a use; a text without uses is forgotten.
    pub(super) fn release(&mut self, code: u32) {
        let uses = &mut self.uses[code as usize];
        *uses -= 1;
        if *uses == 0 {
            let text = self.texts[code as usize].take().expect("a code in use has its text");
            self.codes.remove(&text);
            self.free.push(code);
        }
    }

    /// The text of a code that is in use.
    pub(super) fn text(&self, code: u32) -> Option<&Arc<str>> {
        self.texts.get(code as usize)?.as_ref()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().flatten().map(|text| text.len() + 16).sum();
        texts
            + self.texts.capacity() * (size_of::<Option<Arc<str>>>() + 2 * size_of::<u32>())
            + self.codes.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_there_while_it_is_used() {
        let mut texts = Dictionary::default();
        let (red, blue) = (texts.hold("red"), texts.hold("blue"));
        assert_eq!((texts.hold("red"), texts.text(blue).unwrap().as_ref()), (red, "blue"));
        texts.release(red);
        assert_eq!(texts.text(red).unwrap().as_ref(), "red");
        texts.release(red);
        assert_eq!((texts.text(red), texts.codes.len()), (None, 1));
        assert_eq!(texts.hold("green"), red, "a free code is used again");
    }
}
