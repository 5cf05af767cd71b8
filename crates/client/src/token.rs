//! What a replica shows a server to be let in.

use std::fmt;
use std::sync::Arc;

use hyper::header::HeaderValue;
use tokio::sync::watch;

/// A bearer token, shown to a server with every connection that is made. All clones are one token: a program that has got
/// a new one replaces it wherever it is used, and replicas that wait to try again do so at once. A connection that
/// stands is not ended by that.
///
/// It is never written to a log, and `Debug` does not show it.
#[derive(Clone)]
pub struct Token(Arc<watch::Sender<HeaderValue>>);

/// Why a text is no token. (It does not say which.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is made of letters, digits and -._~+/ and may end in =; this text is not")]
pub struct BadToken;

impl Token {
    /// A token as the server's operator, or a login, gave it.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        Ok(Self(Arc::new(watch::Sender::new(header(text)?))))
    }

    /// From the next connection on, this is shown instead.
    ///
    /// # Errors
    /// When it cannot be a token. The old one stays then.
    pub fn replace(&self, text: &str) -> Result<(), BadToken> {
        self.0.send_replace(header(text)?);
        Ok(())
    }

    /// What to show now, and whether that has changed.
    pub(super) fn shown(&self) -> watch::Receiver<HeaderValue> {
        self.0.subscribe()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// The whole `Authorization` header. Spaces around the token, which come with copying it, are not part of it.
fn header(text: &str) -> Result<HeaderValue, BadToken> {
    let token = text.trim();
    let body = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(fits) {
        return Err(BadToken);
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| BadToken)?;
    // What writes headers to a log leaves it out.
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_sent_to_servers_and_hidden_from_debug() {
        let token = Token::new(" abc.DEF-123_~+/==\n").unwrap();
        let shown = token.shown();
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
        assert_eq!(*token.shown().borrow(), "Bearer good");
        assert!(!BadToken.to_string().contains("secret"));
    }

    #[test]
    fn replacing_a_token_updates_all_clones() {
        let token = Token::new("old").unwrap();
        let mut shown = token.clone().shown();
        token.replace("new").unwrap();
        assert!(shown.has_changed().unwrap());
        assert_eq!(*shown.borrow_and_update(), "Bearer new");
    }
}
