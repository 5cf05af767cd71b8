//! The flags of TLS.

use std::path::PathBuf;

use clap::Args;

use crate::server::TlsFiles;

/// Flags of TLS: both, or none.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Speak TLS on all addresses, with this certificate: PEM, the server's own first, then those that it was signed with.
    /// Read again on SIGHUP
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key: PEM, not encrypted. Read again on SIGHUP
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// As the server takes them.
    #[must_use]
    pub fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Cli;

    #[test]
    fn a_certificate_goes_with_a_key() {
        let files =
            |flags: &[&str]| Cli::try_parse_from([&["happierwork"], flags].concat()).map(|cli| cli.serve.tls.files());
        assert_eq!(files(&[]).expect("parses"), None);
        let both = files(&["--tls-cert=a.pem", "--tls-key=b.pem"]).expect("parses");
        assert_eq!(both, Some(TlsFiles { certificate: "a.pem".into(), key: "b.pem".into() }));
        for one in ["--tls-cert=a.pem", "--tls-key=b.pem"] {
            let error = files(&[one]).expect_err("one alone").to_string();
            assert!(error.contains("--tls-cert") || error.contains("--tls-key"), "{error}");
        }
    }
}
