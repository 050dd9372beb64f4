//! Secrets: a job names the environment variable or the file that holds one, never the secret itself.

use super::fields::{Fields, Located};
use super::inputs;
use super::problem::Problem;
use super::tree::Text;
use std::path::Path;

/// Where a secret is, as it was written: `password_env` or `password_file`.
#[derive(Debug)]
pub struct RawSecret {
    variable: Option<Located<Text>>,
    file: Option<Located<Text>>,
}

impl RawSecret {
    /// Reads the two keys that may say where it is.
    pub fn read(fields: &mut Fields<'_>, variable: &'static str, file: &'static str) -> Self {
        Self { variable: fields.text(variable), file: fields.text(file) }
    }

    /// Whether the job says where it is.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.place().is_some()
    }

    /// Where the job says so.
    #[must_use]
    pub fn place(&self) -> Option<&Located<Text>> {
        self.variable.as_ref().or(self.file.as_ref())
    }

    /// Looks the secret up; an empty one for jobs that are only asked questions. What is wrong is a problem, which does
    /// not show it.
    pub fn resolve(&self, folder: &Path, wanted: bool, problems: &mut Vec<Problem>) -> Option<String> {
        match (&self.variable, &self.file) {
            (Some(variable), Some(_)) => {
                problems.push(variable.error("a secret is in one place").advise("leave one of both keys out"));
                None
            }
            _ if !wanted => Some(String::new()),
            (Some(variable), None) => {
                let found = std::env::var(&variable.value.text).ok().filter(|secret| !secret.is_empty());
                if found.is_none() {
                    let message = format!("environment variable {} is not set", variable.value.text);
                    problems.push(variable.error(message));
                }
                found
            }
            (None, Some(file)) => {
                let path = inputs::resolve(folder, &file.value.text, &file.place);
                match std::fs::read_to_string(&path) {
                    Ok(secret) => Some(secret.trim_end().to_owned()),
                    Err(error) => {
                        problems.push(file.error(format!("cannot read {}: {error}", path.display())));
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }
}

/// A user and where its password is: `user` with `password_env` or `password_file`.
#[derive(Debug)]
pub struct RawLogin {
    user: Option<Located<Text>>,
    password: RawSecret,
}

impl RawLogin {
    /// Reads the three keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self { user: fields.text("user"), password: RawSecret::read(fields, "password_env", "password_file") }
    }

    /// Where the job says that somebody logs in.
    #[must_use]
    pub fn place(&self) -> Option<&Located<Text>> {
        self.user.as_ref().or(self.password.place())
    }

    /// The user and the password; the inner `None` when nobody logs in, the outer one when something is wrong.
    pub fn resolve(
        &self,
        folder: &Path,
        wanted: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Option<(String, String)>> {
        match (&self.user, self.password.place()) {
            (None, None) => Some(None),
            (Some(user), Some(_)) => {
                let password = self.password.resolve(folder, wanted, problems)?;
                Some(Some((user.value.text.clone(), password)))
            }
            (Some(user), None) => {
                let problem = user.error("a user without a password");
                problems.push(problem.advise("name it with password_env = \"…\" or password_file = \"…\""));
                None
            }
            (None, Some(password)) => {
                problems.push(password.error("a password without a user").advise("write user = \"…\""));
                None
            }
        }
    }
}
