//! Authentication and authorization: tokens, keys, accounts, and revocations.
//!
//! Knows no sockets, no requests, and no content of documents. The server passes a client's token to
//! [`Authority::authenticate`] and gets a [`Principal`], or the reason why it is refused. A principal's [`Grant`] decides
//! which role the user has on a document: see [`Grant::role_for`].
//!
//! | file | purpose |
//! |---|---|
//! | `options` | where keys and accounts come from |
//! | `authority` | verifies tokens, logs in and out, watches the files |
//! | `principal`, `grant` | who makes a request, and what the token grants |
//! | `token`, `claims` | the format of tokens |
//! | `key`, `keys`, `provider_keys` | our own keys, and those of an identity provider |
//! | `claim_mapping`, `provider_login` | how a provider's claims are read, and logins by its tokens |
//! | `accounts`, `password`, `name` | who can log in |
//! | `account_store` | where accounts are kept |
//! | `first_owner`, `setup` | the first account of a new server: from its configuration, or by a link |
//! | `login`, `throttle` | logins, and the limits on attempts |
//! | `revocations` | tokens that were logged out |
//! | `folder`, `watched` | the files: changed under a lock, replaced durably, read again when they change |
//! | `copy` | copies accounts and revocations from one place to another |
//! | `shared` | accounts, revocations and login attempts in a database that several servers share |
//!
//! ```
//! use auth::{AuthFolder, AuthOptions, Authority, Documents, NewKey, Principal, Role};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = 1_800_000_000;
//! let home = tempfile::tempdir()?;
//! let folder = AuthFolder::create(home.path().join("auth"))?;
//! folder.change_keys(|keys| keys.make(NewKey::Ed25519, now).map(drop))?;
//! let (token, _) = folder.keys()?.issue("cfo", (Role::Editor, Documents::All), now, 3_600)?;
//!
//! let options = AuthOptions { folder: Some(folder.path().to_owned()), ..AuthOptions::default() };
//! let principal = Authority::open(&options)?.authenticate(Some(&token), now)?;
//! assert!(matches!(principal, Principal::User(grant) if &*grant.user == "cfo"));
//! # Ok(())
//! # }
//! ```

mod account_store;
mod accounts;
mod authority;
mod claim_mapping;
mod claims;
mod copy;
mod documents;
mod error;
mod first_owner;
mod folder;
mod grant;
mod key;
mod keys;
mod login;
mod name;
mod options;
mod password;
mod principal;
mod provider_keys;
mod provider_login;
mod revocations;
mod role;
mod setup;
mod shared;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod watched;

pub use account_store::AccountStore;
pub use accounts::{Account, Accounts};
pub use authority::Authority;
pub use claim_mapping::ClaimMapping;
pub use copy::{AccountsCopy, Copied, copy_accounts};
pub use documents::{DocumentName, Documents, InvalidDocuments};
pub use error::AuthError;
pub use first_owner::FirstOwner;
pub use folder::AuthFolder;
pub use grant::{Grant, Refused};
pub use key::{Algorithm, NewKey, OwnKey};
pub use keys::OwnKeys;
pub use login::{AT_A_TIME, LoginRefused, Session, WAITING};
pub use name::{AccountName, InvalidName, MAX_NAME};
pub use options::AuthOptions;
pub use password::{HashedPassword, InvalidHash, InvalidPassword, MAX_PASSWORD, MIN_PASSWORD_CHARS};
pub use principal::Principal;
pub use provider_login::{IdToken, ProviderLoginRefused};
pub use role::Role;
pub use setup::SetupRefused;
pub use shared::MAX_STALENESS;
pub use throttle::{AttemptLimit, PER_ACCOUNT, PER_ADDRESS, SESSIONS};
pub use token::{LEEWAY, MAX_LIFETIME, MAX_TOKEN, valid_until};
