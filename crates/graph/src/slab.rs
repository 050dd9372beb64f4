//! Many growing arrays of 32-bit words in few large blocks of memory: what pair rows and subjects' logs rest in.
//!
//! Arrays come in size classes an eighth apart, so that a row that grows is moved seldom and wastes little. Freed
//! arrays are kept by class and used again. A handle is 12 bytes, half of a `Vec`, and a small array costs no header.

use std::ops::Range;

/// Words in a unit, the grain of addresses: 16 bytes.
const UNIT: usize = 4;
/// Units in a block: 32 MiB of memory, so that nearly all of it lies in whole huge pages. What is not touched costs
/// nothing.
const BLOCK_UNITS: usize = 1 << 21;
const BLOCK: usize = BLOCK_UNITS * UNIT;
/// How many size classes there are: the last holds more than 2^28 words.
const CLASSES: usize = 150;

/// The first class of large arrays, of some 4,000 words.
const LARGE: usize = 44;

/// Words that an array of each class holds: multiples of a unit, at most an eighth apart once that is possible.
const SIZES: [u32; CLASSES] = {
    let mut sizes = [UNIT as u32; CLASSES];
    let mut class = 1;
    while class < CLASSES {
        let size = sizes[class - 1];
        sizes[class] = match size {
            0..16 => size + 4,
            16..32 => size + 8,
            _ => (size + size / 8).next_multiple_of(UNIT as u32),
        };
        class += 1;
    }
    sizes
};

/// An array in a [`Slab`]. The default one is empty and holds no memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Array {
    /// Where it begins, in units. Means nothing while `class` is 0.
    at: u32,
    /// How many words are in use.
    len: u32,
    /// The size class, from 1; 0 for no memory.
    class: u8,
}

impl Array {
    pub(crate) const EMPTY: Self = Self { at: 0, len: 0, class: 0 };

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Where it begins, for [`Slab::word_mut`], which means nothing when it has moved.
    #[inline]
    pub(crate) fn start(&self) -> u32 {
        self.at
    }

    pub(crate) fn capacity(&self) -> usize {
        if self.class == 0 { 0 } else { SIZES[self.class as usize - 1] as usize }
    }

    /// Says how much is in use, for arrays that are written with [`Slab::room_mut`]: in whatever their owner counts.
    pub(crate) fn set_len(&mut self, len: usize) {
        self.len = len as u32;
    }
}

/// Memory for arrays.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    /// Blocks of [`BLOCK`] words. An array too large for one lies in a longer block, which takes up the numbers of the
    /// blocks that it would have covered; those are left empty.
    blocks: Vec<Vec<u32>>,
    /// Units given out of the last block.
    used: usize,
    /// The number of the block that small arrays are cut from.
    open: Option<usize>,
    free: Vec<Vec<u32>>,
    /// How many freed arrays are large, and the units left of one that small arrays are cut from.
    large_free: usize,
    spare: Range<u32>,
    words: usize,
}

impl Slab {
    /// The words of an array that are in use.
    #[inline]
    pub(crate) fn words(&self, array: &Array) -> &[u32] {
        &self.room(array)[..array.len()]
    }

    /// The words of an array that are in use, to be changed.
    #[inline]
    pub(crate) fn words_mut(&mut self, array: &Array) -> &mut [u32] {
        &mut self.room_mut(array)[..array.len()]
    }

    /// All words of an array, in use or not.
    #[inline]
    pub(crate) fn room(&self, array: &Array) -> &[u32] {
        if array.class == 0 {
            return &[];
        }
        let (block, start) = place(array.at);
        &self.blocks[block][start..start + array.capacity()]
    }

    /// All words of an array, to be changed.
    #[inline]
    pub(crate) fn room_mut(&mut self, array: &Array) -> &mut [u32] {
        if array.class == 0 {
            return &mut [];
        }
        let (block, start) = place(array.at);
        &mut self.blocks[block][start..start + array.capacity()]
    }

    /// A word of an array that begins here.
    #[inline]
    pub(crate) fn word_mut(&mut self, start: u32, index: usize) -> &mut u32 {
        let (block, start) = place(start);
        &mut self.blocks[block][start + index]
    }

    /// Appends a word.
    ///
    /// # Panics
    /// When the array is full; see [`Slab::grow`].
    #[inline]
    pub(crate) fn push(&mut self, array: &mut Array, word: u32) {
        assert!(array.len() < array.capacity(), "an array is grown before it is appended to");
        let (block, start) = place(array.at);
        self.blocks[block][start + array.len()] = word;
        array.len += 1;
    }

    /// Makes an array longer by some words, whose values mean nothing yet.
    pub(crate) fn extend(&mut self, array: &mut Array, more: usize) {
        self.grow(array, array.len() + more);
        array.len += more as u32;
    }

    /// Makes an array shorter.
    pub(crate) fn truncate(&mut self, array: &mut Array, len: usize) {
        array.len = array.len.min(len as u32);
    }

