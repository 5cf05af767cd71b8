//! Decides which tokens are valid, and what they grant.
//!
//! The keys come from files; accounts and revocations from files, or from a database that several servers share. They may
//! change at any time. [`Authority::changes`] then tells the server to recheck its open connections.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offload::run_cpu_bound;
use parking_lot::{Mutex, RwLock};
use store::sql::Database;
use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::time::MissedTickBehavior;

use super::folder::{self, MAX_KEYS};
use super::keys::{KeySet, Keys};
use super::login::Logins;
use super::provider_keys::Unusable;
use super::revocations::{RevocationWrite, Revocations};
use super::setup::SetupCode;
use super::shared::{Shared, SharedChanges};
use super::token::{self, Expected, Kind, is_expired};
use super::watched::WatchedFiles;
use super::{Accounts, AuthError, AuthFolder, AuthOptions, Grant, LoginRefused, Principal, Refused, Session};

/// Interval between checks for changes.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Authenticates tokens and logins. Clones share one state.
#[derive(Clone)]
pub struct Authority(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) folder: Option<AuthFolder>,
    /// `None` if accounts are not kept in the folder.
    pub(super) setup: Option<SetupCode>,
    pub(super) expected: Expected,
    /// Lifetime of a session in seconds.
    pub(super) session: i64,
    keys: RwLock<Keys>,
    accounts: RwLock<Arc<Accounts>>,
    revocations: RwLock<Revocations>,
    sources: Mutex<Sources>,
    /// Accounts and revocations, if they are in a database.
    shared: Option<Shared>,
    /// Whether the last check found that [`shared`](Self::shared) is out of date.
    was_stale: AtomicBool,
    logging_out: AsyncMutex<()>,
    changes: watch::Sender<u64>,
    pub(super) logins: Logins,
    /// Notified when a token names an unknown key, and when the program lacks something else of the provider.
    pub(super) unknown_key: Notify,
    /// Why keys of the provider were left out when they were last set. Logged when it changes: they are set again regularly.
    pub(super) left_out: Mutex<Vec<String>>,
}

struct Sources {
    /// `None` without a folder.
    own: Option<OwnSources>,
    /// `None` without a provider.
    provider: Option<Provider>,
}

/// Each file is read on its own: changes of one take effect even if another is broken.
struct OwnSources {
    keys: WatchedFiles,
    /// `None` if they are in a database.
    accounts: Option<WatchedFiles>,
    /// `None` if they are in a database.
    revocations: Option<WatchedFiles>,
}

struct Provider {
    keys: WatchedFiles,
    path: PathBuf,
}

impl Authority {
    /// Reads all files.
    ///
    /// # Errors
    /// When a file cannot be read or is invalid, or there is no key at all. The error names the file and the remedy.
    pub fn open(options: &AuthOptions) -> Result<Self, AuthError> {
        Self::open_with(options, None)
    }

    /// Reads the keys from files, and everything else from a database, at `now` (Unix seconds).
    ///
    /// # Errors
    /// As for [`open`](Self::open); or when the database cannot be read; or when the folder has accounts that were not copied
    /// to the database.
    pub async fn open_shared(options: &AuthOptions, database: Arc<dyn Database>, now: i64) -> Result<Self, AuthError> {
        let (shared, accounts, revocations) = Shared::open(database, now).await?;
        if let Some(folder) = options.folder.as_ref().map(AuthFolder::open).transpose()? {
            let left_out: Vec<String> = folder.accounts()?.missing_in(&accounts).map(ToString::to_string).collect();
            if !left_out.is_empty() && accounts.is_empty() {
                return Err(AuthError::AccountsNotCopied(folder.path().to_owned()));
            }
            if !left_out.is_empty() {
                let left_out = left_out.join(", ");
                tracing::warn!(
                    accounts = left_out,
                    "accounts in users.json are not in the database, and cannot log in"
                );
            }
        }
        Self::open_with(options, Some((shared, accounts, revocations)))
    }

