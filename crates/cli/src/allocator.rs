//! The allocator of the binary: mimalloc.

use mimalloc::MiMalloc;
use std::ffi::{c_int, c_long};

/// Workers allocate at the same time; with the system's allocator two were hardly faster than one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Freed memory goes back to the system after so long: as long as an epoch, whose end frees what the next one takes. By
/// default it stays for a second, so that what indexes, commits and publishing need for a moment adds up. The median peak of
/// `examples/retail` with two workers is 222 MiB at 10 ms, 239 at 50, 246 at 100 and 266 at 200; its CPU time 2.7, 2.4, 2.3
/// and 2.4 s, for what was given back too soon is paged in again.
const PURGE_DELAY_MS: c_long = 50;

/// The number of mimalloc's option `purge_delay`, the same in its versions 2 and 3.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    // Not declared by the crate `mimalloc`, but part of the library that it links.
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_option_set(option: c_int, value: c_long);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// Sets the allocator's options, unless the environment does (`MIMALLOC_PURGE_DELAY`).
pub(crate) fn set_up() {
    // SAFETY: it only writes a number into the library's table of options.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Gives nothing back any more: the process ends, and the system takes all of it at once.
pub(crate) fn leave() {
    // SAFETY: it only writes a number into the library's table of options.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
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
