//! TLS: the server's certificate and key as they are in their files, and the handshake that begins a connection.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;

/// HTTP/2 has no WebSockets to speak of, so it is not offered.
const PROTOCOL: &[u8] = b"http/1.1";
/// How long somebody without TLS may take to hear that.
const GOODBYE: Duration = Duration::from_secs(1);
/// What is discarded of what they send meanwhile.
const MAX_DISCARD: u64 = 64 << 10;
/// Encrypted bytes that wait for a socket, beside those that the system takes: of a client that does not read, all else waits
/// where it is shared with others.
const MAX_UNSENT: usize = 16 << 10;
/// What they are told.
const SPEAK_TLS: &str = "This port speaks TLS: ask for https:// here, not http:// (and wss:// instead of ws://).\n";

/// The files that say who the server is. Both are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and then those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What connections are encrypted with. Cheap to clone, and all clones are reloaded at once.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

/// Why the files are not what a server can show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}; {flag} needs a PEM file that the server's user may read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What it was given with.
        flag: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It is damaged.
    #[error("{} is damaged: {source:?}; {flag} needs a whole PEM file", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it was given with.
        flag: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// No certificate.
    #[error(
        "there is no certificate in {}: --tls-cert needs a PEM file with the server's certificate \
         (-----BEGIN CERTIFICATE-----), and those that it was signed with after it", .0.display()
    )]
    NoCertificate(PathBuf),
    /// No key.
    #[error(
        "there is no private key in {}: --tls-key needs a PEM file with one (-----BEGIN PRIVATE KEY-----)", .0.display()
    )]
    NoKey(PathBuf),
    /// A key with a password.
    #[error(
        "the private key in {} is encrypted, and nobody is there to type its password: decrypt it (openssl pkey -in \
         FILE -out KEY) into a file that only the server's user may read, and give that with --tls-key", .0.display()
    )]
    EncryptedKey(PathBuf),
    /// A key of an unknown kind.
    #[error(
        "the private key in {} cannot be used: {source}; what can be is RSA with 2048 bits or more, ECDSA on P-256, \
         P-384 or P-521, and Ed25519", .path.display()
    )]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// A certificate of an unknown kind.
    #[error(
        "the first certificate in {} cannot be used: {source}; it must be the server's own, in version 3 of X.509",
        .path.display()
    )]
    UnusableCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// They are not a pair.
    #[error(
        "the private key in {} is not that of the first certificate in {}: give the two that were made together; the \
         server's own certificate comes before those that it was signed with", .key.display(), .certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Nothing to do with the files.
    #[error("TLS cannot be set up: {0}")]
    Setup(Error),
}

/// Why a connection did not get as far as its first encrypted byte.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It was closed before anything came: those who only look whether a port is open.
    #[error("closed without a word")]
    Silent,
    /// It was told to use TLS.
    #[error("plain HTTP where TLS is spoken")]
    PlainHttp,
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Tls {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// When there is anything wrong with them.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let config = Arc::new(RwLock::new(Arc::new(read(&files)?)));
        Ok(Self { files: Arc::new(files), config })
    }

    /// Reads the files again: connections from now on are shown what is there now. Those that stand go on.
    ///
    /// # Errors
    /// When there is anything wrong with them. Then everything stays as it is.
    pub async fn reload(&self) -> Result<(), TlsError> {
        let files = Arc::clone(&self.files);
        // They may be on somebody else's disk.
        let config = match tokio::task::spawn_blocking(move || read(&files)).await {
            Ok(config) => config?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        };
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// Where the certificate is read from.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    /// Makes an encrypted connection of a fresh one. A client that speaks plain HTTP is told to use TLS.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn accept(&self, mut socket: TcpStream) -> Result<Stream, HandshakeError> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(HandshakeError::Silent);
        }
        // TLS begins with a record's type (22); HTTP with the name of a method.
        if first[0].is_ascii_alphabetic() {
            let _ = timeout(GOODBYE, decline(&mut socket)).await;
            return Err(HandshakeError::PlainHttp);
        }
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let mut stream = TlsAcceptor::from(config).accept(socket).await?;
        stream.get_mut().1.set_buffer_limit(Some(MAX_UNSENT));
        Ok(Stream::Right(Box::new(stream)))
    }
}

/// Answers a plain HTTP request, and waits until the answer was read: a socket that is closed before may take the answer with it.
async fn decline(socket: &mut TcpStream) -> io::Result<()> {
    let length = SPEAK_TLS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{SPEAK_TLS}"
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    tokio::io::copy(&mut socket.take(MAX_DISCARD), &mut tokio::io::sink()).await?;
    Ok(())
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let (certificates, key) = (certificates(&files.certificate)?, key(&files.key)?);
    let provider = aws_lc_rs::default_provider();
    let certified = CertifiedKey::from_der(certificates, key, &provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        source @ Error::InvalidCertificate(_) => {
            TlsError::UnusableCertificate { path: files.certificate.clone(), source }
        }
        source => TlsError::UnusableKey { path: files.key.clone(), source },
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::Setup)?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Whoever comes back is spared the signature, and nothing is kept for it here. The secret is new with each reading of
    // the files, so that nobody goes on with a certificate that was replaced.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let flag = "--tls-cert";
    let text = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), flag, source })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|source| TlsError::Pem { path: path.to_owned(), flag, source })?;
    if certificates.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(certificates) }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let flag = "--tls-key";
    let text = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), flag, source })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| match source {
        // In the name of the section (PKCS#8), or in a line of its own in it.
        _ if text.windows(9).any(|word| word == b"ENCRYPTED") => TlsError::EncryptedKey(path.to_owned()),
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        source => TlsError::Pem { path: path.to_owned(), flag, source },
    })
}