    /// Makes room for `capacity` words in all, moving the array unless it has that much.
    pub(crate) fn grow(&mut self, array: &mut Array, capacity: usize) {
        if capacity <= array.capacity() {
            return;
        }
        let class = self.class_for(capacity);
        let mut grown = Array { at: self.allocate(class), len: array.len, class: class as u8 + 1 };
        if array.class > 0 {
            let (from, to) = self.both(array, &grown);
            let len = array.len();
            to[..len].copy_from_slice(&from[..len]);
            self.release(array);
        }
        std::mem::swap(array, &mut grown);
    }

    /// An array with room for `capacity` words, whose values mean nothing yet.
    pub(crate) fn array(&mut self, capacity: usize) -> Array {
        let class = self.class_for(capacity);
        Array { at: self.allocate(class), len: 0, class: class as u8 + 1 }
    }

    /// All words of two different arrays, the second to be changed.
    pub(crate) fn both(&mut self, from: &Array, to: &Array) -> (&[u32], &mut [u32]) {
        let ((from_block, from_start), (to_block, to_start)) = (place(from.at), place(to.at));
        let (from_end, to_end) = (from_start + from.capacity(), to_start + to.capacity());
        if from_block == to_block {
            let ranges = [from_start..from_end, to_start..to_end];
            let [source, target] = self.blocks[from_block].get_disjoint_mut(ranges).expect("two arrays share no word");
            return (source, target);
        }
        let blocks = self.blocks.get_disjoint_mut([from_block, to_block]);
        let [source, target] = blocks.expect("two different blocks that exist");
        (&source[from_start..from_end], &mut target[to_start..to_end])
    }

    /// Gives the memory of an array back and leaves it empty.
    pub(crate) fn free(&mut self, array: &mut Array) {
        if array.class > 0 {
            self.release(array);
        }
        *array = Array::default();
    }

    /// Asks the processor to load the end of an array, which is about to be appended to.
    #[inline]
    pub(crate) fn prefetch_end(&self, array: &Array) {
        let (block, start) = place(array.at);
        if let Some(word) = self.blocks.get(block).and_then(|block| block.get(start + array.len())) {
            prefetch(word);
        }
    }

    /// Bytes of memory taken from the system that hold, or have held, arrays.
    pub(crate) fn bytes(&self) -> usize {
        self.words * size_of::<u32>()
    }

    /// The class of an array for so many words: the next larger one where only that has been freed.
    fn class_for(&self, capacity: usize) -> usize {
        let least = least_class_for(capacity);
        let is_free = |class: &usize| self.free.get(*class).is_some_and(|free| !free.is_empty());
        (least..=least + 1).find(is_free).unwrap_or(least)
    }

    fn allocate(&mut self, class: usize) -> u32 {
        if let Some(at) = self.free.get_mut(class).and_then(Vec::pop) {
            self.large_free -= usize::from(class >= LARGE);
            return at;
        }
        let size = SIZES[class] as usize;
        if class < LARGE
            && let Some(at) = self.cut((size / UNIT) as u32)
        {
            return at;
        }
        self.words += size;
        if size > BLOCK {
            return self.add_block(size);
        }
        let units = size / UNIT;
        let block = match self.open {
            Some(block) if self.used + units <= BLOCK_UNITS => block,
            _ => {
                let block = self.add_block(BLOCK) as usize / BLOCK_UNITS;
                self.used = 0;
                self.open = Some(block);
                block
            }
        };
        let at = block * BLOCK_UNITS + self.used;
        self.used += units;
        at as u32
    }

    /// Cuts a small array from a large one that was freed: few others are ever so large, and many are small.
    fn cut(&mut self, units: u32) -> Option<u32> {
        if self.spare.len() < units as usize {
            if self.large_free == 0 {
                return None;
            }
            let class = (LARGE..self.free.len()).find(|&class| !self.free[class].is_empty())?;
            let at = self.free[class].pop()?;
            self.large_free -= 1;
            let rest = std::mem::replace(&mut self.spare, at..at + SIZES[class] / UNIT as u32);
            self.free_units(rest);
        }
        let at = self.spare.start;
        self.spare.start += units;
        Some(at)
    }

    /// Frees some units as arrays of whatever sizes they give.
    fn free_units(&mut self, mut units: Range<u32>) {
        while !units.is_empty() {
            let class = SIZES.partition_point(|&size| size as usize <= units.len() * UNIT) - 1;
            self.free_at(class, units.start);
            units.start += SIZES[class] / UNIT as u32;
        }
    }

    /// Adds a block of so many words and gives its first unit. Memory of it that is not touched costs nothing.
    fn add_block(&mut self, words: usize) -> u32 {
        let number = self.blocks.len();
        let covered = words.div_ceil(BLOCK);
        assert!(number + covered <= (1 << 32) / BLOCK_UNITS, "a slab holds at most 64 GiB");
        let block = vec![0; words];
        advise_huge_pages(block.as_ptr_range());
        self.blocks.push(block);
        self.blocks.extend(std::iter::repeat_with(Vec::new).take(covered - 1));
        (number * BLOCK_UNITS) as u32
    }

    fn release(&mut self, array: &Array) {
        self.free_at(array.class as usize - 1, array.at);
    }

