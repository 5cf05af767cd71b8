//! Logins with a name and a password.
//!
//! The answer reveals only whether name and password are right: an unknown account, a disabled account and a wrong
//! password get the same answer, and cost the same.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};
use offload::with_low_priority;
use parking_lot::Mutex;
use store::sql::AttemptOutcome;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::password::{MAX_PASSWORD, Verifier};
use super::shared::Shared;
use super::throttle::Throttle;
use super::{Account, AccountName, Accounts, AuthError, Grant};

/// Passwords that are verified at the same time. Each takes 19 MiB, and about 20 ms of processor time.
pub const AT_A_TIME: usize = 2;
/// Logins that may wait for a verification, from accounts and networks that have not logged in lately.
pub const WAITING: usize = 64;
/// Logins that may wait for a verification, from accounts and networks that have logged in lately.
pub const KNOWN_WAITING: usize = 64;
/// Logins of one network that may wait for a verification.
const FROM_ONE_NETWORK: usize = 16;
/// Shortest time between two log lines about refused logins when the queue is full.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A successful login.
#[derive(Clone)]
pub struct Session {
    /// The session token, sent with every request.
    pub token: String,
    /// The rights that the token grants.
    pub grant: Grant,
}

/// Hides the token, which is a credential.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefused {
    /// The name or the password is wrong.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many attempts. Holds how long to wait.
    #[error("too many attempts; try again in {} s", seconds(*.0))]
    Later(Duration),
    /// Too many logins are in progress.
    #[error("too many logins at the moment; try again in a few seconds")]
    Busy,
    /// The server has no key to sign with.
    #[error("logins are unavailable at the moment; try again a little later")]
    Unavailable,
}

/// Rounded up: a client that waits this long must be accepted.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// State that all logins share.
pub(super) struct Logins {
    throttle: Mutex<Throttle>,
    verifier: Arc<Verifier>,
    /// Permits to be verified or wait, for accounts and networks that have not logged in lately.
    unknown: Arc<KeyedLimit<Payer>>,
    /// Permits for accounts and networks that have logged in lately: a flood of guesses from elsewhere leaves them
    /// room.
    known: Arc<KeyedLimit<Payer>>,
    verifications: Arc<Semaphore>,
    /// Held by the one unknown client that may queue for `verifications`: at most one of them is in line before a known
    /// client.
    unknown_line: Semaphore,
    logged_at: Mutex<Option<Instant>>,
}

impl Logins {
    pub(super) fn new() -> Self {
        Self {
            throttle: Mutex::new(Throttle::default()),
            verifier: Arc::new(Verifier::new()),
            unknown: queue_permits(WAITING),
            known: queue_permits(KNOWN_WAITING),
            verifications: Arc::new(Semaphore::new(AT_A_TIME)),
            unknown_line: Semaphore::new(1),
            logged_at: Mutex::default(),
        }
    }

