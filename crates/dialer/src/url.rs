//! The URL of a server.

use std::net::IpAddr;

use hyper::Uri;
use rustls::pki_types::ServerName;

/// Why a URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a WebSocket URL.
    #[error("{0:?} is not a WebSocket URL such as wss://plan.example.com/sync")]
    NotWebSocket(String),
    /// Not an HTTP URL.
    #[error("{0:?} is not a URL such as https://example.com/")]
    NotHttp(String),
    /// The URL contains a user or a password.
    #[error("the server's URL must not contain a user or password; pass a token instead")]
    Credentials,
    /// The token would be sent unencrypted to another computer.
    #[error("{0:?} would send the token unencrypted; use a wss:// URL")]
    TokenInTheClear(String),
}

/// A parsed URL of a server: `ws://` or `wss://`, or `http://` or `https://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The name that the server's certificate must be for; `None` without TLS.
    pub tls: Option<ServerName<'static>>,
    /// Host name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// The port: by default 443 with TLS and 80 without.
    pub port: u16,
    /// Host and port as written, for the `Host` header.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl ServerUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// If the text is not a WebSocket URL, or holds credentials.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        Self::parse_scheme(text, ["ws", "wss"], || BadUrl::NotWebSocket(text.to_owned()))
    }

    /// Parses the URL of an HTTP server.
    ///
    /// # Errors
    /// If the text is not an HTTP URL, or holds credentials.
    pub fn parse_http(text: &str) -> Result<Self, BadUrl> {
        Self::parse_scheme(text, ["http", "https"], || BadUrl::NotHttp(text.to_owned()))
    }

    /// Parses a URL with one of these schemes: without TLS, and with TLS.
    fn parse_scheme(text: &str, [plain, encrypted]: [&str; 2], bad: impl Fn() -> BadUrl) -> Result<Self, BadUrl> {
        // Credentials would appear wherever the URL is shown.
        if text.contains('@') {
            return Err(BadUrl::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let is_tls = match uri.scheme_str() {
            Some(scheme) if scheme == plain => false,
            Some(scheme) if scheme == encrypted => true,
            _ => return Err(bad()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(&bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            None if is_tls => 443,
            None => 80,
        };
        let tls = is_tls.then(|| ServerName::try_from(host.clone())).transpose().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?.to_string();
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { tls, host, port, authority, path })
    }

    /// Whether traffic is encrypted or stays on this computer.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.tls.is_some()
            || self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_urls_are_rejected() {
        let url = ServerUrl::parse("ws://localhost:8000/sync?a=b").expect("valid");
        assert_eq!((url.host.as_str(), url.port, url.tls), ("localhost", 8_000, None));
        assert_eq!((url.authority.as_str(), url.path.as_str()), ("localhost:8000", "/sync?a=b"));
        let url = ServerUrl::parse("ws://[::1]").expect("valid");
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("::1", 80, "/"));
        let url = ServerUrl::parse("wss://plan.example.com/sync").expect("valid");
        assert_eq!((url.host.as_str(), url.port), ("plan.example.com", 443));
        assert_eq!(url.tls, Some(ServerName::try_from("plan.example.com").expect("a name")));
        assert!(ServerUrl::parse("wss://[::1]:8000/sync").expect("valid").tls.is_some());
        for text in
            ["", "localhost:8000", "http://localhost/sync", "ws://", "ws:///sync", "not a url", "wss://a..b/sync"]
        {
            assert!(matches!(ServerUrl::parse(text), Err(BadUrl::NotWebSocket(_))), "{text:?}");
        }
        let url = ServerUrl::parse_http("https://example.com/hooks").expect("valid");
        assert_eq!((url.port, url.path.as_str(), url.tls.is_some()), (443, "/hooks", true));
        assert!(matches!(ServerUrl::parse_http("wss://example.com"), Err(BadUrl::NotHttp(_))));
        let error = ServerUrl::parse("wss://me:secret@example.com/sync").expect_err("a password");
        assert_eq!(error, BadUrl::Credentials);
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn loopback_and_tls_urls_are_private() {
        for text in ["ws://localhost:1", "ws://127.0.0.2:1", "ws://[::1]:1", "wss://example.com"] {
            assert!(ServerUrl::parse(text).expect("valid").is_private(), "{text}");
        }
        for text in ["ws://example.com", "ws://10.0.0.1", "ws://localhost.example.com", "ws://[2001:db8::1]"] {
            assert!(!ServerUrl::parse(text).expect("valid").is_private(), "{text}");
        }
    }
}
