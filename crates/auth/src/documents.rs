//! The set of documents that a token or an account grants.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use primitives::{DocumentId, InvalidDocumentId};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Name of the server's default document in tokens, accounts and flags.
const DEFAULT: &str = "default";
/// Stands for all documents.
const ALL: &str = "*";

/// The name of a document in tokens, accounts and flags: `default`, or an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentName {
    /// The server's default document.
    Default,
    /// The document with this id.
    Id(DocumentId),
}

impl FromStr for DocumentName {
    type Err = InvalidDocumentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == DEFAULT { Ok(Self::Default) } else { text.parse().map(Self::Id) }
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str(DEFAULT),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// A set of documents. In JSON `"*"`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Documents {
    /// All documents, including future ones.
    All,
    /// The named documents only.
    Named(BTreeSet<DocumentName>),
}

impl Documents {
    /// The empty set.
    #[must_use]
    pub fn none() -> Self {
        Self::Named(BTreeSet::new())
    }

    /// Whether a document is in the set; `default` is the id of the server's default document, if it has one.
    #[must_use]
    pub fn include(&self, id: &DocumentId, default: Option<&DocumentId>) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => {
                names.contains(&DocumentName::Id(id.clone()))
                    || (default == Some(id) && names.contains(&DocumentName::Default))
            }
        }
    }
}

/// Parses the value of a flag: `*`, or names separated by commas. A document may also be named by its URL
/// (`automerge:…`).
impl FromStr for Documents {
    type Err = InvalidDocuments;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == ALL {
            return Ok(Self::All);
        }
        let name = |text: &str| {
            let text = text.trim();
            let name = text.strip_prefix("automerge:").unwrap_or(text).parse();
            name.map_err(|source| InvalidDocuments { name: text.to_owned(), source })
        };
        text.split(',').map(name).collect::<Result<_, _>>().map(Self::Named)
    }
}

/// Why a text does not name a set of documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is neither an id nor `default`: {source}. (`*` alone means all documents.)")]
pub struct InvalidDocuments {
    name: String,
    source: InvalidDocumentId,
}

impl fmt::Display for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(ALL),
            Self::Named(names) => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl Serialize for Documents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(ALL),
            Self::Named(names) => serializer.collect_seq(names.iter().map(ToString::to_string)),
        }
    }
}

impl<'de> Deserialize<'de> for Documents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FromJson)
    }
}

/// Strict: anything else is an error, rather than an empty set or all documents.
struct FromJson;

impl<'de> Visitor<'de> for FromJson {
    type Value = Documents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"*\" or a list of document ids")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Documents, E> {
        if text == ALL { Ok(Documents::All) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Documents, A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = list.next_element::<String>()? {
            names.insert(name.parse().map_err(de::Error::custom)?);
        }
        Ok(Documents::Named(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: u8) -> DocumentId {
        DocumentId::from_random([seed; 16])
    }

    fn json(text: &str) -> Result<Documents, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn sets_survive_a_round_trip() {
        let named = Documents::Named([DocumentName::Default, DocumentName::Id(id(1))].into());
        for documents in [Documents::All, Documents::none(), named] {
            let written = serde_json::to_string(&documents).expect("JSON");
            assert_eq!(json(&written).ok(), Some(documents), "{written}");
        }
        assert_eq!(serde_json::to_string(&Documents::All).expect("JSON"), "\"*\"");
    }

    #[test]
    fn json_other_than_star_or_ids_is_rejected() {
        for text in [
            "\"default\"",
            "\"\"",
            "\"**\"",
            "true",
            "1",
            "{}",
            "{\"*\":true}",
            "[\"*\"]",
            "[\"../etc\"]",
            "[1]",
            "[null]",
            "[[\"default\"]]",
            "null",
        ] {
            assert!(json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn flag_accepts_star_ids_and_urls() {
        assert_eq!("*".parse(), Ok(Documents::All));
        let (one, two) = (id(1), id(2));
        let named = Documents::Named([DocumentName::Id(one.clone()), DocumentName::Default].into());
        assert_eq!(format!("default, {one}").parse(), Ok(named.clone()));
        assert_eq!(format!("{},default", one.url()).parse(), Ok(named));
        for text in ["", "*,default", "default,", "Default", &format!("{two}x")] {
            let error = text.parse::<Documents>().expect_err(text).to_string();
            assert!(error.contains("neither an id nor `default`"), "{error}");
        }
    }
}
