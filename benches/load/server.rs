//! Runs a server as a child process, in a folder of its own, on a free port.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::client::Socket;
use crate::client::envelope::Envelope;
use crate::contenders::Contender;
use crate::kind::{Address, Kind};
use crate::measure::Process;
use crate::plan::Plan;
use crate::ports::free_port;
use crate::{Fallible, contenders};

/// Longest time until a server accepts connections.
const BEGIN: Duration = Duration::from_secs(30);
/// Interval between checks whether it accepts connections.
const LOOK: Duration = Duration::from_millis(1);
/// Longest response time of a server that has started.
const ANSWER: Duration = Duration::from_millis(250);

/// Running servers, to be stopped if this program is interrupted.
fn running() -> MutexGuard<'static, Vec<Pid>> {
    static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
    RUNNING.lock()
}

/// Folder that contains the folders of all servers of a run.
pub struct Workplace {
    binary: PathBuf,
    folder: TempDir,
}

impl Workplace {
    /// A temporary folder below this one, which is on a real disk: a sync must have its real cost.
    pub fn new(binary: PathBuf, below: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(below)?;
        Ok(Self { binary, folder: TempDir::with_prefix_in("run-", below)? })
    }

    /// When this program is interrupted, stops all servers and removes the folder.
    pub fn clean_up_on_signals(&self) -> io::Result<()> {
        let folder = self.folder.path().to_owned();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            for server in running().drain(..) {
                let _ = kill(server, Signal::SIGKILL);
            }
            let _ = std::fs::remove_dir_all(folder);
            std::process::exit(130);
        });
        Ok(())
    }

    /// Creates a folder for one server.
    pub fn folder(&self) -> io::Result<TempDir> {
        TempDir::new_in(self.folder.path())
    }
}

/// A running server. Killed when dropped.
pub struct Server {
    /// Address of the server.
    pub address: Address,
    /// Folder of the server's files.
    pub folder: TempDir,
    binary: PathBuf,
    more: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts a server with these documents on disk, the first of which is the default one. Returns when it is ready.
    pub async fn start(kind: Kind, plans: &[Plan], place: &Workplace) -> Fallible<Self> {
        Self::start_with(kind, plans, place, &[]).await
    }

    /// Like [`start`](Self::start), with additional arguments, for servers that accept them.
    pub async fn start_with(kind: Kind, plans: &[Plan], place: &Workplace, more: &[&str]) -> Fallible<Self> {
        let folder = place.folder()?;
        for (number, plan) in plans.iter().enumerate() {
            lay(kind, folder.path(), plan, number == 0)?;
        }
        let port = free_port();
        let path = match kind {
            Kind::Happierwork | Kind::Cluster(_) => "/sync",
            Kind::WithUsers => path_with_token(&place.binary, folder.path())?,
            Kind::Floor | Kind::Other(_) => "/",
        };
        let address = Address { kind, socket: (Ipv4Addr::LOCALHOST, port).into(), path };
        let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
        let child = spawn(kind, &place.binary, folder.path(), port, &more)?;
        let mut server = Self { address, folder, binary: place.binary.clone(), more, child };
        server.until_ready().await?;
        Ok(server)
    }

    /// Runs a command of the program on the folder of keys and accounts. Returns its output.
    pub fn run(&self, arguments: &[&str], input: &str) -> Fallible<String> {
        run(&self.binary, arguments, self.folder.path(), input)
    }

    /// The process.
    pub fn process(&self) -> Process {
        process(&self.child)
    }

    fn pid(&self) -> Pid {
        pid(&self.child)
    }

