//! The kinds of servers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::contenders::Contender;
use crate::postgres;

/// Number of servers of a cluster, unless a case says otherwise.
pub const CLUSTER: u8 = 3;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server under test.
    Happierwork,
    /// The server under test with authentication: all clients send a token.
    WithUsers,
    /// This number of servers under test, on one PostgreSQL database.
    Cluster(u8),
    /// See [`crate::floor`].
    Floor,
    /// See [`crate::contenders`].
    Other(Contender),
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Happierwork,
        Self::Floor,
        Self::Other(Contender::SyncServer),
        Self::Other(Contender::AutomergeRepo),
        Self::Other(Contender::Samod),
    ];
    /// Servers for measuring the delivery of bytes.
    pub const WITH_FLOOR: [Self; 2] = [Self::Happierwork, Self::Floor];
    /// Servers of documents.
    pub const WITH_DOCUMENTS: [Self; 4] = [
        Self::Happierwork,
        Self::Other(Contender::SyncServer),
        Self::Other(Contender::AutomergeRepo),
        Self::Other(Contender::Samod),
    ];
    /// For features that only the server under test has.
    pub const OURS: [Self; 1] = [Self::Happierwork];
    /// For the cost of a database.
    pub const CLUSTERS: [Self; 3] = [Self::Happierwork, Self::Cluster(1), Self::Cluster(CLUSTER)];
    /// Servers that share a document.
    pub const SHARING: [Self; 4] =
        [Self::Happierwork, Self::Cluster(1), Self::Cluster(CLUSTER), Self::Other(Contender::Hocuspocus)];
    /// Only the servers that share a database.
    pub const SHARED: [Self; 1] = [Self::Cluster(CLUSTER)];
    /// For the cost of authentication.
    pub const USERS: [Self; 2] = [Self::Happierwork, Self::WithUsers];

    /// Name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Happierwork => "happierwork",
            Self::WithUsers => "with users",
            Self::Cluster(1) => "1 on PostgreSQL",
            Self::Cluster(_) => "3 on PostgreSQL",
            Self::Floor => "floor",
            Self::Other(contender) => contender.name(),
        }
    }

    /// Longest time for clients to join, and for edits to arrive. For the other servers, as long as the run allows.
    pub fn patience(self) -> Duration {
        match self {
            Self::Happierwork | Self::WithUsers | Self::Cluster(_) | Self::Floor => Duration::from_secs(30),
            Self::Other(_) => Duration::from_secs(10),
        }
    }

    /// Number of servers.
    pub fn servers(self) -> u8 {
        match self {
            Self::Cluster(servers) => servers,
            Self::Other(Contender::Hocuspocus) => CLUSTER,
            _ => 1,
        }
    }

    /// The measured version.
    pub fn version(self) -> String {
        match self {
            Self::Happierwork | Self::WithUsers => env!("CARGO_PKG_VERSION").to_owned(),
            Self::Cluster(_) => postgres::version().unwrap_or_else(|| "not installed".to_owned()),
            Self::Floor => "axum's WebSocket, without documents".to_owned(),
            Self::Other(contender) => contender.version(),
        }
    }

    /// Whether it can be started. The error says how to install it.
    pub fn installed(self) -> Result<(), String> {
        match self {
            Self::Happierwork | Self::WithUsers | Self::Floor => Ok(()),
            Self::Cluster(_) => postgres::installed(),
            Self::Other(contender) => contender.installed(),
        }
    }
}

/// The address for clients.
#[derive(Debug, Clone)]
pub struct Address {
    /// Kind of the server.
    pub kind: Kind,
    /// Socket address.
    pub socket: SocketAddr,
    /// Path of the WebSocket.
    pub path: &'static str,
}

impl Address {
    /// Whether it is a document server with automerge-repo's protocol.
    pub fn knows_documents(&self) -> bool {
        self.kind != Kind::Floor
    }
}
