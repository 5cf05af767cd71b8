//! The address of a server.

use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use super::BadUrl;

/// A `ws://` URL, checked when it is given and not only when it is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUrl {
    text: String,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl ServerUrl {
    pub(super) fn parse(text: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl::NotWebSocket(text.to_owned());
        let request = text.into_client_request().map_err(|_| bad())?;
        let uri = request.uri();
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => return Err(BadUrl::Tls(text.to_owned())),
            _ => return Err(bad()),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { text: text.to_owned(), host, port: uri.port_u16().unwrap_or(80) })
    }

    /// The request for the upgrade. Made anew for every attempt, as it holds a nonce.
    pub(super) fn request(&self) -> Result<Request, String> {
        self.text.as_str().into_client_request().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_when_they_are_given() {
        let url = ServerUrl::parse("ws://localhost:8000/sync").expect("valid");
        assert_eq!((url.host.as_str(), url.port), ("localhost", 8_000));
        let url = ServerUrl::parse("ws://[::1]/sync").expect("valid");
        assert_eq!((url.host.as_str(), url.port), ("::1", 80));
        assert!(matches!(ServerUrl::parse("wss://example.com/sync"), Err(BadUrl::Tls(_))));
        for text in ["", "localhost:8000", "http://localhost/sync", "ws://", "ws:///sync", "not a url"] {
            assert!(matches!(ServerUrl::parse(text), Err(BadUrl::NotWebSocket(_))), "{text:?}");
        }
    }
}
