//! Copies accounts and revocations from a folder to a database.

use std::sync::Arc;

use store::sql::Database;

use super::{AccountName, AccountStore, AuthError, AuthFolder};

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Accounts that the database has now.
    pub accounts: Vec<AccountName>,
    /// Accounts that the database had already, which stay as they are.
    pub existing: Vec<AccountName>,
    /// Number of revoked tokens that have not expired.
    pub revocations: usize,
}

/// Copies the accounts of a folder, and the revocations that have not expired at `now` (Unix seconds). Changes nothing in the folder.
///
/// # Errors
/// When the folder cannot be read, or the database fails. Running it again then copies the rest.
pub async fn copy_to_database(
    folder: &AuthFolder,
    database: &Arc<dyn Database>,
    now: i64,
) -> Result<Copied, AuthError> {
    let (accounts, revocations) = (folder.accounts()?, folder.revocations()?);
    let mut copied = Copied::default();
    // First, so that no token that was logged out is accepted at any time.
    for (token, expires) in revocations.tokens().filter(|(_, expires)| *expires >= now) {
        database.revoke(token, expires).await?;
        copied.revocations += 1;
    }
    let target = AccountStore::Database(Arc::clone(database));
    for (name, account) in accounts.iter() {
        match target.add(name, account.clone()).await {
            Ok(()) => copied.accounts.push(name.clone()),
            Err(AuthError::AccountExists(_)) => copied.existing.push(name.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(copied)
}
