//! Copies accounts and revocations from one place to another.

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
    let accounts = from.accounts().await?;
    let there = match to {
        Some(to) => to.accounts().await?,
        None => Accounts::default(),
    };
    let to = to.filter(|_| !dry_run);
    let mut copied = Copied::default();
    // First, so that no token that was logged out is accepted at any time.
    for (token, expires) in from.revocations(now).await? {
        if let Some(to) = to {
            to.revoke(&token, expires, now).await?;
        }
        copied.revocations += 1;
    }
    for (name, account) in accounts.iter() {
        if let Some(known) = there.get(name) {
            copied.existing.push(name.clone());
            if known != account {
                copied.differing.push(name.clone());
            }
            continue;
        }
        if let Some(to) = to {
            to.add(name, account.clone()).await?;
        }
        copied.accounts.push(name.clone());
    }
    Ok(copied)
}
