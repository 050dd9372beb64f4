//! A folder as a store.
//!
//! An object is written to a file of another name first, synced, and then given its name, by `link` where the name must
//! be free and by `rename` otherwise; at last the folder is synced. So under its name an object is always whole, also
//! after power was lost.

use super::{Append, Listed, Put, Store, StoreError};
use crate::nonce::nonce;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What files begin with that have no name yet.
const UNNAMED: &str = ".unnamed-";
/// A file without a name that is younger may have a writer that has not locked it yet.
const UNNAMED_AGE: Duration = Duration::from_secs(60);

/// Objects as files of a folder.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// Opens the folder, which is made when it is not there, and sweeps files that dead writers left without a name.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|cause| failed("create", &root, &cause))?;
        let store = Self { root };
        store.sweep_unnamed(UNNAMED_AGE).map_err(|cause| failed("sweep", &store.root, &cause))?;
        Ok(store)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Deletes files without a name whose writer is gone: it would hold a lock on them.
    fn sweep_unnamed(&self, age: Duration) -> io::Result<()> {
        let mut found = Vec::new();
        walk(&self.root, &mut |path, _| found.push(path.to_owned()))?;
        for path in found.iter().filter(|path| is_unnamed(path)) {
            let Ok(file) = File::open(path) else { continue };
            let young = file.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed < age);
            if !young && file.try_lock().is_ok() {
                remove_if_there(path)?;
            }
        }
        Ok(())
    }

    /// Writes the bytes to a file beside `path`, and lets `name` give it its name.
    fn write(&self, path: &Path, parts: &[&[u8]], name: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        let unnamed = folder.join(format!("{UNNAMED}{}", nonce()));
        let written = self.create(folder, &unnamed).and_then(|mut file| {
            file.lock()?;
            write_all(&mut file, parts)?;
            file.sync_all()?;
            name(&unnamed)?;
            sync_folder(folder)
        });
        // After a rename there is nothing left to remove.
        let removed = remove_if_there(&unnamed);
        written.and(removed)
    }

    /// Creates a file and the folders above it. The sweep may remove an empty folder just before the file is in it.
    fn create(&self, folder: &Path, path: &Path) -> io::Result<File> {
        for _ in 0..8 {
            self.create_folder(folder)?;
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                answer => return answer,
            }
        }
        Err(io::Error::new(ErrorKind::NotFound, "its folder keeps vanishing"))
    }

    /// Makes a folder of the store, with those above it, durably.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || folder.is_dir() {
            return Ok(());
        }
        let above = folder.parent().unwrap_or(&self.root);
        self.create_folder(above)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => sync_folder(above),
        }
    }
}

impl Store for LocalStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.put_parts(name, &[bytes])
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        let path = self.path(name);
        let written = self.write(&path, parts, |unnamed| fs::rename(unnamed, &path));
        written.map_err(|cause| failed("write", &path, &cause))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let path = self.path(name);
        match self.write(&path, &[bytes], |unnamed| fs::hard_link(unnamed, &path)) {
            Ok(()) => Ok(Put::Done),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                let own = self.get(name)?.is_some_and(|there| there == bytes);
                Ok(if own { Put::Done } else { Put::Exists })
            }
            Err(cause) => Err(failed("write", &path, &cause)),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        if_there(fs::read(&path)).map_err(|cause| failed("read", &path, &cause))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(name);
        let metadata = if_there(fs::metadata(&path)).map_err(|cause| failed("look at", &path, &cause))?;
        Ok(metadata.map(|metadata| metadata.len()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = self.path(prefix);
        let mut listed = Vec::new();
        let walked = walk(&folder, &mut |path, bytes| {
            let name = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
            if let Some(name) = name.filter(|_| !is_unnamed(path)) {
                listed.push(Listed { name: name.to_owned(), bytes });
            }
        });
        walked.map_err(|cause| failed("list", &folder, &cause))?;
        listed.sort();
        Ok(listed)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        remove_if_there(&path).map_err(|cause| failed("delete", &path, &cause))?;
        if let Some(folder) = path.parent().filter(|folder| *folder != self.root) {
            // Fails when something is left in it, and then it shall stay.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    fn append(&self, name: &str) -> Result<Option<Box<dyn Append>>, StoreError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        let file = self.create(folder, &path).and_then(|file| sync_folder(folder).map(|()| file));
        let file = file.map_err(|cause| failed("create", &path, &cause))?;
        Ok(Some(Box::new(AppendFile { file, path })))
    }
}

/// Writes parts one behind the other, as many in a call as the system takes.
fn write_all(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    // Empty ones at the front would make a call that writes nothing.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct AppendFile {
    file: File,
    path: PathBuf,
}

impl Append for AppendFile {
    fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let added = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        added.map_err(|cause| failed("append to", &self.path, &cause))
    }
}

