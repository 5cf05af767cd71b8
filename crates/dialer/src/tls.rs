//! Verification of the server's certificate: the authorities of the operating system, and those of the program.

use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, InvalidMessage, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::problem::Problem;
use crate::url::ServerUrl;

/// The authorities that a server's certificate is verified against.
#[derive(Debug)]
pub struct TrustStore {
    authorities: Vec<CertificateDer<'static>>,
    /// Built for the first connection: reading the system's authorities takes some milliseconds.
    config: OnceCell<Arc<ClientConfig>>,
}

impl PartialEq for TrustStore {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
    }
}

impl TrustStore {
    /// Trusts the system's authorities, and these.
    #[must_use]
    pub fn new(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self { authorities, config: OnceCell::new() }
    }

    /// Returns the rustls configuration. A failure is not cached.
    async fn config(&self) -> Result<Arc<ClientConfig>, Problem> {
        let make = || async {
            let authorities = self.authorities.clone();
            offload::run_blocking(move || config(authorities)).await.map(Arc::new)
        };
        self.config.get_or_try_init(make).await.cloned()
    }
}

/// A plain stream (left), or TLS on it.
pub type MaybeTls<S> = Either<S, Box<TlsStream<S>>>;

/// Performs the TLS handshake and verifies the server, if the URL is `wss://`.
///
/// # Errors
/// If the handshake fails, or the certificate is not trusted.
pub async fn encrypt<S>(stream: S, url: &ServerUrl, trust: Option<&TrustStore>) -> Result<MaybeTls<S>, Problem>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (Some(trust), Some(name)) = (trust, &url.tls) else { return Ok(Either::Left(stream)) };
    let connector = TlsConnector::from(trust.config().await?);
    let stream = connector.connect(name.clone(), stream).await.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        cause.map_or_else(|| Problem::Unreachable(error.to_string()), |cause| problem(cause, &url.host))
    })?;
    Ok(Either::Right(Box::new(stream)))
}

/// Builds the configuration. Does blocking I/O.
fn config(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Problem> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let added = roots.add(authority);
        added.map_err(|error| Problem::Untrusted(format!("a given certificate cannot be used: {error}")))?;
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "cannot read some of the system's trusted authorities");
    }
    // Systems contain certificates that can no longer be parsed.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Problem::Untrusted(
            "this system has no trusted authorities; install ca-certificates, or add the server's authority to the trusted certificates"
                .to_owned(),
        ));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| problem(&error, ""))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Describes a failed TLS handshake with `host`.
fn problem(error: &Error, host: &str) -> Problem {
    let why = match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => {
                "its certificate is not signed by a trusted authority; if it has an authority of its own, add that to \
                 the trusted certificates"
                    .to_owned()
            }
            CertificateError::NotValidForName => format!("its certificate is not for {host}"),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("its certificate is not for {host}, but for {}", presented.join(", "))
            }
            CertificateError::Expired => "its certificate has expired".to_owned(),
            CertificateError::ExpiredContext { time, not_after } => {
                format!("its certificate expired on {} (today is {})", day(*not_after), day(*time))
            }
            CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
            CertificateError::NotValidYetContext { time, not_before } => {
                format!("its certificate is not valid before {} (today is {})", day(*not_before), day(*time))
            }
            error if error.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's; the server \
                needs one of its own, signed by the authority or by itself (with basicConstraints CA:FALSE)"
                    .to_owned()
            }
            error => format!("its certificate is invalid: {error}"),
        },
        Error::NoCertificatesPresented => "it has no certificate".to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return Problem::Unreachable("it does not speak TLS; its URL may begin with ws://".to_owned());
        }
        error => return Problem::Unreachable(format!("the TLS handshake failed: {error}")),
    };
    Problem::Untrusted(why)
}

/// Formats the date, in UTC.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "an unknown date".to_owned(), |moment| moment.strftime("%Y-%m-%d").to_string())
}