    fn open_with(options: &AuthOptions, shared: Option<(Shared, Accounts, Revocations)>) -> Result<Self, AuthError> {
        let folder = options.folder.as_ref().map(AuthFolder::open).transpose()?;
        let mut keys = Keys::default();
        let (shared, mut accounts, mut revocations) = match shared {
            Some((shared, accounts, revocations)) => (Some(shared), accounts, revocations),
            None => (None, Accounts::default(), Revocations::default()),
        };
        let own = match &folder {
            None => None,
            Some(folder) => {
                let (keys_watched, read) =
                    WatchedFiles::read("the keys", vec![folder.keys_file()], || own_keys(folder).map(Arc::new))?;
                keys.own = read;
                let mut own = OwnSources { keys: keys_watched, accounts: None, revocations: None };
                if shared.is_none() {
                    let watched = WatchedFiles::read("the accounts", vec![folder.users_file()], || folder.accounts())?;
                    own.accounts = Some(watched.0);
                    accounts = watched.1;
                    let watched =
                        WatchedFiles::read("the revoked tokens", vec![folder.revoked_file()], || folder.revocations())?;
                    own.revocations = Some(watched.0);
                    revocations = watched.1;
                }
                Some(own)
            }
        };
        let provider = match &options.jwks {
            None => None,
            Some(path) => {
                let (watched, read) = WatchedFiles::read("the provider's keys", vec![path.clone()], || {
                    provider_keys(path, &keys.own).map(Arc::new)
                })?;
                keys.provider = read;
                Some(Provider { keys: watched, path: path.clone() })
            }
        };
        if keys.is_empty() && !options.expects_provider_keys {
            return Err(folder.map_or(AuthError::Nothing, |folder| AuthError::NoKey(folder.path().to_owned())));
        }
        let has_own_accounts = own.as_ref().is_some_and(|own| own.accounts.is_some());
        Ok(Self(Arc::new(Inner {
            folder,
            setup: has_own_accounts.then(SetupCode::new),
            expected: Expected {
                issuer: options.issuer.clone(),
                audience: options.audience.clone(),
                needs_audience: options.provider_logins,
                mapping: options.claims.clone(),
            },
            session: i64::try_from(options.session.as_secs()).unwrap_or(i64::MAX),
            keys: RwLock::new(keys),
            accounts: RwLock::new(Arc::new(accounts)),
            revocations: RwLock::new(revocations),
            sources: Mutex::new(Sources { own, provider }),
            shared,
            was_stale: AtomicBool::new(false),
            logging_out: AsyncMutex::default(),
            changes: watch::Sender::new(0),
            logins: Logins::new(),
            unknown_key: Notify::new(),
            left_out: Mutex::default(),
        })))
    }

    /// Verifies a token at `now` (Unix seconds), and returns what it grants.
    ///
    /// # Errors
    /// When the token is not valid.
    pub fn verify(&self, token: &str, now: i64) -> Result<Grant, Refused> {
        let keys = self.0.keys();
        let read = token::read(token, &keys, &self.0.expected);
        if read.is_err() && token::key_id(token).is_some_and(|kid| keys.get(&kid).is_none()) {
            self.0.unknown_key.notify_one();
        }
        let (grant, not_before) = read?;
        token::check_not_before(not_before, now)?;
        self.0.admit(grant, now)
    }

    /// Authenticates a request by its token, at `now` (Unix seconds).
    ///
    /// # Errors
    /// When there is no token, or [`verify`](Self::verify) refuses it.
    pub fn authenticate(&self, token: Option<&str>, now: i64) -> Result<Principal, Refused> {
        let grant = self.verify(token.ok_or(Refused::Missing)?, now)?;
        Ok(Principal::User(Box::new(grant)))
    }

    /// Checks a grant again, without its token's signature, and returns what it grants now.
    ///
    /// # Errors
    /// When the token has expired or was logged out, its key was retired, or its user was disabled; or when the server does not know
    /// that any more.
    pub fn recheck(&self, grant: &Grant, now: i64) -> Result<Grant, Refused> {
        self.0.keys().get(&grant.key).ok_or(Refused::Invalid)?;
        self.0.admit(grant.clone(), now)
    }

