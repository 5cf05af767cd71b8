//! Accounts, revoked tokens and login attempts: shared by all nodes.
//!
//! The content of an account is opaque here. The `auth` crate defines it.

use std::time::Duration;

use bytes::Bytes;

use super::compact::busy;
use super::engine::{Engine, Failure};
use super::statements as sql;
use super::{DatabaseError, EngineError, SqlStore, now_ms};
use crate::position::{Control, ControlKind};

/// Longest account name, token id or bucket name in bytes.
const MAX_KEY: usize = 255;

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// How often it was stored. A change names the version that it replaces.
    pub version: u64,
    /// Its content.
    pub record: Vec<u8>,
}

/// Outcome of a change with an expected version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is durable, and this is the new version.
    Stored(u64),
    /// Another version is stored. Nothing was changed.
    Behind,
}

/// A token that was revoked before it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Id of the token.
    pub token: String,
    /// When it expires, in seconds since 1970. It can be forgotten then.
    pub expires: i64,
}

/// Size and refill interval of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Attempts that a full bucket allows at once.
    pub at_once: u32,
    /// Time in which one attempt is refilled.
    pub every: Duration,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It may, and was counted.
    Counted,
    /// The next attempt may be made after this time. This one was not counted.
    Wait(Duration),
}

impl<E: Engine> SqlStore<E> {
    /// An account. `None` if no account has this name.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, DatabaseError> {
        let rows = self.query(|| sql::account(name)).await?;
        rows.first().map(read_account).transpose()
    }

    /// All accounts, in the order of their names.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn accounts(&self) -> Result<Vec<Account>, DatabaseError> {
        let rows = self.query(sql::accounts).await?;
        let mut accounts = rows.iter().map(read_account).collect::<Result<Vec<_>, _>>()?;
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(accounts)
    }

    /// Stores an account in place of the one with the version `expected`; 0 stands for none. Notifies all nodes.
    ///
    /// # Errors
    /// If the database is not available. The account may be stored if the connection was lost.
    pub async fn put_account(&self, name: &str, expected: u64, record: Vec<u8>) -> Result<Changed, DatabaseError> {
        check_key(name)?;
        let record = Bytes::from(record);
        let control = Control { kind: ControlKind::Account, key: name.to_owned() };
        let steps = || vec![sql::put_account(E::DIALECT, name, expected, record.clone()).expect(1)];
        match self.with_control(steps, &control).await {
            Ok(true) => Ok(Changed::Stored(expected + 1)),
            Ok(false) => Ok(Changed::Behind),
            // The answer was lost. The stored record shows whether it is this one or another version.
            Err(DatabaseError::Unavailable(error)) if error.failure == Failure::Unknown => {
                match self.account(name).await? {
                    Some(stored) if stored.version == expected + 1 && stored.record == record => {
                        Ok(Changed::Stored(stored.version))
                    }
                    Some(stored) if stored.version != expected => Ok(Changed::Behind),
                    _ => Err(error.into()),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Revokes a token until it expires, and notifies all nodes. Revoking it again changes nothing.
    ///
    /// # Errors
    /// If the database is not available. The token may be revoked if the connection was lost.
    pub async fn revoke(&self, token: &str, expires: i64) -> Result<(), DatabaseError> {
        check_key(token)?;
        let control = Control { kind: ControlKind::Revocation, key: token.to_owned() };
        self.with_control(|| vec![sql::revoke(E::DIALECT, token, expires).any()], &control).await?;
        Ok(())
    }

    /// The revoked tokens that have not expired at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn revocations(&self, now: i64) -> Result<Vec<Revocation>, DatabaseError> {
        self.query(|| sql::revoked(now)).await?.iter().map(read_revocation).collect()
    }

    /// The revocation of one token.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn revocation(&self, token: &str) -> Result<Option<Revocation>, DatabaseError> {
        self.query(|| sql::revocation(token)).await?.first().map(read_revocation).transpose()
    }

    /// Forgets revoked tokens that have expired at `now`, in seconds since 1970, and buckets that are full again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn forget_expired(&self, now: i64) -> Result<(), DatabaseError> {
        self.execute(|| sql::forget_revoked(now)).await?;
        self.execute(|| sql::forget_attempts(now_ms())).await?;
        Ok(())
    }

    /// Counts an attempt in a bucket that all nodes share, unless the bucket is empty.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn attempt(&self, bucket: &str, limit: Bucket) -> Result<AttemptOutcome, DatabaseError> {
        check_key(bucket)?;
        let mut backoff = self.backoff();
        loop {
            let rows = self.query(|| sql::attempts(bucket)).await?;
            let stored = rows.first().map(|row| row.int(0)).transpose()?;
            let whole_at = match limit.count(stored.unwrap_or(0), now_ms()) {
                Ok(whole_at) => whole_at,
                Err(wait) => return Ok(AttemptOutcome::Wait(wait)),
            };
            let counted = match stored {
                None => self.execute(|| sql::first_attempt(E::DIALECT, bucket, whole_at)).await?,
                Some(old) => self.execute(|| sql::next_attempt(bucket, old, whole_at)).await?,
            };
            if counted == 1 {
                return Ok(AttemptOutcome::Counted);
            }
            backoff.wait(busy()).await?;
        }
    }

    /// Fills a bucket again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn reset_attempts(&self, bucket: &str) -> Result<(), DatabaseError> {
        self.execute(|| sql::reset_attempts(bucket)).await?;
        Ok(())
    }
}

impl Bucket {
    /// The time at which a bucket that is full at `whole_at` is full again after one more attempt.
    ///
    /// # Errors
    /// The time to wait if it is empty.
    fn count(self, whole_at: i64, now: i64) -> Result<i64, Duration> {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let slack = every.saturating_mul(i64::from(self.at_once.saturating_sub(1)));
        let wait = whole_at.saturating_sub(now).saturating_sub(slack);
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Err(Duration::from_millis(wait)),
            _ => Ok(whole_at.max(now).saturating_add(every)),
        }
    }
}

fn read_account(row: &super::engine::Row) -> Result<Account, DatabaseError> {
    Ok(Account { name: row.text(0)?.to_owned(), version: row.unsigned(1)?, record: row.bytes(2)?.into() })
}

fn read_revocation(row: &super::engine::Row) -> Result<Revocation, DatabaseError> {
    Ok(Revocation { token: row.text(0)?.to_owned(), expires: row.int(1)? })
}

/// Refuses keys that not every database can hold.
fn check_key(key: &str) -> Result<(), DatabaseError> {
    if key.len() > MAX_KEY || key.contains('\0') {
        let detail = format!("a name has more than {MAX_KEY} bytes, or a zero byte");
        return Err(DatabaseError::Refused(EngineError::new(Failure::Rejected, detail)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_allows_bursts_and_then_one_attempt_per_interval() {
        let bucket = Bucket { at_once: 3, every: Duration::from_secs(10) };
        let mut whole_at = 0;
        for _ in 0..3 {
            whole_at = bucket.count(whole_at, 1_000_000).expect("within the burst");
        }
        assert_eq!(bucket.count(whole_at, 1_000_000), Err(Duration::from_secs(10)));
        assert_eq!(bucket.count(whole_at, 1_004_000), Err(Duration::from_secs(6)));
        assert!(bucket.count(whole_at, 1_010_000).is_ok());
    }
}
