//! The fast way: expects each record to have one of the shapes of earlier ones, checks every byte of that, and reads the
//! values where the shape says they are. The structs in a list are predicted as records are.
//!
//! Nothing is guessed: where no literal fits or a value is unusual the record goes the general way, which alone
//! rejects records, so both ways give the same rows and the same rejections.

use super::super::columns::{Columns, NodeId, Values};
use super::general;
#[cfg(target_arch = "x86_64")]
use super::scan::Avx2;
use super::scan::{Portable, Scan, WINDOW};
use super::shape::Slot;
use super::shapes::{End, Shapes};
use super::skip::{self, Input};

/// What is known of the records of one writer.
#[derive(Debug)]
pub(in crate::decode) struct Predictor {
    shapes: Shapes,
    lists: Lists,
}

/// What is known of the structs in lists.
#[derive(Debug)]
struct Lists {
    /// Those of each node that is a list.
    shapes: Vec<Shapes>,
    avx2: bool,
}

impl Predictor {
    pub(in crate::decode) fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        #[cfg(not(target_arch = "x86_64"))]
        let avx2 = false;
        Self { shapes: Shapes::default(), lists: Lists { shapes: Vec::new(), avx2 } }
    }

    /// Without the instructions of this machine: what others do, for tests.
    #[cfg(test)]
    pub(super) fn portable() -> Self {
        Self { shapes: Shapes::default(), lists: Lists { shapes: Vec::new(), avx2: false } }
    }

    /// Reads records from `at` on as long as one of the known shapes fits, `rows` at the most. Says where it stopped,
    /// and after how many records.
    pub(in crate::decode) fn read(
        &mut self,
        columns: &mut Columns,
        input: Input<'_>,
        at: usize,
        rows: usize,
    ) -> (usize, usize) {
        let Self { shapes, lists } = self;
        #[cfg(target_arch = "x86_64")]
        if lists.avx2 {
            // SAFETY: `avx2` is only set where the machine has all that the function is compiled for.
            return unsafe { run_avx2(shapes, lists, columns, input, at, rows) };
        }
        run::<Portable>(shapes, lists, columns, input, at, rows)
    }

    /// Reads the object that begins at `at` if one of the known shapes fits, wherever it ends, and says where that is.
    pub(in crate::decode) fn object(&mut self, columns: &mut Columns, input: Input<'_>, at: usize) -> Option<usize> {
        let Self { shapes, lists } = self;
        #[cfg(target_arch = "x86_64")]
        if lists.avx2 {
            // SAFETY: as above.
            return unsafe { object_avx2(shapes, lists, columns, input, at) };
        }
        object::<Portable>(shapes, lists, columns, input, at)
    }

    /// Learns from the record at `at`, which `input` ends with and which no shape fitted.
    pub(in crate::decode) fn learn(&mut self, columns: &Columns, input: Input<'_>, at: usize) {
        self.shapes.learn(columns, input, at);
    }
}

impl Lists {
    /// Appends a list of structs, and says where it ends. Not inlined, so that lists may lie in lists.
    #[inline(never)]
    fn read(&mut self, columns: &mut Columns, node: NodeId, input: Input<'_>, at: usize) -> Option<usize> {
        if input.byte(at)? != b'[' {
            return other(columns, node, input, at);
        }
        if self.shapes.len() <= node {
            self.shapes.resize_with(node + 1, Shapes::default);
        }
        let mut shapes = std::mem::take(&mut self.shapes[node]);
        let end = self.elements(&mut shapes, columns, node, input, at + 1);
        self.shapes[node] = shapes;
        end
    }