    /// Returns the account if this is its password. `accounts` is called before and after the verification. Attempts from networks
    /// that the account has not logged in from lately count at all servers, if there is a `shared` database.
    pub(super) async fn check(
        &self,
        account: &str,
        password: &str,
        from: IpAddr,
        shared: Option<&Shared>,
        accounts: impl Fn() -> Arc<Accounts>,
    ) -> Result<(AccountName, Account), LoginRefused> {
        // Neither can be right for any account.
        let (Ok(name), true) = (AccountName::new(account), password.len() <= MAX_PASSWORD) else {
            return Err(LoginRefused::Wrong);
        };
        let is_known = self.throttle(|throttle, moment| throttle.is_known(name.as_str(), from, moment));
        let queue_permit = self.queue_permit(is_known, from)?;
        let attempt = self.throttle(|throttle, moment| throttle.attempt(name.as_str(), from, moment));
        let is_familiar = attempt.map_err(|wait| log_refusal(&name, &accounts(), from, LoginRefused::Later(wait)))?;
        // For unknown accounts too: they must not be answered faster.
        let shared = shared.filter(|_| !is_familiar);
        if let Some(shared) = shared {
            let counted = shared.attempt(&name).await.map_err(unavailable)?;
            if let AttemptOutcome::Wait(wait) = counted {
                return Err(log_refusal(&name, &accounts(), from, LoginRefused::Later(wait)));
            }
        }
        let next = if is_known { None } else { self.unknown_line.acquire().await.ok() };
        let verification =
            Arc::clone(&self.verifications).acquire_owned().await.map_err(|_| LoginRefused::Unavailable)?;
        drop(next);

        let expected = accounts().get(&name).map(|account| account.password().clone());
        let (verifier, password, hash) = (Arc::clone(&self.verifier), password.to_owned(), expected.clone());
        let verified = tokio::task::spawn_blocking(move || {
            let is_right = with_low_priority(|| verifier.is_right(&password, hash.as_ref()));
            // Released here, not by the future: a client that disconnects during a verification frees nothing.
            drop((queue_permit, verification));
            is_right
        });
        let is_right = verified.await.map_err(|_| LoginRefused::Unavailable)?;

        // The account may have changed during the verification.
        let accounts = accounts();
        let may = |account: &&Account| is_right && !account.disabled && expected.as_ref() == Some(account.password());
        let Some(account) = accounts.get(&name).filter(may) else {
            return Err(log_refusal(&name, &accounts, from, LoginRefused::Wrong));
        };
        let succeeded = self.throttle(|throttle, moment| throttle.succeeded(name.as_str(), from, moment));
        succeeded.map_err(|wait| log_refusal(&name, &accounts, from, LoginRefused::Later(wait)))?;
        if let Some(shared) = shared
            && let Err(error) = shared.reset_attempts(&name).await
        {
            tracing::warn!(%error, "the attempts of a successful login stay counted");
        }
        Ok((name, account.clone()))
    }

    /// Counts a session of a user whom a provider has authenticated.
    pub(super) fn begin_session(&self, user: &str) -> Result<(), Duration> {
        // In lower case, like the name of an account: otherwise another spelling would be another user here.
        self.throttle(|throttle, moment| throttle.begin_session(&user.to_ascii_lowercase(), moment))
    }

    /// A permit to be verified or to wait.
    fn queue_permit(&self, is_known: bool, from: IpAddr) -> Result<KeyedPermit<Payer>, LoginRefused> {
        let queue_permits = if is_known { &self.known } else { &self.unknown };
        queue_permits.take(Payer::at(from)).map_err(|full| {
            let (now, mut logged_at) = (Instant::now(), self.logged_at.lock());
            if logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
                *logged_at = Some(now);
                tracing::warn!(%from, is_known, ?full, "too many logins at a time; some are refused");
            }
            LoginRefused::Busy
        })
    }

    fn throttle<T>(&self, ask: impl FnOnce(&mut Throttle, Instant) -> T) -> T {
        ask(&mut self.throttle.lock(), Instant::now())
    }

    /// Argon2 work so far: KiB filled, times passes.
    #[cfg(test)]
    pub(super) fn work(&self) -> u64 {
        self.verifier.work()
    }
}

fn unavailable(error: AuthError) -> LoginRefused {
    tracing::error!(%error, "logins fail: attempts cannot be counted");
    LoginRefused::Unavailable
}

/// Permits for the logins in progress and for `waiting` more, with a share for each network.
fn queue_permits(waiting: usize) -> Arc<KeyedLimit<Payer>> {
    KeyedLimit::new(AT_A_TIME + waiting, AT_A_TIME + fair_share(waiting, FROM_ONE_NETWORK))
}

/// Logs a refusal. Unknown names are not logged: they may be passwords typed in the wrong field.
fn log_refusal(name: &AccountName, accounts: &Accounts, from: IpAddr, refused: LoginRefused) -> LoginRefused {
    let account = accounts.get(name).map_or("(no such account)", |_| name.as_str());
    tracing::info!(account, %from, reason = %refused, "a login was refused");
    refused
}
