//! Connections of users, while they last: a token may expire, a key be retired, an account be disabled or get another
//! role. Whom that concerns is closed, or may do something else, at once.
//!
//! All of them are looked after in one place. A connection itself checks nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth::{Authority, Refused, valid_until};
use runtime::clock::now;
use runtime::hub::{Caller, ConnectionKey, FarewellKind, Hub, Outbox};
use runtime::metrics::Refusal;
use tokio::sync::Notify;

/// The longest time between two checks, as the clock may be set meanwhile.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two checks, even if the clock jumps.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

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
        renew(&self.0.authority, caller)?;
        Ok(Some(session))
    }

    /// Looks after all of them, for ever.
    pub async fn run(self, hub: Hub) {
        let mut changes = self.0.authority.changes();
        loop {
            let next = self.next_end().map_or(LONGEST_INTERVAL, |end| until(end, now()));
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
                hub.recheck_all();
            }
        }
    }

    /// When the next token is over of those that are not closed already.
    fn next_end(&self) -> Option<i64> {
        let live = self.live();
        live.iter().find(|(_, live)| !live.outbox.is_closed()).map(|((expires, _), _)| valid_until(*expires))
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
                    tracing::info!(user = &*before.user, reason = refused.reason(), "a session has ended");
                    outbox.close(FarewellKind::Unauthorized, refused.to_string());
                    caller.end();
                }
            }
        }
        moved
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<(i64, ConnectionKey), Live>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller's token allows at this moment counts from now on.
///
/// # Errors
/// When it allows nothing any more.
pub fn renew(authority: &Authority, caller: &Caller) -> Result<(), Refused> {
    let Some(before) = caller.grant() else { return Ok(()) };
    let grant = authority.recheck(&before, now())?;
    if grant != *before {
        caller.renew(grant);
    }
    Ok(())
}

/// How long to sleep until this moment, at the most.
fn until(end: i64, now: i64) -> Duration {
    let seconds = u64::try_from(end.saturating_sub(now)).unwrap_or(0);
    Duration::from_secs(seconds).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.live().remove(&self.at);
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
    async fn next_check_is_when_a_token_of_an_open_session_expires() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let auth = AuthFolder::create(folder.path().join("auth")).expect("made");
        auth.change_keys(|keys| keys.make(NewKey::Ed25519, now()).map(|_| ())).expect("a key");
        let authority = Authority::open(&AuthOptions {
            folder: Some(auth.path().to_owned()),
            jwks: None,
            audience: None,
            issuer: None,
            session: Duration::from_secs(60),
        })
        .expect("opens");
        let sessions = Sessions::new(authority);
        let mut expected = Vec::new();
        let mut entered = Vec::new();
        for (key, lifetime) in [(1, 600), (2, 60)] {
            let issued = auth.keys().expect("keys").issue("cfo", (Role::Editor, Documents::All), now(), lifetime);
            let (_, grant) = issued.expect("issued");
            expected.push(grant.expires + LEEWAY);
            let (sender, receiver) = outbox(CancellationToken::new());
            let caller = Caller::known(Surface::Api, grant);
            let session = sessions.enter(ConnectionKey(key), &caller, &sender).expect("good").expect("a place");
            entered.push((session, sender, receiver));
        }
        assert_eq!(sessions.next_end(), Some(expected[1]));
        entered[1].1.close(FarewellKind::Unauthorized, "over");
        assert_eq!(sessions.next_end(), Some(expected[0]), "though it is still there");
        drop(entered);
        assert_eq!(sessions.next_end(), None);
    }

    #[test]
    fn checks_are_never_back_to_back() {
        for (end, now, expected) in [
            (1_000, 990, Duration::from_secs(10)),
            (1_000, 0, LONGEST_INTERVAL),
            (1_000, 1_000, SHORTEST_INTERVAL),
            (1_000, 2_000, SHORTEST_INTERVAL),
            (i64::MAX, i64::MIN, LONGEST_INTERVAL),
            (i64::MIN, i64::MAX, SHORTEST_INTERVAL),
        ] {
            assert_eq!(until(end, now), expected, "{end} {now}");
        }
    }
}
