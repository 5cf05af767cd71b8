//! A PostgreSQL server and its standby, in temporary folders. They stop when this process ends.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::support::ports::free_port;

const USER: &str = "admin";
const PASSWORD: &str = "correct-horse";
const SETTINGS: &str = "-c listen_addresses=127.0.0.1 -c max_connections=200 -c shared_buffers=64MB -c wal_keep_size=512MB -c wal_retrieve_retry_interval=1s";

/// Stops the server and removes its folder when standard input closes.
const UNTIL_CLOSED: &str = r#"cat > /dev/null; "$1" -D "$2/data" -m immediate -s stop 2> /dev/null; rm -rf "$2""#;

/// One PostgreSQL server. It keeps its port when it is recreated as a standby.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    pub port: u16,
    _guard: ChildStdin,
}

impl Postgres {
    fn new() -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("crash-postgres-").tempdir().unwrap().keep();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let password = folder.join("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder));
        }
        let mut guard = unprivileged(Path::new("sh"));
        guard.args(["-c", UNTIL_CLOSED, "sh"]).arg(programs.join("pg_ctl")).arg(&folder);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().unwrap().stdin.take().unwrap();
        Self { programs, folder, port: free_port(), _guard: guard }
    }

    /// A server with an empty cluster of databases.
    pub fn primary() -> Self {
        let server = Self::new();
        let mut init = server.command("initdb");
        init.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--username", USER]);
        run(init.arg("--pgdata").arg(server.data()).arg("--pwfile").arg(server.folder.join("password")));
        server.start();
        server
    }

    /// A standby of this server, to which each commit is copied before it is acknowledged.
    pub fn standby(&self) -> Self {
        let standby = Self::new();
        standby.follow(self);
        standby
    }

    /// Recreates this server, which has stopped, as a synchronous standby of another one.
    pub fn follow(&self, primary: &Self) {
        let _ = fs::remove_dir_all(self.data());
        let mut copy = self.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &primary.port.to_string(), "-U", USER]).env("PGPASSWORD", PASSWORD);
        run(copy
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .arg("-D")
            .arg(self.data()));
        self.start();
        primary.query("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.query("postgres", "SELECT pg_reload_conf()");
        until("the standby is synchronous", || {
            primary.query("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
        });
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        unprivileged(&self.programs.join(program))
    }

    fn control(&self, action: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-s", "-w", "-t", "60"]).arg("-l").arg(self.folder.join("log"));
        command.args(["-o", &format!("-p {} -k {} {SETTINGS}", self.port, self.folder.display())]).arg(action);
        command
    }

    /// Starts the server. After a kill, its old processes may hold its memory for a moment.
    pub fn start(&self) {
        let log = || fs::File::create(self.folder.join("start.log")).unwrap();
        let start = || self.control("start").stdout(log()).stderr(log()).status().unwrap();
        until("PostgreSQL starts", || start().success());
    }

    /// Ends the server without a checkpoint, so that it recovers when it starts.
    pub fn stop_immediately(&self) {
        run(self.control("stop").args(["-m", "immediate"]));
    }

    /// `kill -9` of the main process.
    pub fn kill(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        run(Command::new("kill").arg("-KILL").arg(file.lines().next().unwrap()));
        until("PostgreSQL is gone", || TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }

    /// Makes a standby accept writes.
    pub fn promote(&self) {
        run(&mut self.control("promote"));
    }

    /// Runs SQL. Returns the rows as text.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", database, "-Xqtc", sql]);
        String::from_utf8(run(psql.env("PGPASSWORD", PASSWORD))).unwrap().trim().to_owned()
    }
}

/// URL of a database on the first of these ports whose server accepts writes.
pub fn url(ports: &[u16], database: &str) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://{USER}:{PASSWORD}@{}/{database}?target_session_attrs=read-write", hosts.join(","))
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = versions.chain(std::env::split_paths(&path)).find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL is missing: sudo apt-get install postgresql")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command as an unprivileged user: PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// Runs a command, which must succeed. Its output goes to files: PostgreSQL's processes would keep a pipe open.
fn run(command: &mut Command) -> Vec<u8> {
    let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    command.stdin(Stdio::null()).stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {}", fs::read_to_string(err.path()).unwrap());
    fs::read(out.path()).unwrap()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
