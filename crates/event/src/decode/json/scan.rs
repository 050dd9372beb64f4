//! Looking at 32 bytes at once: with AVX2 where the machine has it, else in words of eight bytes.

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
pub(super) use avx2::Avx2;

/// Bytes that are looked at together.
pub(super) const WINDOW: usize = 32;

/// A window of a chunk.
pub(super) type Window = [u8; WINDOW];

/// What must stand at a place: up to [`WINDOW`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: Window,
    /// A bit for each byte that counts.
    mask: u32,
    pub(super) len: usize,
}

impl Literal {
    /// # Panics
    /// When there are more bytes than a window has.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut bytes = [0; WINDOW];
        bytes[..text.len()].copy_from_slice(text);
        let mask = if text.len() == WINDOW { u32::MAX } else { (1 << text.len()) - 1 };
        Self { bytes, mask, len: text.len() }
    }
}

/// The few questions that prediction asks of bytes.
pub(super) trait Scan {
    /// Whether a window begins with a literal.
    fn begins_with(window: &Window, literal: &Literal) -> bool;

    /// A bit for each byte that a plain string cannot hold: quote, backslash, control characters.
    fn specials(window: &Window) -> u32;

    /// How many digits the bytes begin with, up to 16.
    fn digits(bytes: &[u8; 16]) -> usize;

    /// The number that the first `len` bytes write, all of them digits; `len` is 1 to 16.
    fn number(bytes: &[u8; 16], len: usize) -> u64;
}

/// For every machine: eight bytes in a word, a flag in the top bit of each.
#[derive(Debug)]
pub(super) struct Portable;

const EACH: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

impl Scan for Portable {
    #[inline(always)]
    fn begins_with(window: &Window, literal: &Literal) -> bool {
        window[..literal.len] == literal.bytes[..literal.len]
    }

    #[inline(always)]
    fn specials(window: &Window) -> u32 {
        let flags = |word: u64| {
            let quote = zero_bytes(word ^ (EACH * u64::from(b'"')));
            let backslash = zero_bytes(word ^ (EACH * u64::from(b'\\')));
            let control = zero_bytes(word & (EACH * 0xe0));
            quote | backslash | control
        };
        words(window).enumerate().fold(0, |bits, (at, word)| bits | one_bit_each(flags(word)) << (8 * at))
    }

    #[inline(always)]
    fn digits(bytes: &[u8; 16]) -> usize {
        bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    #[inline(always)]
    fn number(bytes: &[u8; 16], len: usize) -> u64 {
        bytes[..len].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'))
    }
}

fn words(window: &Window) -> impl Iterator<Item = u64> {
    window.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

/// The top bit of each byte that is zero, and of no other.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    !(((word & !TOPS) + !TOPS) | word) & TOPS
}

/// The top bits of eight bytes, next to each other.
#[inline(always)]
fn one_bit_each(tops: u64) -> u32 {
    ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive_specials(window: &Window) -> u32 {
        let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
        (0..WINDOW).filter(|&at| special(window[at])).map(|at| 1 << at).sum()
    }

    fn check<S: Scan>(window: &Window, cut: usize, changed: usize, number: u64) {
        assert_eq!(S::specials(window), naive_specials(window));
        let literal = Literal::new(&window[..cut]);
        assert!(S::begins_with(window, &literal));
        let mut other = *window;
        other[changed] ^= 1;
        assert_eq!(S::begins_with(&other, &literal), changed >= cut);
        let head: [u8; 16] = window[..16].try_into().unwrap();
        assert_eq!(S::digits(&head), head.iter().take_while(|byte| byte.is_ascii_digit()).count());
        let text = number.to_string();
        let mut bytes = head;
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        assert_eq!(S::number(&bytes, text.len()), number);
        assert!(S::digits(&bytes) >= text.len());
    }

    proptest! {
        #[test]
        fn every_way_of_looking_sees_the_same(window: Window, near in "[0-9\"\\\\\u{1}-\u{21}]{32}", cut in 0..=WINDOW, changed in 0..WINDOW, number in 0..10_u64.pow(16), short in 0_u64..1000) {
            let near: Window = near.as_bytes().try_into().unwrap();
            for window in [window, near] {
                for number in [number, short] {
                    check::<Portable>(&window, cut, changed, number);
                    #[cfg(target_arch = "x86_64")]
                    if is_x86_feature_detected!("avx2") {
                        check::<Avx2>(&window, cut, changed, number);
                    }
                }
            }
        }
    }
}
