//! The file with the bearer token for another server.

use std::io;
use std::path::PathBuf;

use dialer::{BadToken, Token};
use offload::run_blocking;

/// A token that is read again when its file changes.
pub(super) struct TokenFile {
    path: PathBuf,
    /// The last content of the file.
    text: String,
    token: Token,
    /// The last logged error of a read.
    logged: Option<String>,
}

/// Why a token file cannot be used. Does not contain the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}; it needs a text file that the server's user may read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the read.
        source: io::Error,
    },
    /// The file does not hold a token.
    #[error("{}: {source}", .path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// The error of the check.
        source: BadToken,
    },
}

impl TokenFile {
    /// Reads a file. Blocks the thread.
    pub(super) fn open(path: PathBuf) -> Result<Self, TokenFileError> {
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| TokenFileError::Read { path: path.clone(), source })?;
        let token = Token::new(&text).map_err(|source| TokenFileError::Token { path: path.clone(), source })?;
        Ok(Self { path, text, token, logged: None })
    }

    /// The token. Its clones follow the file.
    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Reads the file again. Returns whether the token has changed. A file that cannot be used is logged, and the last token stays in
    /// use.
    pub(super) async fn reload(&mut self, peer: &str) -> bool {
        match self.try_reload().await {
            Ok(changed) => {
                self.logged = None;
                if changed {
                    tracing::info!(peer, "the token file has changed, and was read again");
                }
                changed
            }
            Err(error) => {
                let error = error.to_string();
                if self.logged.as_ref() != Some(&error) {
                    tracing::error!(peer, error, "the token file could not be read again; the last token stays in use");
                    self.logged = Some(error);
                }
                false
            }
        }
    }

    async fn try_reload(&mut self) -> Result<bool, TokenFileError> {
        let path = self.path.clone();
        let text = run_blocking(move || std::fs::read_to_string(path)).await;
        let text = text.map_err(|source| TokenFileError::Read { path: self.path.clone(), source })?;
        if text == self.text {
            return Ok(false);
        }
        self.token.replace(&text).map_err(|source| TokenFileError::Token { path: self.path.clone(), source })?;
        self.text = text;
        Ok(true)
    }
}
