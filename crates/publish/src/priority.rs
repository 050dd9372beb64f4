//! The priority of a thread.

/// How far behind the others a thread stands that gives way: where cores are busy it gets a ninth of what another one gets.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 10;

/// From here on the calling thread leaves the cores to those that have more urgent work. Elsewhere than on Linux it does not.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: it takes numbers alone. On Linux a priority is that of a thread, and 0 the calling one. Should the system refuse,
    // the thread stays as it is.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_alone_gives_way() {
        // SAFETY: as above.
        let of_thread = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = of_thread();
        let given = std::thread::spawn(move || {
            give_way();
            of_thread()
        });
        assert_eq!(given.join().ok(), Some(NICE.max(before)));
        assert_eq!(of_thread(), before);
    }
}
