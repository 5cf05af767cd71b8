//! Errors of the auth files and of the operations on them.

use std::io;
use std::path::PathBuf;

use store::StoreError;
use store::sql::DatabaseError;

use super::name::InvalidName;
use super::password::InvalidPassword;
use super::{AccountName, Refused};

/// Why an operation on keys, accounts or tokens failed. For operators: the text names files, so clients must not see
/// it.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file or the folder cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// Path of the file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or the folder cannot be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        /// Path of the file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder does not exist.
    #[error(
        "there is no folder {}; create it and the first account with \
         `happierwork user add NAME --role owner --auth {}`", .0.display(), .0.display()
    )]
    NoFolder(PathBuf),
    /// Other users can access a file with secrets.
    #[error(
        "other users can access {} (mode {mode:03o}); run `chmod 600 {}`. \
         If they may have read it, create another key with `happierwork key new` and retire the old ones",
        .path.display(), .path.display()
    )]
    Exposed {
        /// Path of the file or folder.
        path: PathBuf,
        /// The file's permissions.
        mode: u32,
    },
    /// A file has disappeared.
    #[error("{} is gone; restore it", .0.display())]
    Gone(PathBuf),
    /// A file is too large.
    #[error("{} is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// Path of the file or folder.
        path: PathBuf,
        /// The size limit in bytes.
        limit: u64,
    },
    /// A file would become too large to be read again.
    #[error("{} has no room for more: at most {limit} bytes are read", .path.display())]
    Full {
        /// Path of the file.
        path: PathBuf,
        /// The size limit in bytes.
        limit: u64,
    },
    /// A file has invalid content.
    #[error("{}: {reason}. The file was not changed: repair it or restore a backup", .path.display())]
    Content {
        /// Path of the file or folder.
        path: PathBuf,
        /// What is wrong with the content.
        reason: String,
    },
    /// Another process holds the folder's lock.
    #[error("{} is locked by another happierwork{}; retry when it has ended", .path.display(), holder(*.pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Process id of the holder, if known.
        pid: Option<u32>,
    },
    /// The folder has no key to sign or verify tokens with.
    #[error("there is no key in {}; create one with `happierwork key new --auth {}`", .0.display(), .0.display())]
    NoKey(PathBuf),
    /// Neither a folder nor a provider's keys are configured.
    #[error("no source of keys: use --auth DIR, --jwks FILE, --oidc-issuer URL, or several of them")]
    Nothing,
    /// The keys of a provider cannot be used.
    #[error("the keys of the identity provider cannot be used: {0}. The previous ones stay in use")]
    ProviderKeys(String),
    /// The account name is invalid.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The password is invalid.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// An account of that name exists already.
    #[error("the account {0} exists already; change it with `happierwork user set` or `user passwd`")]
    AccountExists(AccountName),
    /// There is no account of that name.
    #[error("there is no account {0}; see `happierwork user list`")]
    NoAccount(AccountName),
    /// The account of that name is disabled.
    #[error("the account {0} is disabled; its tokens are refused until `happierwork user enable {0}`")]
    DisabledAccount(AccountName),
    /// There is no key with that id.
    #[error("there is no key {0}; see `happierwork key list`")]
    UnknownKey(String),
    /// The last key cannot be retired.
    #[error("{0} is the only key; create another one first with `happierwork key new`")]
    OnlyKey(String),
    /// The token would be too long to be accepted.
    #[error("the token would have {0} bytes, more than the server accepts; name fewer documents, or all with `*`")]
    TokenTooLong(usize),
    /// The lifetime is out of range.
    #[error("the lifetime of a token must be 1 second to 400 days")]
    Lifetime,
    /// The token has no id, so it cannot be revoked.
    #[error("a token without an id (jti) cannot be logged out; it is valid until it expires or its key is retired")]
    NoTokenId,
    /// There is no folder to store revocations in.
    #[error("revocations cannot be stored without a folder; start the server with --auth DIR")]
    NoRevocationStore,
    /// The token is not valid.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The folder has accounts, and the database that replaces it has none.
    #[error(
        "accounts are kept in the database, and it has none, but {} has some; copy them with \
         `happierwork user copy --auth {} --database URL`, or move the file away", .0.join("users.json").display(), .0.display()
    )]
    AccountsNotCopied(PathBuf),
    /// An account in the database is invalid.
    #[error("the account {name} in the table `account` cannot be used: {reason}. Repair the row or restore a backup")]
    AccountRow {
        /// The stored name of the account.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Other processes keep changing the account.
    #[error("other processes keep changing the account {0}; try again")]
    Contended(AccountName),
    /// The database failed.
    #[error(transparent)]
    Database(Box<DatabaseError>),
    /// The database failed.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A cryptographic operation failed.
    #[error("{0} failed")]
    Crypto(&'static str),
}

impl From<DatabaseError> for AuthError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Box::new(error))
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
}
