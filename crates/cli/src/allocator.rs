//! The allocator of the binary: mimalloc.

use mimalloc::MiMalloc;
use std::ffi::{c_int, c_long};

/// Workers allocate at the same time; with the system's allocator two were hardly faster than one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Freed memory goes back to the system after so long. By default it stays for a second, so that what indexes, commits
/// and publishing need for a moment adds up: in `examples/retail` 100 ms make the peak 40 of 270 MiB higher than 10 ms
/// do. Going back at once costs a sixth of the time there, for most of it is needed again soon.
const PURGE_DELAY_MS: c_long = 10;

/// The number of mimalloc's option `purge_delay`, the same in its versions 2 and 3.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    // Not declared by the crate `mimalloc`, but part of the library that it links.
    fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// Sets the allocator's options, unless the environment does (`MIMALLOC_PURGE_DELAY`).
pub(crate) fn set_up() {
    // SAFETY: it only writes a number into the library's table of options.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option is known by its number alone: it is the one whose default is a second.
    #[test]
    fn the_number_is_that_of_the_delay() {
        // SAFETY: it only reads a number.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(get(), 1_000);
            set_up();
            assert_eq!(get(), PURGE_DELAY_MS);
        }
    }
}
