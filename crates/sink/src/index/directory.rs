//! The folder as tantivy sees it, with fewer waits for the disk.
//!
//! Tantivy keeps a list of its files for clearing up, and writes and syncs it with every file it makes: two waits for
//! each of the six files of a segment, in every commit. Nothing is lost when that list is old or gone (a file may stay
//! behind), so here only what makes a commit durable waits: the segment's files, their names, the list of segments
//! and its name. That is 9 waits in place of 25.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr};

/// Tantivy's list of segments: writing it is the commit.
const SEGMENTS: &str = "meta.json";

/// Tantivy's list of files.
const FILES: &str = ".managed.json";

/// A folder of mapped files whose commits wait for the disk once.
#[derive(Clone, Debug)]
pub(super) struct CommitDirectory {
    files: MmapDirectory,
    folder: PathBuf,
}

impl CommitDirectory {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenDirectoryError> {
        drop_torn_list(&folder.join(FILES));
        Ok(Self { files: MmapDirectory::open(folder)?, folder: folder.to_owned() })
    }
}

/// The list of files was not synced, so a power failure may have left half of it.
fn drop_torn_list(path: &Path) {
    let torn = std::fs::read(path).is_ok_and(|text| serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_err());
    if torn && let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a torn list of files");
    }
}

impl Directory for CommitDirectory {
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path == Path::new(SEGMENTS) {
            self.files.sync_directory()?;
            self.files.atomic_write(path, data)?;
            return self.files.sync_directory();
        }
        let fresh = self.folder.join(path).with_extension("new");
        std::fs::write(&fresh, data)?;
        std::fs::rename(&fresh, self.folder.join(path))
    }

    fn sync_directory(&self) -> io::Result<()> {
        // Done where the list of segments is written.
        Ok(())
    }

    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.files.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.files.watch(callback)
    }
}
