//! The data folder of a job: the embedded index, the key-value store, rejected records, and who uses it.

use anyhow::{Context, Result, bail};
use proxima_event::{Epoch, Generation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What tells our folder from any other, and which run wrote it last.
const MARKER: &str = "proxima.json";
/// The marker while it is written; see [`write`].
const MARKER_PART: &str = "proxima.part";
/// Held by the run that uses the folder.
const LOCK: &str = "lock";
/// What runs make. Nothing else in the folder is ever removed, but for the checkpoints by those who keep them.
const RESULTS: [&str; 3] = ["index", "kv.redb", "rejected"];
/// What is true of one run only.
const PASSING: [&str; 2] = ["server.json", "summary.json"];

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    job: String,
    generation: u64,
    /// Since which epoch the folder holds a result, where that is not from the first on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    begun: BTreeMap<String, Epoch>,
    /// Where the last run kept its checkpoints, if it made any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoints: Option<String>,
}

/// Where a run that serves can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Host and port.
    pub address: String,
    /// Its process.
    pub pid: u32,
}

/// A data folder.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    job: String,
    /// The last run that used it.
    generation: Generation,
    begun: BTreeMap<String, Epoch>,
    /// Where the last run kept its checkpoints, if it made any.
    kept_at: Option<String>,
    /// Held for as long as a run uses the folder; the system lets go of it even if the process is killed.
    _lock: Option<File>,
}

impl DataFolder {
    /// The folder as a reader sees it. It need not exist.
    #[must_use]
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        let (job, generation) = (String::new(), Generation(0));
        Self { path: path.into(), job, generation, begun: BTreeMap::new(), kept_at: None, _lock: None }
    }

    /// Takes the folder for a run of `job`. What earlier runs left stays until [`clear`](Self::clear).
    ///
    /// # Errors
    /// When another run uses it, when it is not ours or another job's, or when it cannot be written.
    pub fn open(path: impl Into<PathBuf>, job: &str) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).with_context(|| format!("cannot create the data folder {}", path.display()))?;
        let marker = read_marker(&path, job)?;
        let lock = lock(&path)?;
        let is_new = marker.is_none();
        let (generation, begun, kept_at) =
            marker.map_or_else(Default::default, |marker| (marker.generation, marker.begun, marker.checkpoints));
        let (job, generation) = (job.to_owned(), Generation(generation));
        let folder = Self { path, job, generation, begun, kept_at, _lock: Some(lock) };
        if is_new {
            // The marker comes first: from now on the folder is ours to empty. The run that begins puts it on the disk.
            put(&folder.path.join(MARKER), &folder.marker(folder.generation)?)?;
        }
        PASSING.iter().try_for_each(|name| remove(&folder.path.join(name)))?;
        Ok(folder)
    }

    /// The last run that used the folder.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The number of a run that makes no checkpoints, which would number it.
    #[must_use]
    pub fn next_generation(&self) -> Generation {
        Generation(self.generation.0 + 1)
    }

    /// Where the last run kept its checkpoints, if it made any.
    #[must_use]
    pub fn kept_at(&self) -> Option<&str> {
        self.kept_at.as_deref()
    }

    /// Where the run keeps its checkpoints, if it makes any; noted when it [begins](Self::begin).
    pub fn keep_at(&mut self, place: Option<String>) {
        self.kept_at = place;
    }

    /// Notes the run that uses the folder now.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(&self, generation: Generation) -> Result<()> {
        replace(&self.path.join(MARKER), &self.marker(generation)?)
    }

    fn marker(&self, generation: Generation) -> Result<Vec<u8>> {
        let marker = Marker {
            job: self.job.clone(),
            generation: generation.0,
            begun: self.begun.clone(),
            checkpoints: self.kept_at.clone(),
        };
        Ok(serde_json::to_vec(&marker)?)
    }

    /// Removes the results of earlier runs.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn clear(&mut self) -> Result<()> {
        self.begun.clear();
        RESULTS.iter().try_for_each(|name| remove(&self.path.join(name)))
    }

    /// Since which epoch the folder holds a result, where that is not from the first on.
    #[must_use]
    pub fn begun(&self) -> &BTreeMap<String, Epoch> {
        &self.begun
    }

    /// Begins these results anew at an epoch, and removes these indexes. It is noted first: a run that follows must not
    /// take what is left for what there was.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn restart(&mut self, results: &BTreeSet<String>, at: Epoch, indexes: &[String]) -> Result<()> {
        self.begun.extend(results.iter().map(|name| (name.clone(), at)));
        self.begin(self.generation)?;
        indexes.iter().try_for_each(|index| remove(&self.indexes().join(index)))
    }

    /// Where checkpoints are, unless the job says otherwise.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Where the indexes are: a folder each.
    #[must_use]
    pub fn indexes(&self) -> PathBuf {
        self.path.join("index")
    }

    /// Where a source keeps what clients posted. It outlives the run: it was promised to them.
    #[must_use]
    pub fn ingested(&self, source: &str) -> PathBuf {
        self.path.join("ingest").join(source)
    }

    /// Where the shares of splits are kept that were changed while a run served. It outlives the run, as what clients posted.
    #[must_use]
    pub fn splits(&self) -> PathBuf {
        self.path.join("splits.json")
    }

    /// The key-value store's file.
    #[must_use]
    pub fn key_values(&self) -> PathBuf {
        self.path.join("kv.redb")
    }

    /// Where rejected records are kept: a file a source.
    #[must_use]
    pub fn rejected(&self) -> PathBuf {
        self.path.join("rejected")
    }

    /// Leaves word where this run can be asked.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn announce(&self, server: &ServerInfo) -> Result<()> {
        put(&self.path.join("server.json"), &serde_json::to_vec(server)?)
    }

    /// The run that serves now, if one does.
    #[must_use]
    pub fn server(&self) -> Option<ServerInfo> {
        let server: ServerInfo = serde_json::from_slice(&fs::read(self.path.join("server.json")).ok()?).ok()?;
        Path::new("/proc").join(server.pid.to_string()).exists().then_some(server)
    }

    /// The run no longer serves.
    pub fn retract(&self) {
        // A file that stays names a process that is gone, which readers check.
        let _ = fs::remove_file(self.path.join("server.json"));
    }

    /// Keeps what a finished run did, for programs.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn summarise(&self, summary: &serde_json::Value) -> Result<()> {
        put(&self.path.join("summary.json"), serde_json::to_string_pretty(summary)?.as_bytes())
    }
}

