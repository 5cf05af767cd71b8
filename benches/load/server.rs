//! A server as a process of its own, in a folder of its own, on a free port.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use happierwork::format::DocumentId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Fallible;
use crate::client::Socket;
use crate::client::envelope::Envelope;
use crate::contenders::{self, Contender};
use crate::measure::Process;
use crate::plan::Plan;

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// Between two looks whether it has begun.
const LOOK: Duration = Duration::from_millis(1);
/// How long a server that is ready may take to answer.
const ANSWER: Duration = Duration::from_millis(250);
/// How long an end may take.
const END: Duration = Duration::from_secs(15);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that all this is about.
    Happierwork,
    /// See [`crate::floor`].
    Floor,
    /// See [`crate::contenders`].
    Other(Contender),
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        Self::Happierwork,
        Self::Floor,
        Self::Other(Contender::SyncServer),
        Self::Other(Contender::AutomergeRepo),
        Self::Other(Contender::Samod),
    ];
    /// Those that can be told what a delivery of bytes costs.
    pub const WITH_FLOOR: [Self; 2] = [Self::Happierwork, Self::Floor];
    /// Those that keep documents.
    pub const WITH_DOCUMENTS: [Self; 4] = [
        Self::Happierwork,
        Self::Other(Contender::SyncServer),
        Self::Other(Contender::AutomergeRepo),
        Self::Other(Contender::Samod),
    ];
    /// What only this server has.
    pub const OURS: [Self; 1] = [Self::Happierwork];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Happierwork => "happierwork",
            Self::Floor => "floor",
            Self::Other(contender) => contender.name(),
        }
    }

    /// How long clients may take to join, and edits to arrive. The others have as long as the whole run can spare.
    pub fn patience(self) -> Duration {
        match self {
            Self::Happierwork | Self::Floor => Duration::from_secs(30),
            Self::Other(_) => Duration::from_secs(12),
        }
    }

    /// What exactly is measured.
    pub fn version(self) -> String {
        match self {
            Self::Happierwork => env!("CARGO_PKG_VERSION").to_owned(),
            Self::Floor => "axum's WebSocket, without documents".to_owned(),
            Self::Other(contender) => contender.version(),
        }
    }

    /// Whether it can be started; if not, what to do about it.
    pub fn installed(self) -> Result<(), String> {
        match self {
            Self::Happierwork | Self::Floor => Ok(()),
            Self::Other(contender) => contender.installed(),
        }
    }
}

/// Where clients connect.
#[derive(Debug, Clone)]
pub struct Address {
    /// What it is that listens there.
    pub kind: Kind,
    /// Where.
    pub socket: SocketAddr,
    /// The path of its WebSocket.
    pub path: &'static str,
}

impl Address {
    /// Whether it is a server of documents, in automerge-repo's protocol.
    pub fn knows_documents(&self) -> bool {
        self.kind != Kind::Floor
    }
}

/// Where all servers of a run have their folders.
pub struct Workplace {
    binary: PathBuf,
    folder: TempDir,
}

impl Workplace {
    /// A temporary folder below this one, which is on a real disk: syncing to it must cost what it costs.
    pub fn new(binary: PathBuf, below: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(below)?;
        Ok(Self { binary, folder: TempDir::with_prefix_in("run-", below)? })
    }

    /// A folder for one server.
    pub fn folder(&self) -> io::Result<TempDir> {
        TempDir::new_in(self.folder.path())
    }
}

/// A running server. Killed when dropped.
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// Where its files are.
    pub folder: TempDir,
    binary: PathBuf,
    child: Child,
}

impl Server {
    /// Starts a server that has these documents on disk, of which the first is the default one. Ends when it is ready.
    pub async fn start(kind: Kind, plans: &[Plan], place: &Workplace) -> Fallible<Self> {
        let folder = place.folder()?;
        for (number, plan) in plans.iter().enumerate() {
            lay(kind, folder.path(), plan, number == 0)?;
        }
        let port = free_port()?;
        let path = if kind == Kind::Happierwork { "/sync" } else { "/" };
        let address = Address { kind, socket: (Ipv4Addr::LOCALHOST, port).into(), path };
        let child = spawn(kind, &place.binary, folder.path(), port)?;
        let mut server = Self { address, folder, binary: place.binary.clone(), child };
        server.until_ready().await?;
        Ok(server)
    }

    /// The process.
    pub fn process(&self) -> Process {
        Process(self.pid())
    }

    fn pid(&self) -> Pid {
        // Process ids are positive and fit; 0 would be this process' group.
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Ends it as an operator would.
    pub fn stop(mut self) -> Fallible<()> {
        kill(self.pid(), Signal::SIGTERM)?;
        let deadline = Instant::now() + END;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(format!("{} does not end", self.address.kind.name()).into());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Starts it again, in the same folder and on the same port. Does not wait until it is ready.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child = spawn(self.address.kind, &self.binary, self.folder.path(), self.address.socket.port())?;
        Ok(())
    }

    /// A failure, with what the server said last if it has ended: then it is the reason.
    pub fn explain(&mut self, failure: impl std::fmt::Display) -> String {
        let Ok(Some(status)) = self.child.try_wait() else { return failure.to_string() };
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let words: Vec<&str> = log.lines().map(str::trim).filter(|line| line.contains("Error")).collect();
        format!("{failure}; the server has ended ({status}): {}", words.last().unwrap_or(&""))
    }

    /// Waits until it answers.
    pub async fn until_ready(&mut self) -> Fallible<()> {
        let deadline = Instant::now() + BEGIN;
        while !is_ready(&self.address).await {
            if Instant::now() > deadline || self.child.try_wait()?.is_some() {
                return Err(self.explain("the server does not get ready").into());
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

fn spawn(kind: Kind, binary: &Path, folder: &Path, port: u16) -> io::Result<Child> {
    let mut command = match kind {
        Kind::Happierwork => {
            let mut command = Command::new(binary);
            command.arg("--listen").arg(format!("127.0.0.1:{port}"));
            command.arg("--state").arg(folder.join("state.automerge"));
            command.arg("--documents").arg(folder.join("documents"));
            command
        }
        Kind::Floor => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("floor").arg(port.to_string());
            command
        }
        Kind::Other(contender) => contender.command(port, folder),
    };
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// Puts a document where a server will look for it.
fn lay(kind: Kind, folder: &Path, plan: &Plan, default: bool) -> io::Result<()> {
    match kind {
        Kind::Happierwork if default => std::fs::write(folder.join("state.automerge"), &plan.bytes),
        Kind::Happierwork => {
            std::fs::create_dir_all(folder.join("documents"))?;
            std::fs::write(folder.join(format!("documents/{}.automerge", plan.id)), &plan.bytes)
        }
        Kind::Floor => Ok(()),
        Kind::Other(_) => contenders::lay(folder, plan.id.as_str(), &plan.bytes),
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

async fn is_ready(server: &Address) -> bool {
    if matches!(server.kind, Kind::Other(_)) {
        return matches!(timeout(ANSWER, probe(server)).await, Ok(Ok(())));
    }
    let Ok(mut stream) = TcpStream::connect(server.socket).await else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.socket);
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

/// Joins, and leaves. Those from npm accept connections some time before they listen to what is said on them.
async fn probe(server: &Address) -> Fallible<()> {
    let mut socket = Socket::connect(Ipv4Addr::LOCALHOST, server.socket, server.path).await?;
    let nothing = DocumentId::from_random([0; 16]);
    Envelope::join(&mut socket, "probe", &nothing).await.map(drop)
}
