//! Says of a token whether it is good, and what it allows.
//!
//! What it goes by are files: keys, accounts, and what was logged out. They may change at any time; a connection that is there already is
//! asked about again then.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offload::heavily;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::MissedTickBehavior;

use super::folder::{self, MAX_KEYS};
use super::keys::{KeySet, Keys};
use super::login::Logins;
use super::revocations::{Revocations, Written};
use super::token::{self, Expected, Genuine, Kind, is_over};
use super::watched::Watched;
use super::{Accounts, AuthError, AuthFolder, Grant, LoginRefused, Refused, Session};

/// How often it is looked whether the files have changed.
const EVERY: Duration = Duration::from_millis(250);

/// Where keys and accounts are, and what tokens of a provider must say.
#[derive(Debug, Clone)]
pub struct AuthOptions {
    /// The folder of our own keys and of the accounts.
    pub folder: Option<PathBuf>,
    /// The public keys of a provider: a JWK set.
    pub jwks: Option<PathBuf>,
    /// What a provider's tokens must name as their audience (`aud`).
    pub audience: Option<String>,
    /// Who must have issued a provider's tokens (`iss`).
    pub issuer: Option<String>,
    /// How long a login lasts.
    pub session: Duration,
}

/// Decides who is who. Clones are the same one.
#[derive(Clone)]
pub struct Authority(pub(super) Arc<Inner>);

pub(super) struct Inner {
    folder: Option<AuthFolder>,
    expected: Expected,
    /// Seconds.
    session: i64,
    keys: RwLock<Keys>,
    accounts: RwLock<Arc<Accounts>>,
    revocations: RwLock<Revocations>,
    sources: Mutex<Sources>,
    logging_out: AsyncMutex<()>,
    changes: watch::Sender<u64>,
    pub(super) logins: Logins,
}

struct Sources {
    /// None without a folder.
    own: Option<OwnSources>,
    /// None without a provider.
    provider: Option<Provider>,
}

/// Each of them is read apart from the others: should one be broken, what changes in the others counts all the same.
struct OwnSources {
    keys: Watched,
    accounts: Watched,
    revocations: Watched,
}

struct Provider {
    keys: Watched,
    path: PathBuf,
}

impl Authority {
    /// Reads all files.
    ///
    /// # Errors
    /// When one of them cannot be read or used, or there is no key by which a token could be good. It says which file, and what to do.
    pub fn open(options: &AuthOptions) -> Result<Self, AuthError> {
        let folder = options.folder.as_ref().map(AuthFolder::open).transpose()?;
        let (mut keys, mut accounts, mut revocations) = (Keys::default(), Accounts::default(), Revocations::default());
        let own = match &folder {
            None => None,
            Some(folder) => {
                let (keys_watched, read) =
                    Watched::read("the keys", vec![folder.keys_file()], || own_keys(folder).map(Arc::new))?;
                keys.own = read;
                let (accounts_watched, read) =
                    Watched::read("the accounts", vec![folder.users_file()], || folder.accounts())?;
                accounts = read;
                let (revocations_watched, read) =
                    Watched::read("the tokens that were logged out", vec![folder.revoked_file()], || {
                        folder.revocations()
                    })?;
                revocations = read;
                Some(OwnSources { keys: keys_watched, accounts: accounts_watched, revocations: revocations_watched })
            }
        };
        let provider = match &options.jwks {
            None => None,
            Some(path) => {
                let (watched, read) = Watched::read("the provider's keys", vec![path.clone()], || {
                    foreign_keys(path, &keys.own).map(Arc::new)
                })?;
                keys.foreign = read;
                Some(Provider { keys: watched, path: path.clone() })
            }
        };
        if keys.is_empty() {
            return Err(folder.map_or(AuthError::Nothing, |folder| AuthError::NoKey(folder.path().to_owned())));
        }
        Ok(Self(Arc::new(Inner {
            folder,
            expected: Expected { issuer: options.issuer.clone(), audience: options.audience.clone() },
            session: i64::try_from(options.session.as_secs()).unwrap_or(i64::MAX),
            keys: RwLock::new(keys),
            accounts: RwLock::new(Arc::new(accounts)),
            revocations: RwLock::new(revocations),
            sources: Mutex::new(Sources { own, provider }),
            logging_out: AsyncMutex::default(),
            changes: watch::Sender::new(0),
            logins: Logins::new(),
        })))
    }

    /// What a token allows, at this moment (in Unix seconds).
    ///
    /// # Errors
    /// When it is not good.
    pub fn verify(&self, token: &str, now: i64) -> Result<Grant, Refused> {
        let genuine = Genuine::read(token, &self.0.keys(), &self.0.expected)?;
        self.0.admit(genuine.now(now)?, now)
    }

    /// What a token that was good before allows now. Its signature is not looked at again.
    ///
    /// # Errors
    /// When it is not good any more: its time is over, its key was retired, its user disabled, it was logged out.
    pub fn recheck(&self, grant: &Grant, now: i64) -> Result<Grant, Refused> {
        self.0.keys().get(&grant.key).ok_or(Refused::Invalid)?;
        self.0.admit(grant.clone(), now)
    }

