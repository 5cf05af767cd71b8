//! What a token says, as it is written in it.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Documents, Role};

/// Who issues our own tokens (`iss`).
pub(super) const ISSUER: &str = "happierwork";

/// The claims of a token. Others may be in it, and are not looked at.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) documents: Option<Documents>,
    pub(super) exp: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<Moment>,
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

/// Unix seconds. Some issuers write fractions; they are cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Moment(pub(super) i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a moment in Unix seconds")
            }

            fn visit_i64<E>(self, seconds: i64) -> Result<Moment, E> {
                Ok(Moment(seconds))
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Moment, E> {
                Ok(Moment(i64::try_from(seconds).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Moment, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "cut off, and what is too large becomes the largest"
                )]
                Ok(Moment(seconds.floor() as i64))
            }
        }

        deserializer.deserialize_any(Seconds)
    }
}

/// For whom a token is: one, or several.
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

/// What others may call so is none of ours.
fn if_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_u64().unwrap_or_default())
}

/// Providers use this name for other things. Only `true` is ours.
fn if_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)? == serde_json::Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_have_a_fraction_and_must_be_a_number() {
        for (text, moment) in
            [("7", 7), ("7.9", 7), ("-1", -1), ("1e300", i64::MAX), ("18446744073709551615", i64::MAX)]
        {
            assert_eq!(serde_json::from_str::<Moment>(text).ok(), Some(Moment(moment)), "{text}");
        }
        for text in ["\"7\"", "null", "true", "[7]"] {
            assert!(serde_json::from_str::<Moment>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_another_issuer_calls_a_session_is_none_of_ours() {
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
