//! Errors of the SQL store. No text contains a password.

use std::path::PathBuf;

use primitives::DocumentId;

use super::chain::ChainDamage;
use super::engine::{EngineError, Failure, UnexpectedColumn};
use crate::SnapshotError;

/// Why a call on a database failed. The text is for the log; for clients, see
/// [`public_message`](Self::public_message).
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database cannot be reached, or does not accept writes at the moment. Nothing of the call was stored.
    #[error("the database is not available: {0}")]
    Unavailable(EngineError),
    /// The connection was lost after the call was sent, and the database has not answered since. The batch may be stored
    /// now or appear later: load the document before the next append.
    #[error("it is not known whether document {id} was written: the connection to the database was lost ({source})")]
    OutcomeUnknown {
        /// The document.
        id: DocumentId,
        /// The last error.
        source: EngineError,
    },
    /// The database has no room. Nothing of the call was stored.
    #[error("the database is full; free some space: {0}")]
    Full(EngineError),
    /// A value is larger than the database accepts. Nothing of the call was stored.
    #[error(
        "document {id} was not written: {len} bytes are more than the {max} bytes that the database accepts{advice}"
    )]
    TooLarge {
        /// The document.
        id: DocumentId,
        /// Bytes of the value.
        len: usize,
        /// Bytes that the database accepts.
        max: usize,
        /// Advice to the operator; empty, or starts with a separator.
        advice: &'static str,
    },
    /// The rows of a document contradict each other. The document is out of service.
    #[error("document {id} is out of service: {damage}")]
    Damaged {
        /// The document.
        id: DocumentId,
        /// The row and its damage.
        damage: ChainDamage,
    },
    /// A snapshot or a full copy differs from the stored content, which is kept.
    #[error("document {id} keeps its old content: {why}")]
    Snapshot {
        /// The document.
        id: DocumentId,
        /// Why it does not match.
        why: SnapshotError,
    },
    /// The database refused a statement. Nothing of the call was stored.
    #[error("the database refused a statement: {0}")]
    Refused(EngineError),
    /// A result does not have the columns of the schema.
    #[error("the database does not have the expected schema: {0}")]
    Schema(#[from] UnexpectedColumn),
}

impl DatabaseError {
    /// The text for clients. Names no host, table or file.
    #[must_use]
    pub const fn public_message(&self) -> &'static str {
        match self {
            Self::Full(_) => "The server's database is full. The change was not stored.",
            Self::TooLarge { .. } => "The change is too large for the server's database. It was not stored.",
            Self::OutcomeUnknown { .. } => {
                "The server lost the connection to its database. Reload to see what was stored."
            }
            Self::Unavailable(_) => "The server's database is not available at the moment. The change was not stored.",
            Self::Damaged { .. } | Self::Schema(_) => {
                "The server cannot open the document. Its operator finds the reason in the log."
            }
            Self::Snapshot { .. } => "The server refused the new copy of the document and keeps the old one.",
            Self::Refused(_) => "The server cannot write at the moment. The change was not stored.",
        }
    }

    /// Whether the same call may succeed later without intervention.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutcomeUnknown { .. } | Self::Full(_))
    }
}

impl From<EngineError> for DatabaseError {
    fn from(error: EngineError) -> Self {
        match error.failure {
            Failure::NotSent | Failure::Retry | Failure::Unknown => Self::Unavailable(error),
            Failure::Full => Self::Full(error),
            Failure::NoSuchTable | Failure::TableExists | Failure::NoPrivilege | Failure::Rejected => {
                Self::Refused(error)
            }
        }
    }
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseOpenError {
    /// There is no answer. The caller may try again.
    #[error("the database at {location} cannot be reached: {detail}")]
    Unreachable {
        /// Hosts or file.
        location: String,
        /// Error of the network.
        detail: String,
    },
    /// The certificate or the TLS handshake.
    #[error(
        "no secure connection to the database at {location}: {detail}. Give the certificate of its authority with \
         sslrootcert=FILE; sslmode=disable turns encryption off"
    )]
    Tls {
        /// Hosts.
        location: String,
        /// The reason.
        detail: String,
    },
    /// The login failed.
    #[error("the database at {location} refused the login{}: {detail}. Check user and password in the URL of the database", of_user(.user))]
    Login {
        /// Hosts.
        location: String,
        /// The user.
        user: String,
        /// Message of the database.
        detail: String,
    },
    /// There is no such database.
    #[error(
        "the server at {location} has no database `{name}`. Create it (CREATE DATABASE {name}), or correct the URL"
    )]
    NoSuchDatabase {
        /// Hosts.
        location: String,
        /// The database.
        name: String,
    },
    /// The user lacks a required privilege.
    #[error(
        "the user{} has too few privileges in the database at {location}: {detail}. Grant SELECT, INSERT, UPDATE and DELETE \
         on its tables; migrations also need CREATE and ALTER", of_user(.user)
    )]
    NoPrivilege {
        /// Hosts or file.
        location: String,
        /// The user.
        user: String,
        /// Message of the database.
        detail: String,
    },
    /// The server is too old.
    #[error("the database at {location} is {found}; {minimum} or later is needed. Upgrade it")]
    TooOld {
        /// Hosts.
        location: String,
        /// Its version.
        found: String,
        /// The least version.
        minimum: String,
    },
    /// The schema was made by a later version of this program.
    #[error(
        "the database has schema version {found}, and this program knows versions up to {known}. Upgrade this node"
    )]
    SchemaNewer {
        /// The version in the database.
        found: u64,
        /// The latest version that this program knows.
        known: u64,
    },
    /// The tables are not ours.
    #[error("the database has a table `{table}` of another program. Give an empty database")]
    ForeignTables {
        /// The table.
        table: String,
    },
    /// A setting of the server lets it lose data that it has acknowledged.
    #[error(
        "the database at {location} has {setting}, with which it loses acknowledged changes when it crashes. {advice}"
    )]
    UnsafeSetting {
        /// Hosts.
        location: String,
        /// The setting and its value.
        setting: String,
        /// How to change it.
        advice: String,
    },
    /// A setting of the server is too small.
    #[error("the database at {location} has {setting}; at least {minimum} is needed. {advice}")]
    SettingTooSmall {
        /// Hosts.
        location: String,
        /// The setting and its value.
        setting: String,
        /// The least value.
        minimum: String,
        /// How to change it.
        advice: String,
    },
    /// The file is not a database, or cannot be opened.
    #[error("`{}` cannot be opened as a database: {detail}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// Something else.
    #[error("the database at {location} cannot be used: {detail}")]
    Other {
        /// Hosts or file.
        location: String,
        /// Message of the database.
        detail: String,
    },
}

impl DatabaseOpenError {
    /// The error of a statement at the start.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(super) fn of_statement(error: EngineError, location: String, user: String) -> Self {
        let detail = error.detail;
        match error.failure {
            Failure::NotSent | Failure::Retry | Failure::Unknown => Self::Unreachable { location, detail },
            Failure::NoPrivilege => Self::NoPrivilege { location, user, detail },
            Failure::Full | Failure::NoSuchTable | Failure::TableExists | Failure::Rejected => {
                Self::Other { location, detail }
            }
        }
    }

    /// Whether the same call may succeed later without intervention.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

fn of_user(user: &str) -> String {
    if user.is_empty() { String::new() } else { format!(" `{user}`") }
}
