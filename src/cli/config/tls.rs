//! TLS flags of the server.

use std::path::PathBuf;

use clap::Args;

use crate::server::TlsFiles;

/// TLS flags. Each requires the other.
#[derive(Debug, Clone, Args)]
pub struct TlsArgs {
    /// Serve TLS on all addresses with this certificate chain (PEM, the server's certificate first). Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM, unencrypted). Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Returns the certificate and key files; `None` disables TLS.
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
    use crate::cli::config::Cli;

    #[test]
    fn certificate_and_key_require_each_other() {
        let files =
            |flags: &[&str]| Cli::try_parse_from([&["happierwork"], flags].concat()).map(|cli| cli.serve.tls.files());
        assert_eq!(files(&[]).expect("parses"), None);
        let both = files(&["--tls-cert=a.pem", "--tls-key=b.pem"]).expect("parses");
        assert_eq!(both, Some(TlsFiles { certificate: "a.pem".into(), key: "b.pem".into() }));
        for one in ["--tls-cert=a.pem", "--tls-key=b.pem"] {
            let error = files(&[one]).expect_err("the other is missing").to_string();
            assert!(error.contains("--tls-cert") || error.contains("--tls-key"), "{error}");
        }
    }
}
