//! The claims of a token, as encoded in it.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Documents, Role};

/// Issuer (`iss`) of our own tokens.
pub(super) const ISSUER: &str = "happierwork";

/// The claims of a token. Unknown claims are ignored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) documents: Option<Documents>,
    pub(super) exp: NumericDate,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<Audience>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "if_true")]
    pub(super) session: bool,
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "if_number")]
    pub(super) generation: u64,
}

/// A time in Unix seconds (RFC 7519). Fractions, which some issuers write, are cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct NumericDate(pub(super) i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in Unix seconds")
            }

            fn visit_i64<E>(self, seconds: i64) -> Result<NumericDate, E> {
                Ok(NumericDate(seconds))
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<NumericDate, E> {
                Ok(NumericDate(i64::try_from(seconds).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "cut off, and what is too large becomes the largest"
                )]
                Ok(NumericDate(seconds.floor() as i64))
            }
        }

        deserializer.deserialize_any(Seconds)
    }
}

/// The audience (`aud`): one name or several.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn includes(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Providers may use this name for something else, so other types count as 0.
fn if_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_u64().unwrap_or_default())
}

/// Providers may use this name for something else, so only `true` counts.
fn if_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)? == serde_json::Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_may_have_fractions_and_must_be_numbers() {
        for (text, seconds) in
            [("7", 7), ("7.9", 7), ("-1", -1), ("1e300", i64::MAX), ("18446744073709551615", i64::MAX)]
        {
            assert_eq!(serde_json::from_str::<NumericDate>(text).ok(), Some(NumericDate(seconds)), "{text}");
        }
        for text in ["\"7\"", "null", "true", "[7]"] {
            assert!(serde_json::from_str::<NumericDate>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn session_claims_of_other_types_are_ignored() {
        let session = |value: &str| {
            let json = format!("{{\"sub\":\"a\",\"exp\":1,\"session\":{value}}}");
            serde_json::from_str::<Claims>(&json).expect("claims").session
        };
        assert!(session("true"));
        for other in ["false", "\"true\"", "\"5ce5d5\"", "1", "{}", "null"] {
            assert!(!session(other), "{other}");
            let json = format!("{{\"sub\":\"a\",\"exp\":1,\"generation\":{other}}}");
            assert!(serde_json::from_str::<Claims>(&json).is_ok(), "{other}");
        }
    }
}
