//! Logins by an identity provider: its keys, and the tokens that it issues for a login (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! The program talks with the provider, and passes what it gets from there.

use std::time::Duration;

use super::keys::KeySet;
use super::login::seconds;
use super::provider_keys::Unusable;
use super::token::{self, Expected, Kind, Reason};
use super::{AuthError, Authority, Refused, Session};

/// Longest accepted ID token, in bytes. It may list all groups of a user.
const MAX_ID_TOKEN: usize = 64 << 10;

/// An ID token, and what it must contain.
#[derive(Debug, Clone, Copy)]
pub struct IdToken<'a> {
    /// The token, as the provider returned it.
    pub token: &'a str,
    /// The provider.
    pub issuer: &'a str,
    /// This program's id at the provider.
    pub client: &'a str,
    /// The random value of this login.
    pub nonce: &'a str,
}

/// Why a login by a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderLoginRefused {
    /// The token is not valid, or grants no role.
    #[error("the ID token is not accepted: {0}")]
    Token(&'static str),
    /// The user may not log in.
    #[error("the user is refused: {}", .0.reason())]
    User(Refused),
    /// The user has begun too many sessions. Holds how long to wait.
    #[error("the user has begun too many sessions; try again in {} s", seconds(*.0))]
    Later(Duration),
    /// There is no key to sign sessions with.
    #[error("there is no key to sign sessions with; create one with `happierwork key new`")]
    NoKey,
    /// The session token cannot be issued.
    #[error("the session token cannot be issued; the user may have too many documents")]
    Session,
}

impl Authority {
    /// Replaces the keys of the identity provider by this JWK set. Leaves out keys that cannot be used.
    ///
    /// # Errors
    /// When the set is not valid, contains a key id of ours, or a secret; or when none of its keys can be used.
    pub fn set_provider_keys(&self, json: &[u8]) -> Result<(), AuthError> {
        let read = KeySet::of_provider(json, &self.0.keys().own, Unusable::IsLeftOut);
        let (keys, left_out) = read.map_err(AuthError::ProviderKeys)?;
        self.log_left_out(left_out);
        self.0.set_provider_keys(keys);
        Ok(())
    }

    fn log_left_out(&self, left_out: Vec<String>) {
        let mut logged = self.0.left_out.lock();
        if *logged != left_out {
            for key in &left_out {
                tracing::warn!(key, "a key of the identity provider is left out");
            }
            *logged = left_out;
        }
    }

    /// Waits until a token names a key that is not known, as the provider may have a new one; or until
    /// [`ask_provider`](Self::ask_provider).
    pub async fn unknown_key(&self) {
        self.0.unknown_key.notified().await;
    }

    /// Wakes who waits in [`unknown_key`](Self::unknown_key), since something else of the provider is lacking.
    pub fn ask_provider(&self) {
        self.0.unknown_key.notify_one();
    }

    /// Whether the key that a token names is known. True if the token names none.
    #[must_use]
    pub fn knows_key_of(&self, token: &str) -> bool {
        token::key_id(token).is_none_or(|kid| self.0.keys().get(&kid).is_some())
    }

    /// Logs in the user of an ID token, at `now` (Unix seconds). Role and documents are those of its claims until the session ends.
    ///
    /// # Errors
    /// When the token is not for this login, or its user may not log in.
    pub fn login_with(&self, id: IdToken<'_>, now: i64) -> Result<Session, ProviderLoginRefused> {
        let provided = self.read_id_token(id, now).map_err(ProviderLoginRefused::Token)?;
        let user = provided.user.clone();
        let may = (provided.role, provided.documents.clone());
        // Accounts of the same name may be disabled.
        self.0.admit(provided, now).map_err(ProviderLoginRefused::User)?;
        let keys = self.0.keys();
        let key = keys.signing().ok_or(ProviderLoginRefused::NoKey)?;
        self.0.logins.begin_session(&user).map_err(|wait| {
            let refused = ProviderLoginRefused::Later(wait);
            tracing::info!(user = &*user, reason = %refused, "a login was refused");
            refused
        })?;
        let (token, grant) = token::issue(key, user, Kind::Program(may.0, may.1), now, self.0.session)
            .map_err(|_| ProviderLoginRefused::Session)?;
        tracing::info!(user = &*grant.user, role = %grant.role, "logged in by the identity provider");
        Ok(Session { token, grant })
    }

    fn read_id_token(&self, id: IdToken<'_>, now: i64) -> Result<super::Grant, Reason> {
        if id.token.len() > MAX_ID_TOKEN {
            return Err("it is too long");
        }
        let keys = self.0.keys();
        let key = token::key_of(id.token, &keys)?;
        if key.own {
            return Err("this server has signed it, not the provider");
        }
        let expected = Expected {
            issuer: Some(id.issuer.to_owned()),
            audience: Some(id.client.to_owned()),
            needs_audience: true,
            mapping: self.0.expected.mapping.clone(),
        };
        let claims = token::raw_claims(id.token, key)?;
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        if text("nonce") != Some(id.nonce) {
            return Err("it is for another login (nonce)");
        }
        if claims.contains_key("azp") && text("azp") != Some(id.client) {
            return Err("it is for another program (azp)");
        }
        let claims = token::provided(claims, &expected)?;
        if claims.aud.is_none() {
            return Err("it has no audience (aud)");
        }
        let not_before = claims.nbf.map(|moment| moment.0);
        let grant = token::grant(claims, key, &expected)?;
        token::check_not_before(not_before, now).map_err(Refused::reason)?;
        Ok(grant)
    }
}
