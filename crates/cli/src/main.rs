//! One binary: checks a job, runs it, serves its results.

fn main() {}
