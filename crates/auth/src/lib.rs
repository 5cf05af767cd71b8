//! Who somebody is, and what they may do: tokens, keys, accounts, and what ends them.
//!
//! Knows no socket, no request, and nothing of what is in a document. The server shows an [`Authority`] the token of whoever
//! asks, and gets a [`Grant`] for it, or is told that there is none.
//!
//! | file | what |
//! |---|---|
//! | `authority` | is this token good, now? The files it goes by, and that they may change |
//! | `token`, `claims` | what a token is, and what it says |
//! | `key`, `keys`, `foreign` | our own keys, and those of a provider |
//! | `accounts`, `password`, `name` | who can log in |
//! | `login`, `throttle` | logging in, and how often somebody may try |
//! | `revocations` | what was logged out |
//! | `folder`, `watched` | the files: changed under a lock, replaced whole, read again when they have changed |

mod accounts;
mod authority;
mod claims;
mod documents;
mod error;
mod folder;
mod foreign;
mod grant;
mod key;
mod keys;
mod login;
mod name;
mod password;
mod revocations;
mod role;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod watched;

pub use accounts::{Account, Accounts};
pub use authority::{AuthOptions, Authority};
pub use documents::{DocumentName, Documents, InvalidDocuments};
pub use error::AuthError;
pub use folder::AuthFolder;
pub use grant::{Grant, Refused};
pub use key::{Algorithm, NewKey, OwnKey};
pub use keys::OwnKeys;
pub use login::{AT_A_TIME, LoginRefused, Session, WAITING};
pub use name::{AccountName, InvalidName, MAX_NAME};
pub use password::{HashedPassword, InvalidHash, InvalidPassword, MAX_PASSWORD, MIN_PASSWORD_CHARS};
pub use role::Role;
pub use throttle::{Allowance, PER_ACCOUNT, PER_ADDRESS, SESSIONS};
pub use token::{LEEWAY, MAX_LIFETIME, MAX_TOKEN, over_at};