    /// Logs in, at `now` (Unix seconds).
    ///
    /// # Errors
    /// When the name or the password is wrong, or there were too many attempts.
    pub async fn login(&self, account: &str, password: &str, from: IpAddr, now: i64) -> Result<Session, LoginRefused> {
        if self.0.is_stale() {
            return Err(LoginRefused::Unavailable);
        }
        let accounts = || self.0.accounts();
        let (name, account) = self.0.logins.check(account, password, from, self.0.shared.as_ref(), accounts).await?;
        let keys = self.0.keys();
        let Some(key) = keys.signing() else {
            tracing::error!(
                "logins fail: there is no key to sign sessions with; create one with `happierwork key new`"
            );
            return Err(LoginRefused::Unavailable);
        };
        let kind = Kind::Session { generation: account.generation };
        let made = token::issue(key, name.shared(), kind, account.issued(now), self.0.session);
        let (token, mut grant) = made.map_err(|error| {
            tracing::error!(%error, "could not issue a session token");
            LoginRefused::Unavailable
        })?;
        (grant.role, grant.documents) = (account.role, account.documents);
        tracing::info!(account = name.as_str(), %from, "logged in");
        Ok(Session { token, grant })
    }

    /// Revokes a token. Durable when this returns; a token that has expired or is revoked already is no error.
    ///
    /// # Errors
    /// When the token is not valid, has no id (`jti`), or the revocation cannot be written.
    pub async fn logout(&self, token: &str, now: i64) -> Result<(), AuthError> {
        let Some((id, expires)) = self.0.revocable(token, now)? else { return Ok(()) };
        if let Some(shared) = &self.0.shared {
            shared.revoke(&id, expires).await?;
            self.0.revocations.write().add(id, expires, false, now);
            self.0.changed();
            return Ok(());
        }
        // Takes a thread while it waits for the folder's lock and the disk, so one at a time.
        let _one_at_a_time = self.0.logging_out.lock().await;
        run_cpu_bound(|| self.0.revoke(id, expires, now))
    }

    /// Like [`logout`](Self::logout), on the calling thread.
    #[cfg(test)]
    pub(super) fn end(&self, token: &str, now: i64) -> Result<(), AuthError> {
        let Some((id, expires)) = self.0.revocable(token, now)? else { return Ok(()) };
        run_cpu_bound(|| self.0.revoke(id, expires, now))
    }

    /// Whether there are any accounts.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        !self.0.accounts().is_empty()
    }

    /// Changes whenever keys, accounts or revocations have changed. Open connections must then be rechecked.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Checks for changes forever. `now`: the time in Unix seconds.
    pub async fn watch(self, now: fn() -> i64) {
        let mut ticks = tokio::time::interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let authority = self.clone();
            // On a blocking thread: a network file system may be slow.
            if let Err(error) = tokio::task::spawn_blocking(move || authority.refresh()).await {
                tracing::error!(%error, "checking for changed keys and accounts failed");
            }
            self.follow(now()).await;
        }
    }

    /// Checks for changed files once. Blocks on the disk.
    pub fn refresh(&self) {
        self.0.refresh();
    }

    /// Checks for changes in the database once, if accounts are kept in one.
    pub async fn follow(&self, now: i64) {
        let Some(shared) = &self.0.shared else { return };
        let changes = shared.follow(now).await;
        let mut changed = !changes.is_empty();
        let SharedChanges { accounts, revocations } = changes;
        if let Some(accounts) = accounts {
            *self.0.accounts.write() = Arc::new(accounts);
        }
        if let Some(revocations) = revocations {
            // The revocations are merged: a logout at this server may be newer than the ones that were read.
            self.0.revocations.write().extend(revocations, now);
        }
        let is_stale = shared.is_stale();
        if self.0.was_stale.swap(is_stale, Ordering::Relaxed) != is_stale {
            changed = true;
            if is_stale {
                tracing::error!("no token is accepted until revocations can be read from the database again");
            }
        }
        if changed {
            self.0.changed();
        }
    }
}

