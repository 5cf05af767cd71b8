//! Sources of keys and accounts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::sql::Database;

use super::{AccountStore, AuthError, AuthFolder, ClaimMapping, FirstOwner};

/// Sources of keys and accounts, and requirements for a provider's tokens.
#[derive(Debug, Clone)]
pub struct AuthOptions {
    /// Folder of the server's own keys and of the accounts.
    pub folder: Option<PathBuf>,
    /// Create the folder and a key if they are missing.
    pub create: bool,
    /// Account that is added if there are none.
    pub first_owner: Option<FirstOwner>,
    /// File with the public keys of an identity provider: a JWK set.
    pub jwks: Option<PathBuf>,
    /// The program sets the provider's keys later, see [`Authority::set_provider_keys`](super::Authority::set_provider_keys).
    pub expects_provider_keys: bool,
    /// How the claims of the provider's tokens are read.
    pub claims: ClaimMapping,
    /// Audience (`aud`) that the provider's tokens must name.
    pub audience: Option<String>,
    /// Users log in by the provider. Without an [`audience`](Self::audience), tokens of the provider are then refused: it issues them
    /// for many programs, and no user needs one here.
    pub provider_logins: bool,
    /// Issuer (`iss`) that the provider's tokens must name.
    pub issuer: Option<String>,
    /// Lifetime of a session.
    pub session: Duration,
}

impl AuthOptions {
    /// Creates what is missing and may be created: the folder, a key, and the first account, in the database if there is one.
    /// `now`: Unix seconds.
    ///
    /// # Errors
    /// When something cannot be created.
    pub async fn prepare(&self, database: Option<&Arc<dyn Database>>, now: i64) -> Result<(), AuthError> {
        let folder = match &self.folder {
            Some(path) if self.create => {
                let folder = AuthFolder::create(path)?;
                if let (_, Some(kid)) = folder.with_a_key(now)? {
                    tracing::info!(kid, "created the first key for sessions");
                }
                Some(folder)
            }
            Some(path) => Some(AuthFolder::open(path)?),
            None => None,
        };
        let accounts = match (database, folder) {
            (Some(database), _) => AccountStore::Database(Arc::clone(database)),
            (None, Some(folder)) => AccountStore::Folder(folder),
            (None, None) => return Ok(()),
        };
        if let Some(owner) = &self.first_owner
            && owner.add_to(&accounts).await?
        {
            tracing::info!(account = owner.name.as_str(), "added the first account, an owner");
        }
        Ok(())
    }
}

impl Default for AuthOptions {
    /// No source of keys, and sessions of 12 hours.
    fn default() -> Self {
        Self {
            folder: None,
            create: false,
            first_owner: None,
            jwks: None,
            expects_provider_keys: false,
            claims: ClaimMapping::default(),
            audience: None,
            provider_logins: false,
            issuer: None,
            session: Duration::from_secs(12 * 3_600),
        }
    }
}
