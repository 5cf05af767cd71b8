//! Logging in with a name and a password.
//!
//! Whoever asks learns nothing but whether both are right: an account that is not there, one that is disabled and a wrong password are
//! answered alike, and cost the same.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use limits::{KeyedLimit, KeyedPermit, Payer, share_of};
use offload::with_low_priority;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::password::{MAX_PASSWORD, Verifier};
use super::throttle::Throttle;
use super::{Account, AccountName, Accounts, Grant};

/// Passwords that are looked at at the same time. Each takes 19 MiB, and a processor for some 20 ms.
pub const AT_A_TIME: usize = 2;
/// Passwords that wait for that, of accounts and networks that have not logged in lately.
pub const WAITING: usize = 64;
/// Passwords that wait for that, of accounts and networks that have.
pub const KNOWN_WAITING: usize = 64;
/// Logins that one network may have waiting.
const FROM_ONE_NETWORK: usize = 16;
/// Time between two log lines about logins for which there was no room.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What somebody has who has logged in.
#[derive(Clone)]
pub struct Session {
    /// To be shown with every request.
    pub token: String,
    /// What it says.
    pub grant: Grant,
}

/// Without the token: whoever has it is let in.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// Why somebody could not log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefused {
    /// The name, or the password.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many tries. How long to wait.
    #[error("too many tries; try again in {} s", seconds(*.0))]
    Later(Duration),
    /// Too many are logging in at this moment.
    #[error("too many are logging in at the moment; try again in a few seconds")]
    Busy,
    /// The server has no key to sign with.
    #[error("nobody can log in at the moment; try again a little later")]
    Unavailable,
}

/// Rounded up, for whoever waits that long must be let through.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What logins share.
pub(super) struct Logins {
    throttle: Mutex<Throttle>,
    verifier: Arc<Verifier>,
    /// For those who are looked at, and those who wait.
    strangers: Arc<KeyedLimit<Payer>>,
    /// The same for accounts and networks that have logged in lately: a flood of guesses from elsewhere leaves them room.
    known: Arc<KeyedLimit<Payer>>,
    turns: Arc<Semaphore>,
    /// Held by the stranger whose turn is next. So at most one of them is in line before somebody who is known.
    line: Semaphore,
    logged_at: Mutex<Option<Instant>>,
}

impl Logins {
    pub(super) fn new() -> Self {
        Self {
            throttle: Mutex::new(Throttle::default()),
            verifier: Arc::new(Verifier::new()),
            strangers: places(WAITING),
            known: places(KNOWN_WAITING),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            line: Semaphore::new(1),
            logged_at: Mutex::default(),
        }
    }

    /// The account, if this is its password. The accounts are asked for as they are at the moment.
    pub(super) async fn check(
        &self,
        account: &str,
        password: &str,
        from: IpAddr,
        accounts: impl Fn() -> Arc<Accounts>,
    ) -> Result<(AccountName, Account), LoginRefused> {
        // Neither can be right, whatever accounts there are.
        let (Ok(name), true) = (AccountName::new(account), password.len() <= MAX_PASSWORD) else {
            return Err(LoginRefused::Wrong);
        };
        let is_known = self.throttle(|throttle, moment| throttle.is_known(name.as_str(), from, moment));
        let place = self.place(is_known, from)?;
        let attempt = self.throttle(|throttle, moment| throttle.attempt(name.as_str(), from, moment));
        attempt.map_err(|wait| told(&name, &accounts(), from, LoginRefused::Later(wait)))?;
        let next = if is_known { None } else { self.line.acquire().await.ok() };
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| LoginRefused::Unavailable)?;
        drop(next);

        let expected = accounts().get(&name).map(|account| account.password().clone());
        let (verifier, password, hash) = (Arc::clone(&self.verifier), password.to_owned(), expected.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let is_right = with_low_priority(|| verifier.is_right(&password, hash.as_ref()));
            // Not before: who goes away while a password is looked at does not make room for another one.
            drop((place, turn));
            is_right
        });
        let is_right = looked.await.map_err(|_| LoginRefused::Unavailable)?;

        // It may have been changed meanwhile.
        let accounts = accounts();
        let may = |account: &&Account| is_right && !account.disabled && expected.as_ref() == Some(account.password());
        let Some(account) = accounts.get(&name).filter(may) else {
            return Err(told(&name, &accounts, from, LoginRefused::Wrong));
        };
        let succeeded = self.throttle(|throttle, moment| throttle.succeeded(name.as_str(), from, moment));
        succeeded.map_err(|wait| told(&name, &accounts, from, LoginRefused::Later(wait)))?;
        Ok((name, account.clone()))
    }

    /// Room to wait for a turn.
    fn place(&self, is_known: bool, from: IpAddr) -> Result<KeyedPermit<Payer>, LoginRefused> {
        let places = if is_known { &self.known } else { &self.strangers };
        places.take(Payer::at(from)).map_err(|full| {
            let (now, mut logged_at) = (Instant::now(), self.logged_at.lock());
            if logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
                *logged_at = Some(now);
                tracing::warn!(%from, is_known, ?full, "more passwords come than can be looked at; logins are refused");
            }
            LoginRefused::Busy
        })
    }

    fn throttle<T>(&self, ask: impl FnOnce(&mut Throttle, Instant) -> T) -> T {
        ask(&mut self.throttle.lock(), Instant::now())
    }

    /// KiB that were filled for passwords so far, each as often as there were passes.
    #[cfg(test)]
    pub(super) fn work(&self) -> u64 {
        self.verifier.work()
    }
}

/// Room for those who are looked at, and for so many who wait; a share of it for each network.
fn places(waiting: usize) -> Arc<KeyedLimit<Payer>> {
    KeyedLimit::new(AT_A_TIME + waiting, AT_A_TIME + share_of(waiting, FROM_ONE_NETWORK))
}

/// In the log, for the operator. A name that no account has is not said: it may be a password that was typed in the wrong field.
fn told(name: &AccountName, accounts: &Accounts, from: IpAddr, refused: LoginRefused) -> LoginRefused {
    let account = accounts.get(name).map_or("(there is no such account)", |_| name.as_str());
    tracing::info!(account, %from, reason = %refused, "a login was refused");
    refused
}
