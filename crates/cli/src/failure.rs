//! How a command fails: what it says, and the exit code that scripts see.

use crate::job::Problems;
use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The run failed, or an answer could not be given.
    Run(anyhow::Error),
    /// The job is wrong.
    Job(Problems),
    /// The command line or a request is wrong.
    Usage(String),
    /// What was asked for is not there.
    NotFound(String),
    /// Stopped by a person before the end.
    Interrupted,
}

impl Failure {
    /// The exit code: the same numbers that `--help` lists.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Run(_) => 1,
            Self::Job(_) | Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Run(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Job(problems)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => write!(f, "error: {error:#}"),
            Self::Job(problems) => {
                let errors = problems.errors();
                let noun = if errors == 1 { "problem" } else { "problems" };
                write!(f, "{problems}\nerror: the job has {errors} {noun}")
            }
            Self::Usage(message) | Self::NotFound(message) => write!(f, "error: {message}"),
            Self::Interrupted => f.write_str("interrupted before the end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_stand_in_one_line() {
        let error = Err::<(), _>(std::io::Error::other("no space")).context("cannot write x").expect_err("it failed");
        let failure = Failure::from(error);
        assert_eq!(failure.to_string(), "error: cannot write x: no space");
        assert_eq!(failure.code(), 1);
    }
}
