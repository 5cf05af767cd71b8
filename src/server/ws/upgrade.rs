//! The WebSocket handshake (RFC 6455). It is implemented here, and not by axum, so that [`connection`](super::connection)
//! controls the buffers and the end of the socket.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use runtime::byte_counter::CountedStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::inbound::Inbound;
use crate::server::header_tokens::lists_token;
use crate::server::transport::byte_stream::{ByteStream, ByteWriter, split};

/// A WebSocket on an upgraded HTTP connection, of a client or to a server.
pub struct WebSocket {
    /// Incoming messages.
    pub inbound: Inbound,
    /// Destination of the frames in [`Outbound`](super::outbound::Outbound).
    pub writer: ByteWriter,
    /// The role of this server: in the role of the client, it masks its frames.
    pub role: Role,
}

impl WebSocket {
    /// A WebSocket on a connection whose handshake is complete. `early`: bytes after the handshake that were already read.
    #[must_use]
    pub fn new(stream: ByteStream, early: Vec<u8>, max_message: usize, role: Role) -> Self {
        let (reader, writer) = split(stream);
        Self { inbound: Inbound::new(reader, early, max_message, role), writer, role }
    }
}

/// A valid handshake request that has not been answered yet.
pub struct WebSocketUpgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl WebSocketUpgrade {
    /// Takes the upgrade out of a request. `None` if the request is not a valid handshake.
    pub fn from_request<B>(request: &mut Request<B>) -> Option<Self> {
        if !Self::is_valid_request(request) {
            return None;
        }
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        Some(Self { on_upgrade, accept })
    }

    /// Whether a request asks for a WebSocket, even if the handshake is not valid.
    #[must_use]
    pub fn is_requested(headers: &HeaderMap) -> bool {
        lists_token(headers, &header::UPGRADE, "websocket")
    }

    /// Whether a request is a valid handshake.
    #[must_use]
    pub fn is_valid_request<B>(request: &Request<B>) -> bool {
        let headers = request.headers();
        request.method() == Method::GET
            && request.version() >= Version::HTTP_11
            && lists_token(headers, &header::CONNECTION, "upgrade")
            && lists_token(headers, &header::UPGRADE, "websocket")
            && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
            && headers.contains_key(header::SEC_WEBSOCKET_KEY)
            && request.extensions().get::<OnUpgrade>().is_some()
    }

    /// Returns the response to the handshake, and a future that yields the socket once the response is sent. `subprotocol`: the
    /// subprotocol selected from the client's offer.
    pub fn accept(
        self,
        max_message: usize,
        subprotocol: Option<HeaderValue>,
    ) -> (Response<Body>, impl Future<Output = Option<WebSocket>>) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(subprotocol) = subprotocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        }
        let socket = async move {
            let upgraded =
                self.on_upgrade.await.inspect_err(|error| tracing::debug!(%error, "the upgrade failed")).ok()?;
            // The type of the connections in `transport::listen`.
            let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<CountedStream<ByteStream>>>() else {
                tracing::error!("an upgraded connection has an unexpected type");
                return None;
            };
            // hyper may have read frames that followed the handshake.
            Some(WebSocket::new(io.into_inner().into_inner(), read_buf.to_vec(), max_message, Role::Server))
        };
        (response, socket)
    }
}
