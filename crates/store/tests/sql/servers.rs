//! Database servers for one run of the tests, in a temporary folder. They stop when this process ends. The tests of the command
//! line use this file as well.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::ports::free_port;

const INSTALL: &str = "install PostgreSQL, PgBouncer and MariaDB (Debian: `make databases` as root, or \
                       apt-get install postgresql pgbouncer mariadb-server)";

/// User and password of the superuser of both servers, for connections over TCP.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "correct-horse";

/// A server that is running. It offers TLS with a certificate for `127.0.0.1` and `db.test`.
pub struct Server {
    pub port: u16,
    pub socket: PathBuf,
    /// The certificate as a PEM file.
    pub certificate: PathBuf,
    /// The server stops when this closes: when this process ends.
    _alive: ChildStdin,
}

/// The PostgreSQL server of this run.
pub fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (initdb, postgres) = (find("initdb"), find("postgres"));
        let folder = folder("postgres");
        let password = folder.join("password");
        fs::write(&password, PASSWORD).expect("written");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).expect("set");
        let data = folder.join("data");
        let mut init = as_user("postgres", &initdb);
        init.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--username", USER, "--pgdata"])
            .arg(&data);
        run(init.arg("--pwfile").arg(&password));
        let (port, certificate, key) = (free_port(), folder.join("certificate.pem"), folder.join("key.pem"));
        let tls = |name: &str, path: &Path| format!("{name}={}", path.display());
        certify("postgres", &certificate, &key);
        let mut server = as_user("postgres", &postgres);
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(&folder);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-c", "shared_buffers=64MB"]);
        server.args(["-c", "ssl=on", "-c", &tls("ssl_cert_file", &certificate), "-c", &tls("ssl_key_file", &key)]);
        let alive = start(server, &folder);
        wait_for(&folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Server { port, socket: folder, certificate, _alive: alive }
    })
}

/// A pooler in transaction mode in front of the PostgreSQL server. Returns its port.
pub fn pgbouncer() -> u16 {
    static SERVER: OnceLock<(u16, ChildStdin)> = OnceLock::new();
    let start = || {
        let (program, server) = (find("pgbouncer"), postgres());
        let (folder, port) = (folder("postgres"), free_port());
        let users = folder.join("users");
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).expect("written");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\nunix_socket_dir =\n",
            server.port,
            users.display()
        );
        let path = folder.join("settings");
        fs::write(&path, settings).expect("written");
        let mut command = as_user("postgres", &program);
        command.arg(&path);
        let alive = self::start(command, &folder);
        wait_for(&folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        (port, alive)
    };
    SERVER.get_or_init(start).0
}

/// The MariaDB server of this run.
pub fn mariadb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (install, mariadbd) = (find("mariadb-install-db"), find("mariadbd"));
        let folder = folder("mysql");
        let data = folder.join("data");
        let mut init = as_user("mysql", &install);
        init.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        run(init.arg(format!("--datadir={}", data.display())));
        let setup = folder.join("setup.sql");
        let sql = format!(
            "CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;"
        );
        fs::write(&setup, sql.replace("; ", ";\n")).expect("written");
        let (port, socket) = (free_port(), folder.join("socket"));
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        certify("mysql", &certificate, &key);
        let mut server = as_user("mysql", &mariadbd);
        server.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=300"]);
        server.arg(format!("--port={port}")).arg(format!("--datadir={}", data.display()));
        server.arg(format!("--socket={}", socket.display())).arg(format!("--init-file={}", setup.display()));
        server.arg(format!("--pid-file={}", folder.join("pid").display()));
        server.arg(format!("--ssl-cert={}", certificate.display())).arg(format!("--ssl-key={}", key.display()));
        let alive = start(server, &folder);
        wait_for(&folder, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Server { port, socket, certificate, _alive: alive }
    })
}

/// A folder that the user of a server may write to.
fn folder(user: &str) -> PathBuf {
    let folder = tempfile::Builder::new().prefix(&format!("store-sql-{user}-")).tempdir().expect("made").keep();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("set");
    if is_root() {
        run(Command::new("chown").arg(user).arg(&folder));
    }
    folder
}

/// Makes a certificate whose key only the user of a server may read.
fn certify(user: &str, certificate: &Path, key: &Path) {
    let names = vec!["127.0.0.1".to_owned(), "db.test".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).expect("made");
    fs::write(certificate, cert.pem()).expect("written");
    fs::write(key, signing_key.serialize_pem()).expect("written");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("set");
    if is_root() {
        run(Command::new("chown").arg(user).args([certificate, key]));
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}

/// A command as an unprivileged user: the servers refuse to run as root.
fn as_user(user: &str, program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program);
    command
}

/// The path of a program of a database.
pub fn find(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = versions.chain(std::env::split_paths(&path)).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is missing: {INSTALL}"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {INSTALL}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Starts a server that is stopped, and its folder removed, when the returned pipe closes.
fn start(server: Command, folder: &Path) -> ChildStdin {
    let log = fs::File::create(folder.join("log")).expect("made");
    let script = r#"folder=$1; shift; "$@" & server=$!; cat > /dev/null; kill -INT $server; sleep 0.3; kill -KILL $server; wait $server; rm -rf "$folder""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(folder).arg(server.get_program()).args(server.get_args());
    shell.stdin(Stdio::piped()).stdout(log.try_clone().expect("cloned")).stderr(log);
    shell.spawn().expect("a shell").stdin.take().expect("piped")
}

fn wait_for(folder: &Path, is_up: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_up() {
        if Instant::now() > deadline {
            let mut log = String::new();
            let _ = fs::File::open(folder.join("log")).and_then(|mut file| file.read_to_string(&mut log));
            panic!("the server does not start: {log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
