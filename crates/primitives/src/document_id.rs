//! Document ids in automerge-repo's format: base58check over random bytes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Accepted numbers of bytes. We and automerge-repo generate 16; a client's `idFactory` may choose another length.
const PAYLOAD_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

/// Id of a document: base58check text such as `4NMNnkMhL8jXrdJ9jamS58PAVdXu`.
///
/// Always valid, and consists of letters and digits only: safe as a file name and in a URL. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(Arc<str>);

/// Why a text is not a document id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocumentId {
    /// A character outside of base58, or a wrong checksum: most likely a typing error.
    #[error("the document id is not valid base58check (is a character missing or mistyped?)")]
    NotBase58Check,
    /// Valid base58check of an unsupported length.
    #[error("the document id holds {0} bytes; 1 to 64 are accepted")]
    Length(usize),
}

impl DocumentId {
    /// Makes an id of random bytes, marked as a version 4 UUID as automerge-repo does.
    #[must_use]
    pub fn from_random(mut random: [u8; 16]) -> Self {
        random[6] = (random[6] & 0x0f) | 0x40;
        random[8] = (random[8] & 0x3f) | 0x80;
        Self(bs58::encode(random).with_check().into_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document's URL in automerge-repo: `automerge:<id>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("automerge:{}", self.0)
    }
}

/// As text.
impl Serialize for DocumentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl FromStr for DocumentId {
    type Err = InvalidDocumentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Longer than any accepted id: rejected before the quadratic base58 decoder runs.
        if text.len() > 100 {
            return Err(InvalidDocumentId::Length(text.len() * 3 / 4));
        }
        let payload = bs58::decode(text).with_check(None).into_vec().map_err(|_| InvalidDocumentId::NotBase58Check)?;
        if !PAYLOAD_BYTES.contains(&payload.len()) {
            return Err(InvalidDocumentId::Length(payload.len()));
        }
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for DocumentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automerge_repo_id_survives_a_round_trip() {
        let id: DocumentId = "4NMNnkMhL8jXrdJ9jamS58PAVdXu".parse().expect("valid");
        assert_eq!(id.as_str(), "4NMNnkMhL8jXrdJ9jamS58PAVdXu");
        assert_eq!(id.url(), "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu");
    }

    #[test]
    fn generated_ids_are_valid_and_distinct() {
        let (one, two) = (DocumentId::from_random([1; 16]), DocumentId::from_random([2; 16]));
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<DocumentId>(), Ok(one));
    }

    #[test]
    fn invalid_ids_are_rejected_with_the_reason() {
        for text in ["", "../../etc/passwd", "4NMNnkMhL8jXrdJ9jamS58PAVdXv", "0OIl", "état"] {
            assert_eq!(text.parse::<DocumentId>(), Err(InvalidDocumentId::NotBase58Check), "{text}");
        }
        let empty_payload = bs58::encode([]).with_check().into_string();
        assert_eq!(empty_payload.parse::<DocumentId>(), Err(InvalidDocumentId::Length(0)));
        assert!(matches!("1".repeat(5_000).parse::<DocumentId>(), Err(InvalidDocumentId::Length(_))));
    }
}
