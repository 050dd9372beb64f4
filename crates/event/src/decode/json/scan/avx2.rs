//! The same questions with AVX2. Only asked from functions that are compiled for it, behind a check of the machine.

use super::{Literal, Scan, Window};
use std::arch::x86_64::*;

/// For x86-64 machines since about 2013.
#[derive(Debug)]
pub(in crate::decode::json) struct Avx2;

/// Moves the first `len` bytes of sixteen to the end and fills with zeros before: 16 − len zeros, then 0, 1, 2 …
const TO_THE_END: [u8; 32] = {
    let mut order = [0x80; 32];
    let mut at = 0;
    while at < 16 {
        order[16 + at] = at as u8;
        at += 1;
    }
    order
};

impl Scan for Avx2 {
    #[inline(always)]
    fn begins_with(window: &Window, literal: &Literal) -> bool {
        // SAFETY: both loads read the 32 bytes of an array; callers have checked the machine for AVX2.
        let equal = unsafe {
            let read = _mm256_loadu_si256(window.as_ptr().cast());
            let wanted = _mm256_loadu_si256(literal.bytes.as_ptr().cast());
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(read, wanted)) as u32
        };
        !equal & literal.mask == 0
    }

    #[inline(always)]
    fn specials(window: &Window) -> u32 {
        // SAFETY: the load reads the 32 bytes of an array; callers have checked the machine for AVX2.
        unsafe {
            let read = _mm256_loadu_si256(window.as_ptr().cast());
            let quote = _mm256_cmpeq_epi8(read, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(read, _mm256_set1_epi8(b'\\' as i8));
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(read, _mm256_set1_epi8(0x1f)), read);
            _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, backslash), control)) as u32
        }
    }

    #[inline(always)]
    fn digits(bytes: &[u8; 16]) -> usize {
        // SAFETY: the load reads the 16 bytes of an array; callers have checked the machine for AVX2.
        let others = unsafe {
            let value = _mm_sub_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), _mm_set1_epi8(b'0' as i8));
            let digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
            !(_mm_movemask_epi8(digit) as u32)
        };
        // Bits from 16 on are set, so this is 16 at the most.
        others.trailing_zeros() as usize
    }

    #[inline(always)]
    fn number(bytes: &[u8; 16], len: usize) -> u64 {
        let order: &[u8; 16] = TO_THE_END[len..].first_chunk().expect("a number has 1 to 16 digits");
        // SAFETY: the loads read the 16 bytes of arrays; callers have checked the machine for AVX2, which has SSSE3 and
        // SSE4.1 in it.
        let halves = unsafe {
            let digits = _mm_subs_epu8(_mm_loadu_si128(bytes.as_ptr().cast()), _mm_set1_epi8(b'0' as i8));
            let digits = _mm_shuffle_epi8(digits, _mm_loadu_si128(order.as_ptr().cast()));
            let twos = _mm_maddubs_epi16(digits, _mm_set1_epi16(0x010a));
            let fours = _mm_madd_epi16(twos, _mm_set1_epi32(0x0001_0064));
            let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), _mm_set1_epi32(0x0001_2710));
            _mm_cvtsi128_si64(eights) as u64
        };
        (halves & 0xffff_ffff) * 100_000_000 + (halves >> 32)
    }
}
