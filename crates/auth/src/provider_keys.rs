//! The public keys of an identity provider: a JWK set.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use primitives::strict_json;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::{Algorithm, VerifyingKey, checked_kid, decode};

/// Accepted sizes of RSA keys in bits: smaller ones are not safe, larger ones are slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
}

/// The usable keys of a set, and why the others are not used.
pub(super) struct ProviderKeys {
    pub(super) keys: Vec<VerifyingKey>,
    pub(super) left_out: Vec<String>,
}

/// What a key that is broken, weak or without an id means for its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The operator has made the set, and should know.
    IsAnError,
    /// The provider publishes the set: one key of it must not end all logins.
    IsLeftOut,
}

/// Reads a JWK set. Skips keys that cannot be used here, as a provider may publish keys for other purposes. A set with
/// a secret or private key is an error.
pub(super) fn read(json: &[u8], unusable: Unusable) -> Result<ProviderKeys, String> {
    let set: Set = strict_json::from_slice(json).map_err(|error| format!("this is not a JWK set: {error}"))?;
    let mut read = ProviderKeys { keys: Vec::new(), left_out: Vec::new() };
    for jwk in &set.keys {
        let name = jwk.kid.as_deref().unwrap_or("without an id");
        if jwk.kty == "oct" {
            return Err(format!(
                "the key {name:?} is a secret (kty \"oct\"), with which its holders could issue tokens.  \
                 The keys of a provider are its public ones"
            ));
        }
        if jwk.d.is_some() {
            return Err(format!(
                "the key {name:?} has its private part (d): the keys of a provider are its public ones"
            ));
        }
        match jwk.algorithm() {
            Ok(algorithm) => match jwk.prepare(algorithm) {
                Ok(key) => read.keys.push(key),
                Err(why) if unusable == Unusable::IsLeftOut => read.left_out.push(why),
                Err(why) => return Err(why),
            },
            Err(why) => read.left_out.push(format!("{name:?}: {why}")),
        }
    }
    if read.keys.is_empty() {
        let why: String = read.left_out.iter().map(|why| format!(" ({why})")).collect();
        return Err(format!("none of its keys can verify tokens{why}"));
    }
    Ok(read)
}

impl Jwk {
    /// Determines the algorithm from the key's type and, if present, its `alg`.
    fn algorithm(&self) -> Result<Algorithm, String> {
        if self.purpose.as_ref().is_some_and(|purpose| purpose != "sig")
            || self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
        {
            return Err("it is not for signatures".to_owned());
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("RSA", _) => Algorithm::Rs256,
            (kty, crv) => return Err(format!("keys of the type {kty} {} are not supported", crv.unwrap_or_default())),
        };
        match &self.alg {
            Some(other) if other != algorithm.name() => Err(format!("the algorithm {other} is not supported")),
            _ => Ok(algorithm),
        }
    }

    fn prepare(&self, algorithm: Algorithm) -> Result<VerifyingKey, String> {
        let kid = checked_kid(self.kid.as_deref().unwrap_or_default())?;
        let part = |name: &str, value: &Option<String>| {
            let bytes = value.as_deref().and_then(decode);
            bytes.ok_or_else(|| format!("the key {kid:?} has no proper {name}"))
        };
        let of_curve = |name: &str, value| {
            let bytes = part(name, value)?;
            if bytes.len() == 32 { Ok(bytes) } else { Err(format!("the {name} of the key {kid:?} has not 32 bytes")) }
        };
        let key = match algorithm {
            Algorithm::EdDsa => DecodingKey::from_ed_der(&of_curve("x", &self.x)?),
            Algorithm::Es256 => {
                // An uncompressed point.
                let point = [vec![4], of_curve("x", &self.x)?, of_curve("y", &self.y)?].concat();
                DecodingKey::from_ec_der(&point)
            }
            Algorithm::Rs256 => {
                let (n, e) = (part("n", &self.n)?, part("e", &self.e)?);
                let n = n.iter().position(|byte| *byte != 0).map(|first| n[first..].to_vec()).unwrap_or_default();
                let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
                if !RSA_BITS.contains(&bits) {
                    return Err(format!(
                        "the RSA key {kid:?} has {bits} bits; {} to {} are accepted",
                        RSA_BITS.start(),
                        RSA_BITS.end()
                    ));
                }
                DecodingKey::from_rsa_raw_components(&n, &e)
            }
            Algorithm::Hs256 => return Err(format!("the key {kid:?} is a secret")),
        };
        Ok(VerifyingKey::new(Arc::clone(&kid), algorithm, false, key))
    }
}
