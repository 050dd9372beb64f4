//! How text is cut into words for `match`: runs of letters and digits, lower case, each Han or Kana sign by itself.

use std::collections::HashSet;
use tantivy::tokenizer::{LowerCaser, TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};

/// The analyser's name in tantivy's schema.
pub(crate) const WORDS: &str = "proxima_words";

/// Longer runs are cut: nobody searches for them, and each would be a term of its own.
const BYTES_MAX: usize = 255;

/// The analysers that an index needs; to be set on every handle that reads or writes it.
pub(crate) fn analysers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(WORDS, TextAnalyzer::builder(Words::default()).filter(LowerCaser).build());
    manager
}

/// The words of a text as they are indexed.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let mut analyser = TextAnalyzer::builder(Words::default()).filter(LowerCaser).build();
    let mut stream = analyser.token_stream(text);
    let mut words = Vec::new();
    while let Some(token) = stream.next() {
        words.push(token.text.clone());
    }
    words
}

/// The text with marks around the words that are wanted; `None` when it has none of them.
pub(crate) fn mark(text: &str, wanted: &HashSet<String>, before: &str, after: &str) -> Option<String> {
    let mut analyser = TextAnalyzer::builder(Words::default()).filter(LowerCaser).build();
    let mut stream = analyser.token_stream(text);
    let (mut marked, mut end) = (String::new(), 0);
    while let Some(token) = stream.next() {
        if wanted.contains(&token.text) {
            marked.push_str(&text[end..token.offset_from]);
            marked.extend([before, &text[token.offset_from..token.offset_to], after]);
            end = token.offset_to;
        }
    }
    (end > 0).then(|| marked + &text[end..])
}

#[derive(Clone, Default)]
struct Words {
    token: Token,
}

struct WordStream<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { text, at: 0, token: &mut self.token }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(skipped) = self.text[self.at..].find(char::is_alphanumeric) else {
            self.at = self.text.len();
            return false;
        };
        let from = self.at + skipped;
        let to = from + word_length(&self.text[from..]);
        self.at = to;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.text.clear();
        self.token.text.push_str(&self.text[from..to]);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The length of the word that the text begins with.
fn word_length(text: &str) -> usize {
    let mut length = 0;
    for sign in text.chars() {
        let alone = stands_alone(sign);
        if length > 0 && (alone || !sign.is_alphanumeric() || length + sign.len_utf8() > BYTES_MAX) {
            break;
        }
        length += sign.len_utf8();
        if alone {
            break;
        }
    }
    length
}

/// Scripts that put no space between words: without a dictionary each sign is a word.
fn stands_alone(sign: char) -> bool {
    matches!(u32::from(sign), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_what_is_no_letter_or_digit() {
        assert_eq!(words_of("WHITE hanging, T-Light 85123A!"), ["white", "hanging", "t", "light", "85123a"]);
        assert_eq!(words_of(" .,- "), Vec::<String>::new());
        assert_eq!(words_of("Ärger über Öl"), ["ärger", "über", "öl"]);
    }

    #[test]
    fn signs_without_spaces_stand_alone() {
        assert_eq!(words_of("小米10 手机pro"), ["小", "米", "10", "手", "机", "pro"]);
    }

    #[test]
    fn wanted_words_are_marked_as_they_are_written() {
        let wanted = ["t".to_owned(), "机".to_owned()].into();
        assert_eq!(mark("T-Light t.", &wanted, "<em>", "</em>").unwrap(), "<em>T</em>-Light <em>t</em>.");
        assert_eq!(mark("小手机!", &wanted, "[", "]").unwrap(), "小手[机]!");
        assert_eq!(mark("Lantern", &wanted, "[", "]"), None);
    }

    #[test]
    fn long_runs_are_cut() {
        let words = words_of(&"é".repeat(200));
        assert_eq!(words.iter().map(String::len).collect::<Vec<_>>(), [254, 146]);
    }
}
