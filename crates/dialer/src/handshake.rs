//! The client side of the WebSocket handshake (RFC 6455).
//!
//! Replaces tungstenite's handshake, which logs the whole request, and with it the token, at the level `trace`.

use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::problem::Problem;
use crate::url::ServerUrl;

/// Maximum number of bytes read from the body of a rejection.
const MAX_BODY: usize = 4 << 10;
/// Maximum number of characters of that body in the error message.
const MAX_MESSAGE: usize = 200;

/// Upgrades a connection to a WebSocket. Returns the stream, and the bytes after the handshake that were already read from it.
///
/// # Errors
/// If the server refuses, or does not speak WebSocket.
pub async fn upgrade<S>(stream: S, url: &ServerUrl, authorization: Option<HeaderValue>) -> Result<(S, Vec<u8>), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = |error: hyper::Error| match error.is_parse() {
        true => Problem::Handshake("it does not speak HTTP".to_owned()),
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
    // Cannot fail in practice: the URL was validated.
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| Problem::Unreachable(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let mut connection = pin!(connection.with_upgrades());
    let response = drive(connection.as_mut(), sender.send_request(request)).await.map_err(lost)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(drive(connection, refusal(response)).await);
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
        || has_unoffered(headers)
    {
        return Err(Problem::Handshake("its answer to the handshake is invalid".to_owned()));
    }
    let upgraded = drive(connection, hyper::upgrade::on(response)).await.map_err(lost)?;
    let Ok(parts) = upgraded.downcast::<TokioIo<S>>() else {
        return Err(Problem::Handshake("the connection cannot be upgraded".to_owned()));
    };
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}

/// Whether the server selected an extension or subprotocol that was not offered.
fn has_unoffered(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
}

/// Runs `work` while the connection task makes progress.
async fn drive<T>(mut connection: Pin<&mut impl Future>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut ended = false;
    loop {
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            // `work` gets an error if it needs more of the connection.
            _ = connection.as_mut(), if !ended => ended = true,
        }
    }
}

/// Converts an answer other than 101 into an error, with the first line of a plain text body.
async fn refusal(response: Response<Incoming>) -> Problem {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_text = kind.starts_with("text/plain");
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let line = text.lines().next().filter(|line| is_text && !line.trim().is_empty());
    let line: String =
        line.unwrap_or_default().chars().filter(|letter| !letter.is_control()).take(MAX_MESSAGE).collect();
    let message = match &*line {
        "" => format!("it answers {status}"),
        line => format!("it answers {status}: {line}"),
    };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Problem::Refused { code: None, message },
        _ => Problem::Handshake(message),
    }
}
