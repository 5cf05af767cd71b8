//! TLS: certificate and key, which are reloaded from their files, and the handshake of a connection.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offload::run_blocking;
use parking_lot::RwLock;
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
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::byte_stream::{ByteStream, MAX_UNSENT};

/// The only ALPN protocol. HTTP/2 is not offered: few clients support WebSockets over it.
const PROTOCOL: &[u8] = b"http/1.1";
/// Time limit for the answer to a plain HTTP request.
const PLAIN_HTTP_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum bytes of a plain HTTP request that are discarded after the answer.
const MAX_DISCARD: u64 = 64 << 10;
/// The answer to a plain HTTP request.
const USE_TLS: &str = "This port requires TLS: use https:// instead of http://, and wss:// instead of ws://.\n";

/// The PEM files of the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key of the server's certificate.
    pub key: PathBuf,
}

/// The TLS configuration of a server. [`reload`](Self::reload) affects all clones.
#[derive(Debug, Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    loaded: Arc<RwLock<Loaded>>,
}

/// What was read from the files.
#[derive(Debug, Clone)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// When the first of the certificates expires, in seconds since 1970. `None` if that cannot be read.
    expires: Option<u64>,
}

/// Why certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}; {flag} needs a PEM file that the server's user may read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The flag that names the file.
        flag: &'static str,
        /// The error of the read.
        source: io::Error,
    },
    /// A file is not valid PEM.
    #[error("{} is damaged: {source:?}; {flag} needs a whole PEM file", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The flag that names the file.
        flag: &'static str,
        /// The error of the parser.
        source: pem::Error,
    },
    /// The file holds no certificate.
    #[error(
        "there is no certificate in {}: --tls-cert needs a PEM file with the server's certificate \
         (-----BEGIN CERTIFICATE-----), followed by the certificates that it was signed with", .0.display()
    )]
    NoCertificate(PathBuf),
    /// The file holds no private key.
    #[error(
        "there is no private key in {}: --tls-key needs a PEM file with one (-----BEGIN PRIVATE KEY-----)", .0.display()
    )]
    NoKey(PathBuf),
    /// The private key is protected by a password.
    #[error(
        "the private key in {} is encrypted, and the server cannot ask for its password: decrypt it (openssl pkey -in \
         FILE -out KEY) into a file that only the server's user may read, and give that with --tls-key", .0.display()
    )]
    EncryptedKey(PathBuf),
    /// The algorithm of the private key is not supported.
    #[error(
        "the private key in {} cannot be used: {source}; supported are RSA with 2048 bits or more, ECDSA on P-256, \
         P-384 or P-521, and Ed25519", .path.display()
    )]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// The error of the TLS library.
        source: Error,
    },
    /// The certificate is not supported.
    #[error(
        "the first certificate in {} cannot be used: {source}; it must be the server's own, in version 3 of X.509",
        .path.display()
    )]
    UnusableCertificate {
        /// The file.
        path: PathBuf,
        /// The error of the TLS library.
        source: Error,
    },
    /// The private key belongs to another certificate.
    #[error(
        "the private key in {} does not match the first certificate in {}: give the two that were made together; the \
         server's own certificate comes before those that it was signed with", .key.display(), .certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The TLS library failed, independent of the files.
    #[error("TLS cannot be set up: {0}")]
    Setup(Error),
}

/// Why a TLS handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client closed the connection before it sent anything, as port scans and health checks do.
    #[error("closed before the first byte")]
    Silent,
    /// The client sent plain HTTP, and was told to use TLS.
    #[error("plain HTTP on a TLS port")]
    PlainHttp,
    /// Any other failure.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Tls {
    /// Reads the files. Blocks the thread.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = Arc::new(RwLock::new(read(&files)?));
        Ok(Self { files: Arc::new(files), loaded })
    }

    /// Reads the files again. New connections use the new certificate; established ones are not affected.
    ///
    /// # Errors
    /// If a file cannot be read or used. The configuration then stays as it was.
    pub async fn reload(&self) -> Result<(), TlsError> {
        let files = Arc::clone(&self.files);
        let loaded = run_blocking(move || read(&files)).await?;
        *self.loaded.write() = loaded;
        Ok(())
    }

    /// When the first of the certificates expires, in seconds since 1970. `None` if that cannot be read.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.loaded.read().expires
    }

    /// The file of the certificate.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.files.certificate
    }

    /// Performs the server side of the handshake. Clients that send plain HTTP are told to use TLS.
    ///
    /// # Errors
    /// If the handshake fails.
    pub async fn accept(&self, mut socket: TcpStream) -> Result<ByteStream, HandshakeError> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(HandshakeError::Silent);
        }
        // The first byte of TLS is a record type (22), that of HTTP a letter of the method.
        if first[0].is_ascii_alphabetic() {
            let _ = timeout(PLAIN_HTTP_TIMEOUT, reject_plain_http(&mut socket)).await;
            return Err(HandshakeError::PlainHttp);
        }
        let config = Arc::clone(&self.loaded.read().config);
        let mut stream = TlsAcceptor::from(config).accept(socket).await?;
        stream.get_mut().1.set_buffer_limit(Some(MAX_UNSENT));
        Ok(ByteStream::Right(Box::new(stream.into())))
    }
}

/// Answers a plain HTTP request, and reads until the client closes: closing a socket with unread bytes could drop the answer.
async fn reject_plain_http(socket: &mut TcpStream) -> io::Result<()> {
    let length = USE_TLS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{USE_TLS}"
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    tokio::io::copy(&mut socket.take(MAX_DISCARD), &mut tokio::io::sink()).await?;
    Ok(())
}

fn read(files: &TlsFiles) -> Result<Loaded, TlsError> {
    let (certificates, key) = (certificates(&files.certificate)?, key(&files.key)?);
    let expires = certificates.iter().filter_map(expiry).min();
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
    // Session tickets resume a session without a signature and without state on the server. Each load of the files creates a
    // new secret, so that no session of a replaced certificate is resumed.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
    Ok(Loaded { config: Arc::new(config), expires })
}

/// When a certificate expires, in seconds since 1970.
fn expiry(certificate: &CertificateDer<'_>) -> Option<u64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
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
        // In the label of the section (PKCS#8), or in a header line.
        _ if text.windows(9).any(|word| word == b"ENCRYPTED") => TlsError::EncryptedKey(path.to_owned()),
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        source => TlsError::Pem { path: path.to_owned(), flag, source },
    })
}
