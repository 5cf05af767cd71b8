//! Tokens: a compact JWS from a key that is known here, and nothing else.

use std::sync::Arc;

use primitives::strict_json;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claims::{Audience, Claims, ISSUER, Moment};
use super::key::{SigningKey, VerifyingKey, decode};
use super::keys::Keys;
use super::name::{MAX_NAME, is_user_name};
use super::{AuthError, Documents, Grant, InvalidName, OwnKeys, Refused, Role};

/// Bytes in a token, at the most.
pub const MAX_TOKEN: usize = 4 << 10;
/// Seconds by which clocks may differ: so much longer is a token good, and so much earlier.
pub const LEEWAY: i64 = 5;
/// Seconds that a token lives, at the most.
pub const MAX_LIFETIME: i64 = 400 * 86_400;

/// Whose tokens, and for whom, besides the keys: of a provider.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
}

/// What is looked at before the signature: which key, and whether it is a kind of token that is understood here.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    // Must be understood, or changes what is signed, or names another key than ours. None of it is.
    #[serde(default)]
    crit: Absent,
    #[serde(default)]
    b64: Absent,
    #[serde(default)]
    enc: Absent,
    #[serde(default)]
    zip: Absent,
    #[serde(default)]
    jwk: Absent,
    #[serde(default)]
    jku: Absent,
    #[serde(default)]
    x5u: Absent,
}

/// Whether a member is not there; one that is `null` is there.
struct Absent(bool);

impl Default for Absent {
    fn default() -> Self {
        Self(true)
    }
}

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(false))
    }
}

impl Head {
    fn is_plain(&self) -> bool {
        [&self.crit, &self.b64, &self.enc, &self.zip, &self.jwk, &self.jku, &self.x5u].iter().all(|member| member.0)
    }
}

/// What a genuine token says: signed by a key that is known here, for us. Not yet: whether it is good now, and its user still is.
#[derive(Debug)]
pub(super) struct Genuine {
    pub(super) grant: Grant,
    not_before: Option<i64>,
}

impl Genuine {
    /// Reads a token.
    pub(super) fn read(token: &str, keys: &Keys, expected: &Expected) -> Result<Self, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Invalid);
        }
        read(token, keys, expected).map_err(|why| {
            // For who sets up a provider. Not by default: everybody can bring it about.
            tracing::debug!(why, "a token is refused");
            Refused::Invalid
        })
    }

    /// What it says, if its time has come.
    pub(super) fn now(self, now: i64) -> Result<Grant, Refused> {
        if self.not_before.is_some_and(|moment| moment.saturating_sub(LEEWAY) > now) {
            return Err(Refused::NotYet);
        }
        Ok(self.grant)
    }
}

/// When a token is over that says this of when it expires.
#[must_use]
pub fn over_at(expires: i64) -> i64 {
    expires.saturating_add(LEEWAY)
}

/// Whether the time of a token is over.
pub(super) fn is_over(expires: i64, now: i64) -> bool {
    over_at(expires) <= now
}

/// Why a token is not one of ours. For the log only.
type Why = &'static str;

fn read(token: &str, keys: &Keys, expected: &Expected) -> Result<Genuine, Why> {
    let mut parts = token.split('.');
    let head = parts.next().and_then(decode).and_then(|head| strict_json::from_slice::<Head>(&head).ok());
    let head = head.filter(|_| parts.count() == 2).ok_or("it is no compact JWS")?;
    if !head.is_plain() {
        return Err("its head asks for what is not done here (crit, b64, enc, zip, jwk, jku or x5u)");
    }
    let key = head.kid.as_deref().ok_or("it names no key (kid)")?;
    let key = keys.get(key).ok_or("it names a key that is not known (kid)")?;
    // The key's algorithm, and not the token's word.
    if head.alg != key.algorithm.name() {
        return Err("its algorithm is not that of its key");
    }
    let claims: Claims = key.verify(token).ok_or("its signature is wrong, or its claims cannot be read")?;
    let not_before = claims.nbf.map(|moment| moment.0);
    Ok(Genuine { grant: grant(claims, key, expected)?, not_before })
}

