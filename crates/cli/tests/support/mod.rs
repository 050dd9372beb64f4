//! A job of a test's own on the real binary, which may be killed and goes on.

use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A job that is called `shop`, and its run.
pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    child: Child,
}

fn spawn(folder: &TempDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxima"));
    command.args(["run", "shop", "--listen", "127.0.0.1:0", "--workers", "2"]).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

impl Shop {
    /// Runs a job of these files.
    pub(crate) fn start(job: &str, views: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("shop")).unwrap();
        fs::write(folder.path().join("shop/job.toml"), job).unwrap();
        fs::write(folder.path().join("shop/views.sql"), views).unwrap();
        let child = spawn(&folder);
        Self { folder, child }
    }

    pub(crate) fn kill_and_go_on(&mut self) {
        self.child.kill().unwrap();
        self.go_on();
    }

    /// Kills the run for good; its folder stays as long as what is returned.
    #[allow(dead_code, reason = "not every test that shares this wants it")]
    pub(crate) fn gone(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// Ctrl-C: `look` sees the data folder while nobody runs.
    #[allow(dead_code, reason = "not every test that shares this wants it")]
    pub(crate) fn interrupt_and_go_on(&mut self, look: impl FnOnce(&TempDir)) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: sends a signal to a process of ours that was not waited for, so the number is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        self.child.wait().unwrap();
        look(&self.folder);
        self.go_on();
    }

    fn go_on(&mut self) {
        self.child.wait().unwrap();
        // Whoever ended by itself has taken it away.
        let _ = fs::remove_file(self.folder.path().join(".proxima/shop/server.json"));
        self.child = spawn(&self.folder);
    }

    /// What the server's address gives, once it does.
    pub(crate) fn wait<T>(&mut self, what: &str, mut get: impl FnMut(&str) -> Option<T>) -> T {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself");
            let note = fs::read(self.folder.path().join(".proxima/shop/server.json"));
            let note: Option<Value> = note.ok().and_then(|note| serde_json::from_slice(&note).ok());
            let address = note.and_then(|note| Some(note["address"].as_str()?.to_owned()));
            if let Some(got) = address.and_then(|address| get(&address)) {
                return got;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{what} never came")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
