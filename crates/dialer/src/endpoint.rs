//! A server as the program names it: address, token and trusted certificates.

use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;

use crate::tls::TrustStore;
use crate::token::Token;
use crate::url::{BadUrl, ServerUrl};

/// A server to connect to: its URL and, optionally, a token and trusted certificates. A URL alone converts into one.
///
/// ```no_run
/// # use dialer::{Endpoint, Token};
/// # fn endpoint() -> Result<Endpoint, Box<dyn std::error::Error>> {
/// Ok(Endpoint::new("wss://plan.example.com/sync").token(Token::new("eyJ0eXAi…")?).trust(&std::fs::read("ca.pem")?)?)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Endpoint {
    url: String,
    token: Option<Token>,
    authorities: Vec<CertificateDer<'static>>,
    in_the_clear: bool,
}

/// A text without a PEM certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no certificate found: pass the contents of a PEM file (-----BEGIN CERTIFICATE-----)")]
pub struct BadCertificate;

impl Endpoint {
    /// The server at a URL such as `wss://plan.example.com/sync`, or `ws://127.0.0.1:8000/sync` without encryption. The URL
    /// is validated when the endpoint is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), token: None, authorities: Vec::new(), in_the_clear: false }
    }

    /// Sends this token with every connection.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Trusts these certificates (PEM), in addition to those that the operating system trusts. Each may be an authority or
    /// the server's own certificate.
    ///
    /// # Errors
    /// If `pem` contains no certificate.
    pub fn trust(mut self, pem: &[u8]) -> Result<Self, BadCertificate> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(BadCertificate)?;
        self.authorities.extend(certificates);
        Ok(self)
    }

    /// Allows to send the token unencrypted (`ws://`) to another computer. Only for networks that are encrypted by other
    /// means.
    #[must_use]
    pub fn token_in_the_clear(mut self) -> Self {
        self.in_the_clear = true;
        self
    }

    /// Validates the endpoint.
    ///
    /// # Errors
    /// If the URL is invalid, or the token would be sent unencrypted to another computer.
    pub fn validate(self) -> Result<Server, BadUrl> {
        let url = ServerUrl::parse(&self.url)?;
        if self.token.is_some() && !self.in_the_clear && !url.is_private() {
            return Err(BadUrl::TokenInTheClear(self.url));
        }
        let trust = url.tls.is_some().then(|| Arc::new(TrustStore::new(self.authorities)));
        Ok(Server { url, token: self.token.map(|token| token.subscribe()), trust })
    }
}

impl From<&str> for Endpoint {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<&String> for Endpoint {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

/// A validated endpoint.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub url: ServerUrl,
    /// The `Authorization` header; `None` sends none.
    pub token: Option<watch::Receiver<HeaderValue>>,
    /// How to verify the server; `None` without TLS.
    pub trust: Option<Arc<TrustStore>>,
}

impl Server {
    /// Whether a connection to one serves as a connection to the other.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same_token = match (&self.token, &other.token) {
            (Some(ours), Some(theirs)) => ours.same_channel(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_token && self.url == other.url && self.trust == other.trust
    }

    /// Returns the current `Authorization` header, and marks it as used.
    pub fn authorization(&mut self) -> Option<HeaderValue> {
        self.token.as_mut().map(|token| token.borrow_and_update().clone())
    }

    /// Completes when the token was replaced since the last [`authorization`](Self::authorization). Cancel safe.
    pub async fn token_replaced(&mut self) {
        if let Some(token) = &mut self.token
            && token.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_requires_tls_or_loopback() {
        let endpoint = |url: &str| Endpoint::new(url).token(Token::new("secret").unwrap());
        let error = endpoint("ws://plan.example.com/sync").validate().unwrap_err();
        assert_eq!(error, BadUrl::TokenInTheClear("ws://plan.example.com/sync".to_owned()));
        assert!(endpoint("ws://plan.example.com/sync").token_in_the_clear().validate().is_ok());
        for url in ["wss://plan.example.com/sync", "ws://127.0.0.1:8000/sync"] {
            assert!(endpoint(url).validate().is_ok(), "{url}");
        }
        assert!(Endpoint::new("ws://plan.example.com/sync").validate().is_ok());
    }

    #[test]
    fn debug_output_hides_the_token() {
        let endpoint = Endpoint::new("wss://plan.example.com/sync").token(Token::new("secret").unwrap());
        assert!(!format!("{endpoint:?} {:?}", endpoint.clone().validate()).contains("secret"));
    }

    #[test]
    fn servers_are_equal_by_address_token_and_trust() {
        let endpoint = Endpoint::new("wss://plan.example.com/sync");
        let token = Token::new("secret").unwrap();
        let shown = endpoint.clone().token(token.clone());
        let is_same = |one: &Endpoint, other: &Endpoint| {
            one.clone().validate().unwrap().is_same(&other.clone().validate().unwrap())
        };
        assert!(is_same(&endpoint, &endpoint) && is_same(&shown, &endpoint.clone().token(token)));
        assert!(!is_same(&endpoint, &shown) && !is_same(&endpoint, &Endpoint::new("wss://plan.example.com/")));
        assert!(!is_same(&shown, &endpoint.token(Token::new("secret").unwrap())));
    }

    #[test]
    fn invalid_certificates_are_rejected() {
        for text in [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA"] {
            assert_eq!(Endpoint::new("wss://plan.example.com").trust(text).unwrap_err(), BadCertificate);
        }
    }
}
