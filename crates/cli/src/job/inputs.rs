//! Where the files that a source names are looked for, and whether there are any.

use super::problem::{Origin, Place};
use std::path::{Path, PathBuf};

/// The path as a source gets it. A relative path belongs to the folder of the file it is written in; one given with
/// `--set` is looked for in the current folder first, as on any command line, then in the job's.
#[must_use]
pub fn resolve(folder: &Path, written: &str, place: &Place) -> PathBuf {
    let written = Path::new(written);
    match &*place.origin {
        Origin::Set(_) if any(written) => written.to_path_buf(),
        Origin::Set(_) => folder.join(written),
        Origin::File(file) => file.parent().unwrap_or(folder).join(written),
    }
}

/// Whether a file, folder or glob names anything.
#[must_use]
pub fn any(path: &Path) -> bool {
    path.exists()
        || path.to_str().is_some_and(|pattern| glob::glob(pattern).is_ok_and(|mut found| found.next().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_path_belongs_to_the_file_it_is_written_in() {
        let written_in = |file: &str| Place::file(Path::new(file));
        assert_eq!(resolve(Path::new("job"), "in", &written_in("job/job.toml")), Path::new("job/in"));
        assert_eq!(resolve(Path::new("job"), "in", &written_in("other/cluster.toml")), Path::new("other/in"));
        assert_eq!(resolve(Path::new("job"), "/in", &written_in("job/job.toml")), Path::new("/in"));
    }

    #[test]
    fn an_override_is_looked_for_here_first() {
        let place = Place { origin: Arc::new(Origin::Set(String::new())), line: 0, column: 0 };
        assert_eq!(resolve(Path::new("job"), "src/*.rs", &place), Path::new("src/*.rs"));
        assert_eq!(resolve(Path::new("job"), "orders", &place), Path::new("job/orders"));
    }
}