/// Calls `visit` with each file below a folder and its size. What vanishes on the way was deleted by another thread.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path, u64)) -> io::Result<()> {
    let Some(entries) = if_there(fs::read_dir(folder))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let Some(metadata) = if_there(entry.metadata())? else { continue };
        if metadata.is_dir() {
            walk(&entry.path(), visit)?;
        } else {
            visit(&entry.path(), metadata.len());
        }
    }
    Ok(())
}

fn is_unnamed(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNNAMED))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    if_there(fs::remove_file(path)).map(|_| ())
}

fn if_there<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(tried: &'static str, path: &Path, cause: &io::Error) -> StoreError {
    use ErrorKind::{FileTooLarge, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let advice = match cause.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => " (free space there; the run goes on from its last checkpoint)",
        PermissionDenied | ReadOnlyFilesystem => " (the user that runs the job must be able to write there)",
        _ => "",
    };
    let lasting = matches!(cause.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory);
    StoreError { tried, place: path.display().to_string(), reason: format!("{cause}{advice}"), lasting }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, LocalStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn the_first_of_two_writers_wins() {
        let (_folder, store) = store();
        assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
        assert_eq!(store.put_if_absent("log/1.json", b"theirs").unwrap(), Put::Exists);
        assert_eq!(store.put_if_absent("log/1.json", b"mine").unwrap(), Put::Done);
        assert_eq!(store.get("log/1.json").unwrap().unwrap(), b"mine");
    }

    #[test]
    fn one_of_many_threads_wins() {
        let (_folder, store) = store();
        let won: usize = std::thread::scope(|scope| {
            let store = &store;
            let writers: Vec<_> = (0..8_u8)
                .map(|writer| scope.spawn(move || store.put_if_absent("a/b", &[writer]).unwrap() == Put::Done))
                .collect();
            writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
        assert_eq!(store.list("a/").unwrap().len(), 1, "no file without a name stays");
    }

    #[test]
    fn lists_what_is_there_and_deletes_it_with_its_folder() {
        let (folder, store) = store();
        for name in ["state/1/b", "state/1/a", "state/2/c", "log/1"] {
            store.put(name, name.as_bytes()).unwrap();
        }
        let names: Vec<_> = store.list("state/").unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["state/1/a", "state/1/b", "state/2/c"]);
        assert_eq!(store.size("state/1/a").unwrap(), Some(9));
        store.delete("state/2/c").unwrap();
        store.delete("state/2/c").unwrap();
        assert!(!folder.path().join("state/2").exists());
        assert_eq!((store.get("state/2/c").unwrap(), store.size("state/2/c").unwrap()), (None, None));
        assert_eq!(store.list("nowhere/").unwrap(), []);
    }

    #[test]
    fn what_is_added_is_read_and_a_name_is_used_once() {
        let (_folder, store) = store();
        let mut appended = store.append("cuts/1").unwrap().unwrap();
        appended.add(b"one").unwrap();
        assert_eq!(store.get("cuts/1").unwrap().unwrap(), b"one");
        appended.add(b"two").unwrap();
        assert_eq!(store.get("cuts/1").unwrap().unwrap(), b"onetwo");
        assert!(store.append("cuts/1").is_err());
    }

    #[test]
    fn parts_are_one_object() {
        let (_folder, store) = store();
        // More than the system takes in one call.
        let texts: Vec<String> = (0..3000).map(|at| "x".repeat(at % 5)).collect();
        let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        store.put_parts("state/1", &parts).unwrap();
        assert_eq!(store.get("state/1").unwrap().unwrap(), parts.concat());
        store.put_parts("state/1", &[b"", b""]).unwrap();
        assert_eq!(store.get("state/1").unwrap().unwrap(), b"");
    }

    #[test]
    fn sweeps_files_of_dead_writers_alone() {
        let (folder, store) = store();
        let (dead, alive) = (folder.path().join(".unnamed-dead"), folder.path().join(".unnamed-alive"));
        fs::write(&dead, "half").unwrap();
        let held = File::create(&alive).unwrap();
        held.lock().unwrap();
        store.sweep_unnamed(Duration::from_secs(3600)).unwrap();
        assert!(dead.exists(), "it may be about to be locked");
        store.sweep_unnamed(Duration::ZERO).unwrap();
        assert_eq!((dead.exists(), alive.exists()), (false, true));
    }

    #[test]
    fn a_full_disk_is_named_with_what_to_do() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = failed("write", Path::new("/data/state/1"), &kind.into());
            assert!(!error.lasting, "it may be emptied while the call is tried again");
            let said = error.to_string();
            assert!(said.starts_with("cannot write /data/state/1: ") && said.contains("free space there"), "{said}");
        }
    }

    #[test]
    fn says_what_cannot_be_written_and_where() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log"), "a file").unwrap();
        let store = LocalStore::open(folder.path()).unwrap();
        let error = store.put("log/1.json", b"x").unwrap_err();
        assert!(error.lasting);
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert!(error.to_string().contains("log/1.json"), "{error}");
    }
}
