//! Copies accounts and revocations from one place to another.

use std::sync::Arc;

use primitives::strict_json;

use super::revocations::Revocations;
use super::{AccountName, AccountStore, Accounts, AuthError};

/// The result of a copy.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Accounts that the target has now.
    pub accounts: Vec<AccountName>,
    /// Accounts that the target had already.
    pub existing: Vec<AccountName>,
    /// The existing accounts that differ from the source. They are kept.
    pub differing: Vec<AccountName>,
    /// Number of revoked tokens that have not expired.
    pub revocations: usize,
}

/// All accounts of a place, and the revocations that have not expired. Holds no signing keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AccountsCopy {
    accounts: Accounts,
    /// Revoked tokens with their expiry, sorted.
    revocations: Vec<(Arc<str>, i64)>,
}

impl AccountsCopy {
    /// Reads a place at `now` (Unix seconds).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(from: &AccountStore, now: i64) -> Result<Self, AuthError> {
        let mut revocations = from.revocations(now).await?;
        revocations.sort_unstable();
        Ok(Self { accounts: from.accounts().await?, revocations })
    }

    /// Number of accounts.
    #[must_use]
    pub fn account_count(&self) -> usize {
        self.accounts.iter().count()
    }

    /// Whether there is nothing to copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.revocations.is_empty()
    }

    /// The content of users.json and of revoked.jsonl.
    ///
    /// # Errors
    /// When it cannot be encoded. Does not occur.
    pub fn to_files(&self) -> Result<(Vec<u8>, Vec<u8>), AuthError> {
        let failed = |_| AuthError::Crypto("encoding the accounts");
        let mut users = serde_json::to_vec_pretty(&self.accounts).map_err(failed)?;
        users.push(b'\n');
        Ok((users, Revocations::to_file(&self.revocations).map_err(failed)?))
    }

    /// Reads the content of users.json and of revoked.jsonl.
    ///
    /// # Errors
    /// The reason, when one is invalid.
    pub fn from_files(users: &[u8], revoked: &[u8]) -> Result<Self, String> {
        let accounts = strict_json::from_slice(users).map_err(|error| error.to_string())?;
        let read = Revocations::read(revoked)?;
        let mut revocations: Vec<_> = read.tokens().map(|(token, expires)| (Arc::clone(token), expires)).collect();
        revocations.sort_unstable();
        Ok(Self { accounts, revocations })
    }

    /// Writes them to a place at `now` (Unix seconds). Changes no account that it has. Without a place, or with `dry_run`, only
    /// returns the result that a copy would have.
    ///
    /// # Errors
    /// When the place cannot be read or written. Running it again then copies the rest.
    pub async fn write(&self, to: Option<&AccountStore>, now: i64, dry_run: bool) -> Result<Copied, AuthError> {
        let there = match to {
            Some(to) => to.accounts().await?,
            None => Accounts::default(),
        };
        let to = to.filter(|_| !dry_run);
        let mut copied = Copied::default();
        // First, so that no token that was logged out is accepted at any time.
        for (token, expires) in &self.revocations {
            if let Some(to) = to {
                to.revoke(token, *expires, now).await?;
            }
            copied.revocations += 1;
        }
        // With the records of deleted accounts, so that their tokens stay refused at the target.
        for (name, account) in self.accounts.records() {
            if let Some(known) = there.record(name) {
                if account.is_deleted() && known.is_deleted() {
                    continue;
                }
                copied.existing.push(name.clone());
                if known != account {
                    copied.differing.push(name.clone());
                }
                continue;
            }
            if let Some(to) = to {
                to.add(name, account.clone()).await?;
            }
            if !account.is_deleted() {
                copied.accounts.push(name.clone());
            }
        }
        Ok(copied)
    }
}

/// Copies all accounts, and the revocations that have not expired at `now` (Unix seconds). Changes nothing in the source, and no
/// account that the target has. Without a target, or with `dry_run`, only returns the result that a copy would have.
///
/// # Errors
/// When a place cannot be read or written. Running it again then copies the rest.
pub async fn copy_accounts(
    from: &AccountStore,
    to: Option<&AccountStore>,
    now: i64,
    dry_run: bool,
) -> Result<Copied, AuthError> {
    AccountsCopy::read(from, now).await?.write(to, now, dry_run).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Documents, HashedPassword, Role};

    #[tokio::test]
    async fn copy_brings_no_deleted_account_back() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [from, to] = folders
            .each_ref()
            .map(|folder| AccountStore::Folder(crate::AuthFolder::create(folder.path()).expect("created")));
        let account = || {
            let password = HashedPassword::new("correct horse battery staple").expect("a password");
            Account::new(password, Role::Owner, Documents::All)
        };
        let [kept, deleted] = ["ceo", "cfo"].map(|name| AccountName::new(name).expect("a name"));
        for place in [&from, &to] {
            place.add(&deleted, account()).await.expect("added");
        }
        from.add(&kept, account()).await.expect("added");
        to.delete(&deleted, 7).await.expect("deleted");
        let copied = copy_accounts(&from, Some(&to), 8, false).await.expect("copied");
        assert_eq!((copied.accounts, copied.differing), (vec![kept], vec![deleted.clone()]));
        assert_eq!(to.accounts().await.expect("readable").get(&deleted), None);

        from.delete(&deleted, 9).await.expect("deleted");
        let copied = copy_accounts(&from, Some(&to), 10, false).await.expect("copied");
        assert!(copied.accounts.is_empty() && copied.differing.is_empty(), "{copied:?}");
    }

    #[test]
    fn copy_survives_a_round_trip_through_files() {
        let password = HashedPassword::new("correct horse battery staple").expect("a password");
        let mut accounts = Accounts::default();
        let name = AccountName::new("cfo").expect("a name");
        accounts.add(name, Account::new(password, Role::Owner, Documents::All)).expect("added");
        let copy = AccountsCopy { accounts, revocations: vec![("a".into(), 5), ("b".into(), 7)] };
        let (users, revoked) = copy.to_files().expect("JSON");
        assert_eq!(AccountsCopy::from_files(&users, &revoked), Ok(copy));
        assert_eq!(String::from_utf8(revoked).expect("text").lines().count(), 2);
        assert!(AccountsCopy::from_files(b"{}", b"").is_err());
        assert!(AccountsCopy::from_files(&users, b"nonsense\n").is_err());
    }
}
