//! Where accounts are kept: in the folder of `--auth`, or in a database that several servers share.

use std::sync::Arc;

use primitives::strict_json;
use store::sql::{self, Changed, Database};

use super::shared::read_revocations;
use super::token::is_expired;
use super::{Account, AccountName, Accounts, AuthError, AuthFolder};

/// Maximum number of attempts to change an account that other processes change at the same time.
const MAX_ATTEMPTS: u32 = 100;

/// Storage of the accounts. Running servers notice changes within a second.
#[derive(Clone)]
pub enum AccountStore {
    /// users.json in this folder.
    Folder(AuthFolder),
    /// The table `account` of this database.
    Database(Arc<dyn Database>),
}

impl AccountStore {
    /// Reads the accounts.
    ///
    /// # Errors
    /// When they cannot be read, or one is invalid.
    pub async fn accounts(&self) -> Result<Accounts, AuthError> {
        match self {
            Self::Folder(folder) => folder.accounts(),
            Self::Database(database) => read_all(&**database).await,
        }
    }

    /// Adds an account.
    ///
    /// # Errors
    /// When there is an account of that name, or it cannot be stored.
    pub async fn add(&self, name: &AccountName, account: Account) -> Result<(), AuthError> {
        match self {
            Self::Folder(folder) => folder.change_accounts(|accounts| accounts.add(name.clone(), account)),
            Self::Database(database) => {
                let mut accounts = Accounts::default();
                let mut version = 0;
                if let Some(stored) = database.account(name.as_str()).await? {
                    accounts.add(name.clone(), parse(&stored)?.1)?;
                    version = stored.version;
                }
                // In place of a deleted one.
                accounts.add(name.clone(), account)?;
                let account = accounts.record(name).ok_or_else(|| AuthError::NoAccount(name.clone()))?;
                match database.put_account(name.as_str(), version, written(account)?).await? {
                    Changed::Stored(_) => Ok(()),
                    Changed::Behind => Err(AuthError::AccountExists(name.clone())),
                }
            }
        }
    }

    /// Deletes an account at `now` (Unix seconds). Its tokens stay refused.
    ///
    /// # Errors
    /// When there is no account of that name, or the deletion cannot be stored.
    pub async fn delete(&self, name: &AccountName, now: i64) -> Result<(), AuthError> {
        self.change(name, |account| account.delete(now)).await
    }

    /// Adds an account if there are none. Returns whether it was added.
    ///
    /// Of two servers that share a database and are given the same name, one adds it.
    ///
    /// # Errors
    /// When the accounts cannot be read, or the account cannot be stored.
    pub(super) async fn add_first(&self, name: &AccountName, account: Account) -> Result<bool, AuthError> {
        match self {
            Self::Folder(folder) => folder.change_accounts(|accounts| {
                if !accounts.is_empty() {
                    return Ok(false);
                }
                accounts.add(name.clone(), account).map(|()| true)
            }),
            Self::Database(_) if !self.accounts().await?.is_empty() => Ok(false),
            Self::Database(_) => match self.add(name, account).await {
                Err(AuthError::AccountExists(_)) => Ok(false),
                added => added.map(|()| true),
            },
        }
    }

    /// Changes an account, starting from its current content. `change` may be called several times.
    ///
    /// # Errors
    /// When there is no account of that name, or it cannot be stored.
    pub async fn change(
        &self,
        name: &AccountName,
        mut change: impl FnMut(&mut Account) + Send,
    ) -> Result<(), AuthError> {
        let database = match self {
            Self::Folder(folder) => {
                return folder.change_accounts(|accounts| {
                    change(accounts.account(name)?);
                    Ok(())
                });
            }
            Self::Database(database) => database,
        };
        for _ in 0..MAX_ATTEMPTS {
            let stored = database.account(name.as_str()).await?;
            let stored = stored.ok_or_else(|| AuthError::NoAccount(name.clone()))?;
            let (_, mut account) = parse(&stored)?;
            if account.is_deleted() {
                return Err(AuthError::NoAccount(name.clone()));
            }
            change(&mut account);
            if let Changed::Stored(_) = database.put_account(name.as_str(), stored.version, written(&account)?).await? {
                return Ok(());
            }
        }
        Err(AuthError::Contended(name.clone()))
    }

    /// The revoked tokens that have not expired at `now` (Unix seconds), with their expiry.
    pub(super) async fn revocations(&self, now: i64) -> Result<Vec<(Arc<str>, i64)>, AuthError> {
        match self {
            Self::Folder(folder) => {
                let revocations = folder.revocations()?;
                let valid = revocations.tokens().filter(|(_, expires)| !is_expired(*expires, now));
                Ok(valid.map(|(token, expires)| (Arc::clone(token), expires)).collect())
            }
            Self::Database(database) => read_revocations(&**database, now).await,
        }
    }

    /// Revokes a token durably. Revoking it again changes nothing.
    pub(super) async fn revoke(&self, token: &Arc<str>, expires: i64, now: i64) -> Result<(), AuthError> {
        match self {
            Self::Folder(folder) => {
                let lock = folder.lock()?;
                let revocations = folder.revocations()?;
                if revocations.contains(token) {
                    return Ok(());
                }
                let written = revocations.write_of(token, expires, now);
                folder.write_revoked(&lock, &written.map_err(|_| AuthError::Crypto("encoding the revocation"))?)
            }
            Self::Database(database) => Ok(database.revoke(token, expires).await?),
        }
    }
}

/// All accounts of a database.
pub(super) async fn read_all(database: &dyn Database) -> Result<Accounts, AuthError> {
    let mut accounts = Accounts::default();
    for stored in database.accounts().await? {
        let (name, account) = parse(&stored)?;
        accounts.add(name, account)?;
    }
    Ok(accounts)
}

fn parse(stored: &sql::Account) -> Result<(AccountName, Account), AuthError> {
    let invalid = |reason: String| AuthError::AccountRow { name: stored.name.clone(), reason };
    let name = AccountName::new(&stored.name).map_err(|error| invalid(error.to_string()))?;
    // Another spelling of the name would be a second account for one user.
    if name.as_str() != stored.name {
        return Err(invalid(format!("it should be spelled {name}")));
    }
    let account = strict_json::from_slice(&stored.record).map_err(|error| invalid(error.to_string()))?;
    Ok((name, account))
}

fn written(account: &Account) -> Result<Vec<u8>, AuthError> {
    serde_json::to_vec(account).map_err(|_| AuthError::Crypto("encoding the account"))
}
