//! Tokens: compact JWS, signed by a known key.

use std::sync::Arc;

use primitives::strict_json;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::claims::{Audience, Claims, ISSUER, NumericDate};
use super::key::{SigningKey, VerifyingKey, decode};
use super::keys::Keys;
use super::name::{MAX_NAME, is_user_name};
use super::{AuthError, ClaimMapping, Documents, Grant, InvalidName, OwnKeys, Refused, Role};

/// Longest accepted token, in bytes.
pub const MAX_TOKEN: usize = 4 << 10;
/// Tolerated clock difference in seconds: a token is valid this much earlier and longer.
pub const LEEWAY: i64 = 5;
/// Longest lifetime of a token, in seconds.
pub const MAX_LIFETIME: i64 = 400 * 86_400;

/// What a provider's tokens must contain, and how it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    /// Whether tokens are refused while no audience is configured.
    pub(super) needs_audience: bool,
    pub(super) mapping: ClaimMapping,
}

/// The header, checked before the signature: the key, and whether we understand this kind of token.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    // Parameters that change what is signed, name another key, or must be understood. None is supported.
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

/// Whether a member is absent; `null` counts as present.
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

impl Header {
    fn is_plain(&self) -> bool {
        [&self.crit, &self.b64, &self.enc, &self.zip, &self.jwk, &self.jku, &self.x5u].iter().all(|member| member.0)
    }
}

/// Verifies a token's signature, issuer and audience. Returns its grant, and the time before which it is not valid (`nbf`).
///
/// Does not check whether the token is valid now, nor whether its user still is: see [`check_not_before`] and
/// `Authority::verify`.
pub(super) fn read(token: &str, keys: &Keys, expected: &Expected) -> Result<(Grant, Option<i64>), Refused> {
    if token.len() > MAX_TOKEN {
        return Err(Refused::Invalid);
    }
    decode_claims(token, keys, expected).map_err(|why| {
        // Helps to set up a provider. At debug level, as any client can cause it.
        tracing::debug!(why, "refused a token");
        Refused::Invalid
    })
}

/// Refuses a token that is not valid yet.
pub(super) fn check_not_before(not_before: Option<i64>, now: i64) -> Result<(), Refused> {
    match not_before {
        Some(moment) if moment.saturating_sub(LEEWAY) > now => Err(Refused::NotYet),
        _ => Ok(()),
    }
}

/// When a token with this `exp` claim stops being accepted.
#[must_use]
pub fn valid_until(expires: i64) -> i64 {
    expires.saturating_add(LEEWAY)
}

/// Whether a token with this `exp` claim has expired.
pub(super) fn is_expired(expires: i64, now: i64) -> bool {
    valid_until(expires) <= now
}

/// Reason a token is refused, for the log only.
pub(super) type Reason = &'static str;

fn decode_claims(token: &str, keys: &Keys, expected: &Expected) -> Result<(Grant, Option<i64>), Reason> {
    let key = key_of(token, keys)?;
    let claims =
        if key.own { key.verify(token).ok_or(UNVERIFIED)? } else { provided(raw_claims(token, key)?, expected)? };
    let not_before = claims.nbf.map(|moment| moment.0);
    Ok((grant(claims, key, expected)?, not_before))
}

const UNVERIFIED: Reason = "its signature is wrong, or its claims cannot be read";

/// The id of the key that a token names, without any verification.
pub(super) fn key_id(token: &str) -> Option<String> {
    let header = decode(token.split('.').next()?)?;
    strict_json::from_slice::<Header>(&header).ok()?.kid
}

/// The claims of a provider's token whose signature is right.
pub(super) fn raw_claims(token: &str, key: &VerifyingKey) -> Result<Map<String, Value>, Reason> {
    key.verify(token).ok_or(UNVERIFIED)
}

/// Reads the claims of a provider.
pub(super) fn provided(mut claims: Map<String, Value>, expected: &Expected) -> Result<Claims, Reason> {
    expected.mapping.apply(&mut claims)?;
    serde_json::from_value(Value::Object(claims)).map_err(|_| "its claims cannot be read")
}

/// The key that a token names. Checks everything in its header.
pub(super) fn key_of<'a>(token: &str, keys: &'a Keys) -> Result<&'a VerifyingKey, Reason> {
    let mut parts = token.split('.');
    let header = parts.next().and_then(decode).and_then(|header| strict_json::from_slice::<Header>(&header).ok());
    let header = header.filter(|_| parts.count() == 2).ok_or("it is not a compact JWS")?;
    if !header.is_plain() {
        return Err("its header has an unsupported parameter (crit, b64, enc, zip, jwk, jku or x5u)");
    }
    let key = header.kid.as_deref().ok_or("it names no key (kid)")?;
    let key = keys.get(key).ok_or("it names an unknown key (kid)")?;
    // The key determines the algorithm, never the token.
    if header.alg != key.algorithm.name() {
        return Err("its algorithm is not that of its key");
    }
    Ok(key)
}

/// What the claims of a token grant.
pub(super) fn grant(claims: Claims, key: &VerifyingKey, expected: &Expected) -> Result<Grant, Reason> {
    let issuer = if key.own { Some(ISSUER) } else { expected.issuer.as_deref() };
    if issuer.is_some_and(|issuer| claims.iss.as_deref() != Some(issuer)) {
        return Err("its issuer (iss) is not the expected one");
    }
    check_audience(claims.aud.as_ref(), key.own, expected)?;
    if !is_user_name(&claims.sub) {
        return Err("its user name (sub) is invalid");
    }
    if claims.jti.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > MAX_NAME) {
        return Err("its id (jti) is empty or too long");
    }
    // Only our own logins issue sessions. A session's role and documents come from its account, not from the token.
    let session = claims.session && key.own;
    let (role, documents) = match claims.role {
        _ if session => (Role::Viewer, None),
        Some(role) => (role, claims.documents),
        None => return Err("it has no role"),
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

/// A provider's token must name our audience if one is configured, or must be. A token for other audiences only is refused.
fn check_audience(audience: Option<&Audience>, own: bool, expected: &Expected) -> Result<(), Reason> {
    match (audience, &expected.audience) {
        (Some(audience), Some(us)) if audience.includes(us) => Ok(()),
        (None, _) if own => Ok(()),
        (None, None) if expected.needs_audience => {
            Err("--jwt-audience is not given, which tokens of a provider need if users log in by it")
        }
        (None, None) => Ok(()),
        _ => Err("its audience (aud) is not the one of --jwt-audience"),
    }
}

impl OwnKeys {
    /// Issues a token of the newest key for a program, valid for `lifetime` seconds from `now`.
    ///
    /// # Errors
    /// When there is no key, the name is invalid, or the token would be too long or live too long.
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

/// The kind of user to whom a token is issued.
pub(super) enum Kind {
    /// A user who has logged in. Role and documents are in the account.
    Session {
        /// The account's session generation.
        generation: u64,
    },
    /// A program, with this role and these documents.
    Program(Role, Documents),
}

/// Issues a token that is valid for `lifetime` seconds.
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
        exp: NumericDate(expires),
        iat: Some(NumericDate(issued)),
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
