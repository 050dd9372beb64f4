//! Which files there are: a file, the files of a folder, or those that a glob names; sorted, each once.

use super::config::FileConfig;
use super::identity::Key;
use super::io_error;
use proxima_event::SourceError;
use std::collections::HashSet;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Bytes that make a path a glob, unless something of just that name exists.
const GLOB_BYTES: &[u8] = b"*?[";

/// A regular file, as it was when it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub key: Key,
    pub metadata: Metadata,
}

impl Found {
    /// The file at a path, if there is one.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok().filter(Metadata::is_file)?;
        Some(Self { path: path.to_owned(), key: Key::from(&metadata), metadata })
    }
}

/// All files that the configuration names, in the order in which they are read. What cannot be found is an error.
pub(super) fn discover(config: &FileConfig) -> Result<Vec<Found>, SourceError> {
    let mut files = Vec::new();
    for path in &config.paths {
        let found = named_by(path)?;
        if found.is_empty() && !config.follow {
            return Err(nothing(config, path));
        }
        files.extend(found);
    }
    Ok(each_once(files))
}

/// The files that are there now. A following source looks again and again, so a file that is missing may come; a folder
/// that cannot be listed must not make all its files seem deleted.
pub(super) fn look_again(config: &FileConfig) -> Result<Vec<Found>, SourceError> {
    let mut files = Vec::new();
    for path in &config.paths {
        match named_by(path) {
            Ok(found) => files.extend(found),
            Err(SourceError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(each_once(files))
}

/// The regular files of a folder that are not hidden, by name.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<Found>, SourceError> {
    let entries = folder.read_dir().map_err(|error| io_error("list", folder, error))?;
    let visible = entries.flatten().filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut files: Vec<Found> = visible.filter_map(|entry| Found::at(&entry.path())).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn named_by(path: &Path) -> Result<Vec<Found>, SourceError> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => in_folder(path),
        Ok(metadata) if metadata.is_file() => {
            Ok(vec![Found { path: path.to_owned(), key: Key::from(&metadata), metadata }])
        }
        Ok(_) => Err(SourceError::Config(format!("cannot read {}: it is neither a file nor a folder", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound && is_glob(path) => in_glob(path),
        Err(error) => Err(io_error("read", path, error)),
    }
}

fn is_glob(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| GLOB_BYTES.contains(byte))
}

fn in_glob(pattern: &Path) -> Result<Vec<Found>, SourceError> {
    let refused = |reason: &str| SourceError::Config(format!("cannot read {}: {reason}", pattern.display()));
    let text = pattern.to_str().ok_or_else(|| refused("a glob must be UTF-8"))?;
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let paths = glob::glob_with(text, options).map_err(|error| refused(&format!("not a glob: {error}")))?;
    let mut files: Vec<Found> = paths.flatten().filter_map(|path| Found::at(&path)).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A file with two names, or named twice, is read once.
fn each_once(mut files: Vec<Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.key));
    files
}

fn nothing(config: &FileConfig, path: &Path) -> SourceError {
    let what = if path.is_dir() { "the folder holds no files" } else { "no file matches" };
    SourceError::Config(format!("cannot read {} for source {:?}: {what}", path.display(), config.source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Framing;

    fn names(paths: &[&str], follow: bool) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.log", "a.log", "c.csv", ".hidden"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        std::fs::create_dir_all(folder.path().join("empty")).unwrap();
        let mut config = FileConfig::new("s", "", Framing::Lines);
        config.paths = paths.iter().map(|path| folder.path().join(path)).collect();
        config.follow = follow;
        let strip = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
        let name = |file: Found| strip(file.path.display().to_string());
        discover(&config).map(|files| files.into_iter().map(name).collect()).map_err(|error| strip(error.to_string()))
    }

    #[test]
    fn a_folder_gives_its_visible_files_by_name() {
        assert_eq!(names(&["."], false).unwrap(), ["./a.log", "./b.log", "./c.csv"]);
    }

    #[test]
    fn a_glob_gives_what_it_matches() {
        assert_eq!(names(&["*.log"], false).unwrap(), ["a.log", "b.log"]);
        assert_eq!(names(&["*"], false).unwrap(), ["a.log", "b.log", "c.csv"]);
    }

    #[test]
    fn a_file_that_is_named_twice_is_read_once() {
        assert_eq!(names(&["b.log", "*.log"], false).unwrap(), ["b.log", "a.log"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(names(&["d.log"], true).unwrap_err(), "cannot read d.log: No such file or directory (os error 2)");
        assert_eq!(
            names(&["empty"], false).unwrap_err(),
            "cannot read empty for source \"s\": the folder holds no files"
        );
        assert_eq!(names(&["*.gz"], false).unwrap_err(), "cannot read *.gz for source \"s\": no file matches");
        assert!(names(&["[a.log"], false).unwrap_err().starts_with("cannot read [a.log: not a glob"));
        assert_eq!(
            names(&["/dev/null"], false).unwrap_err(),
            "cannot read /dev/null: it is neither a file nor a folder"
        );
    }

    #[test]
    fn an_empty_folder_is_fine_to_follow() {
        assert_eq!(names(&["empty", "*.gz"], true).unwrap(), Vec::<String>::new());
    }
}
