//! By what a server is known: the authorities that this computer trusts, and those that the program names.

use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, InvalidMessage, RootCertStore};
use tokio::sync::OnceCell;

use super::Problem;

/// What a server that speaks TLS has to prove.
#[derive(Debug)]
pub(super) struct Trust {
    authorities: Vec<CertificateDer<'static>>,
    /// Made for the first connection: reading what this computer trusts takes some milliseconds.
    config: OnceCell<Arc<ClientConfig>>,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
    }
}

impl Trust {
    /// In what this computer trusts, and in these.
    pub(super) fn new(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self { authorities, config: OnceCell::new() }
    }

    /// As rustls takes it. What does not work is tried again the next time.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Problem> {
        let make = || async {
            let authorities = self.authorities.clone();
            match tokio::task::spawn_blocking(move || config(authorities)).await {
                Ok(config) => config.map(Arc::new),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is going down, and whoever waits here goes down with it.
                Err(_) => std::future::pending().await,
            }
        };
        self.config.get_or_try_init(make).await.cloned()
    }
}

/// Blocks.
fn config(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Problem> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let added = roots.add(authority);
        added.map_err(|error| Problem::Untrusted(format!("a certificate to know it by cannot be used: {error}")))?;
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the authorities that this computer trusts cannot be read");
    }
    // Computers carry some that nobody can use any more.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Problem::Untrusted(
            "this computer names no authority that it trusts: install its list of them (ca-certificates), or name the \
             server's authority"
                .to_owned(),
        ));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| problem(&error, ""))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Why there is no encrypted connection to `host`, in words.
pub(super) fn problem(error: &Error, host: &str) -> Problem {
    let why = match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => {
                "nobody whom this computer trusts has signed its certificate; if it has \
                an authority of its own, name that"
                    .to_owned()
            }
            CertificateError::NotValidForName => format!("its certificate is not for {host}"),
            CertificateError::NotValidForNameContext { presented, .. } => {
                format!("its certificate is not for {host}, but for {}", presented.join(", "))
            }
            CertificateError::Expired => "its certificate has expired".to_owned(),
            CertificateError::ExpiredContext { time, not_after } => {
                format!("its certificate has expired: it was good until {}, and it is {}", day(*not_after), day(*time))
            }
            CertificateError::NotValidYet => "its certificate is not good yet".to_owned(),
            CertificateError::NotValidYetContext { time, not_before } => {
                format!("its certificate is not good before {}, and it is {}", day(*not_before), day(*time))
            }
            error if error.to_string().contains("CaUsedAsEndEntity") => "its certificate is that of an authority: it \
                needs one of its own, signed by that or by itself (with basicConstraints CA:FALSE)"
                .to_owned(),
            error => format!("its certificate is not good: {error}"),
        },
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return Problem::Unreachable("it does not speak TLS: maybe its address begins with ws://".to_owned());
        }
        error => return Problem::Unreachable(format!("no encrypted connection can be made: {error}")),
    };
    Problem::Untrusted(why)
}

/// A day of the calendar, in UTC.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "another age".to_owned(), |moment| moment.strftime("%Y-%m-%d").to_string())
}
