//! Which documents somebody may use: all, or those that are named.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use primitives::{DocumentId, InvalidDocumentId};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the default document is called, whatever its id is.
const DEFAULT: &str = "default";
/// How all documents are called.
const ALL: &str = "*";

/// A document as it is named in tokens, accounts and flags: `default`, or an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentName {
    /// The server's default document.
    Default,
    /// This one.
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

/// The documents that somebody may use. In JSON `"*"`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Documents {
    /// All of them, also those that come to be later.
    All,
    /// These.
    Named(BTreeSet<DocumentName>),
}

impl Documents {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self::Named(BTreeSet::new())
    }

    /// Whether this document is among them; `default` is the id of the server's default document.
    #[must_use]
    pub fn include(&self, id: &DocumentId, default: &DocumentId) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| match name {
                DocumentName::Default => id == default,
                DocumentName::Id(named) => named == id,
            }),
        }
    }
}

/// As in a flag: `*`, or names with commas between them. The URL of a document (`automerge:…`) names it, too.
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

/// Why a text names no documents.
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

/// Strict: what is neither must not come to mean either.
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
    fn all_named_and_none_are_read_as_they_are_written() {
        let named = Documents::Named([DocumentName::Default, DocumentName::Id(id(1))].into());
        for documents in [Documents::All, Documents::none(), named] {
            let written = serde_json::to_string(&documents).expect("JSON");
            assert_eq!(json(&written).ok(), Some(documents), "{written}");
        }
        assert_eq!(serde_json::to_string(&Documents::All).expect("JSON"), "\"*\"");
    }

    #[test]
    fn neither_a_star_nor_a_list_of_ids_is_nothing() {
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
    fn a_flag_names_all_or_a_list_in_which_urls_may_stand() {
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

    #[test]
    fn a_document_is_included_by_its_id_and_the_default_one_by_that_name_too() {
        let (one, two) = (id(1), id(2));
        let includes = |documents: &Documents| [&one, &two].map(|id| documents.include(id, &one));
        assert_eq!(includes(&Documents::All), [true, true]);
        assert_eq!(includes(&Documents::none()), [false, false]);
        assert_eq!(includes(&Documents::Named([DocumentName::Default].into())), [true, false]);
        assert_eq!(includes(&Documents::Named([DocumentName::Id(one.clone())].into())), [true, false]);
        assert_eq!(includes(&Documents::Named([DocumentName::Id(two.clone())].into())), [false, true]);
    }
}
