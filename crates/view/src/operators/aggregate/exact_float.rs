//! An exact sum of doubles: a fixed-point number wide enough for every double, of which only the part in use is kept.
//!
//! Adding is exact, so the order of the values does not matter, and taking a value back leaves no residue. Rounding
//! happens once, when the value is read. (The idea is Kulisch's long accumulator; the window keeps it small: values of
//! like magnitude need two or three limbs of the 36.)

use std::collections::VecDeque;

/// The position of the lowest bit that a double can have: 2^−1074.
const LOWEST: i32 = -1074;

/// A sum of doubles, with how many they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ExactFloat {
    /// Two's complement, lowest limb first. Limbs beneath are 0, those above repeat the sign.
    limbs: VecDeque<u64>,
    /// The number of the lowest limb kept, counted from [`LOWEST`].
    first: u32,
    count: i64,
    /// How many NaN, ∞ and −∞ are among the values.
    odd: Option<Box<[i64; 3]>>,
}

impl ExactFloat {
    /// How many values there are.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// Adds a value `weight` times.
    pub(super) fn add(&mut self, value: f64, weight: i64) {
        self.count += weight;
        if !value.is_finite() {
            return self.add_odd(value, weight);
        }
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as u32;
        let fraction = (bits & ((1 << 52) - 1)) as i64;
        // Subnormal numbers have no hidden bit and the exponent of the least normal one.
        let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        let product = i128::from(mantissa) * i128::from(weight);
        if product != 0 {
            self.add_shifted(if value.is_sign_negative() { -product } else { product }, shift);
        }
    }

    fn add_odd(&mut self, value: f64, weight: i64) {
        let odd = self.odd.get_or_insert_default();
        let which = if value.is_nan() {
            0
        } else if value > 0.0 {
            1
        } else {
            2
        };
        odd[which] += weight;
        if **odd == [0; 3] {
            self.odd = None;
        }
    }

