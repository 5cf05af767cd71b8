//! Connections of users, while they last: a token may expire, a key be retired, an account be disabled or get another
//! role. Whom that concerns is closed, or may do something else, at once.
//!
//! All of them are looked after in one place. A connection itself has nothing to check, whatever it sends and receives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::auth::{Authority, Refused};
use crate::clock::now;
use crate::hub::{Caller, ConnectionKey, FarewellKind, Hub, Outbox};
use crate::metrics::Refusal;

/// A clock may be set: nobody relies on a token that expires in a week being looked at then and not before.
const AT_LEAST: Duration = Duration::from_secs(60);

/// All connections of users. Clones are the same.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    authority: Authority,
    /// In the order in which their tokens expire.
    live: Mutex<BTreeMap<(i64, ConnectionKey), Live>>,
    /// One that expires before all others has come.
    sooner: Notify,
}

struct Live {
    caller: Caller,
    outbox: Outbox,
}

/// A place among them, given back when it is dropped.
pub struct Session {
    sessions: Sessions,
    at: (i64, ConnectionKey),
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self(Arc::new(Inner { authority, live: Mutex::default(), sooner: Notify::new() }))
    }

    /// A connection begins.
    ///
    /// # Errors
    /// When its token has ceased to count since it was looked at.
    pub fn enter(&self, key: ConnectionKey, caller: &Caller, outbox: &Outbox) -> Result<Option<Session>, Refused> {
        let Some(grant) = caller.grant() else { return Ok(None) };
        let at = (grant.expires, key);
        let first = {
            let mut live = self.live();
            live.insert(at, Live { caller: caller.clone(), outbox: outbox.clone() });
            live.first_key_value().is_some_and(|(first, _)| *first == at)
        };
        let session = Session { sessions: self.clone(), at };
        if first {
            self.0.sooner.notify_one();
        }
        // What has changed before it was in the list was told to others.
        let now = self.0.authority.recheck(&grant, now())?;
        if now != *grant {
            caller.renew(now);
        }
        Ok(Some(session))
    }

    /// Looks after all of them, for ever.
    pub async fn run(self, hub: Hub) {
        let mut changes = self.0.authority.changes();
        loop {
            let expires = self.live().keys().next().map(|(expires, _)| *expires);
            let next = expires.map(|expires| u64::try_from(expires - now()).unwrap_or(0));
            let next = next.map_or(AT_LEAST, |seconds| Duration::from_secs(seconds).min(AT_LEAST));
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.0.sooner.notified() => continue,
                () = tokio::time::sleep(next) => {}
            }
            changes.mark_unchanged();
            if self.recheck(&hub) {
                hub.recheck_all().await;
            }
        }
    }

    /// Closes those whose token does not count any more. True: somebody may do something else now.
    fn recheck(&self, hub: &Hub) -> bool {
        let now = now();
        let mut moved = false;
        for Live { caller, outbox } in self.live().values() {
            let Some(before) = caller.grant() else { continue };
            match self.0.authority.recheck(&before, now) {
                Ok(grant) if grant == *before => {}
                Ok(grant) => {
                    caller.renew(grant);
                    moved = true;
                }
                Err(_) if outbox.is_closed() => {}
                Err(refused) => {
                    hub.metrics().refuse(Refusal::Unauthorized);
                    tracing::info!(user = %before.user, reason = refused.reason(), "a session has ended");
                    outbox.close(FarewellKind::Unauthorized, refused.to_string());
                }
            }
        }
        moved
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<(i64, ConnectionKey), Live>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.live().remove(&self.at);
    }
}