fn grant(claims: Claims, key: &VerifyingKey, expected: &Expected) -> Result<Grant, Why> {
    let issuer = if key.own { Some(ISSUER) } else { expected.issuer.as_deref() };
    if issuer.is_some_and(|issuer| claims.iss.as_deref() != Some(issuer)) {
        return Err("its issuer (iss) is not the one that is expected");
    }
    if !is_for_us(claims.aud.as_ref(), key.own, expected) {
        return Err("its audience (aud) is not the one of --jwt-audience");
    }
    if !is_user_name(&claims.sub) {
        return Err("its user (sub) has no acceptable name");
    }
    if claims.jti.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > MAX_NAME) {
        return Err("its id (jti) is empty or too long");
    }
    // Only our own logins make sessions; and what a session may do is in its account, and not in its token.
    let session = claims.session && key.own;
    let (role, documents) = match claims.role {
        _ if session => (Role::Viewer, None),
        Some(role) => (role, claims.documents),
        None => return Err("it says no role"),
    };
    Ok(Grant {
        user: claims.sub.into(),
        role,
        documents: documents.unwrap_or_else(Documents::none),
        expires: claims.exp.0,
        key: Arc::clone(&key.kid),
        id: claims.jti.map(Into::into),
        session,
        generation: if session { claims.generation } else { 0 },
        issued: claims.iat.map_or(0, |moment| moment.0),
    })
}

/// A provider's token must be for us if we know what we are called there; and what names others only is not for us.
fn is_for_us(audience: Option<&Audience>, own: bool, expected: &Expected) -> bool {
    match (audience, &expected.audience) {
        (Some(audience), Some(us)) => audience.includes(us),
        (Some(_), None) => false,
        (None, us) => own || us.is_none(),
    }
}

impl OwnKeys {
    /// Makes a token that says this, from now on and for so many seconds; with the newest key.
    ///
    /// # Errors
    /// When there is no key, or the token would live or be longer than it may.
    pub fn issue(
        &self,
        user: &str,
        may: (Role, Documents),
        now: i64,
        lifetime: i64,
    ) -> Result<(String, Grant), AuthError> {
        let newest = self.newest().ok_or(AuthError::Crypto("finding a key to sign with"))?;
        let (signing, _) = newest.prepare().map_err(|_| AuthError::Crypto("preparing a key"))?;
        if !is_user_name(user) {
            return Err(InvalidName.into());
        }
        issue(&signing, user.into(), Kind::Program(may.0, may.1), now, lifetime)
    }
}

/// Whose token it is to be.
pub(super) enum Kind {
    /// Of somebody who has logged in: what they may do is in their account.
    Session {
        /// How often its sessions had been ended.
        generation: u64,
    },
    /// Of a program, which may do this.
    Program(Role, Documents),
}

/// Makes a token of our own, for so many seconds.
pub(super) fn issue(
    key: &SigningKey,
    user: Arc<str>,
    kind: Kind,
    issued: i64,
    lifetime: i64,
) -> Result<(String, Grant), AuthError> {
    if !(1..=MAX_LIFETIME).contains(&lifetime) {
        return Err(AuthError::Lifetime);
    }
    let id = format!("{:032x}", u128::from_be_bytes(rand::random()));
    let expires = issued.saturating_add(lifetime);
    let (session, generation, role, documents) = match kind {
        Kind::Session { generation } => (true, generation, None, None),
        Kind::Program(role, documents) => (false, 0, Some(role), Some(documents)),
    };
    let claims = Claims {
        sub: user.to_string(),
        role,
        documents: documents.clone(),
        exp: Moment(expires),
        iat: Some(Moment(issued)),
        jti: Some(id.clone()),
        iss: Some(ISSUER.to_owned()),
        session,
        generation,
        ..Claims::default()
    };
    let token = key.sign(&claims)?;
    if token.len() > MAX_TOKEN {
        return Err(AuthError::TokenTooLong(token.len()));
    }
    let grant = Grant {
        user,
        role: role.unwrap_or(Role::Viewer),
        documents: documents.unwrap_or_else(Documents::none),
        expires,
        key: Arc::clone(&key.kid),
        id: Some(id.into()),
        session,
        generation,
        issued,
    };
    Ok((token, grant))
}