    /// Kills the server, like a crash.
    pub fn kill(&mut self) -> io::Result<()> {
        note_ended(&self.child);
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends `SIGTERM` and waits. Returns the exit code and the duration. No exit code if a signal ended it, or if it
    /// exceeded the limit and was killed.
    pub async fn terminate(&mut self, limit: Duration) -> Fallible<(Option<i32>, Duration)> {
        let begun = Instant::now();
        kill(self.pid(), Signal::SIGTERM)?;
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                let took = begun.elapsed();
                note_ended(&self.child);
                return Ok((status.code(), took));
            }
            tokio::time::sleep(LOOK).await;
        }
        self.kill()?;
        Ok((None, begun.elapsed()))
    }

    /// Starts the server again, in the same folder and on the same port. Does not wait until it is ready.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child =
            spawn(self.address.kind, &self.binary, self.folder.path(), self.address.socket.port(), &self.more)?;
        Ok(())
    }

    /// Adds the last output of the server to an error if the server has ended, as that is the cause.
    pub fn explain(&mut self, failure: impl std::fmt::Display) -> String {
        let Ok(Some(status)) = self.child.try_wait() else { return failure.to_string() };
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let words: Vec<&str> = log.lines().map(str::trim).filter(|line| line.contains("Error")).collect();
        format!("{failure}; the server has ended ({status}): {}", words.last().unwrap_or(&""))
    }

    /// Waits until the server responds.
    pub async fn until_ready(&mut self) -> Fallible<()> {
        let deadline = Instant::now() + BEGIN;
        while !is_ready(&self.address).await {
            if Instant::now() > deadline || self.child.try_wait()?.is_some() {
                return Err(self.explain("the server does not become ready").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(kind: Kind, binary: &Path, folder: &Path, port: u16, more: &[String]) -> io::Result<Child> {
    let mut command = match kind {
        Kind::Happierwork | Kind::WithUsers => {
            let mut command = Command::new(binary);
            if kind == Kind::WithUsers {
                command.arg("--auth").arg(folder.join("auth"));
            }
            command.arg("--listen").arg(format!("127.0.0.1:{port}"));
            command.arg("--state").arg(folder.join("state.automerge"));
            command.arg("--documents").arg(folder.join("documents")).args(more);
            command
        }
        Kind::Cluster(_) => {
            let mut command = Command::new(binary);
            command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(more);
            command
        }
        Kind::Floor => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("floor").arg(port.to_string());
            command
        }
        Kind::Other(contender) => {
            let mut command = contender.command(port, folder);
            command.args(more);
            command
        }
    };
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    note_running(&child);
    Ok(child)
}

/// Remembers a process, to be killed if this program is interrupted.
pub fn note_running(child: &Child) {
    running().push(pid(child));
}

/// Forgets a process that is about to end.
pub fn note_ended(child: &Child) {
    let pid = pid(child);
    running().retain(|running| *running != pid);
}

/// A child, to be measured.
pub fn process(child: &Child) -> Process {
    Process(pid(child))
}

/// Whether a process has not ended.
pub fn is_running(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

fn pid(child: &Child) -> Pid {
    // Process ids are positive and fit; 0 would be this process' group.
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// Puts a document where the server looks for it.
fn lay(kind: Kind, folder: &Path, plan: &Plan, default: bool) -> io::Result<()> {
    match kind {
        Kind::Happierwork | Kind::WithUsers if default => std::fs::write(folder.join("state.automerge"), &plan.bytes),
        Kind::Happierwork | Kind::WithUsers => {
            std::fs::create_dir_all(folder.join("documents"))?;
            std::fs::write(folder.join(format!("documents/{}.automerge", plan.id)), &plan.bytes)
        }
        // Documents are in the database.
        Kind::Cluster(_) | Kind::Other(Contender::Hocuspocus) | Kind::Floor => Ok(()),
        Kind::Other(_) => contenders::lay(folder, plan.id.as_str(), &plan.bytes),
    }
}

/// Creates a key and a token, which all clients send in the URL.
fn path_with_token(binary: &Path, folder: &Path) -> Fallible<&'static str> {
    let token = run(binary, &["token", "--user", "everybody", "--role", "editor", "--documents", "*"], folder, "")?;
    // Leaked once for each server of a run.
    Ok(format!("/sync?token={token}").leak())
}

/// Runs a command of the program on the folder of keys and accounts of the server in this folder.
fn run(binary: &Path, arguments: &[&str], folder: &Path, input: &str) -> Fallible<String> {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--auth").arg(folder.join("auth"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // The output is not needed.
        let _ = stdin.write_all(input.as_bytes());
    }
    let done = child.wait_with_output()?;
    if !done.status.success() {
        return Err(format!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}

/// Imports a file of the legacy backend into a new file. Returns how long that took, and the peak memory in MiB.
pub fn import(place: &Workplace, source: &Path, state: &Path) -> Fallible<(Duration, f64)> {
    let mut command = Command::new(&place.binary);
    command.arg("import").arg(source).arg("--state").arg(state);
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // Unreadable at its very end.
        peak = process(&child).peak_rss_mib().map_or(peak, |mib| peak.max(mib));
        std::thread::sleep(LOOK);
    };
    let took = begun.elapsed();
    if !status.success() {
        return Err(format!("import: {}", String::from_utf8_lossy(&child.wait_with_output()?.stderr)).into());
    }
    Ok((took, peak))
}

async fn is_ready(server: &Address) -> bool {
    let speaks_automerge = server.kind != Kind::Other(Contender::Hocuspocus);
    if matches!(server.kind, Kind::Other(_)) && speaks_automerge {
        return matches!(timeout(ANSWER, probe(server)).await, Ok(Ok(())));
    }
    let Ok(mut stream) = TcpStream::connect(server.socket).await else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.socket);
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

/// Joins and leaves. The servers from npm accept connections some time before they process messages.
async fn probe(server: &Address) -> Fallible<()> {
    let mut socket = Socket::connect(Ipv4Addr::LOCALHOST, server.socket, server.path).await?;
    let nothing = DocumentId::from_random([0; 16]);
    Envelope::join(&mut socket, "probe", &nothing).await.map(drop)
}
