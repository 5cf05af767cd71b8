//! The servers that there are.

use std::net::SocketAddr;
use std::time::Duration;

use crate::contenders::Contender;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one that all this is about.
    Happierwork,
    /// The same, where users are known and all clients bring a token.
    WithUsers,
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
    /// What it costs to know users.
    pub const USERS: [Self; 2] = [Self::Happierwork, Self::WithUsers];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Happierwork => "happierwork",
            Self::WithUsers => "with users",
            Self::Floor => "floor",
            Self::Other(contender) => contender.name(),
        }
    }

    /// How long clients may take to join, and edits to arrive. The others have as long as the whole run can spare.
    pub fn patience(self) -> Duration {
        match self {
            Self::Happierwork | Self::WithUsers | Self::Floor => Duration::from_secs(30),
            Self::Other(_) => Duration::from_secs(10),
        }
    }

    /// What exactly is measured.
    pub fn version(self) -> String {
        match self {
            Self::Happierwork | Self::WithUsers => env!("CARGO_PKG_VERSION").to_owned(),
            Self::Floor => "axum's WebSocket, without documents".to_owned(),
            Self::Other(contender) => contender.version(),
        }
    }

    /// Whether it can be started; if not, what to do about it.
    pub fn installed(self) -> Result<(), String> {
        match self {
            Self::Happierwork | Self::WithUsers | Self::Floor => Ok(()),
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
