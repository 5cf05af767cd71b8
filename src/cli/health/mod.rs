//! `health`: asks the server of this machine whether it can store changes, for health checks of containers.

mod own_certificate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::fail;
use super::output::print;
use super::storage::{RuntimeError, runtime};
use crate::cli::config::HealthArgs;

/// Maximum number of bytes read from the answer.
const MAX_ANSWER: usize = 4 << 10;

/// Why the server is not known to be ready.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("nothing answers at {address}: {source}. Name the server's address with --listen ADDR or --port PORT")]
    Connect { address: SocketAddr, source: std::io::Error },
    #[error("{address} does not speak HTTP as expected: {source}. With TLS, give the server's --tls-cert FILE")]
    Http { address: SocketAddr, source: hyper::Error },
    #[error("the TLS connection to {address} failed: {source}. --tls-cert FILE must be the certificate in use")]
    Tls { address: SocketAddr, source: std::io::Error },
    #[error("the certificate in {} cannot be read: {source}", .path.display())]
    Certificate { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("the server at {address} is not ready: {answer}")]
    NotReady { address: SocketAddr, answer: String },
    #[error("the server at {address} has not answered within {} seconds", .limit.as_secs())]
    Timeout { address: SocketAddr, limit: Duration },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Exit code 0: the server is ready.
pub(super) fn run(args: &HealthArgs) -> ExitCode {
    let (address, limit) = (args.address(), args.timeout());
    let answer = runtime().map_err(HealthError::from).and_then(|runtime| {
        let asked = runtime.block_on(async { timeout(limit, ask(args, address)).await });
        asked.unwrap_or(Err(HealthError::Timeout { address, limit }))
    });
    match answer.map(print) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(error),
        Err(error) => fail(error),
    }
}

async fn ask(args: &HealthArgs, address: SocketAddr) -> Result<String, HealthError> {
    let stream = TcpStream::connect(address).await.map_err(|source| HealthError::Connect { address, source })?;
    let Some(path) = &args.tls_cert else { return ready(stream, address).await };
    let config = own_certificate::only(path)?;
    let stream = TlsConnector::from(config).connect(address.ip().into(), stream).await;
    ready(stream.map_err(|source| HealthError::Tls { address, source })?, address).await
}

/// Requests `/readyz` on a connection.
async fn ready<S>(stream: S, address: SocketAddr) -> Result<String, HealthError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |source| HealthError::Http { address, source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static("/readyz");
    if let Ok(host) = address.to_string().parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    driver.abort();
    let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    match status {
        StatusCode::OK => Ok(text),
        status => Err(HealthError::NotReady { address, answer: format!("{status}: {text}") }),
    }
}