    /// Adds `product · 2^shift`, where bit 0 stands for 2^LOWEST.
    fn add_shifted(&mut self, product: i128, shift: u32) {
        let (limb, bits) = (shift / 64, shift % 64);
        let low = (product as u128) << bits;
        let high = if bits == 0 { product >> 127 } else { product >> (128 - bits) };
        // The product takes three limbs, and a fourth has room for the carry and the sign.
        self.widen(limb, limb + 4);
        let sign = if product < 0 { u64::MAX } else { 0 };
        let parts = [low as u64, (low >> 64) as u64, high as u64];
        let mut carry = false;
        for (at, target) in self.limbs.iter_mut().enumerate().skip((limb - self.first) as usize) {
            let part = parts.get(at - (limb - self.first) as usize).copied().unwrap_or(sign);
            let (sum, first) = target.overflowing_add(part);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*target, carry) = (sum, first || second);
        }
        self.trim();
    }

    /// Makes the window hold the limbs from `from` to before `to`, and one more for the sign.
    fn widen(&mut self, from: u32, to: u32) {
        if self.limbs.is_empty() {
            self.first = from;
        }
        while self.first > from {
            self.limbs.push_front(0);
            self.first -= 1;
        }
        let sign = if self.is_negative() { u64::MAX } else { 0 };
        let wanted = (to - self.first) as usize;
        // One limb beyond the present ones keeps the carry of the addition.
        let wanted = wanted.max(self.limbs.len() + 1);
        self.limbs.resize(wanted, sign);
    }

    /// Drops the limbs that say nothing, so that equal sums have equal limbs.
    fn trim(&mut self) {
        while let Some((below, top)) = self.last_two() {
            let sign = if below >> 63 == 1 { u64::MAX } else { 0 };
            if top != sign {
                break;
            }
            self.limbs.pop_back();
        }
        while self.limbs.front() == Some(&0) {
            self.limbs.pop_front();
            self.first += 1;
        }
        if self.limbs.is_empty() {
            self.first = 0;
        }
    }

    fn last_two(&self) -> Option<(u64, u64)> {
        let len = self.limbs.len();
        (len >= 2).then(|| (self.limbs[len - 2], self.limbs[len - 1]))
    }

    fn is_negative(&self) -> bool {
        self.limbs.back().is_some_and(|&top| top >> 63 == 1)
    }

    /// The sum, rounded to the nearest double (ties to even).
    pub(super) fn value(&self) -> f64 {
        match self.odd.as_deref() {
            Some(&[nan, plus, minus]) if nan != 0 || (plus != 0 && minus != 0) => return f64::NAN,
            Some(&[_, plus, _]) => return if plus != 0 { f64::INFINITY } else { f64::NEG_INFINITY },
            None => {}
        }
        let negative = self.is_negative();
        let value = self.magnitude();
        if negative { -value } else { value }
    }

    fn magnitude(&self) -> f64 {
        let limbs = self.absolute();
        let Some(top) = limbs.iter().rposition(|&limb| limb != 0) else { return 0.0 };
        let bits = top as u32 * 64 + 64 - limbs[top].leading_zeros();
        // The upper 64 bits, the lowest of which also stands for everything beneath.
        let drop = bits.saturating_sub(64);
        let (limb, shift) = ((drop / 64) as usize, drop % 64);
        let mut upper = limbs[limb] >> shift;
        if shift > 0 {
            upper |= limbs.get(limb + 1).copied().unwrap_or(0) << (64 - shift);
        }
        let beneath = limbs[..limb].iter().any(|&limb| limb != 0) || (shift > 0 && limbs[limb] << (64 - shift) != 0);
        round(upper, beneath, (self.first * 64 + drop) as i32 + LOWEST)
    }

    fn absolute(&self) -> Vec<u64> {
        let mut limbs: Vec<u64> = self.limbs.iter().copied().collect();
        if self.is_negative() {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        limbs
    }

    /// The stored form: count, NaN, ∞, −∞, number of the first limb, limbs.
    pub(super) fn write_to(&self, bytes: &mut Vec<u8>) {
        let odd = self.odd.as_deref().copied().unwrap_or_default();
        for word in [self.count, odd[0], odd[1], odd[2], i64::from(self.first)] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.limbs.iter().for_each(|limb| bytes.extend_from_slice(&limb.to_le_bytes()));
    }

    /// Reads the stored form.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let (head, limbs) = words.split_first_chunk::<5>()?;
        let [count, nan, plus, minus, first] = head.map(i64::from_le_bytes);
        let odd = (nan != 0 || plus != 0 || minus != 0).then(|| Box::new([nan, plus, minus]));
        let limbs = limbs.iter().map(|&limb| u64::from_le_bytes(limb)).collect();
        Some(Self { limbs, first: u32::try_from(first).ok()?, count, odd })
    }
}

/// `upper · 2^exponent` as a double; `beneath` tells that bits were cut off below.
fn round(upper: u64, beneath: bool, exponent: i32) -> f64 {
    let bits = 64 - upper.leading_zeros() as i32;
    // A double has 53 bits; the exponent is LOWEST at least, so none of them is too low.
    let cut = (bits - 53).max(0) as u32;
    let kept = upper >> cut;
    let rest = upper & !(u64::MAX << cut);
    let half = if cut == 0 { 0 } else { 1 << (cut - 1) };
    let up = cut > 0 && (rest > half || (rest == half && (beneath || kept & 1 == 1)));
    let mantissa = kept + u64::from(up);
    scale(mantissa, exponent + cut as i32)
}

/// `mantissa · 2^exponent`, exact or infinite, for a mantissa of at most 53 bits and an exponent from LOWEST.
fn scale(mantissa: u64, exponent: i32) -> f64 {
    let bits = 64 - mantissa.leading_zeros() as i32;
    if bits + exponent > 1024 {
        return f64::INFINITY;
    }
    // 2^exponent itself may be out of range, so it is put on in two steps; neither rounds.
    let half = exponent / 2;
    mantissa as f64 * power(half) * power(exponent - half)
}

fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
