//! A disk that takes no more, on the real binary: the run says where and what to do, and goes on when there is room.
//!
//! A full disk is played by a limit of the size of files, which the system enforces without any rights.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const JOB: &str = "[job]
name = \"shop\"
[sources.orders]
kind = \"file\"
path = \"orders.csv\"
[sinks.nowhere]
kind = \"discard\"
";
const VIEWS: &str = "CREATE TABLE orders (id STRING, price BIGINT) WITH (source = 'orders', format = 'csv');
CREATE TABLE totals (id STRING, price BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH (sink = 'nowhere');
INSERT INTO totals SELECT id, sum(price) FROM orders GROUP BY id;
";
const ORDERS: u64 = 40_000;

fn run(folder: &Path, file_bytes_max: Option<u64>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.args(["run", "shop", "--until-end", "--workers", "1", "--listen", "127.0.0.1:0"]);
    command.current_dir(folder).stdin(Stdio::null());
    if let Some(bytes) = file_bytes_max {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: both calls may be made between fork and exec. Without the signal a write beyond the limit is an error.
        unsafe {
            command.pre_exec(move || {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                if libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) == 0 {
                    Ok(())
                } else {
                    Err(io::Error::last_os_error())
                }
            });
        }
    }
    command.output().unwrap()
}

#[test]
fn checkpoints_that_find_no_room_say_where_and_go_on_later() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("shop")).unwrap();
    fs::write(folder.path().join("shop/job.toml"), JOB).unwrap();
    fs::write(folder.path().join("shop/views.sql"), VIEWS).unwrap();
    let mut orders = "id,price\n".to_owned();
    for number in 0..ORDERS {
        // Ids that do not compress to nothing.
        writeln!(orders, "{:016x},1", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
    }
    fs::write(folder.path().join("shop/orders.csv"), orders).unwrap();

    let output = run(folder.path(), Some(64 << 10));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("no error in\n{said}"));
    assert!(error.starts_with("error: cannot write .proxima/shop/checkpoints/state/"), "{error}");
    assert!(error.ends_with("(free space there; the run goes on from its last checkpoint)"), "{error}");

    let output = run(folder.path(), None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = fs::read(folder.path().join(".proxima/shop/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["records"], ORDERS, "{summary}");
}
