//! A PostgreSQL server for one case, in a temporary folder, with its default settings: a commit waits for an fsync.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use primitives::DocumentId;
use store::sql::{Database, DatabaseOptions};
use store::{Batch, Position};
use tempfile::TempDir;

use crate::Fallible;
use crate::plan::Plan;
use crate::ports::free_port;
use crate::server::Workplace;

const INSTALL: &str = "PostgreSQL is missing: `make databases` as root, or apt-get install postgresql";
/// User of the server process if this process runs as root, which PostgreSQL refuses.
const USER: &str = "postgres";
/// Superuser of the database.
const ADMIN: &str = "bench";
/// Longest time until it accepts connections.
const BEGIN: Duration = Duration::from_secs(60);
/// Runs a server until standard input ends, then stops it: it does not outlive the load generator.
const UNTIL_END: &str =
    "\"$@\" & server=$!; cat > /dev/null; kill -INT $server; sleep 0.3; kill -KILL $server 2> /dev/null; wait $server";

/// A running server. Stopped when dropped.
pub struct Postgres {
    /// URL of its database.
    pub url: String,
    /// Process id of the server, which has a child for each connection.
    pid: u32,
    alive: Option<ChildStdin>,
    shell: std::process::Child,
    _folder: TempDir,
}

/// Whether it can be started. The error says how to install it.
pub fn installed() -> Result<(), String> {
    find("initdb").and_then(|_| find("postgres")).map(drop)
}

/// The version, if it is installed.
pub fn version() -> Option<String> {
    let output = Command::new(find("postgres").ok()?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().replace("postgres (PostgreSQL)", "PostgreSQL"))
}

impl Postgres {
    /// Starts it on a free port, with an empty database.
    pub async fn start(place: &Workplace) -> Fallible<Self> {
        let folder = folder(place)?;
        let (data, password) = (folder.path().join("data"), format!("{:032x}", rand::random::<u128>()));
        let file = folder.path().join("password");
        fs::write(&file, &password)?;
        let mut init = unprivileged(&find("initdb")?);
        init.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--username", ADMIN, "--pgdata"]);
        init.arg(&data).arg("--pwfile").arg(&file);
        give(&file)?;
        let done = init.stdin(Stdio::null()).output()?;
        if !done.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        let port = free_port();
        let server = unprivileged(&find("postgres")?);
        let log = fs::File::create(folder.path().join("log"))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", UNTIL_END, "sh"]).arg(server.get_program()).args(server.get_args());
        shell.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", ""]);
        shell.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]);
        let mut shell = shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let alive = shell.stdin.take();
        let url = format!("postgres://{ADMIN}:{password}@127.0.0.1:{port}/postgres");
        let mut server = Self { url, pid: 0, alive, shell, _folder: folder };
        let deadline = Instant::now() + BEGIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if Instant::now() > deadline {
                return Err("PostgreSQL does not start".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let pid = fs::read_to_string(data.join("postmaster.pid"))?;
        server.pid =
            pid.lines().next().and_then(|line| line.trim().parse().ok()).ok_or("PostgreSQL has no process id")?;
        Ok(server)
    }

    /// Stores these documents. The first one is the default document.
    pub async fn lay(&self, plans: &[Plan]) -> Fallible<()> {
        let database = self.open().await?;
        for plan in plans {
            database.append(&plan.id, Position::START, Batch::changes(plan.bytes.to_vec(), Vec::new())).await?;
        }
        if let Some(plan) = plans.first() {
            database.choose_default_document(&plan.id).await?;
        }
        database.shut_down().await;
        Ok(())
    }

    /// The stored bytes of a document.
    pub async fn read(&self, id: &DocumentId) -> Fallible<Vec<u8>> {
        let database = self.open().await?;
        let stored = database.stored(id).await?;
        database.shut_down().await;
        Ok(stored.ok_or("the document is not stored")?.bytes)
    }

    async fn open(&self) -> Fallible<Arc<dyn Database>> {
        let options = DatabaseOptions { url: self.url.parse()?, listen: None, wait: BEGIN };
        Ok(store::sql::open(&options).await?)
    }

    /// Processor time, user and system, of all its processes since the start, ended ones included.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut ticks = 0;
        for process in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
                Ok(stat) => stat,
                // The process has ended meanwhile.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound) || error.raw_os_error() == Some(ESRCH) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            // The name of the program, in parentheses, may contain anything.
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            if pid == self.pid {
                // Its own time, and that of the children that have ended.
                ticks += (14..=17).map(field).sum::<u64>();
            } else if field(4) == u64::from(self.pid) {
                ticks += field(14) + field(15);
            }
        }
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_S))
    }
}

/// Number of a missing process.
const ESRCH: i32 = 3;
/// Unit of the times in `/proc`: the same on all platforms of Linux.
const TICKS_PER_S: u64 = 100;

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.shell.wait();
    }
}

/// A folder that the server may write to. An unprivileged user cannot enter root's folder of a run.
fn folder(place: &Workplace) -> Fallible<TempDir> {
    if !is_root() {
        return Ok(place.folder()?);
    }
    let folder = TempDir::with_prefix_in("happierwork-bench-", "/var/tmp")?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    give(folder.path())?;
    Ok(folder)
}

/// Makes the server the owner of a file or folder.
fn give(path: &Path) -> Fallible<()> {
    if is_root() && !Command::new("chown").arg(USER).arg(path).status()?.success() {
        return Err(format!("{} cannot be owned by the user {USER}", path.display()).into());
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command that root does not run itself.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
    command
}

/// Debian installs the programs of the server outside of the path.
fn find(program: &str) -> Result<PathBuf, String> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = versions.map(|version| version.path().join("bin")).chain(std::env::split_paths(&path));
    let mut programs = folders.map(|folder| folder.join(program));
    programs.find(|path| path.is_file()).ok_or_else(|| INSTALL.to_owned())
}
