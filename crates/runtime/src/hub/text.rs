//! A WebSocket text frame that is rendered once and written to many sockets.

use std::fmt;

use bytes::Bytes;

/// A text that is cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Bytes);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Text {
    /// The text as UTF-8.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}
