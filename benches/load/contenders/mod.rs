//! Other document servers, for comparison, most of them with the automerge-repo protocol. Each is the published one, or built as
//! its documentation describes, with its own file storage.
//!
//! When comparing, note that none of them waits for the disk before it acknowledges or relays a change, and none
//! calls `fsync`. The two from npm save, and relay to other peers, at most every 100 ms per document.

pub mod redis;
pub mod samod;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program argument with which the bench binary is samod's server: `samod PORT FOLDER`.
pub const SAMOD: &str = "samod";

/// A server for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// `@automerge/automerge-repo-sync-server`, the published reference server.
    SyncServer,
    /// The smallest server of today's automerge-repo packages.
    AutomergeRepo,
    /// The smallest server of samod, which is in Rust.
    Samod,
    /// Hocuspocus servers that share documents through Redis. They speak Yjs' protocol.
    Hocuspocus,
}

/// A contender from npm.
struct Node {
    /// Folder of its package.json, next to this file.
    folder: &'static str,
    lock: &'static str,
    package: &'static str,
    /// Arguments of `node`, which runs in that folder.
    script: &'static str,
}

const SYNC_SERVER: Node = Node {
    folder: "sync-server",
    lock: include_str!("node/sync-server/package-lock.json"),
    package: "@automerge/automerge-repo-sync-server",
    script: "node_modules/.bin/automerge-repo-sync-server",
};

const AUTOMERGE_REPO: Node = Node {
    folder: "automerge-repo",
    lock: include_str!("node/automerge-repo/package-lock.json"),
    package: "@automerge/automerge-repo",
    script: "automerge-repo-server.mjs",
};

const HOCUSPOCUS: Node = Node {
    folder: "hocuspocus",
    lock: include_str!("node/hocuspocus/package-lock.json"),
    package: "@hocuspocus/server",
    script: "hocuspocus-server.mjs",
};

impl Contender {
    /// Name in results and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::SyncServer => "sync-server",
            Self::AutomergeRepo => "automerge-repo",
            Self::Samod => "samod",
            Self::Hocuspocus => "hocuspocus",
        }
    }

    /// The measured version, from the lock files.
    pub fn version(self) -> String {
        match self {
            Self::SyncServer => {
                let (server, repo) =
                    (SYNC_SERVER.locked(SYNC_SERVER.package), SYNC_SERVER.locked(AUTOMERGE_REPO.package));
                format!("{} {server} (automerge-repo {repo})", SYNC_SERVER.package)
            }
            Self::AutomergeRepo => {
                format!("{} {}", AUTOMERGE_REPO.package, AUTOMERGE_REPO.locked(AUTOMERGE_REPO.package))
            }
            Self::Samod => format!("samod {}", locked_crate("samod")),
            Self::Hocuspocus => {
                let version = HOCUSPOCUS.locked(HOCUSPOCUS.package);
                format!("{} {version} with its extension for Redis", HOCUSPOCUS.package)
            }
        }
    }

    /// Whether it can be started. The error says how to install it.
    pub fn installed(self) -> Result<(), String> {
        if self == Self::Hocuspocus {
            redis::installed().map_err(|error| format!("{}: {error}", self.name()))?;
        }
        self.node().map_or(Ok(()), |node| node.installed(self.name()))
    }

    /// Starts it on `ws://127.0.0.1:PORT/`, with its documents in an existing folder. It is ready when the port
    /// accepts connections, and is stopped by a signal.
    pub fn command(self, port: u16, folder: &Path) -> Command {
        let mut command = match self.node() {
            Some(node) => {
                let mut command = Command::new("node");
                command.arg(node.path(node.script)).env("PORT", port.to_string()).env("DATA_DIR", folder);
                command.env("NODE_ENV", "production");
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
                command.arg(SAMOD).arg(port.to_string()).arg(folder);
                command
            }
        };
        // The published server also serves the files in `public` of its working directory.
        command.current_dir(folder).stdin(Stdio::null());
        command
    }

    fn node(self) -> Option<&'static Node> {
        match self {
            Self::SyncServer => Some(&SYNC_SERVER),
            Self::AutomergeRepo => Some(&AUTOMERGE_REPO),
            Self::Hocuspocus => Some(&HOCUSPOCUS),
            Self::Samod => None,
        }
    }
}

impl Node {
    fn path(&self, name: &str) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/contenders/node");
        here.join(self.folder).join(name)
    }

    /// Version of a package in the lock file.
    fn locked(&self, package: &str) -> String {
        let lock: Value = serde_json::from_str(self.lock).expect("a lock file");
        let version = &lock["packages"][format!("node_modules/{package}")]["version"];
        version.as_str().expect("a package in the lock file").to_owned()
    }

    fn installed(&self, name: &str) -> Result<(), String> {
        if Command::new("node").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(format!("{name}: node is missing: install Node.js 20 or later"));
        }
        let manifest = self.path("node_modules").join(self.package).join("package.json");
        let found = std::fs::read(manifest).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        match found {
            Some(package) if package["version"] == self.locked(self.package).as_str() => Ok(()),
            _ => {
                let (package, version) = (self.package, self.locked(self.package));
                Err(format!("{name}: {package} {version} is not installed: `make bench` installs it"))
            }
        }
    }
}

/// Puts a document into a contender's folder before it is started. All contenders use the same layout.
pub fn lay(folder: &Path, id: &str, document: &[u8]) -> io::Result<()> {
    let (start, rest) = id.split_at(2);
    let snapshots = folder.join(start).join(rest).join("snapshot");
    std::fs::create_dir_all(&snapshots)?;
    // They derive the file name from the document's heads, but accept any name.
    std::fs::write(snapshots.join("laid"), document)
}

/// Version of a crate in this workspace's lock file.
fn locked_crate(name: &str) -> &'static str {
    let (_, rest) = include_str!("../../../Cargo.lock")
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .expect("a crate in the lock file");
    rest.split('"').next().expect("a version")
}
