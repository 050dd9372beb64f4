//! The fast way: expects each record to have the shape of an earlier one, checks every byte of that, and reads the
//! values where the shape says they are.
//!
//! Nothing is guessed: where a literal differs or a value is unusual the record goes the general way, which alone
//! rejects records, so both ways give the same rows and the same rejections.

use super::super::columns::{Columns, NodeId, Values};
use super::general;
#[cfg(target_arch = "x86_64")]
use super::scan::Avx2;
use super::scan::{Portable, Scan, WINDOW};
use super::shape::{Shape, Slot};
use super::skip::{self, Input};

/// Shapes that are known at a time; the one that has not been seen for longest is forgotten first.
const SHAPES_MAX: usize = 8;

/// Records of ever new shapes are not worth learning from, each time: once that many have taught nothing, only one in
/// [`LEARN_RARELY`] is.
const LESSONS_MAX: u32 = 64;
const LEARN_RARELY: u32 = 64;

/// The known shapes, the most recently seen one first.
#[derive(Debug)]
pub(in crate::decode) struct Predictor {
    shapes: Vec<Shape>,
    avx2: bool,
    /// Records learned from since a prediction held.
    lessons: u32,
}

impl Predictor {
    pub(in crate::decode) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        #[cfg(not(target_arch = "x86_64"))]
        let avx2 = false;
        Self { shapes: Vec::with_capacity(SHAPES_MAX), avx2, lessons: 0 }
    }

    /// Without the instructions of this machine: what others do, for tests.
    #[cfg(test)]
    pub(super) fn portable() -> Self {
        Self { avx2: false, ..Self::new() }
    }

    /// Reads records from `at` on as long as one of the known shapes fits, `rows` at the most. Says where it stopped,
    /// and after how many records.
    pub(in crate::decode) fn read(
        &mut self,
        columns: &mut Columns,
        input: Input<'_>,
        mut at: usize,
        rows: usize,
    ) -> (usize, usize) {
        let mut count = 0;
        'records: while count < rows && at < input.end {
            for place in 0..self.shapes.len() {
                let (next, taken) = self.run(place, columns, input, at, rows - count);
                if taken > 0 {
                    (at, count) = (next, count + taken);
                    self.lessons = 0;
                    self.shapes[..=place].rotate_right(1);
                    continue 'records;
                }
            }
            break;
        }
        (at, count)
    }

    /// Reads the object that begins at `at` if one of the known shapes fits, wherever it ends, and says where that is.
    pub(in crate::decode) fn object(&mut self, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
        for place in 0..self.shapes.len() {
            if let Some(end) = self.run_object(place, columns, input, at) {
                self.lessons = 0;
                self.shapes[..=place].rotate_right(1);
                return Some(end);
            }
        }
        None
    }

    fn run_object(&self, place: usize, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
        let shape = &self.shapes[place];
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: `avx2` is only set where the machine has all that the function is compiled for.
            return unsafe { object_avx2(shape, columns, input, at) };
        }
        object::<Portable>(shape, columns, input, at)
    }

    /// Learns from the record at `at`, which `input` ends with and which no shape fitted.
    pub(in crate::decode) fn learn(&mut self, columns: &Columns, input: Input<'_>, at: usize) {
        self.lessons = self.lessons.wrapping_add(1);
        if self.lessons > LESSONS_MAX && !self.lessons.is_multiple_of(LEARN_RARELY) {
            return;
        }
        if let Some(shape) = Shape::learn(columns, input, at) {
            self.shapes.truncate(SHAPES_MAX - 1);
            self.shapes.insert(0, shape);
        }
    }

    fn run(&self, place: usize, columns: &mut Columns, input: Input<'_>, at: usize, rows: usize) -> (usize, usize) {
        let shape = &self.shapes[place];
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: `avx2` is only set where the machine has all that the function is compiled for.
            return unsafe { run_avx2(shape, columns, input, at, rows) };
        }
        run::<Portable>(shape, columns, input, at, rows)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn run_avx2(shape: &Shape, columns: &mut Columns, input: Input<'_>, at: usize, rows: usize) -> (usize, usize) {
    run::<Avx2>(shape, columns, input, at, rows)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn object_avx2(shape: &Shape, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
    object::<Avx2>(shape, columns, input, at)
}

/// Reads one object of this shape, whatever is behind it.
#[inline(always)]
fn object<S: Scan>(shape: &Shape, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
    let Some(end) = values::<S>(shape, columns, input, at).filter(|&end| end <= input.end) else {
        columns.undo();
        return None;
    };
    columns.end_shaped_row(&shape.present, &shape.absent);
    Some(end)
}

/// Reads records of one shape.
#[inline(always)]
fn run<S: Scan>(shape: &Shape, columns: &mut Columns, input: Input<'_>, mut at: usize, rows: usize) -> (usize, usize) {
    let mut count = 0;
    while count < rows && at < input.end {
        let Some(next) = record::<S>(shape, columns, input, at) else {
            columns.undo();
            break;
        };
        columns.end_shaped_row(&shape.present, &shape.absent);
        (at, count) = (next, count + 1);
    }
    (at, count)
}

/// Appends the values of one record and says where the next one begins.
#[inline(always)]
fn record<S: Scan>(shape: &Shape, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
    let at = values::<S>(shape, columns, input, at)?;
    match at.cmp(&input.end) {
        std::cmp::Ordering::Less => (input.padded[at] == b'\n').then_some(at + 1),
        std::cmp::Ordering::Equal => Some(at),
        std::cmp::Ordering::Greater => None,
    }
}

/// Appends the values of one record or object and says where it ends.
#[inline(always)]
fn values<S: Scan>(shape: &Shape, columns: &mut Columns, input: Input<'_>, mut at: usize) -> Option<usize> {
    for step in &shape.steps {
        if !S::begins_with(input.window::<WINDOW>(at)?, &step.literal) {
            return None;
        }
        at += step.literal.len;
        at = match step.value {
            Slot::Nothing => at,
            Slot::Skip => skip::value::<S>(input, at)?,
            Slot::Text(node) => match text::<S>(columns, node, input, at) {
                Some(end) => end,
                None => other(columns, node, input, at)?,
            },
            Slot::Integer(node) => match integer::<S>(columns, node, input, at) {
                Some(end) => end,
                None => other(columns, node, input, at)?,
            },
            Slot::Other(node) => other(columns, node, input, at)?,
        };
    }
    Some(at)
}

/// Appends a string without escapes, and says where it ends.
#[inline(always)]
fn text<S: Scan>(columns: &mut Columns, node: NodeId, input: Input<'_>, at: usize) -> Option<usize> {
    if input.byte(at)? != b'"' {
        return None;
    }
    let quote = skip::plain_string::<S>(input, at)?;
    let Values::Strings(strings) = &mut columns.nodes[node].values else { return None };
    strings.push_between(input.padded, at + 1, quote);
    Some(quote + 1)
}

/// Appends an integer of up to 15 digits, and says where it ends.
#[inline(always)]
fn integer<S: Scan>(columns: &mut Columns, node: NodeId, input: Input<'_>, at: usize) -> Option<usize> {
    let bytes = input.window::<16>(at)?;
    let digits = S::digits(bytes);
    let end = at + digits;
    let plain = digits == 1 || (2..16).contains(&digits) && bytes[0] != b'0';
    if !plain || matches!(bytes[digits], b'.' | b'e' | b'E') || end > input.end {
        return None;
    }
    let value = S::number(bytes, digits) as i64;
    match &mut columns.nodes[node].values {
        Values::Int64(values) => values.push(value),
        Values::Int32(values) => values.push(value.try_into().ok()?),
        Values::Int16(values) => values.push(value.try_into().ok()?),
        Values::Int8(values) => values.push(value.try_into().ok()?),
        Values::Stamp(values, stamp) => values.push(columns.clock.integer(value, *stamp).ok()?),
        _ => return None,
    }
    Some(end)
}

/// Appends a value of any kind by the general way, and says where it ends. Not inlined, and therefore portable: what is
/// not inlined into [`run_avx2`] is not compiled for AVX2.
#[inline(never)]
fn other(columns: &mut Columns, node: NodeId, input: Input<'_>, at: usize) -> Option<usize> {
    let end = skip::value::<Portable>(input, at)?;
    general::push_value(columns, node, input.text(at, end)?, input.padded).ok()?;
    Some(end)
}
