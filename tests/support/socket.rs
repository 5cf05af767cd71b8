//! A WebSocket client that reads and writes single frames.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::PATIENCE;

/// Opens a socket to a server at this address.
pub async fn socket_to(address: SocketAddr, path: &str) -> Socket {
    connect_to(&format!("ws://{address}{path}"), &[], None).await
}

/// Opens a socket at this URL, over TLS if given.
pub async fn connect_to(url: &str, headers: &[(&str, &str)], tls: Option<Arc<ClientConfig>>) -> Socket {
    let mut request = ClientRequestBuilder::new(url.parse().expect("a URL"));
    for (name, value) in headers {
        request = request.with_header(*name, *value);
    }
    let connecting = connect_async_tls_with_config(request, None, false, tls.map(Connector::Rustls));
    let (stream, _) = timeout(PATIENCE, connecting).await.expect("in time").expect("connects");
    Socket::new(stream)
}

/// A WebSocket.
pub struct Socket {
    /// The close frame of the server, once received.
    pub closed_with: Option<CloseFrame>,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    read: VecDeque<Message>,
}

impl Socket {
    pub fn new(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { closed_with: None, stream, read: VecDeque::new() }
    }

    pub async fn send(&mut self, message: impl Into<Message>) {
        timeout(PATIENCE, self.stream.send(message.into())).await.expect("in time").expect("sent");
    }

    /// Sends, and ignores that the server may have closed the socket.
    pub async fn try_send(&mut self, message: impl Into<Message>) {
        let _ = timeout(PATIENCE, self.stream.send(message.into())).await;
    }

    /// The next text or binary frame; `None` after the close.
    pub async fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.read.pop_front() {
            return Some(message);
        }
        // Pings do not extend the deadline.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(deadline, self.stream.next()).await.expect("a frame arrives in time");
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Some(message),
                Some(Ok(Message::Close(frame))) => {
                    self.closed_with = frame;
                    return None;
                }
                Some(Err(_)) | None => return None,
                Some(Ok(Message::Frame(_))) => unreachable!("never read"),
            }
        }
    }

    /// The next frame of any kind, including pings; `None` when the connection has ended.
    pub async fn next_raw(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.stream.next()).await.expect("a frame arrives in time")?.ok()
    }

    /// The next text frame, as JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("a text frame, not {other:?}"),
        }
    }

    /// Reads to the end. Returns the close frame, if there was one.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Drops the connection without a close frame.
    pub fn abort(self) {
        drop(self);
    }
}

/// A frame of the Angular client: JSON in a JSON string.
pub fn wrapped(inner: &Value) -> String {
    Value::from(inner.to_string()).to_string()
}

/// The `add` frame of the Angular client.
pub fn add(designation: &str) -> String {
    wrapped(&serde_json::json!(["add", designation, "Engineering", "50000", "Ahmedabad"]))
}