/// Checks that the folder is empty, or ours and of this job.
fn read_marker(path: &Path, job: &str) -> Result<Option<Marker>> {
    let Ok(bytes) = fs::read(path.join(MARKER)) else {
        let mut entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        // What the first run leaves behind that ends before its marker is there.
        let is_ours = |name: OsString| name == LOCK || name == MARKER_PART;
        if entries.any(|entry| entry.is_ok_and(|entry| !is_ours(entry.file_name()))) {
            bail!("{} is not empty and not a data folder of proxima; choose another --data", path.display());
        }
        return Ok(None);
    };
    let marker: Marker = serde_json::from_slice(&bytes).with_context(|| {
        let (folder, marker) = (path.display(), path.join(MARKER));
        let advice = "put it back, or choose another --data; what HTTP sources have accepted lies in";
        format!("{} is damaged: {advice} {folder}/ingest", marker.display())
    })?;
    if marker.job != job {
        bail!("{} holds the results of job \"{}\"; choose another --data for \"{job}\"", path.display(), marker.job);
    }
    Ok(Some(marker))
}

fn lock(path: &Path) -> Result<File> {
    let name = path.join(LOCK);
    let file = File::create(&name).with_context(|| format!("cannot write {}", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("{} is in use by another run; stop it or choose another --data", path.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", name.display())),
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(entry) if entry.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove the results of an earlier run at {}", path.display()))
}

/// Writes a file so that a crash leaves the old or the new one whole.
///
/// # Errors
/// When it cannot be written; the old one is there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, File::sync_all)
}

/// Writes a file that readers find whole. It is of no use after a crash, so nobody waits for the disk.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, |_| Ok(()))
}

fn write(path: &Path, bytes: &[u8], settle: impl FnOnce(&File) -> std::io::Result<()>) -> Result<()> {
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        settle(&file)?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_folder_keeps_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let folder = DataFolder::open(&path, "mall").unwrap();
        folder.begin(Generation(1)).unwrap();
        fs::create_dir_all(folder.indexes().join("daily")).unwrap();
        fs::write(folder.key_values(), "old").unwrap();
        fs::write(path.join("notes.txt"), "a user's own").unwrap();
        drop(folder);
        let mut folder = DataFolder::open(&path, "mall").unwrap();
        assert_eq!((folder.generation(), folder.next_generation()), (Generation(1), Generation(2)));
        assert!(folder.indexes().exists() && folder.key_values().exists());
        folder.clear().unwrap();
        assert!(!folder.indexes().exists() && !folder.key_values().exists());
        assert!(path.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_whose_first_run_ended_at_once_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Path::new(MARKER).with_extension("part"), Path::new(MARKER_PART));
        for name in [LOCK, MARKER_PART] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = DataFolder::open(dir.path(), "mall").unwrap();
        assert_eq!(folder.generation(), Generation(0));
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataFolder::open(dir.path().join("data"), "mall").unwrap();
        let error = DataFolder::open(dir.path().join("data"), "mall").unwrap_err().to_string();
        assert!(error.contains("in use by another run"), "{error}");
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("index")).unwrap();
        let error = DataFolder::open(dir.path(), "mall").unwrap_err().to_string();
        assert!(error.contains("not a data folder"), "{error}");
        assert!(dir.path().join("index").exists());
        let other = dir.path().join("other");
        drop(DataFolder::open(&other, "retail").unwrap());
        let error = DataFolder::open(&other, "mall").unwrap_err().to_string();
        assert!(error.contains("job \"retail\""), "{error}");
    }

    #[test]
    fn a_server_that_is_gone_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path().join("data"), "mall").unwrap();
        let alive = ServerInfo { address: "127.0.0.1:1".into(), pid: std::process::id() };
        folder.announce(&alive).unwrap();
        assert_eq!(folder.server(), Some(alive.clone()));
        folder.announce(&ServerInfo { pid: u32::MAX, ..alive }).unwrap();
        assert_eq!(folder.server(), None);
    }
}
