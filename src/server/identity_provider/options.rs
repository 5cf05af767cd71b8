//! The configuration of an identity provider.

use std::path::{Path, PathBuf};

use hyper::Uri;

use super::Client;
use super::http::HttpError;
use crate::server::security::origin::{host_of, is_loopback_name};

/// Largest file of a client secret, in bytes.
const MAX_SECRET: usize = 4 << 10;
/// Path of the login's second request, below the server's address.
pub(super) const CALLBACK: &str = "api/login/callback";

/// An identity provider, and how this server uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProviderOptions {
    /// Where its keys are.
    pub source: ProviderSource,
    /// This server as its client, for logins by redirect.
    pub client: Option<ClientOptions>,
}

/// Where the keys of a provider are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderSource {
    /// At this issuer, which publishes where (OpenID Connect Discovery).
    Issuer(String),
    /// At this URL.
    Keys(String),
}

/// This server as a client of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// The client's id.
    pub id: String,
    /// File with the client's secret; `None` for a public client.
    pub secret_file: Option<PathBuf>,
    /// Requested scopes, separated by spaces.
    pub scopes: String,
    /// Name of the provider on the login page; its host if `None`.
    pub name: Option<String>,
    /// Address of this server for browsers. If `None`, that of their requests, which must name localhost or a configured host.
    pub public_url: Option<String>,
}

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A URL is not valid, or unprotected.
    #[error(
        "{0:?} is not a URL for an identity provider: it must begin with https:// (http:// only for this machine), without user or query"
    )]
    Url(String),
    /// The address of this server is not valid, or unprotected.
    #[error(
        "--public-url {0:?}: the address of this server must begin with https:// (http:// only for this machine), \
         without user, query and fragment"
    )]
    PublicUrl(String),
    /// The secret cannot be read.
    #[error("the file of the client secret cannot be read: {}: {source}", .path.display())]
    Secret {
        /// Path of the file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file contains no secret.
    #[error("{} must contain the client secret in one line", .0.display())]
    NoSecret(PathBuf),
    /// Requests cannot be made.
    #[error("no request to the identity provider is possible: {0}")]
    Http(String),
}

impl From<HttpError> for ProviderError {
    fn from(error: HttpError) -> Self {
        Self::Http(error.to_string())
    }
}

impl ProviderSource {
    fn url(&self) -> &str {
        match self {
            Self::Issuer(url) | Self::Keys(url) => url,
        }
    }

    pub(super) fn check(&self) -> Result<(), ProviderError> {
        let url = self.url();
        if is_protected(url) { Ok(()) } else { Err(ProviderError::Url(url.to_owned())) }
    }
}

impl ClientOptions {
    pub(super) fn open(&self, source: &ProviderSource) -> Result<Client, ProviderError> {
        if let Some(url) = self.public_url.as_ref().filter(|url| !is_protected(url)) {
            return Err(ProviderError::PublicUrl(url.clone()));
        }
        let host = || source.url().split('/').nth(2).unwrap_or_default().to_owned();
        Ok(Client {
            id: self.id.clone(),
            secret: self.secret_file.as_deref().map(secret).transpose()?,
            scopes: self.scopes.clone(),
            name: self.name.clone().unwrap_or_else(host),
            public_url: self.public_url.clone(),
        })
    }
}

impl Client {
    /// The URL to which the provider sends the browser back. `origin`: that of the current request, if it may be this server.
    pub(super) fn callback(&self, origin: Option<&str>) -> Option<String> {
        let base = self.public_url.as_deref().or(origin)?;
        Some(format!("{}/{CALLBACK}", base.trim_end_matches('/')))
    }

    pub(super) fn is_public_by_https(&self) -> bool {
        let scheme = |url: &str| url.parse::<Uri>().ok()?.scheme_str().map(str::to_owned);
        self.public_url.as_deref().and_then(scheme).as_deref() == Some("https")
    }
}

fn secret(path: &Path) -> Result<String, ProviderError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ProviderError::Secret { path: path.to_owned(), source })?;
    let secret = text.trim();
    let is_line = !secret.is_empty() && text.len() <= MAX_SECRET && !secret.contains(char::is_control);
    if is_line { Ok(secret.to_owned()) } else { Err(ProviderError::NoSecret(path.to_owned())) }
}

/// Whether nobody on the network can change what is at this URL.
pub(super) fn is_protected(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let is_loopback = uri.host().is_some_and(|host| is_loopback_name(host_of(host)));
    is_http(url) && uri.query().is_none() && (uri.scheme_str() == Some("https") || is_loopback)
}

fn is_http(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    has_host && matches!(uri.scheme_str(), Some("https" | "http")) && !url.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_loopback_urls_are_protected() {
        for url in [
            "https://login.example.com",
            "https://login.example.com/realms/a/",
            "http://127.0.0.1:81/x",
            "http://localhost",
        ] {
            assert!(is_protected(url), "{url}");
        }
        for url in [
            "http://login.example.com",
            "https://a@b",
            "https://b?x",
            "https://b#x",
            "login.example.com",
            "ftp://b",
            "",
        ] {
            assert!(!is_protected(url), "{url}");
        }
    }

    #[test]
    fn callback_is_below_the_public_url() {
        let options = ClientOptions {
            id: "plan".to_owned(),
            secret_file: None,
            scopes: "openid".to_owned(),
            name: None,
            public_url: None,
        };
        let source = ProviderSource::Issuer("https://login.example.com/realms/a".to_owned());
        let client = options.open(&source).expect("valid");
        assert_eq!(client.name, "login.example.com");
        let callback = client.callback(Some("http://127.0.0.1:8000"));
        assert_eq!(callback.as_deref(), Some("http://127.0.0.1:8000/api/login/callback"));
        assert_eq!(client.callback(None), None);
        assert!(!client.is_public_by_https());
        let at = |url: &str| ClientOptions { public_url: Some(url.to_owned()), ..options.clone() }.open(&source);
        let client = at("https://a.example/plan/").expect("valid");
        for origin in [None, Some("http://x")] {
            assert_eq!(client.callback(origin).as_deref(), Some("https://a.example/plan/api/login/callback"));
        }
        assert!(client.is_public_by_https());
        assert!(!at("http://localhost:8000").expect("valid").is_public_by_https());
        for url in ["http://a.example", "https://a.example/?x", "https://a.example/#x", "https://a@b", "a.example", ""]
        {
            assert!(matches!(at(url), Err(ProviderError::PublicUrl(_))), "{url}");
        }
    }

    #[test]
    fn secret_is_one_line() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        for (content, read) in [("s3cret\n", Some("s3cret")), ("", None), ("a\nb", None), (&"x".repeat(5_000), None)] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(secret(&path).ok().as_deref(), read, "{content:?}");
        }
        assert!(matches!(secret(&folder.path().join("none")), Err(ProviderError::Secret { .. })));
    }
}