impl Inner {
    pub(super) fn keys(&self) -> Keys {
        self.keys.read().clone()
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts.read())
    }

    fn is_revoked(&self, token: &str) -> bool {
        self.revocations.read().contains(token)
    }

    /// Replaces the keys of the provider.
    pub(super) fn set_provider_keys(&self, keys: KeySet) {
        self.keys.write().provider = Arc::new(keys);
        self.changed();
    }

    /// Whether revocations by other servers may be unknown here.
    fn is_stale(&self) -> bool {
        self.shared.as_ref().is_some_and(Shared::is_stale)
    }

    /// Id and expiry of a token. `None` if it has expired.
    fn revocable(&self, token: &str, now: i64) -> Result<Option<(Arc<str>, i64)>, AuthError> {
        let (grant, _) = token::read(token, &self.keys(), &self.expected)?;
        if is_expired(grant.expires, now) {
            return Ok(None);
        }
        Ok(Some((grant.id.ok_or(AuthError::NoTokenId)?, grant.expires)))
    }

    /// Checks expiry, revocation and account of a verified token, and returns what it grants now.
    pub(super) fn admit(&self, mut grant: Grant, now: i64) -> Result<Grant, Refused> {
        if self.is_stale() {
            return Err(Refused::Unavailable);
        }
        if is_expired(grant.expires, now) {
            return Err(Refused::Expired);
        }
        if grant.id.as_ref().is_some_and(|id| self.is_revoked(id)) {
            return Err(Refused::LoggedOut);
        }
        match self.accounts().of_user(&grant.user) {
            Some(account) if !account.accepts(&grant) => return Err(Refused::Disabled),
            Some(account) if grant.session => {
                grant.role = account.role;
                grant.documents = account.documents.clone();
            }
            None if grant.session => return Err(Refused::Disabled),
            _ => {}
        }
        Ok(grant)
    }

    fn revoke(&self, id: Arc<str>, expires: i64, now: i64) -> Result<(), AuthError> {
        let folder = self.folder.as_ref().ok_or(AuthError::NoRevocationStore)?;
        let mut sources = self.sources.lock();
        let watched = sources.own.as_mut().and_then(|own| own.revocations.as_mut());
        let watched = watched.ok_or(AuthError::NoRevocationStore)?;
        let lock = folder.lock()?;
        // Another server that shares the folder may have written.
        let others = watched.reload_if_changed(|| folder.revocations())?;
        {
            let mut revocations = self.revocations.write();
            if let Some(others) = others {
                *revocations = others;
            }
            if revocations.contains(&id) {
                return Ok(());
            }
        }
        let encoded = |written: Result<_, _>| written.map_err(|_| AuthError::Crypto("encoding the revocation"));
        let mut written = encoded(self.revocations.read().write_of(&id, expires, now))?;
        match folder.write_revoked(&lock, &written) {
            // Expired tokens may take the room.
            Err(AuthError::Full { .. }) => {
                written = encoded(self.revocations.read().rewrite_with(&id, expires, now))?;
                folder.write_revoked(&lock, &written)?;
            }
            done => done?,
        }
        watched.note_written();
        let rewritten = matches!(written, RevocationWrite::Rewritten(_));
        self.revocations.write().add(id, expires, rewritten, now);
        drop((lock, sources));
        self.changed();
        Ok(())
    }

    fn refresh(&self) {
        let mut sources = self.sources.lock();
        let mut changed = false;
        if let (Some(own), Some(folder)) = (&mut sources.own, &self.folder) {
            if let Some(keys) = own.keys.reread(|| own_keys(folder)) {
                self.keys.write().own = Arc::new(keys);
                changed = true;
            }
            if let Some(accounts) = own.accounts.as_mut().and_then(|files| files.reread(|| folder.accounts())) {
                *self.accounts.write() = Arc::new(accounts);
                changed = true;
            }
            let revoked = own.revocations.as_mut().and_then(|files| files.reread(|| folder.revocations()));
            if let Some(revocations) = revoked {
                *self.revocations.write() = revocations;
                changed = true;
            }
        }
        if let Some(Provider { keys, path }) = &mut sources.provider
            && let Some(keys) = keys.reread(|| provider_keys(path, &self.keys().own))
        {
            self.keys.write().provider = Arc::new(keys);
            changed = true;
        }
        drop(sources);
        if changed {
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

fn own_keys(folder: &AuthFolder) -> Result<KeySet, AuthError> {
    folder.keys()?.prepare().map_err(|reason| AuthError::Content { path: folder.keys_file(), reason })
}

/// Reads the keys of the provider. None of them may have the id of one of our own.
fn provider_keys(path: &Path, own: &KeySet) -> Result<KeySet, AuthError> {
    let gone = || AuthError::Read { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
    let (json, _) = folder::read(path, MAX_KEYS)?.ok_or_else(gone)?;
    let read = KeySet::of_provider(&json, own, Unusable::IsAnError);
    let (keys, left_out) = read.map_err(|reason| AuthError::Content { path: path.to_owned(), reason })?;
    for key in left_out {
        tracing::warn!(file = %path.display(), key, "a key is left out");
    }
    Ok(keys)
}
