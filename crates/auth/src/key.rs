//! A single key: our own, which signs and verifies, or a provider's, which only verifies.
//!
//! A key has exactly one algorithm. The key decides how a signature is checked, never the token.

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

/// Length in bytes of a generated secret, and the shortest accepted one: the output size of the hash.
const SECRET_BYTES: usize = 32;

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256. The verifier can sign, too, so only for our own keys.
    Hs256,
    /// ECDSA on P-256. For a provider's keys.
    Es256,
    /// RSA, PKCS #1 v1.5. For a provider's keys.
    Rs256,
}

impl Algorithm {
    /// Name of the algorithm in tokens (`alg`).
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

/// The kinds of keys that can be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NewKey {
    /// A key pair: other servers can verify with its public part, but not sign (Ed25519, EdDSA)
    Ed25519,
    /// A secret: each server that can verify can also sign (HMAC with SHA-256)
    Hs256,
}

/// One of our own keys, as stored in keys.json: a JWK with its private part.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnKey {
    kid: String,
    /// When the key was created, in Unix seconds.
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
    /// Generates a key.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate(kind: NewKey, created: i64) -> Result<Self, AuthError> {
        let failed = || AuthError::Crypto("generating a key");
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

    /// The key's id in tokens (`kid`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.kid
    }

    /// The key's algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::EdDsa { .. } => Algorithm::EdDsa,
            Material::Hs256 { .. } => Algorithm::Hs256,
        }
    }

    /// The public part as a JWK; `None` for a secret key, which has no public part.
    #[must_use]
    pub fn public(&self) -> Option<Value> {
        let Material::EdDsa { x, .. } = &self.material else { return None };
        let (kid, alg) = (&self.kid, self.algorithm().name());
        Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": alg, "use": "sig" }))
    }

    /// Prepares the key for signing and for verifying.
    pub(super) fn prepare(&self) -> Result<(SigningKey, VerifyingKey), String> {
        let kid = checked_kid(&self.kid)?;
        let broken = |part: &str| format!("the key {kid} has no proper {part}");
        let (signing, verifying) = match &self.material {
            Material::EdDsa { x, d, .. } => {
                let (public, seed) = (decode(x).ok_or_else(|| broken("x"))?, decode(d).ok_or_else(|| broken("d"))?);
                // Also checks that the two belong together.
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

/// Hides the private part.
impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnKey({})", self.kid)
    }
}

/// A key that signs tokens.
pub(super) struct SigningKey {
    pub(super) kid: Arc<str>,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    /// Signs a token with these claims.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, AuthError> {
        let mut header = jsonwebtoken::Header::new(self.algorithm.jwt());
        header.kid = Some(self.kid.to_string());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| AuthError::Crypto("signing a token"))
    }
}

/// A key that verifies tokens.
pub(super) struct VerifyingKey {
    pub(super) kid: Arc<str>,
    pub(super) algorithm: Algorithm,
    /// Whether this is one of our own keys, from keys.json.
    pub(super) own: bool,
    key: DecodingKey,
    validation: Validation,
}

impl VerifyingKey {
    pub(super) fn new(kid: Arc<str>, algorithm: Algorithm, own: bool, key: DecodingKey) -> Self {
        // The library checks the signature with this algorithm only. The claims are checked in `token`, with the
        // caller's time.
        let mut validation = Validation::new(algorithm.jwt());
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { kid, algorithm, own, key, validation }
    }

    /// Returns the claims of a token that was signed by this key.
    pub(super) fn verify<C: serde::de::DeserializeOwned>(&self, token: &str) -> Option<C> {
        jsonwebtoken::decode(token, &self.key, &self.validation).ok().map(|token| token.claims)
    }
}

/// Checks the id of a key (`kid`).
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

/// Decodes a member of a JWK.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
