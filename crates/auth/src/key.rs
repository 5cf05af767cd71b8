//! One key: of our own, which signs, or of somebody else, which verifies.
//!
//! A key has one algorithm, for ever. It is the key that says how a signature is to be checked, and never the token.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AuthError;
use super::name::MAX_NAME;

/// Bytes of a secret that we make, and the fewest that one may have: as many as the hash has.
const SECRET_BYTES: usize = 32;

/// How tokens may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256: whoever can verify can sign. For our own keys only.
    Hs256,
    /// ECDSA on P-256. For keys of others.
    Es256,
    /// RSA, PKCS #1 v1.5. For keys of others.
    Rs256,
}

impl Algorithm {
    /// As tokens name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

/// What kinds of keys we make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NewKey {
    /// A key pair: others can verify with its public part, and not sign (Ed25519, EdDSA)
    Ed25519,
    /// A secret: whoever can verify can sign (HMAC with SHA-256)
    Hs256,
}

/// A key of our own, as it is kept in keys.json: a JWK with its private part.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnKey {
    kid: String,
    /// In Unix seconds.
    pub created: i64,
    #[serde(flatten)]
    material: Material,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "alg")]
enum Material {
    #[serde(rename = "EdDSA")]
    EdDsa { kty: Okp, crv: Ed25519, x: String, d: String },
    #[serde(rename = "HS256")]
    Hs256 { kty: Oct, k: String },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Okp {
    #[serde(rename = "OKP")]
    Okp,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Ed25519 {
    Ed25519,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Oct {
    #[serde(rename = "oct")]
    Oct,
}

impl OwnKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate(kind: NewKey, created: i64) -> Result<Self, AuthError> {
        let failed = || AuthError::Crypto("making a key");
        let material = match kind {
            NewKey::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| failed())?;
                let seed: Curve25519SeedBin<'_> =
                    pair.seed().map_err(|_| failed())?.as_be_bytes().map_err(|_| failed())?;
                let (x, d) = (encode(pair.public_key().as_ref()), encode(seed.as_ref()));
                Material::EdDsa { kty: Okp::Okp, crv: Ed25519::Ed25519, x, d }
            }
            NewKey::Hs256 => {
                let mut secret = [0; SECRET_BYTES];
                aws_lc_rs::rand::fill(&mut secret).map_err(|_| failed())?;
                Material::Hs256 { kty: Oct::Oct, k: encode(&secret) }
            }
        };
        let id: [u8; 8] = rand::random();
        let kid = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { kid, created, material })
    }

    /// Its name in tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.kid
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::EdDsa { .. } => Algorithm::EdDsa,
            Material::Hs256 { .. } => Algorithm::Hs256,
        }
    }

    /// What others need to verify with it, as a JWK. `None`: that would be the secret.
    #[must_use]
    pub fn public(&self) -> Option<Value> {
        let Material::EdDsa { x, .. } = &self.material else { return None };
        let (kid, alg) = (&self.kid, self.algorithm().name());
        Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": alg, "use": "sig" }))
    }

    /// To sign with, and to verify with.
    pub(super) fn prepare(&self) -> Result<(SigningKey, VerifyingKey), String> {
        let kid = checked_kid(&self.kid)?;
        let broken = |part: &str| format!("the key {kid} has no proper {part}");
        let (signing, verifying) = match &self.material {
            Material::EdDsa { x, d, .. } => {
                let (public, seed) = (decode(x).ok_or_else(|| broken("x"))?, decode(d).ok_or_else(|| broken("d"))?);
                // It checks that the two belong together.
                let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
                let pair = pair.and_then(|pair| pair.to_pkcs8().map_err(Into::into));
                let pkcs8 = pair.map_err(|_| format!("the parts of the key {kid} do not belong together"))?;
                (EncodingKey::from_ed_der(pkcs8.as_ref()), DecodingKey::from_ed_der(&public))
            }
            Material::Hs256 { k, .. } => {
                let secret = decode(k).filter(|secret| secret.len() >= SECRET_BYTES);
                let secret =
                    secret.ok_or_else(|| format!("the key {kid} has no secret of at least {SECRET_BYTES} bytes"))?;
                (EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret))
            }
        };
        let algorithm = self.algorithm();
        let signing = SigningKey { kid: Arc::clone(&kid), algorithm, key: signing };
        Ok((signing, VerifyingKey::new(kid, algorithm, true, verifying)))
    }
}

/// Never shown: it holds the private part.
impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnKey({})", self.kid)
    }
}

/// What signs tokens.
pub(super) struct SigningKey {
    pub(super) kid: Arc<str>,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    /// Signs what a token is to say.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, AuthError> {
        let mut header = jsonwebtoken::Header::new(self.algorithm.jwt());
        header.kid = Some(self.kid.to_string());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| AuthError::Crypto("signing a token"))
    }
}

/// What tokens are verified with.
pub(super) struct VerifyingKey {
    pub(super) kid: Arc<str>,
    pub(super) algorithm: Algorithm,
    /// Of our own: it is in keys.json.
    pub(super) own: bool,
    key: DecodingKey,
    validation: Validation,
}

impl VerifyingKey {
    pub(super) fn new(kid: Arc<str>, algorithm: Algorithm, own: bool, key: DecodingKey) -> Self {
        // The signature is the library's, by this algorithm only. What the claims say is checked here, at the moment that is given.
        let mut validation = Validation::new(algorithm.jwt());
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { kid, algorithm, own, key, validation }
    }

    /// What a token says, if it was signed by this key.
    pub(super) fn verify<C: serde::de::DeserializeOwned>(&self, token: &str) -> Option<C> {
        jsonwebtoken::decode(token, &self.key, &self.validation).ok().map(|token| token.claims)
    }
}

/// What may be the id of a key.
pub(super) fn checked_kid(kid: &str) -> Result<Arc<str>, String> {
    if kid.is_empty() || kid.chars().count() > MAX_NAME || kid.chars().any(char::is_control) {
        return Err(format!(
            "the key {kid:?} has no proper id (kid): 1 to {MAX_NAME} characters, and no control characters"
        ));
    }
    Ok(kid.into())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a member of a JWK holds.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
