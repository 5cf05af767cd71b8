//! From a connection to a WebSocket: the client's half of RFC 6455's handshake.
//!
//! Not tungstenite's, which writes the whole request to the log (at the level `trace`): the request holds the token.

use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::Problem;
use super::url::ServerUrl;

/// Bytes of a refusal that are read, and characters of it that are told.
const MAX_WORDS: usize = 4 << 10;
const MAX_TOLD: usize = 200;

/// Asks for a WebSocket, and shows who asks.
pub(super) async fn ask<S>(
    stream: S,
    url: &ServerUrl,
    authorization: Option<HeaderValue>,
    config: WebSocketConfig,
) -> Result<WebSocketStream<S>, Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = |error: hyper::Error| match error.is_parse() {
        true => Problem::Handshake("it does not answer as an HTTP server does".to_owned()),
        false => Problem::Unreachable(error.to_string()),
    };
    let key = generate_key();
    let mut request = Request::get(&url.path)
        .header(header::HOST, &url.authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    // What is checked when the address is given is what could be wrong here.
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| Problem::Unreachable(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let mut connection = pin!(connection.with_upgrades());
    let response = beside(connection.as_mut(), sender.send_request(request)).await.map_err(lost)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(beside(connection, refusal(response)).await);
    }
    let headers = response.headers();
    let is = |name: HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted)))
    };
    let accepted = headers.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if !is(header::CONNECTION, "upgrade")
        || !is(header::UPGRADE, "websocket")
        || accepted != Some(derive_accept_key(key.as_bytes()).as_bytes())
        || has_more(headers)
    {
        return Err(Problem::Handshake("it answers the handshake with another".to_owned()));
    }
    let upgraded = beside(connection, hyper::upgrade::on(response)).await.map_err(lost)?;
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else {
        return Err(Problem::Handshake("its connection cannot be taken over".to_owned()));
    };
    let (stream, early) = (parts.io.into_inner(), parts.read_buf.to_vec());
    Ok(WebSocketStream::from_partially_read(stream, early, Role::Client, Some(config)).await)
}

/// Whether the server wants what was not offered.
fn has_more(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
}

/// Does what needs the connection to go on meanwhile.
async fn beside<T>(mut connection: Pin<&mut impl Future>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ended = false;
    loop {
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            // Whoever waits for more of it hears so.
            _ = connection.as_mut(), if !ended => ended = true,
        }
    }
}

/// Anything but a WebSocket, with the first of its words if they are for people.
async fn refusal(response: Response<Incoming>) -> Problem {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("text/plain");
    let body = Limited::new(response.into_body(), MAX_WORDS).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let words = String::from_utf8_lossy(&body);
    let words = words.lines().next().filter(|words| is_text && !words.trim().is_empty());
    let words: String =
        words.unwrap_or_default().chars().filter(|letter| !letter.is_control()).take(MAX_TOLD).collect();
    let message = match &*words {
        "" => format!("it answers {status}"),
        words => format!("it answers {status}: {words}"),
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::Refused { code: None, message },
        _ => Problem::Handshake(message),
    }
}
