//! HTTP requests, each on a connection of its own, with or without TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Returns status, headers and the body as text.
    pub fn into_parts(self) -> (u16, HeaderMap, String) {
        (self.status.as_u16(), self.headers, String::from_utf8_lossy(&self.body).into_owned())
    }

    /// Returns a header's value; empty without the header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts the status, and returns the body as JSON (null if it is empty).
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Asserts that the answer is a problem with this status, and returns the field that it names.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {problem}");
        }
        problem["field"].as_str().unwrap_or_default().to_owned()
    }
}

/// Posts JSON. Returns the status and the answer, which must be JSON.
pub async fn post_to(address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let stream = TcpStream::connect(address).await.expect("connects");
    let answer = request_over(stream, address, "POST", path, &headers, body.to_string()).await;
    (answer.status.as_u16(), answer.json())
}

/// Sends a request. Returns status, headers and body.
pub async fn http_to(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, String) {
    let stream = TcpStream::connect(address).await.expect("connects");
    http_over(stream, address, method, path, headers, body).await
}

/// Sends a request over an established connection. Returns status, headers and body.
pub async fn http_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, String) {
    request_over(stream, address, method, path, headers, body).await.into_parts()
}

/// Sends a request over an established connection. The `Host` header is `address` unless `headers` has one.
pub async fn request_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header("host", address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("speaks HTTP");
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.expect("answers").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// Performs a TLS handshake on a connection. The certificate must be for the peer's IP address.
pub async fn encrypted(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::from(stream.peer_addr()?.ip());
    let handshake = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, stream);
    timeout(PATIENCE, handshake).await.expect("in time")
}
