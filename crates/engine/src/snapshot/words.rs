//! Numbers of eight bytes as fewer bytes: as wide as the greatest of them or, where that is less, packed to the bits in
//! which they differ.
//!
//! State is written each second, so this must cost little: a nanosecond or two for each number. It is most of what
//! makes keys and counts small; compression behind it would cost ten times as much for a part of that.

/// What the width of packed numbers begins with; their bits are added to it.
const PACKED: u8 = 0x80;
/// Numbers that differ in more bits than these are not packed.
const BITS_MAX: u32 = u32::BITS;
/// Bytes of the base and the unit.
const HEAD_BYTES: usize = 2 * size_of::<u64>();

/// Appends the width of some numbers and the numbers.
pub(super) fn put(words: &[u64], out: &mut Vec<u8>) {
    let (least, greatest) =
        words.iter().fold((u64::MAX, 0), |(least, greatest), &word| (word.min(least), word.max(greatest)));
    let width = match greatest {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let (rows, plain) = (words.len(), words.len() * width);
    // So many bits at the least, if each number is its distance from the least.
    if plain > HEAD_BYTES + 1 {
        let unit = unit(words, least);
        let bits = u64::BITS - ((greatest - least) / unit).leading_zeros();
        if bits <= BITS_MAX && HEAD_BYTES + packed_bytes(rows, bits) < plain {
            return put_packed(words, (least, unit, bits), out);
        }
    }
    out.push(width as u8);
    let start = out.len();
    out.resize(start + plain, 0);
    let (out, words) = (&mut out[start..], words.iter());
    match width {
        0 => {}
        1 => out.iter_mut().zip(words).for_each(|(byte, word)| *byte = *word as u8),
        2 => out.as_chunks_mut().0.iter_mut().zip(words).for_each(|(at, word)| *at = (*word as u16).to_le_bytes()),
        4 => out.as_chunks_mut().0.iter_mut().zip(words).for_each(|(at, word)| *at = (*word as u32).to_le_bytes()),
        _ => out.as_chunks_mut().0.iter_mut().zip(words).for_each(|(at, word)| *at = word.to_le_bytes()),
    }
}

/// What all distances from the least number are multiples of.
fn unit(words: &[u64], least: u64) -> u64 {
    let (mut unit, mut divisor) = (0, Divisor::new(1));
    for distance in words.iter().map(|word| word - least) {
        if distance != 0 && (unit == 0 || divisor.divide(distance).is_none()) {
            unit = greatest_divisor(distance, unit);
            if unit == 1 {
                break;
            }
            divisor = Divisor::new(unit);
        }
    }
    unit.max(1)
}

fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Divides without the processor's division, which takes longer than all else that is done to a number.
#[derive(Clone, Copy)]
struct Divisor {
    zeros: u32,
    /// Modulo 2⁶⁴, of the odd part.
    inverse: u64,
    /// The greatest quotient by the odd part.
    most: u64,
}

impl Divisor {
    fn new(by: u64) -> Self {
        let (zeros, odd) = (by.trailing_zeros(), by >> by.trailing_zeros());
        // Newton's way to the inverse: an odd number is its own in three bits, and each step doubles them.
        let inverse = (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Self { zeros, inverse, most: u64::MAX / odd }
    }

    /// The quotient, where the number is a multiple: by an odd number multiples alone have one that is not too great.
    #[inline(always)]
    fn divide(self, number: u64) -> Option<u64> {
        let quotient = self.multiple(number);
        (number & ((1 << self.zeros) - 1) == 0 && quotient <= self.most).then_some(quotient)
    }

    /// The quotient of a number that is a multiple.
    #[inline(always)]
    fn multiple(self, number: u64) -> u64 {
        (number >> self.zeros).wrapping_mul(self.inverse)
    }
}

/// How many bytes numbers of so many bits take without gaps.
pub(super) fn packed_bytes(rows: usize, bits: u32) -> usize {
    (rows * bits as usize).div_ceil(8)
}

fn put_packed(words: &[u64], (least, unit, bits): (u64, u64, u32), out: &mut Vec<u8>) {
    out.push(PACKED + bits as u8);
    out.extend_from_slice(&least.to_le_bytes());
    out.extend_from_slice(&unit.to_le_bytes());
    if bits > 0 {
        let divisor = Divisor::new(unit);
        put_bits(words.iter().map(|word| divisor.multiple(word - least)), bits, out);
    }
}

/// Appends numbers of at most 32 bits: the least bits first, without gaps.
pub(super) fn put_bits(numbers: impl ExactSizeIterator<Item = u64>, bits: u32, out: &mut Vec<u8>) {
    let mut at = out.len();
    out.resize(at + packed_bytes(numbers.len(), bits), 0);
    let (mut held, mut count) = (0u64, 0);
    for number in numbers {
        held |= number << count;
        count += bits;
        if count >= u32::BITS {
            out[at..at + 4].copy_from_slice(&(held as u32).to_le_bytes());
            at += 4;
            held >>= u32::BITS;
            count -= u32::BITS;
        }
    }
    let left = out.len() - at;
    out[at..].copy_from_slice(&held.to_le_bytes()[..left]);
}

/// One of the numbers of [`put_bits`].
pub(super) fn bits_at(packed: &[u8], row: usize, bits: usize) -> u64 {
    let at = row * bits;
    let from = &packed[at / 8..];
    number(&from[..from.len().min(8)]) >> (at % 8) & ((1 << bits) - 1)
}

/// How many bytes some numbers take behind their width; `None` where no number is so wide.
pub(super) fn bytes(width: u8, rows: usize) -> Option<usize> {
    match width {
        0..=8 => rows.checked_mul(usize::from(width)),
        _ => {
            let bits = u32::from(width.checked_sub(PACKED)?);
            rows.checked_mul(bits as usize).filter(|_| bits <= BITS_MAX)?;
            Some(HEAD_BYTES + packed_bytes(rows, bits))
        }
    }
}

/// Some numbers behind their width, and the bytes behind them; `None` where they are cut short.
pub(super) fn take(rows: usize, from: &[u8]) -> Option<(Vec<u64>, &[u8])> {
    let (&width, rest) = from.split_first()?;
    let (taken, rest) = rest.split_at_checked(bytes(width, rows)?)?;
    Some((read(width, rows, taken), rest))
}

/// The numbers whose [`bytes`] these are.
pub(super) fn read(width: u8, rows: usize, bytes: &[u8]) -> Vec<u64> {
    match width {
        0 => vec![0; rows],
        1..=8 => bytes.chunks_exact(usize::from(width)).map(number).collect(),
        _ => {
            let (head, packed) = bytes.split_at(HEAD_BYTES);
            let (least, unit) = (number(&head[..8]), number(&head[8..]));
            let bits = usize::from(width - PACKED);
            let distance = |row| bits_at(packed, row, bits);
            (0..rows).map(|row| least.wrapping_add(distance(row).wrapping_mul(unit))).collect()
        }
    }
}

/// At most eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words() -> impl Strategy<Value = Vec<u64>> {
        let of = |bits: u32| prop::collection::vec(0..=u64::MAX >> (64 - bits), 0..70);
        let distances = prop_oneof![Just(1), Just(7), Just(20), Just(32), Just(33), Just(64)].prop_flat_map(of);
        let unit = prop_oneof![Just(1_u64), Just(60_000), 1..1_000_000_u64];
        (distances, unit, prop_oneof![Just(0), any::<u64>()]).prop_map(|(distances, unit, least)| {
            distances.into_iter().map(|distance| least.wrapping_add(distance.wrapping_mul(unit))).collect()
        })
    }

    proptest! {
        #[test]
        fn numbers_come_back(words in words()) {
            let mut out = vec![9];
            put(&words, &mut out);
            let width = out[1];
            prop_assert_eq!(bytes(width, words.len()), Some(out.len() - 2));
            prop_assert_eq!(read(width, words.len(), &out[2..]), words);
        }
    }

    proptest! {
        #[test]
        fn multiples_alone_have_a_quotient(number in any::<u64>(), by in prop_oneof![1..5000_u64, 1..=u64::MAX]) {
            let divisor = Divisor::new(by);
            prop_assert_eq!(divisor.divide(number), (number % by == 0).then_some(number / by));
            let multiple = number / by * by;
            prop_assert_eq!(divisor.divide(multiple), Some(multiple / by));
        }
    }

    #[test]
    fn no_number_is_of_another_width() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|&width| bytes(width, 3).is_some()).collect();
        assert_eq!(known, (0..=8).chain(0x80..=0xa0).collect::<Vec<u8>>());
        assert_eq!(bytes(8, usize::MAX), None);
        assert_eq!(bytes(0xa0, usize::MAX), None);
    }
}
