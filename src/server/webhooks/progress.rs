//! What a webhook has delivered, and how its failures are counted. Stored after each step.

use std::collections::BTreeMap;

use automerge::ChangeHash;
use primitives::DocumentId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The progress of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Whether `documents` has the state from which the webhook began. Documents that are missing then were created later.
    pub began: bool,
    /// The heads of what was delivered, by document.
    pub documents: BTreeMap<DocumentId, Heads>,
    /// The message that is being delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Messages whose document could not be read again, by document. They keep their ids, since they may have arrived.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub delayed: BTreeMap<DocumentId, Pending>,
    /// Failed attempts to deliver it.
    pub failed: u32,
    /// When the next attempt is due, in milliseconds since 1970.
    pub next_attempt: i64,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When a message was delivered last, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_delivery: Option<i64>,
    /// Set after too many failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

/// A message that is being delivered. A repetition has the same id and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The id of the message.
    pub message: String,
    /// The document that it is about.
    pub document: DocumentId,
    /// The heads of the document after the changes in it.
    pub until: Heads,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
}

/// That a webhook is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
    /// [`Webhook::enabled`](super::Webhook::enabled) at that time.
    pub enabled: u64,
}

/// Heads, in hexadecimal in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads(pub Vec<ChangeHash>);

impl Serialize for Heads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de> Deserialize<'de> for Heads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let heads = names.iter().map(|name| name.parse()).collect::<Result<_, _>>();
        heads.map(Self).map_err(|_| serde::de::Error::custom("not the hash of a change"))
    }
}

impl Progress {
    /// Why the webhook is switched off; `None` if it is not, or was enabled again.
    #[must_use]
    pub fn disabled(&self, enabled: u64) -> Option<&Disabled> {
        self.disabled.as_ref().filter(|disabled| disabled.enabled >= enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_in_a_file() {
        let document = DocumentId::from_random([7; 16]);
        let heads = Heads(vec![ChangeHash([0xab; 32])]);
        let pending = Pending { message: "msg_1".to_owned(), document: document.clone(), until: heads.clone(), at: 5 };
        let disabled = Disabled { reason: "gone".to_owned(), at: 9, enabled: 2 };
        let progress = Progress {
            began: true,
            documents: [(document.clone(), heads)].into(),
            pending: Some(pending.clone()),
            delayed: [(document, pending)].into(),
            failed: 3,
            next_attempt: 8,
            last_error: Some("500".to_owned()),
            last_delivery: Some(4),
            disabled: Some(disabled),
        };
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
        assert_eq!(serde_json::from_str::<Progress>("{}").unwrap(), Progress::default());
        assert!(progress.disabled(2).is_some() && progress.disabled(3).is_none());
    }
}