    fn elements(
        &mut self,
        shapes: &mut Shapes,
        columns: &mut Columns,
        node: NodeId,
        input: Input<'_>,
        at: usize,
    ) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: as above.
            return unsafe { elements_avx2(shapes, self, columns, node, input, at) };
        }
        elements::<Portable>(shapes, self, columns, node, input, at)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn run_avx2(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    input: Input<'_>,
    at: usize,
    rows: usize,
) -> (usize, usize) {
    run::<Avx2>(shapes, lists, columns, input, at, rows)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn object_avx2(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    input: Input<'_>,
    at: usize,
) -> Option<usize> {
    object::<Avx2>(shapes, lists, columns, input, at)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn elements_avx2(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    node: NodeId,
    input: Input<'_>,
    at: usize,
) -> Option<usize> {
    elements::<Avx2>(shapes, lists, columns, node, input, at)
}

/// Reads records.
#[inline(always)]
fn run<S: Scan>(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    input: Input<'_>,
    mut at: usize,
    rows: usize,
) -> (usize, usize) {
    let mut count = 0;
    while count < rows && at < input.end {
        let read = values::<S>(shapes, lists, columns, input, at);
        let Some((next, end)) = read.and_then(|(at, end)| Some((behind_record(input, at)?, end))) else {
            columns.undo();
            break;
        };
        columns.end_shaped_row(&end.present, &end.absent);
        (at, count) = (next, count + 1);
    }
    if count > 0 {
        shapes.held();
    }
    (at, count)
}

/// Where the next record begins, if one ends here.
#[inline(always)]
fn behind_record(input: Input<'_>, at: usize) -> Option<usize> {
    match at.cmp(&input.end) {
        std::cmp::Ordering::Less => (input.padded[at] == b'\n').then_some(at + 1),
        std::cmp::Ordering::Equal => Some(at),
        std::cmp::Ordering::Greater => None,
    }
}

/// Reads one object, whatever is behind it.
#[inline(always)]
fn object<S: Scan>(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    input: Input<'_>,
    at: usize,
) -> Option<usize> {
    let read = values::<S>(shapes, lists, columns, input, at);
    let Some((at, end)) = read.filter(|&(at, _)| at <= input.end) else {
        columns.undo();
        return None;
    };
    columns.end_shaped_row(&end.present, &end.absent);
    shapes.held();
    Some(at)
}

/// Reads what is behind the opening bracket of a list, and says where the list ends.
#[inline(always)]
fn elements<S: Scan>(
    shapes: &mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    node: NodeId,
    input: Input<'_>,
    at: usize,
) -> Option<usize> {
    let element = columns.nodes[node].element()?;
    let mut at = skip::blanks(input, at);
    if input.byte(at)? == b']' {
        columns.end_list(node);
        return Some(at + 1);
    }
    loop {
        let before = columns.nodes[element].len();
        let read = values::<S>(shapes, lists, columns, input, at);
        at = if let Some((next, end)) = read.filter(|&(next, _)| next <= input.end) {
            columns.end_shape(&end.present, &end.absent);
            shapes.held();
            next
        } else {
            columns.truncate(element, before);
            let end = other(columns, element, input, at)?;
            shapes.learn_element(columns, element, Input { end, ..input }, at);
            end
        };
        at = skip::blanks(input, at);
        match input.byte(at)? {
            b',' => at = skip::blanks(input, at + 1),
            b']' => break,
            _ => return None,
        }
    }
    columns.end_list(node);
    Some(at + 1)
}

/// Appends the values of one record or object. Says where it ends, and what is known of it there.
#[inline(always)]
fn values<'s, S: Scan>(
    shapes: &'s mut Shapes,
    lists: &mut Lists,
    columns: &mut Columns,
    input: Input<'_>,
    mut at: usize,
) -> Option<(usize, &'s End)> {
    let mut place = shapes.start();
    loop {
        let known = shapes.next::<S>(&mut place, input.window::<WINDOW>(at)?)?;
        at += known.step.literal.len;
        at = match known.step.value {
            Slot::Nothing if known.end.is_some() => break,
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
            Slot::List(node) => lists.read(columns, node, input, at)?,
            Slot::Other(node) => other(columns, node, input, at)?,
        };
    }
    Some((at, shapes.end(place)?))
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
