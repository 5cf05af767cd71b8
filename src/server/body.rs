//! Reading the body of a request: bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::timeout;

use super::Problem;

/// Bytes that a body may have. A position is a few hundred.
pub const MAX_BODY: usize = 64 << 10;
/// Of a body that is too large, so much is read before the answer: a client that is cut off while it still sends often
/// reports a broken connection, and never shows the answer.
const MAX_DISCARD: usize = 1 << 20;
/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take for all of it: [`MAX_BODY`] at 1 KiB/s.
const TIME: Duration = Duration::from_secs(64);

/// The whole body.
///
/// # Errors
/// When it is too large, does not come in time, or breaks off.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_DISCARD {
        return Err(too_large());
    }
    timeout(TIME, collect(body))
        .await
        .unwrap_or_else(|_| Err(timed_out(format!("the body did not arrive within {} s", TIME.as_secs()))))
}

fn timed_out(detail: String) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    let mut size = 0;
    loop {
        let next = timeout(SILENCE, body.frame()).await;
        let next = next.map_err(|_| timed_out(format!("nothing of the body came for {} s", SILENCE.as_secs())))?;
        let Some(frame) = next else { break };
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > MAX_DISCARD {
            break;
        }
        if size <= MAX_BODY {
            bytes.extend_from_slice(&data);
        }
    }
    if size > MAX_BODY { Err(too_large()) } else { Ok(bytes.freeze()) }
}

fn too_large() -> Problem {
    let detail = format!("a body of at most {MAX_BODY} bytes is accepted");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
}
