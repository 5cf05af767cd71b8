//! What goes wrong with the files, and with what is asked of them.

use std::io;
use std::path::PathBuf;

use super::name::InvalidName;
use super::password::InvalidPassword;
use super::{AccountName, Refused};

/// Why something could not be read, changed or made. For operators: it names files. A client must not see it.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file, or the folder, cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file, or the folder, cannot be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not there.
    #[error(
        "there is no folder {}; make it, and the first account in it, with \
         `happierwork user add NAME --role owner --auth {}`", .0.display(), .0.display()
    )]
    NoFolder(PathBuf),
    /// A file with secrets is open to others.
    #[error(
        "{} is open to others than its owner (mode {mode:03o}); close it with `chmod 600 {}`. \
         If somebody may have read it: make another key with `happierwork key new`, and retire those in it",
        .path.display(), .path.display()
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file was there, and is not any more.
    #[error("{} is gone; put it back", .0.display())]
    Gone(PathBuf),
    /// A file is larger than anybody needs.
    #[error("{} is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        limit: u64,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}. It was left as it is: mend it, or put a backup in its place", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else is changing the folder, and does not come to an end.
    #[error("{} is locked by another happierwork{}; try again when it has ended", .path.display(), holder(*.pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who has it.
        pid: Option<u32>,
    },
    /// No token could ever be good.
    #[error("there is no key in {}; make one with `happierwork key new --auth {}`", .0.display(), .0.display())]
    NoKey(PathBuf),
    /// There are no keys, and no folder to keep some in.
    #[error("nothing says whose tokens are good: give --auth DIR, --jwks FILE, or both")]
    Nothing,
    /// A name that no account can have.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A password that no account can have.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// There is an account of that name.
    #[error("there is an account {0} already; change it with `happierwork user set` or `user passwd`")]
    AccountExists(AccountName),
    /// There is no account of that name.
    #[error("there is no account {0}; see `happierwork user list`")]
    NoAccount(AccountName),
    /// The account of that name is disabled.
    #[error("the account {0} is disabled; its tokens are refused until `happierwork user enable {0}`")]
    DisabledAccount(AccountName),
    /// There is no key of that id.
    #[error("there is no key {0}; see `happierwork key list`")]
    UnknownKey(String),
    /// Without this key none could be made any more.
    #[error("{0} is the only key; make another one first with `happierwork key new`")]
    OnlyKey(String),
    /// A token would be refused for its length.
    #[error("a token that names so many documents has {0} bytes, and would be refused; name fewer, or all with `*`")]
    TokenTooLong(usize),
    /// A token would live longer than it may.
    #[error("a token lives for 1 second to 400 days")]
    Lifetime,
    /// A token that cannot be logged out.
    #[error("a token without an id (jti) cannot be logged out; it ends when it expires, or when its key is retired")]
    NoTokenId,
    /// There is no folder to remember in what was logged out.
    #[error("there is nowhere to keep what was logged out; start the server with --auth DIR")]
    NowhereToKeep,
    /// The token is not good to begin with.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Cryptography itself failed.
    #[error("{0} failed")]
    Crypto(&'static str),
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
}
