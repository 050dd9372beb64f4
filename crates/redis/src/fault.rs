//! What an error of Redis means: is it worth while to try again, and what is a person to do about it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The servers will be back: they start, load, fail over, or the way to them is broken.
    Again,
    /// Nothing changes by itself.
    Never,
}

/// Why something was given up.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The cause in words.
    pub(crate) reason: String,
    /// Whether trying again later can help.
    pub(crate) passing: bool,
}

impl From<&RedisError> for Fault {
    fn from(error: &RedisError) -> Self {
        Self { reason: explain(error), passing: judge(error) == Verdict::Again }
    }
}

/// What stands in Redis and is not understood does not change by itself.
impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self { reason, passing: false }
    }
}

/// Judges an error. What is not known to be for ever is tried again: a stream that waits loses nothing.
fn judge(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Client
        | ErrorKind::EmptySentinelList
        | ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot) => Verdict::Never,
        // A server that loads its data or fails over says so in other words within a script, or before a password.
        ErrorKind::Server(ServerErrorKind::ResponseError) => {
            let passing = ["READONLY", "LOADING", "max number of clients", "cluster state"];
            let text = error.to_string();
            if passing.iter().any(|words| text.contains(words)) { Verdict::Again } else { Verdict::Never }
        }
        ErrorKind::Extension => match error.code() {
            Some("WRONGTYPE" | "NOAUTH" | "WRONGPASS") => Verdict::Never,
            _ => Verdict::Again,
        },
        // A certificate that does not fit will not fit later either.
        ErrorKind::Io if error.to_string().contains("certificate") => Verdict::Never,
        _ => Verdict::Again,
    }
}

/// The cause in words, with what to do where that is known.
fn explain(error: &RedisError) -> String {
    let text = error.to_string();
    let advice = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => "check username and password",
        (_, Some("NOAUTH")) => "the server asks for a password: set password_env or password_file",
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
            "the user needs the commands EVALSHA, SCRIPT LOAD and those of the keys to write, GET or HGETALL to read (ACL)"
        }
        (_, Some("WRONGTYPE")) => {
            "something else was written there: choose another key pattern, or delete the key if nobody needs it"
        }
        (ErrorKind::Server(ServerErrorKind::CrossSlot | ServerErrorKind::Moved), _) => {
            "the server belongs to a cluster: write mode = \"cluster\""
        }
        (ErrorKind::MasterNameNotFoundBySentinel, _) => "check the name of the master",
        _ if text.contains("DB index is out of range") => "the server has fewer databases: check database",
        _ if text.contains("cluster support disabled") => {
            "the server is no part of a cluster: leave out mode = \"cluster\""
        }
        _ => return text,
    };
    format!("{text}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn what_passes_is_tried_again() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "READONLY You can't write against a read only replica.",
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a read only replica.",
            "CLUSTERDOWN The cluster is down",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "MOVED 866 127.0.0.1:16380",
            "NOSCRIPT No matching script. Please use EVAL.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "NOREPLICAS Not enough good replicas to write.",
            "BUSY Redis is busy running a script.",
            "ERR max number of clients reached",
        ] {
            assert_eq!(judge(&server(line)), Verdict::Again, "{line}");
        }
        let lost = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(judge(&lost), Verdict::Again);
    }

    #[test]
    fn what_does_not_pass_is_explained() {
        for (line, advice) in [
            ("WRONGPASS invalid username-password pair or user is disabled.", "check username and password"),
            ("NOAUTH Authentication required.", "set password_env or password_file"),
            ("NOPERM this user has no permissions to run the 'evalsha' command", "(ACL)"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value at key dim:a:1", "another key pattern"),
            ("CROSSSLOT Keys in request don't hash to the same slot", "mode = \"cluster\""),
            ("ERR DB index is out of range", "check database"),
            ("ERR This instance has cluster support disabled", "leave out mode"),
        ] {
            let error = server(line);
            assert_eq!(judge(&error), Verdict::Never, "{line}");
            assert!(explain(&error).contains(advice), "{}", explain(&error));
        }
    }
}
