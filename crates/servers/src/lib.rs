//! Real servers for tests, by the scripts in `services/`. A crate of its own, so that a connector's tests build little.
//!
//! [`Service::start`] gives the server that all tests of the machine share: it is started when it does not run, and left
//! running, so tests give random names to what they make in it. [`Service::own`] gives a server with a data folder of
//! its own, for tests that kill or reconfigure it; it is stopped when the test lets go of it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// A server that answers.
#[derive(Debug)]
pub struct Service {
    name: String,
    settings: Vec<(String, String)>,
    address: String,
    /// The folder of a server that is the test's own.
    folder: Option<TempDir>,
}

impl Service {
    /// The server that all tests share, such as `kafka`: runs `services/NAME.sh start`.
    ///
    /// # Panics
    /// When it cannot be started; the script has said why.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let mut service = Self { name: name.to_owned(), settings: Vec::new(), address: String::new(), folder: None };
        // Tests run side by side; only one of them may start the server.
        let lock = lock(&services_folder(), name);
        service.address = ready_at(&run_script(name, &["start"], &[]));
        drop(lock);
        service
    }

    /// A server of the test's own, with settings of its script (environment variables, ports among them: see
    /// [`free_ports`]).
    ///
    /// # Panics
    /// When it cannot be started; the script has said why.
    #[must_use]
    pub fn own(name: &str, settings: &[(&str, String)]) -> Self {
        let shared = services_folder();
        let lock = lock(&shared, name);
        let mut settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        run_script(name, &["install"], &settings);
        drop(lock);
        let folder = tempfile::tempdir().expect("a folder for the server can be made");
        link_programs(&shared.join(name), &folder.path().join(name));
        settings.push(("PROXIMA_SERVICES_DIR".to_owned(), folder.path().display().to_string()));
        let mut service = Self { name: name.to_owned(), settings, address: String::new(), folder: Some(folder) };
        service.address = ready_at(&run_script(name, &["start"], &service.settings));
        service
    }

    /// Where it listens, as the script says it: `127.0.0.1:19092`; several are separated by commas.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The data folder of a server that is the test's own; certificates that its script makes are in `tls` there.
    ///
    /// # Panics
    /// When the server is shared.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("the server is the test's own");
        folder.path().join(&self.name).join("data")
    }

    /// The processes that run now, one for each broker or node, with the name that the script gives it: `kafka@2`.
    ///
    /// # Panics
    /// When the script cannot be run.
    #[must_use]
    pub fn processes(&self) -> Vec<(String, i32)> {
        let output = script(&self.name, &["status"], &self.settings).output().expect("the script can be run");
        processes(&String::from_utf8_lossy(&output.stdout))
    }

    /// Runs another command of the script, such as `["kill", "2"]`, and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        run_script(&self.name, arguments, &self.settings).0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.folder.is_some() {
            // Should it not stop, the machine is left with a server, which is no reason to fail a test.
            let _ = script(&self.name, &["stop"], &self.settings).stderr(Stdio::null()).status();
        }
    }
}

/// The first of `count` ports in a row that nobody listens at, and of as many from a hundred above (where controllers
/// listen). It lies below the ports that the system gives away by itself. No test of a process gets what another one got:
/// a server that was stopped must find its port free again.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn free_ports(count: u16) -> u16 {
    static GIVEN: Mutex<u16> = Mutex::new(0);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let begin = 20_000 + u16::try_from(std::process::id() % 40).expect("it is below 40") * 250;
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = (begin.max(*given)..32_000)
        .step_by(10)
        .find(|&first| (first..first + count).all(|port| free(port) && free(port + 100)))
        .expect("some ports are free");
    *given = found + count.next_multiple_of(10);
    found
}

/// Where the shared servers rest: as `services/lib.sh` has it.
fn services_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("PROXIMA_SERVICES_DIR").or_else(|| Some(set("XDG_CACHE_HOME")?.join("proxima-services")));
    folder.unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache/proxima-services"))
}

fn lock(folder: &Path, name: &str) -> File {
    fs::create_dir_all(folder).expect("the folder of the services can be made");
    let file = File::create(folder.join(format!("{name}.lock"))).expect("the lock's file can be made");
    file.lock().expect("the file system has locks");
    file
}

/// Shares what was installed, but no data, log or process.
fn link_programs(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the server's folder can be made");
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name() != "data" {
            std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).expect("a link can be made");
        }
    }
}

/// Runs a script to its end, and gives what it printed and what it said beside it.
fn run_script(name: &str, arguments: &[&str], settings: &[(String, String)]) -> (String, String) {
    let mut command = script(name, arguments, settings);
    let output = command.output().unwrap_or_else(|error| panic!("cannot run services/{name}.sh: {error}"));
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "services/{name}.sh {arguments:?} failed: {stderr}");
    (stdout, stderr)
}

fn script(name: &str, arguments: &[&str], settings: &[(String, String)]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../services/{name}.sh"));
    let mut command = Command::new(script);
    command.args(arguments).envs(settings.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
    command
}

/// The address in a script's closing line: `kafka: ready at 127.0.0.1:19092`, `opensearch: ready: 127.0.0.1:9210`.
fn ready_at((stdout, stderr): &(String, String)) -> String {
    let address = |line: &str| {
        let (_, rest) = line.split_once(": ready at ").or_else(|| line.split_once(": ready: "))?;
        rest.split_whitespace().next().map(|word| word.trim_end_matches(',').to_owned())
    };
    let found = stdout.lines().chain(stderr.lines()).rev().find_map(address);
    found.unwrap_or_else(|| panic!("the script does not say where the server is: {stdout}{stderr}"))
}

/// The processes in lines such as `kafka@2: running at 127.0.0.1:19093, pid 4711, 310 MiB`.
fn processes(status: &str) -> Vec<(String, i32)> {
    let process = |line: &str| {
        let (name, rest) = line.split_once(": running ")?;
        let (_, rest) = rest.split_once("pid ")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    status.lines().filter_map(process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_once() {
        let first = free_ports(3);
        assert!(free_ports(1) >= first + 3);
    }

    #[test]
    fn processes_are_told_by_the_status() {
        let status = "kafka: running at 127.0.0.1:19092, pid 4711, 310 MiB\nkafka@2: not running\n\
                      kafka@3: running at 127.0.0.1:19094, pid 4713, 309 MiB\n";
        assert_eq!(processes(status), [("kafka".to_owned(), 4711), ("kafka@3".to_owned(), 4713)]);
    }

    #[test]
    fn the_address_is_in_the_closing_line() {
        let printed = |stdout: &str, stderr: &str| ready_at(&(stdout.to_owned(), stderr.to_owned()));
        let brokers = "127.0.0.1:19092,127.0.0.1:19093";
        assert_eq!(printed(&format!("\u{1b}[0mkafka: ready at {brokers}\n"), ""), brokers);
        assert_eq!(printed("", "opensearch: ready: http://127.0.0.1:9210\n"), "http://127.0.0.1:9210");
    }
}
