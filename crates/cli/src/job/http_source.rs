//! `[sources.NAME] kind = "http"`: read, and checked into what the source and its route are told.

use super::fields::{Fields, Located};
use super::problem::Problem;
use super::secret::RawSecret;
use super::tree::Text;
use proxima_source::HttpConfig;
use std::fmt;
use std::path::{Path, PathBuf};

/// The source as it was written.
#[derive(Debug)]
pub struct RawHttpSource {
    token: RawSecret,
    origins: Option<Located<Vec<Text>>>,
    segment_bytes: Option<Located<u64>>,
    backlog_bytes: Option<Located<u64>>,
    log_bytes: Option<Located<u64>>,
}

/// A source that takes records over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSourcePlan {
    /// What a client must bring; none lets everybody write.
    pub token: Option<String>,
    /// The web origins whose pages may post; `*` is any.
    pub origins: Vec<String>,
    segment_bytes: Option<u64>,
    backlog_bytes: Option<u64>,
    log_bytes: Option<u64>,
}

impl fmt::Debug for HttpSourcePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "***");
        f.debug_struct("HttpSourcePlan").field("token", &token).field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl RawHttpSource {
    /// Reads the source's keys.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            token: RawSecret::read(fields, "token_env", "token_file"),
            origins: fields.texts("origins"),
            segment_bytes: fields.size("segment_bytes"),
            backlog_bytes: fields.size("backlog_bytes"),
            log_bytes: fields.size("log_bytes"),
        }
    }

    /// A source that has nothing but a token, if that.
    pub fn of_token(token: RawSecret) -> Self {
        Self { token, origins: None, segment_bytes: None, backlog_bytes: None, log_bytes: None }
    }

    /// Checks the source. The token is looked up, unless the job is only asked questions.
    pub fn check(&self, folder: &Path, with_secrets: bool, problems: &mut Vec<Problem>) -> Option<HttpSourcePlan> {
        let token = match self.token.is_written() {
            true => Some(self.token.resolve(folder, with_secrets, problems)?),
            false => None,
        };
        let written = self.origins.iter().flat_map(|origins| origins.value.iter().map(move |text| (origins, text)));
        let mut origins = Vec::new();
        for (place, Text { text, .. }) in written {
            let is_origin = text.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
            if text != "*" && !is_origin {
                let problem = place.error(format!("\"{text}\" is no origin"));
                problems.push(problem.advise("write it as browsers do: \"https://shop.example\", without a path"));
            }
            origins.push(text.clone());
        }
        let size = |written: &Option<Located<u64>>| written.as_ref().map(|size| size.value);
        let [segment_bytes, backlog_bytes, log_bytes] =
            [&self.segment_bytes, &self.backlog_bytes, &self.log_bytes].map(size);
        Some(HttpSourcePlan { token, origins, segment_bytes, backlog_bytes, log_bytes })
    }
}

impl HttpSourcePlan {
    /// The log of this source, in a folder of its own.
    #[must_use]
    pub fn log(&self, name: &str, folder: PathBuf) -> HttpConfig {
        let config = HttpConfig::new(name, folder);
        HttpConfig {
            segment_bytes: self.segment_bytes.unwrap_or(config.segment_bytes),
            backlog_bytes: self.backlog_bytes.unwrap_or(config.backlog_bytes),
            log_bytes: self.log_bytes.unwrap_or(config.log_bytes),
            ..config
        }
    }
}
