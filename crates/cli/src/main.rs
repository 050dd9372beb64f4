//! One binary: checks a job, runs it, serves its results.

mod allocator;

use proxima_cli::functions::Functions;
use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::set_up();
    let code = proxima_cli::main(Functions::new());
    allocator::leave();
    code
}
