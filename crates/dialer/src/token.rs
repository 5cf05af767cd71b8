//! The bearer token that a client sends to its server.

use std::fmt;
use std::sync::Arc;

use hyper::header::HeaderValue;
use tokio::sync::watch;

/// A bearer token, sent with every new connection. All clones share one value: [`replace`](Self::replace) changes it
/// everywhere, and clients that wait for their next attempt retry at once. Existing connections are not affected.
///
/// The token is never logged, and `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<watch::Sender<HeaderValue>>);

/// A text that is not a bearer token. The message does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a bearer token: a token has letters, digits and -._~+/ and may end in =")]
pub struct BadToken;

impl Token {
    /// Creates a token from the text that the server's operator or a login returned.
    ///
    /// # Errors
    /// If the text is not a bearer token.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        Ok(Self(Arc::new(watch::Sender::new(header(text)?))))
    }

    /// Replaces the token in all clones, from the next connection on.
    ///
    /// # Errors
    /// If the text is not a bearer token. The old one stays then.
    pub fn replace(&self, text: &str) -> Result<(), BadToken> {
        self.0.send_replace(header(text)?);
        Ok(())
    }

    /// Subscribes to the `Authorization` header of this token.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<HeaderValue> {
        self.0.subscribe()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// Builds the `Authorization` header. White space around the token is ignored: it comes with copying.
fn header(text: &str) -> Result<HeaderValue, BadToken> {
    let token = text.trim();
    let body = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(fits) {
        return Err(BadToken);
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| BadToken)?;
    // Keeps the header out of `Debug` output.
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_sent_to_servers_and_hidden_from_debug() {
        let token = Token::new(" abc.DEF-123_~+/==\n").unwrap();
        let shown = token.subscribe();
        assert_eq!(*shown.borrow(), "Bearer abc.DEF-123_~+/==");
        assert!(!format!("{token:?} {shown:?}").contains("abc"));
    }

    #[test]
    fn invalid_token_is_rejected_without_being_echoed() {
        let token = Token::new("good").unwrap();
        for text in ["", " ", "=", "se cret", "secret\r\nX: y", "sécret", "secret=more", "Bearer secret"] {
            assert_eq!(Token::new(text).unwrap_err(), BadToken, "{text:?}");
            assert_eq!(token.replace(text), Err(BadToken), "{text:?}");
        }
        assert_eq!(*token.subscribe().borrow(), "Bearer good");
        assert!(!BadToken.to_string().contains("secret"));
    }

    #[test]
    fn replacing_a_token_updates_all_clones() {
        let token = Token::new("old").unwrap();
        let mut shown = token.clone().subscribe();
        token.replace("new").unwrap();
        assert!(shown.has_changed().unwrap());
        assert_eq!(*shown.borrow_and_update(), "Bearer new");
    }
}
