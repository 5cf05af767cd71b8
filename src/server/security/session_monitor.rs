//! Rechecks the tokens of all connected users when one expires, a key is retired, or an account changes. Connections without a
//! valid token are closed; changed rights take effect immediately.
//!
//! One task checks all connections, so that a connection does not have to check anything itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use auth::{Authority, Refused, valid_until};
use parking_lot::{Mutex, MutexGuard};
use runtime::clock::now;
use runtime::hub::{CloseKind, ConnectionKey, Hub, Outbox, Requester};
use runtime::metrics::RefusalReason;
use tokio::sync::Notify;

/// Maximum time between two checks: the clock may be set meanwhile.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// Minimum time between two checks, even if the clock jumps.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The connections of authenticated users. Clones share them.
#[derive(Clone)]
pub struct SessionMonitor(Arc<Inner>);

struct Inner {
    authority: Authority,
    /// Ordered by the expiry of their tokens (Unix time in seconds).
    sessions: Mutex<BTreeMap<(i64, ConnectionKey), Session>>,
    /// Notified when a session is registered that expires before all others.
    earlier: Notify,
}

struct Session {
    requester: Requester,
    outbox: Outbox,
}

/// Keeps a connection registered until it is dropped.
pub struct SessionRegistration {
    monitor: SessionMonitor,
    key: (i64, ConnectionKey),
}

impl SessionMonitor {
    /// A monitor without connections. [`run`](Self::run) checks those that are registered.
    #[must_use]
    pub fn new(authority: Authority) -> Self {
        Self(Arc::new(Inner { authority, sessions: Mutex::default(), earlier: Notify::new() }))
    }

    /// Registers a connection. Returns `None` for a requester without a grant.
    ///
    /// # Errors
    /// If the token of the requester is no longer valid.
    pub fn register(
        &self,
        key: ConnectionKey,
        requester: &Requester,
        outbox: &Outbox,
    ) -> Result<Option<SessionRegistration>, Refused> {
        let Some(grant) = requester.grant() else { return Ok(None) };
        let key = (grant.expires, key);
        let is_first = {
            let mut sessions = self.sessions();
            sessions.insert(key, Session { requester: requester.clone(), outbox: outbox.clone() });
            sessions.first_key_value().is_some_and(|(first, _)| *first == key)
        };
        let registration = SessionRegistration { monitor: self.clone(), key };
        if is_first {
            self.0.earlier.notify_one();
        }
        // Covers changes between the authentication of the request and the registration.
        recheck(&self.0.authority, requester)?;
        Ok(Some(registration))
    }

    /// Checks all registered connections when tokens expire or rights change. Never returns.
    pub async fn run(self, hub: Hub) {
        let mut changes = self.0.authority.changes();
        loop {
            let next = self.next_expiry().map_or(MAX_INTERVAL, |end| until(end, now()));
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.0.earlier.notified() => continue,
                () = tokio::time::sleep(next) => {}
            }
            changes.mark_unchanged();
            if self.recheck_all(&hub) {
                hub.recheck_all();
            }
        }
    }

    /// When the next token of an open connection expires (Unix time in seconds).
    fn next_expiry(&self) -> Option<i64> {
        let sessions = self.sessions();
        sessions.iter().find(|(_, session)| !session.outbox.is_closed()).map(|((expires, _), _)| valid_until(*expires))
    }

    /// Closes connections whose token is no longer valid. Returns whether the rights of others have changed.
    fn recheck_all(&self, hub: &Hub) -> bool {
        let now = now();
        let mut changed = false;
        for Session { requester, outbox } in self.sessions().values() {
            let Some(before) = requester.grant() else { continue };
            match self.0.authority.recheck(&before, now) {
                Ok(grant) if grant == *before => {}
                Ok(grant) => {
                    requester.update_grant(grant);
                    changed = true;
                }
                Err(_) if outbox.is_closed() => {}
                Err(refused) => {
                    hub.metrics().record_refusal(RefusalReason::Unauthorized);
                    tracing::info!(user = &*before.user, reason = refused.reason(), "a session has ended");
                    outbox.close(close_kind(refused), refused.to_string());
                    requester.revoke();
                }
            }
        }
        changed
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<(i64, ConnectionKey), Session>> {
        self.0.sessions.lock()
    }
}

/// How to close the connection of a client that is refused.
fn close_kind(refused: Refused) -> CloseKind {
    match refused {
        Refused::Unavailable => CloseKind::TryAgainLater,
        Refused::Missing
        | Refused::Invalid
        | Refused::Expired
        | Refused::NotYet
        | Refused::Disabled
        | Refused::LoggedOut => CloseKind::Unauthorized,
    }
}

/// Checks a requester's token again, and updates the requester's grant.
///
/// # Errors
/// If the token is no longer valid.
pub fn recheck(authority: &Authority, requester: &Requester) -> Result<(), Refused> {
    let Some(before) = requester.grant() else { return Ok(()) };
    let grant = authority.recheck(&before, now())?;
    if grant != *before {
        requester.update_grant(grant);
    }
    Ok(())
}

/// Time from `now` until `end`, within the bounds of the interval.
fn until(end: i64, now: i64) -> Duration {
    let seconds = u64::try_from(end.saturating_sub(now)).unwrap_or(0);
    Duration::from_secs(seconds).clamp(MIN_INTERVAL, MAX_INTERVAL)
}

impl Drop for SessionRegistration {
    fn drop(&mut self) {
        self.monitor.sessions().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use auth::{AuthFolder, AuthOptions, Documents, LEEWAY, NewKey, Role};
    use runtime::hub::outbox;
    use sync_engine::Surface;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn next_check_is_when_the_first_open_session_expires() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let auth = AuthFolder::create(folder.path().join("auth")).expect("made");
        auth.change_keys(|keys| keys.make(NewKey::Ed25519, now()).map(|_| ())).expect("a key");
        let authority = Authority::open(&AuthOptions {
            folder: Some(auth.path().to_owned()),
            session: Duration::from_secs(60),
            ..AuthOptions::default()
        })
        .expect("opens");
        let monitor = SessionMonitor::new(authority);
        let mut expected = Vec::new();
        let mut registered = Vec::new();
        for (key, lifetime) in [(1, 600), (2, 60)] {
            let issued = auth.keys().expect("keys").issue("cfo", (Role::Editor, Documents::All), now(), lifetime);
            let (_, grant) = issued.expect("issued");
            expected.push(grant.expires + LEEWAY);
            let (sender, receiver) = outbox(CancellationToken::new());
            let requester = Requester::authenticated(Surface::Api, grant);
            let registration =
                monitor.register(ConnectionKey(key), &requester, &sender).expect("valid").expect("a grant");
            registered.push((registration, sender, receiver));
        }
        assert_eq!(monitor.next_expiry(), Some(expected[1]));
        registered[1].1.close(CloseKind::Unauthorized, "over");
        assert_eq!(monitor.next_expiry(), Some(expected[0]), "closed connections do not count");
        drop(registered);
        assert_eq!(monitor.next_expiry(), None);
    }

    #[test]
    fn checks_are_never_back_to_back() {
        for (end, now, expected) in [
            (1_000, 990, Duration::from_secs(10)),
            (1_000, 0, MAX_INTERVAL),
            (1_000, 1_000, MIN_INTERVAL),
            (1_000, 2_000, MIN_INTERVAL),
            (i64::MAX, i64::MIN, MAX_INTERVAL),
            (i64::MIN, i64::MAX, MIN_INTERVAL),
        ] {
            assert_eq!(until(end, now), expected, "{end} {now}");
        }
    }
}
