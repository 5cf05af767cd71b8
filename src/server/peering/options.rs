//! The configuration of one peering.

use std::io;
use std::path::PathBuf;

use auth::Documents;
use dialer::{BadCertificate, BadUrl, Endpoint, Server};

use super::token_file::{TokenFile, TokenFileError};

/// Another server to dial.
#[derive(Debug, Clone)]
pub struct PeerOptions {
    /// Its WebSocket URL, such as `wss://hq.example.com/sync`.
    pub url: String,
    /// File with the bearer token for it. Read again when it changes.
    pub token_file: Option<PathBuf>,
    /// File with certificates that are trusted in addition to those of the operating system, in PEM.
    pub authorities: Option<PathBuf>,
    /// The documents to keep in step.
    pub documents: Documents,
    /// Whether documents and token may be sent unencrypted to another machine.
    pub unencrypted: bool,
}

impl PeerOptions {
    /// All documents, without a token.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), token_file: None, authorities: None, documents: Documents::All, unencrypted: false }
    }

    /// Checks the options, and reads the files.
    pub(super) fn open(self) -> Result<OpenedPeer, PeerError> {
        let Self { url, token_file, authorities, documents, unencrypted } = self;
        // A query may hold a token.
        let shown = || url.split('?').next().unwrap_or_default().to_owned();
        let mut endpoint = Endpoint::new(&url);
        if let Some(path) = authorities {
            let pem =
                std::fs::read(&path).map_err(|source| PeerError::ReadAuthorities { path: path.clone(), source })?;
            endpoint = endpoint.trust(&pem).map_err(|source| PeerError::Authorities { path, source })?;
        }
        let token_file = token_file.map(TokenFile::open).transpose()?;
        if let Some(file) = &token_file {
            endpoint = endpoint.token(file.token().clone());
        }
        // The next check is stricter, and says which flag allows it.
        let server = endpoint.token_in_the_clear().validate().map_err(|error| match error {
            BadUrl::NotWebSocket(_) => BadUrl::NotWebSocket(shown()),
            error => error,
        })?;
        if !unencrypted && !server.url.is_private() {
            return Err(PeerError::Unencrypted(shown()));
        }
        Ok(OpenedPeer { server, token_file, documents })
    }
}

/// A checked configuration.
pub(super) struct OpenedPeer {
    pub(super) server: Server,
    pub(super) token_file: Option<TokenFile>,
    pub(super) documents: Documents,
}

/// Why a peering cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The URL is invalid.
    #[error("--peer: {0}")]
    Url(#[from] BadUrl),
    /// Documents would be sent unencrypted to another machine.
    #[error(
        "--peer {0} would send documents unencrypted to another machine; use a wss:// URL, or give --peer-unencrypted \
         if the network is encrypted by other means"
    )]
    Unencrypted(String),
    /// Two peerings have the same host and port.
    #[error("--peer names {0} twice; give each server once")]
    Twice(String),
    /// The token file cannot be used.
    #[error("--peer-token-file {0}")]
    TokenFile(#[from] TokenFileError),
    /// The file of certificates cannot be read.
    #[error("--peer-ca {} cannot be read: {source}; it needs a PEM file that the server's user may read", .path.display())]
    ReadAuthorities {
        /// The file.
        path: PathBuf,
        /// The error of the read.
        source: io::Error,
    },
    /// The file holds no certificate.
    #[error("--peer-ca {}: {source}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: BadCertificate,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(options: PeerOptions) -> String {
        options.open().map(drop).unwrap_err().to_string()
    }

    #[test]
    fn peers_on_other_machines_need_tls_or_a_flag() {
        for url in ["wss://hq.example.com/sync", "ws://127.0.0.1:8000/sync", "ws://localhost/sync"] {
            assert!(PeerOptions::new(url).open().is_ok(), "{url}");
        }
        let plain = PeerOptions::new("ws://hq.example.com/sync");
        assert!(PeerOptions { unencrypted: true, ..plain.clone() }.open().is_ok());
        let plain = error(plain);
        assert!(plain.contains("ws://hq.example.com/sync") && plain.contains("--peer-unencrypted"), "{plain}");
        for url in ["ws://hq.example.com/sync?token=sesame", "https://hq.example.com?token=sesame"] {
            assert!(!error(PeerOptions::new(url)).contains("sesame"), "{url}");
        }
    }

    #[test]
    fn unusable_options_are_explained() {
        let home = tempfile::tempdir().unwrap();
        let empty = home.path().join("empty");
        std::fs::write(&empty, "two words").unwrap();
        let peer = || PeerOptions::new("wss://hq.example.com/sync");
        assert!(error(PeerOptions::new("https://hq.example.com")).starts_with("--peer: \"https://hq.example.com\""));
        let missing = Some(home.path().join("missing"));
        assert!(error(PeerOptions { token_file: missing.clone(), ..peer() }).contains("missing cannot be read"));
        let invalid = error(PeerOptions { token_file: Some(empty.clone()), ..peer() });
        assert!(invalid.contains("not a bearer token") && !invalid.contains("two words"), "{invalid}");
        assert!(error(PeerOptions { authorities: missing, ..peer() }).contains("--peer-ca"));
        assert!(error(PeerOptions { authorities: Some(empty), ..peer() }).contains("no certificate found"));
    }
}
