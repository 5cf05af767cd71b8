//! The Redis server through which Hocuspocus servers share documents. It stores nothing on disk: the extension only
//! needs messages.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Fallible;
use crate::measure::Process;
use crate::ports::free_port;
use crate::server::{Workplace, is_running, note_ended, note_running, process};

/// The program.
const REDIS: &str = "redis-server";
/// Longest time until it accepts connections.
const BEGIN: Duration = Duration::from_secs(10);

/// A running server. Killed when dropped.
pub struct Redis {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

/// Whether it can be started. The error says how to install it.
pub fn installed() -> Result<(), String> {
    match Command::new(REDIS).arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{REDIS} is missing: apt-get install {REDIS}")),
    }
}

impl Redis {
    /// Starts it on a free port.
    pub async fn start(place: &Workplace) -> Fallible<Self> {
        let (folder, port) = (place.folder()?, free_port());
        let mut command = Command::new(REDIS);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string(), "--dir"]);
        command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn()?;
        note_running(&child);
        let mut server = Self { port, child, _folder: folder };
        let deadline = Instant::now() + BEGIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline || !is_running(&mut server.child) {
                return Err(format!("{REDIS} does not start").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }

    /// The process.
    pub fn process(&self) -> Process {
        process(&self.child)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        note_ended(&self.child);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
