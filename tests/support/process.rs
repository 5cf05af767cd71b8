//! The program as a child process.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::PATIENCE;

pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/legacy");

/// A folder with a name that does not occur in output by accident.
pub fn folder() -> TempDir {
    TempDir::with_prefix("secret-place-").unwrap()
}

/// A command for the program, without environment variables that configure it.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_happierwork"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name == "PORT" || name == "DATABASE_URL" || name.to_string_lossy().starts_with("HAPPIERWORK_") {
            command.env_remove(name);
        }
    }
    command
}

/// Exit status and output of a run.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Ended {
    program(arguments).output().unwrap().into()
}

/// Runs the program to its end, with this standard input.
pub fn run_with(arguments: &[&str], input: &str) -> Ended {
    let mut command = program(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may end without reading it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// Runs a server that must fail to start.
pub fn refused(mut command: Command) -> Ended {
    let running = Running::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let ended = running.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("happierwork: "), "{}", ended.err);
    assert!(ended.out.is_empty(), "{}", ended.out);
    ended
}

/// A command that serves this state file on a free port, with a documents folder next to the file.
pub fn serve(state: &Path, more: &[&str]) -> Command {
    let documents = state.parent().unwrap().join("documents");
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--state", state.to_str().unwrap()]);
    command.arg("--documents").arg(documents).args(more);
    command
}

/// Imports a document with the 60 recorded positions.
pub fn imported(folder: &Path) -> PathBuf {
    let state = folder.join("state.automerge");
    let ended = run(&["import", &format!("{FIXTURES}/positions.json"), "--state", state.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    state
}

/// A running process; killed when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    err: Option<JoinHandle<String>>,
    logged: Receiver<String>,
    /// Its output so far.
    pub printed: Vec<String>,
}

impl Running {
    /// Starts the process and collects its output.
    pub fn spawn(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let err = BufReader::new(child.stderr.take().unwrap());
        let (sender, logged) = channel();
        let err = thread::spawn(move || {
            let mut text = String::new();
            for line in err.lines().map_while(Result::ok) {
                text.push_str(&line);
                text.push('\n');
                let _ = sender.send(line);
            }
            text
        });
        Self { child, lines, err: Some(err), logged, printed: Vec::new() }
    }

    /// Starts a server, and waits until it listens.
    pub fn server(mut command: Command) -> (Self, SocketAddr) {
        let mut running = Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let address = running.until(|line| {
            let json = serde_json::from_str::<serde_json::Value>(line).ok();
            let url = json.as_ref().and_then(|started| started["listening"][0]["http"].as_str());
            let (_, rest) = url.or_else(|| line.strip_prefix("listening "))?.split_once("://")?;
            rest.split('/').next()?.parse().ok()
        });
        (running, address)
    }

    /// Reads lines until `wanted` returns a value for one.
    pub fn until<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                let _ = self.child.kill();
                let errors = self.errors();
                panic!("it ended or fell silent after {:?}: {errors}", self.printed);
            };
            let found = wanted(&line);
            self.printed.push(line);
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// Waits until it has logged a line that contains `wanted`.
    pub fn until_logged(&self, wanted: &str) {
        loop {
            match self.logged.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(wanted) => return,
                Ok(_) => {}
                Err(error) => panic!("{wanted:?} was not logged: {error}"),
            }
        }
    }

    /// The lines that it has logged since the last call of a method that reads them.
    pub fn logged(&self) -> Vec<String> {
        self.logged.try_iter().collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    fn errors(&mut self) -> String {
        self.err.take().map(|err| err.join().unwrap()).unwrap_or_default()
    }

    /// Waits until the process ends.
    pub fn ended(mut self) -> Ended {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.printed.push(line),
                // The output is closed: the process has ended, or is about to.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    let errors = self.errors();
                    panic!("it does not end; it printed {:?} and {errors}", self.printed);
                }
            }
        }
        let code = self.child.wait().unwrap().code();
        let out = self.printed.iter().map(|line| format!("{line}\n")).collect();
        Ended { code, out, err: self.errors() }
    }

    /// Stops the process with SIGTERM, as an operator does.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
