//! HTTP over one keep-alive connection.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use hyper::http::request::Builder;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use crate::Fallible;

/// A connection.
pub struct Http {
    server: String,
    sender: SendRequest<Full<Bytes>>,
}

/// A complete response.
pub struct Answer {
    pub status: u16,
    pub etag: Option<String>,
    pub body: Bytes,
}

impl Http {
    pub async fn connect(server: SocketAddr) -> Fallible<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST, server).await
    }

    /// Connects from one of this machine's loopback addresses.
    pub async fn connect_from(from: Ipv4Addr, server: SocketAddr) -> Fallible<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { server: server.to_string(), sender })
    }

    /// Sends a GET request, with the `ETag` of a cached response if there is one.
    pub async fn get(&mut self, path: &str, known: Option<&str>) -> Fallible<Answer> {
        let mut request = self.request(Method::GET, path);
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        self.send(request.body(Full::default())?).await
    }

    /// Sends JSON. A response other than 2xx is an error.
    pub async fn send_json(&mut self, method: Method, path: &str, json: &serde_json::Value) -> Fallible<Answer> {
        let request =
            self.request(method, path).header(CONTENT_TYPE, "application/json").body(Full::from(json.to_string()))?;
        let answer = self.send(request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)).into());
        }
        Ok(answer)
    }

    /// A request to this server without a body.
    pub fn request(&self, method: Method, path: &str) -> Builder {
        Request::builder().method(method).uri(path).header(HOST, &self.server)
    }

    /// Sends a request, and reads the whole response.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Fallible<Answer> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let etag = head.headers.get(ETAG).and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        Ok(Answer { status: head.status.as_u16(), etag, body: body.collect().await?.to_bytes() })
    }
}
