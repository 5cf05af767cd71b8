//! From an HTTP request to a WebSocket: the handshake of RFC 6455, answered here so that the socket's buffers and its
//! end are ours to decide (see [`super::socket`]).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use runtime::byte_counter::CountedStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::inbound::Inbound;
use super::stream::{Stream, Writer, split};

/// A WebSocket over an upgraded HTTP connection.
pub struct Socket {
    /// Messages come in here.
    pub inbound: Inbound,
    /// Frames ([`super::outbound`]) go out here.
    pub writer: Writer,
}

/// A request that asks for a WebSocket.
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl Upgrade {
    /// Takes the upgrade out of a request. None: the request does not ask for one, or not properly.
    pub fn of<B>(request: &mut Request<B>) -> Option<Self> {
        if !Self::is_well_asked_for(request) {
            return None;
        }
        let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        Some(Self { on_upgrade, accept })
    }

    /// Whether a request asks for a WebSocket, well or not.
    #[must_use]
    pub fn is_asked_for(headers: &HeaderMap) -> bool {
        lists(headers, &header::UPGRADE, "websocket")
    }

    /// Whether a request is a handshake that would succeed.
    #[must_use]
    pub fn is_well_asked_for<B>(request: &Request<B>) -> bool {
        let headers = request.headers();
        request.method() == Method::GET
            && request.version() >= Version::HTTP_11
            && lists(headers, &header::CONNECTION, "upgrade")
            && lists(headers, &header::UPGRADE, "websocket")
            && headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13")
            && headers.contains_key(header::SEC_WEBSOCKET_KEY)
            && request.extensions().get::<OnUpgrade>().is_some()
    }

    /// The answer to the request, and the socket to be.
    /// `subprotocol`: the one that was picked of those offered.
    pub fn accept(
        self,
        max_message: usize,
        subprotocol: Option<HeaderValue>,
    ) -> (Response<Body>, impl Future<Output = Option<Socket>>) {
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
            let upgraded = self.on_upgrade.await.inspect_err(|error| tracing::debug!(%error, "no upgrade")).ok()?;
            // The very type that `super::listen` serves connections with.
            let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<CountedStream<Stream>>>() else {
                tracing::error!("an upgraded connection is of an unknown kind");
                return None;
            };
            let (reader, writer) = split(io.into_inner().into_inner());
            // What came right behind the handshake was read with it.
            Some(Socket { inbound: Inbound::new(reader, read_buf.to_vec(), max_message), writer })
        };
        (response, socket)
    }
}

fn lists(headers: &HeaderMap, name: &header::HeaderName, wanted: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted)))
    })
}
