//! Accounts, revocations and login attempts that several servers share in a database.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use store::sql::{AttemptOutcome, Bucket, Database};
use store::{Control, ControlKind};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::account_store::read_all;
use super::revocations::Revocations;
use super::throttle::PER_ACCOUNT;
use super::{AccountName, Accounts, AuthError};

/// Maximum age of accounts and revocations that were read from the database. A server that cannot read them for longer accepts no
/// token, so that a revocation at another server takes effect.
pub const MAX_STALENESS: Duration = Duration::from_secs(10);

/// Interval between removals of revocations that have expired.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// The accounts and revocations of a database.
pub(super) struct Shared {
    database: Arc<dyn Database>,
    follower: AsyncMutex<Follower>,
    /// Time of the last successful query for changes.
    asked_at: Mutex<Instant>,
}

/// State of the polling for changes.
struct Follower {
    /// The latest control revision whose changes were read.
    revision: u64,
    /// When to delete expired revocations next.
    forget_at: Instant,
    /// The last logged error.
    logged_error: Option<String>,
}

/// Accounts and revocations that were read again because they have changed.
#[derive(Default)]
pub(super) struct SharedChanges {
    pub(super) accounts: Option<Accounts>,
    /// The revoked tokens with their expiry.
    pub(super) revocations: Option<Vec<(Arc<str>, i64)>>,
}

impl SharedChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_none() && self.revocations.is_none()
    }
}

impl Shared {
    /// Reads all accounts and revocations, at `now` (Unix seconds).
    ///
    /// # Errors
    /// When they cannot be read, or one is invalid.
    pub(super) async fn open(
        database: Arc<dyn Database>,
        now: i64,
    ) -> Result<(Self, Accounts, Revocations), AuthError> {
        let asked_at = Instant::now();
        // The revision is read first, so that a concurrent change is read twice and not missed.
        let (revision, _) = database.control_since(0).await.map_err(|error| AuthError::Store(Box::new(error)))?;
        let accounts = read_all(&*database).await?;
        let mut revocations = Revocations::default();
        revocations.extend(read_revocations(&*database, now).await?, now);
        let follower = Follower { revision, forget_at: asked_at + FORGET_INTERVAL, logged_error: None };
        let shared = Self { database, follower: AsyncMutex::new(follower), asked_at: Mutex::new(asked_at) };
        Ok((shared, accounts, revocations))
    }

    /// Reads what other servers have changed since the last call. Logs each error once.
    pub(super) async fn follow(&self, now: i64) -> SharedChanges {
        let mut follower = self.follower.lock().await;
        let asked_at = Instant::now();
        match self.read_changes(&mut follower, now).await {
            Ok(changes) => {
                *self.asked_at.lock() = asked_at;
                if follower.logged_error.take().is_some() {
                    tracing::info!("accounts and revocations can be read from the database again");
                }
                changes
            }
            Err(error) => {
                let error = error.to_string();
                if follower.logged_error.as_ref() != Some(&error) {
                    tracing::error!(%error, "cannot read accounts and revocations from the database");
                    follower.logged_error = Some(error);
                }
                SharedChanges::default()
            }
        }
    }

    async fn read_changes(&self, follower: &mut Follower, now: i64) -> Result<SharedChanges, AuthError> {
        let found = self.database.control_since(follower.revision).await;
        let (revision, controls) = found.map_err(|error| AuthError::Store(Box::new(error)))?;
        let has = |wanted| {
            controls.iter().any(|Control { kind, .. }| *kind == wanted || matches!(kind, ControlKind::Unknown(_)))
        };
        let mut changes = SharedChanges::default();
        if has(ControlKind::Account) {
            changes.accounts = Some(read_all(&*self.database).await?);
        }
        if has(ControlKind::Revocation) {
            changes.revocations = Some(read_revocations(&*self.database, now).await?);
        }
        follower.revision = revision;
        if follower.forget_at <= Instant::now() {
            follower.forget_at = Instant::now() + FORGET_INTERVAL;
            self.database.forget_expired(now).await?;
        }
        Ok(changes)
    }

    /// Whether accounts and revocations are older than [`MAX_STALENESS`].
    pub(super) fn is_stale(&self) -> bool {
        self.asked_at.lock().elapsed() >= MAX_STALENESS
    }

    /// Revokes a token, durably and at all servers.
    pub(super) async fn revoke(&self, id: &str, expires: i64) -> Result<(), AuthError> {
        Ok(self.database.revoke(id, expires).await?)
    }

    /// Counts an attempt to log in, at all servers.
    ///
    /// # Errors
    /// When the database is not available.
    pub(super) async fn attempt(&self, account: &AccountName) -> Result<AttemptOutcome, AuthError> {
        let limit = Bucket { at_once: PER_ACCOUNT.burst, every: PER_ACCOUNT.refill_interval };
        Ok(self.database.attempt(&bucket(account), limit).await?)
    }

    /// Gives the attempts back after a right password.
    pub(super) async fn reset_attempts(&self, account: &AccountName) -> Result<(), AuthError> {
        Ok(self.database.reset_attempts(&bucket(account)).await?)
    }
}

fn bucket(account: &AccountName) -> String {
    format!("login:{account}")
}

/// The revoked tokens that have not expired at `now` (Unix seconds), with their expiry.
pub(super) async fn read_revocations(database: &dyn Database, now: i64) -> Result<Vec<(Arc<str>, i64)>, AuthError> {
    let revoked = database.revocations(now).await?;
    Ok(revoked.into_iter().map(|revoked| (revoked.token.into(), revoked.expires)).collect())
}
