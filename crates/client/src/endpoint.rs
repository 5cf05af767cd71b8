//! How a server is named: where it is, what to show it, and by what to know it.

use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::watch;

use super::BadUrl;
use super::tls::Trust;
use super::token::Token;
use super::url::ServerUrl;

/// A server, as a program names it. An address alone is one, too.
///
/// ```no_run
/// # use crate::{Endpoint, Token};
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

/// Why a text is no certificate that could be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no certificate in it: give the contents of a PEM file (-----BEGIN CERTIFICATE-----)")]
pub struct BadCertificate;

impl Endpoint {
    /// The server at an address such as `wss://plan.example.com/sync`, or `ws://127.0.0.1:8000/sync` without encryption.
    /// It is looked at when it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), token: None, authorities: Vec::new(), in_the_clear: false }
    }

    /// The same, shown this token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, known by certificates that these (PEM) have signed, or by one of these itself: for an authority of one's
    /// own. Those that this computer trusts anyway count besides.
    ///
    /// # Errors
    /// When there is no certificate in it.
    pub fn trust(mut self, pem: &[u8]) -> Result<Self, BadCertificate> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or(BadCertificate)?;
        self.authorities.extend(certificates);
        Ok(self)
    }

    /// The same, and the token may be sent to another computer over `ws://`, where everybody on the way can read it. For
    /// networks that encrypt by themselves.
    #[must_use]
    pub fn token_in_the_clear(mut self) -> Self {
        self.in_the_clear = true;
        self
    }

    /// Looks at the address.
    pub(super) fn check(self) -> Result<Server, BadUrl> {
        let url = ServerUrl::parse(&self.url)?;
        if self.token.is_some() && !self.in_the_clear && !url.is_private() {
            return Err(BadUrl::TokenInTheClear(self.url));
        }
        let trust = url.tls.is_some().then(|| Arc::new(Trust::new(self.authorities)));
        Ok(Server { url, token: self.token.map(|token| token.shown()), trust })
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

/// A server whose address is one.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) url: ServerUrl,
    /// None: nothing is shown.
    pub(super) token: Option<watch::Receiver<HeaderValue>>,
    /// None: without TLS.
    pub(super) trust: Option<Arc<Trust>>,
}

impl Server {
    /// Whether a connection to the one is as good as a connection to the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same_token = match (&self.token, &other.token) {
            (Some(ours), Some(theirs)) => ours.same_channel(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_token && self.url == other.url && self.trust == other.trust
    }

    /// What to show now.
    pub(super) fn authorization(&mut self) -> Option<HeaderValue> {
        self.token.as_mut().map(|token| token.borrow_and_update().clone())
    }

    /// Done when there is another token than the one that was shown last. Cancel safe.
    pub(super) async fn token_replaced(&mut self) {
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
        let error = endpoint("ws://plan.example.com/sync").check().unwrap_err();
        assert_eq!(error, BadUrl::TokenInTheClear("ws://plan.example.com/sync".to_owned()));
        assert!(endpoint("ws://plan.example.com/sync").token_in_the_clear().check().is_ok());
        for url in ["wss://plan.example.com/sync", "ws://127.0.0.1:8000/sync"] {
            assert!(endpoint(url).check().is_ok(), "{url}");
        }
        assert!(Endpoint::new("ws://plan.example.com/sync").check().is_ok());
    }

    #[test]
    fn debug_output_hides_the_token() {
        let endpoint = Endpoint::new("wss://plan.example.com/sync").token(Token::new("secret").unwrap());
        assert!(!format!("{endpoint:?} {:?}", endpoint.clone().check()).contains("secret"));
    }

    #[test]
    fn servers_are_equal_by_address_token_and_trust() {
        let endpoint = Endpoint::new("wss://plan.example.com/sync");
        let token = Token::new("secret").unwrap();
        let shown = endpoint.clone().token(token.clone());
        let is = |one: &Endpoint, other: &Endpoint| one.clone().check().unwrap().is(&other.clone().check().unwrap());
        assert!(is(&endpoint, &endpoint) && is(&shown, &endpoint.clone().token(token)));
        assert!(!is(&endpoint, &shown) && !is(&endpoint, &Endpoint::new("wss://plan.example.com/")));
        assert!(!is(&shown, &endpoint.token(Token::new("secret").unwrap())));
    }

    #[test]
    fn invalid_certificates_are_rejected() {
        for text in [&b""[..], b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA"] {
            assert_eq!(Endpoint::new("wss://plan.example.com").trust(text).unwrap_err(), BadCertificate);
        }
    }
}
