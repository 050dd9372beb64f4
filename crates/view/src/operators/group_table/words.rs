//! Zeroed memory for tables; huge pages for large ones.
//!
//! A lookup in a large table misses the processor's caches, and with pages of four kilobytes it misses the cache of
//! their addresses too. What else the process holds does without huge pages: it is small or does not live long, and
//! they would only make it larger (by 60 of 300 MiB in `examples/retail`). So only memory from here asks for them.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A cache line: records shall not lie across two.
const ALIGN: usize = 64;

/// The size of a huge page on x86-64, and on most systems of other kinds.
pub(super) const HUGE_BYTES: usize = 2 << 20;

/// Words in the smallest page.
const PAGE_WORDS: usize = 4096 / size_of::<u64>();

/// 64-bit words, zeros at first. They begin at a cache line.
pub(super) struct Words {
    start: NonNull<u64>,
    len: usize,
}

// SAFETY: the memory belongs to this value alone, as that of a vector does.
unsafe impl Send for Words {}
// SAFETY: it can be changed through an exclusive reference only.
unsafe impl Sync for Words {}

impl Words {
    /// So many words.
    pub(super) fn zeroed(len: usize) -> Self {
        let layout = layout(len);
        let start = match layout.size() {
            0 => Some(NonNull::dangling()),
            _ if is_mapped(layout) => pages::map(layout.size()),
            // SAFETY: the layout has a size.
            _ => NonNull::new(unsafe { alloc_zeroed(layout) }.cast()),
        };
        Self { start: start.unwrap_or_else(|| handle_alloc_error(layout)), len }
    }

    /// So many words whose pages are all there already, for a table that is touched here and there from the beginning.
    ///
    /// A new page that is read before it is written is mapped twice: first to a page of zeros that all share, then, with
    /// an interrupt to every other core that runs this process, to one of its own.
    pub(super) fn present(len: usize) -> Self {
        let mut words = Self::zeroed(len);
        // Without the black box it would be seen that nothing changes.
        words.iter_mut().step_by(PAGE_WORDS).for_each(|word| *black_box(word) = 0);
        words
    }

    pub(super) fn bytes(&self) -> usize {
        self.len * size_of::<u64>()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let layout = layout(self.len);
        match layout.size() {
            0 => {}
            _ if is_mapped(layout) => pages::unmap(self.start, layout.size()),
            // SAFETY: it was allocated with this layout, for nobody changes the length.
            _ => unsafe { dealloc(self.start.as_ptr().cast(), layout) },
        }
    }
}

impl Deref for Words {
    type Target = [u64];

    #[inline(always)]
    fn deref(&self) -> &[u64] {
        // SAFETY: so many words lie there, which were zeroed and belong to this value alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Words {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u64] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

fn layout(words: usize) -> Layout {
    let layout = Layout::array::<u64>(words).and_then(|layout| layout.align_to(ALIGN));
    layout.expect("a table is smaller than the address space")
}

/// Whether memory of this layout has pages of its own.
fn is_mapped(layout: Layout) -> bool {
    cfg!(target_os = "linux") && layout.size() >= HUGE_BYTES
}

#[cfg(target_os = "linux")]
mod pages {
    use super::HUGE_BYTES;
    use std::ptr::{NonNull, null_mut};

    /// Zeroed pages that begin where a huge page may, and reach to where one may end.
    pub(super) fn map(bytes: usize) -> Option<NonNull<u64>> {
        let kept = kept(bytes);
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at a place that the system chooses touches nothing that is there.
        let place = unsafe { libc::mmap(null_mut(), kept.checked_add(HUGE_BYTES)?, access, kind, -1, 0) };
        if place == libc::MAP_FAILED {
            return None;
        }
        let place = place.cast::<u8>();
        let front = place.align_offset(HUGE_BYTES);
        let start = place.wrapping_add(front);
        // SAFETY: both ends lie in the new mapping, beside what is kept. The advice changes no content; where the
        // system knows no huge pages it does nothing.
        unsafe {
            cut(place, front);
            cut(start.wrapping_add(kept), HUGE_BYTES - front);
            libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE);
        }
        NonNull::new(start.cast())
    }

    /// Gives back what [`map`] gave.
    pub(super) fn unmap(start: NonNull<u64>, bytes: usize) {
        // SAFETY: these are the pages of one mapping, whose owner is being dropped.
        unsafe { cut(start.as_ptr().cast(), kept(bytes)) };
    }

    fn kept(bytes: usize) -> usize {
        bytes.next_multiple_of(HUGE_BYTES)
    }

    /// Unmaps some pages.
    ///
    /// # Safety
    ///
    /// Nobody uses them any more.
    unsafe fn cut(start: *mut u8, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the caller vouches for the pages. It cannot fail but for lack of memory in the kernel, and then
            // they stay mapped unused.
            let _ = unsafe { libc::munmap(start.cast(), bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_zeros_and_keep_what_is_written() {
        assert!(Words::zeroed(0).is_empty());
        let lengths = [1, 9, HUGE_BYTES / 8 - 1, HUGE_BYTES / 8, HUGE_BYTES / 8 + 1, HUGE_BYTES];
        for (len, make) in
            lengths.into_iter().flat_map(|len| [(len, Words::zeroed as fn(usize) -> Words), (len, Words::present)])
        {
            let mut words = make(len);
            assert_eq!((words.len(), words.bytes()), (len, len * 8));
            assert_eq!(words.as_ptr() as usize % ALIGN, 0, "{len} words");
            assert!(words.iter().all(|&word| word == 0), "{len} words");
            (0..len).step_by(511).for_each(|at| words[at] = at as u64);
            assert!((0..len).step_by(511).all(|at| words[at] == at as u64), "{len} words");
        }
    }
}
