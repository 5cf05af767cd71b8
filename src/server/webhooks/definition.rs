//! A webhook: where its messages go, and about which documents.

use auth::Documents;
use dialer::ServerUrl;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// Most webhooks of a server.
pub const MAX_WEBHOOKS: usize = 100;
/// Longest delay of a message, in seconds.
pub const MAX_DEBOUNCE: u64 = 3_600;
/// Delay of a message in seconds, if none is given.
pub const DEFAULT_DEBOUNCE: u64 = 5;
/// Longest URL, in bytes.
const MAX_URL: usize = 2_000;

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where messages are sent.
    pub url: String,
    /// Signs the messages.
    pub secret: Secret,
    /// The documents that messages are about.
    pub documents: Documents,
    /// Time in seconds between a change and its message, in which further changes join the message.
    pub debounce: u64,
    /// Whether messages may go to private addresses, and without TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_private: bool,
    /// When it was added, in milliseconds since 1970.
    pub added_at: i64,
    /// The user who added it. `None` if the operator did, or a server without authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// How often it was enabled again after it had been switched off.
    #[serde(default)]
    pub enabled: u64,
}

/// A webhook to add.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where messages are sent.
    pub url: String,
    /// The documents.
    pub documents: Documents,
    /// Time in seconds between a change and its message.
    pub debounce: u64,
    /// Whether messages may go to private addresses, and without TLS.
    pub allow_private: bool,
    /// The user who adds it.
    pub added_by: Option<String>,
}

/// Why a webhook cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhook {
    /// Not an HTTP URL.
    #[error(
        "url: must be a URL such as https://example.com/hooks, of at most {MAX_URL} bytes, without user and password"
    )]
    Url,
    /// The URL has no TLS.
    #[error("url: must begin with https://")]
    Unencrypted,
    /// Too long a delay.
    #[error("debounce: must be a number from 0 to {MAX_DEBOUNCE}")]
    Debounce,
    /// Too many webhooks.
    #[error("a server can have at most {MAX_WEBHOOKS} webhooks")]
    TooMany,
}

impl InvalidWebhook {
    /// The field that is invalid.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Url | Self::Unencrypted | Self::TooMany => "url",
            Self::Debounce => "debounce",
        }
    }
}

impl Webhook {
    /// Host and port of the receiver. The rest of the URL is often a secret, and belongs into no log.
    #[must_use]
    pub fn host(&self) -> String {
        ServerUrl::parse_http(&self.url).map(|url| url.authority).unwrap_or_default()
    }
}

impl NewWebhook {
    /// Checks the fields, and creates a webhook with a new id and secret.
    ///
    /// # Errors
    /// When a field is invalid.
    pub fn create(self, now_ms: i64) -> Result<Webhook, InvalidWebhook> {
        let Self { url, documents, debounce, allow_private, added_by } = self;
        let target = Some(&url).filter(|url| url.len() <= MAX_URL).and_then(|url| ServerUrl::parse_http(url).ok());
        let target = target.ok_or(InvalidWebhook::Url)?;
        if target.tls.is_none() && !allow_private {
            return Err(InvalidWebhook::Unencrypted);
        }
        if debounce > MAX_DEBOUNCE {
            return Err(InvalidWebhook::Debounce);
        }
        let id = format!("wh_{:024x}", rand::random::<u128>() >> 32);
        Ok(Webhook {
            id,
            url,
            secret: Secret::generate(),
            documents,
            debounce,
            allow_private,
            added_at: now_ms,
            added_by,
            enabled: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(url: &str, allow_private: bool, debounce: u64) -> Result<Webhook, InvalidWebhook> {
        let (url, documents, added_by) = (url.to_owned(), Documents::All, Some("ceo".to_owned()));
        NewWebhook { url, documents, debounce, allow_private, added_by }.create(7)
    }

    #[test]
    fn invalid_webhooks_are_rejected() {
        for url in [
            "",
            "example.com",
            "wss://example.com",
            "https://me:secret@example.com/",
            "https://",
            &format!("https://example.com/{}", "x".repeat(MAX_URL)),
        ] {
            assert_eq!(new(url, true, 0).unwrap_err(), InvalidWebhook::Url, "{url}");
        }
        assert_eq!(new("http://example.com/", false, 0).unwrap_err(), InvalidWebhook::Unencrypted);
        assert_eq!(new("https://example.com/", false, MAX_DEBOUNCE + 1).unwrap_err(), InvalidWebhook::Debounce);
        let (one, other) =
            (new("https://example.com/a?b", false, 0).unwrap(), new("http://10.0.0.1:9/", true, 5).unwrap());
        assert!(one.id != other.id && one.id.len() == 27, "{}", one.id);
        assert_eq!((one.host(), other.host()), ("example.com".to_owned(), "10.0.0.1:9".to_owned()));
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(serde_json::from_str::<Webhook>(&text).unwrap(), other);
    }
}