    fn free_at(&mut self, class: usize, at: u32) {
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        self.large_free += usize::from(class >= LARGE);
        self.free[class].push(at);
    }
}

/// The block of a unit and the word in it.
#[inline]
fn place(at: u32) -> (usize, usize) {
    let at = at as usize;
    (at / BLOCK_UNITS, at % BLOCK_UNITS * UNIT)
}

/// By units the least class that holds so many, for small arrays: they are what is mostly asked for.
const SMALL: [u8; 65] = {
    let (mut classes, mut units, mut class) = ([0; 65], 0, 0);
    while units < classes.len() {
        if SIZES[class] < (units * UNIT) as u32 {
            class += 1;
        }
        classes[units] = class as u8;
        units += 1;
    }
    classes
};

/// The least class that holds so many words.
fn least_class_for(capacity: usize) -> usize {
    if let Some(&class) = SMALL.get(capacity.div_ceil(UNIT)) {
        return usize::from(class);
    }
    let class = SIZES.partition_point(|&size| (size as usize) < capacity);
    assert!(class < CLASSES, "an array of {capacity} words is too long");
    class
}

/// Asks the processor to load what `target` points at; it is used a few dozen instructions later.
#[inline]
pub(crate) fn prefetch<T>(target: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of a valid reference has no effect that a program can see.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(target).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = target;
}

/// Asks for huge pages: they spare most misses of the address cache where memory is touched at random.
pub(crate) fn advise_huge_pages<T>(range: Range<*const T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 1 << 21;
        let start = (range.start as usize).next_multiple_of(PAGE);
        let end = range.end as usize / PAGE * PAGE;
        if start < end {
            // SAFETY: the advice changes no contents and is refused where there is no memory. That it may be refused
            // costs speed only.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = range;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_rise_by_an_eighth_and_hold_every_row_that_ids_allow() {
        assert!(SIZES.windows(2).all(|pair| pair[0] < pair[1] && (pair[1] as usize).is_multiple_of(UNIT)));
        assert!(SIZES.windows(2).skip(14).all(|pair| f64::from(pair[1]) < f64::from(pair[0]) * 1.15));
        assert!(SIZES[CLASSES - 1] > 1 << 28);
    }

    #[test]
    fn small_arrays_are_cut_from_a_large_one_that_was_freed() {
        let mut slab = Slab::default();
        let mut large = slab.array(10_000);
        assert!(usize::from(large.class) > LARGE && (2_000..8_000).contains(&SIZES[LARGE]));
        slab.free(&mut large);
        let words = slab.words;
        let mut small: Vec<Array> = (0..90).map(|number| slab.array(1 + number)).collect();
        assert_eq!(slab.words, words, "all of them have room in it");
        for (number, array) in (0..).zip(&mut small) {
            array.set_len(array.capacity());
            slab.words_mut(array).fill(number);
        }
        assert!((0..).zip(&small).all(|(number, array)| slab.words(array).iter().all(|&word| word == number)));
        assert_eq!(slab.array(8_000).capacity(), SIZES[least_class_for(8_000)] as usize);
        assert!(slab.words > words);
    }

    #[test]
    fn arrays_keep_their_words_while_they_grow_among_each_other() {
        let mut slab = Slab::default();
        let mut arrays = [Array::default(); 7];
        for word in 0..20_000_u32 {
            for (number, array) in
                arrays.iter_mut().enumerate().filter(|(number, _)| (word as usize).is_multiple_of(number + 1))
            {
                slab.grow(array, array.len() + 1);
                slab.push(array, word ^ (number as u32) << 24);
            }
        }
        for (number, array) in arrays.iter().enumerate() {
            let expected = (0..20_000_u32).step_by(number + 1).map(|word| word ^ (number as u32) << 24);
            assert!(slab.words(array).iter().copied().eq(expected), "array {number}");
        }
    }

    #[test]
    fn an_array_longer_than_a_block_is_whole_and_leaves_the_others_alone() {
        let mut slab = Slab::default();
        let (mut small, mut large, mut other) = (Array::default(), Array::default(), Array::default());
        slab.grow(&mut small, 8);
        slab.push(&mut small, 1);
        slab.grow(&mut large, 2 * BLOCK + 1);
        large.len = 2 * BLOCK as u32;
        slab.push(&mut large, 3);
        slab.grow(&mut other, 8);
        slab.push(&mut other, 2);
        let words = slab.words(&large);
        assert!(
            (words.len(), words[2 * BLOCK]) == (2 * BLOCK + 1, 3) && words[..2 * BLOCK].iter().all(|&word| word == 0)
        );
        assert_eq!((slab.words(&small), slab.words(&other)), (&[1][..], &[2][..]));
    }

    #[test]
    fn freed_memory_is_used_again() {
        let mut slab = Slab::default();
        let mut array = Array::default();
        for _ in 0..100 {
            slab.grow(&mut array, 1000);
            slab.push(&mut array, 1);
            slab.free(&mut array);
            assert_eq!(slab.words(&array), &[] as &[u32]);
        }
        assert!(slab.bytes() < 8192, "{} bytes", slab.bytes());
    }
}