    /// Begins a session, at this moment (in Unix seconds).
    ///
    /// # Errors
    /// When the name or the password is wrong, or somebody has tried too often.
    pub async fn login(&self, account: &str, password: &str, from: IpAddr, now: i64) -> Result<Session, LoginRefused> {
        let (name, account) = self.0.logins.check(account, password, from, || self.0.accounts()).await?;
        let keys = self.0.keys();
        let Some(key) = keys.signing() else {
            tracing::error!("nobody can log in: there is no key of our own to sign with; see `happierwork key new`");
            return Err(LoginRefused::Unavailable);
        };
        let kind = Kind::Session { generation: account.generation };
        let made = token::issue(key, name.shared(), kind, account.issued(now), self.0.session);
        let (token, mut grant) = made.map_err(|error| {
            tracing::error!(%error, "no session could be made");
            LoginRefused::Unavailable
        })?;
        (grant.role, grant.documents) = (account.role, account.documents);
        tracing::info!(account = name.as_str(), %from, "logged in");
        Ok(Session { token, grant })
    }

    /// Ends a token before its time. It is durable when this returns; a token that is over or out already is no error.
    ///
    /// # Errors
    /// When it is not genuine, has no id to remember it by, or that cannot be written.
    pub async fn logout(&self, token: &str, now: i64) -> Result<(), AuthError> {
        // It waits for the folder and for the disk. One at a time: each takes a thread meanwhile.
        let _turn = self.0.logging_out.lock().await;
        self.end(token, now)
    }

    /// The same, on the thread that asks.
    pub(super) fn end(&self, token: &str, now: i64) -> Result<(), AuthError> {
        let grant = Genuine::read(token, &self.0.keys(), &self.0.expected)?.grant;
        if is_over(grant.expires, now) {
            return Ok(());
        }
        let id = grant.id.ok_or(AuthError::NoTokenId)?;
        heavily(|| self.0.revoke(id, grant.expires, now))
    }

    /// Whether anybody can log in.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        !self.0.accounts().is_empty()
    }

    /// Moves on whenever keys, accounts, or what was logged out have changed: whoever is connected has to be asked about again.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Looks again and again whether the files have changed; for ever.
    pub async fn watch(self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let authority = self.clone();
            // On a thread of its own: a network's file system may take its time.
            if let Err(error) = tokio::task::spawn_blocking(move || authority.refresh()).await {
                tracing::error!(%error, "looking for changed keys and accounts failed");
            }
        }
    }

    /// Looks once. It waits for the disk.
    pub fn refresh(&self) {
        self.0.refresh();
    }
}

impl Inner {
    fn keys(&self) -> Keys {
        self.keys.read().clone()
    }

    fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts.read())
    }

    fn is_out(&self, token: &str) -> bool {
        self.revocations.read().contains(token)
    }

    /// What a genuine token allows now.
    fn admit(&self, mut grant: Grant, now: i64) -> Result<Grant, Refused> {
        if is_over(grant.expires, now) {
            return Err(Refused::Expired);
        }
        if grant.id.as_ref().is_some_and(|id| self.is_out(id)) {
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
        let folder = self.folder.as_ref().ok_or(AuthError::NowhereToKeep)?;
        let mut sources = self.sources.lock();
        let watched = &mut sources.own.as_mut().ok_or(AuthError::NowhereToKeep)?.revocations;
        let lock = folder.lock()?;
        // Another server on the same folder may have written.
        let others = watched.changed(|| folder.revocations())?;
        {
            let mut revocations = self.revocations.write();
            if let Some(others) = others {
                *revocations = others;
            }
            if revocations.contains(&id) {
                return Ok(());
            }
        }
        let written = self.revocations.read().with(&id, expires, now);
        let written = written.map_err(|_| AuthError::Crypto("writing down what was logged out"))?;
        folder.write_revoked(&lock, &written)?;
        watched.written();
        let anew = matches!(written, Written::Anew(_));
        self.revocations.write().add(id, expires, anew, now);
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
            if let Some(accounts) = own.accounts.reread(|| folder.accounts()) {
                *self.accounts.write() = Arc::new(accounts);
                changed = true;
            }
            if let Some(revocations) = own.revocations.reread(|| folder.revocations()) {
                *self.revocations.write() = revocations;
                changed = true;
            }
        }
        if let Some(Provider { keys, path }) = &mut sources.provider
            && let Some(keys) = keys.reread(|| foreign_keys(path, &self.keys().own))
        {
            self.keys.write().foreign = Arc::new(keys);
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

/// The keys of the provider; none of them may have the id of one of our own.
fn foreign_keys(path: &Path, own: &KeySet) -> Result<KeySet, AuthError> {
    let gone = || AuthError::Read { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
    let (json, _) = folder::read(path, MAX_KEYS)?.ok_or_else(gone)?;
    let read = KeySet::foreign(&json, own);
    let (keys, left_out) = read.map_err(|reason| AuthError::Content { path: path.to_owned(), reason })?;
    for key in left_out {
        tracing::warn!(file = %path.display(), key, "a key is left out");
    }
    Ok(keys)
}
