//! Reads and decompresses request bodies, within limits of size and time.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use limits::Payer;
use offload::run_cpu_bound;
use runtime::hub::Unavailable;
use runtime::memory_budget::BodyReservation;
use runtime::metrics::RefusalReason;
use tokio::time::timeout;

use super::{App, Problem};

/// Maximum size of an ordinary body in bytes, both compressed and decompressed. A position has a few hundred.
pub const MAX_BODY: usize = 64 << 10;
/// The same for a body with many positions.
pub const MAX_BATCH: usize = 1 << 20;
/// The same for a file to import.
pub const MAX_IMPORT: usize = 64 << 20;
/// Bytes of an oversized body that are read before the response. A client that is cut off while it sends often reports a
/// broken connection instead of the response.
const MAX_DISCARD: usize = 1 << 20;
/// Maximum time between two parts of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for a whole body of [`MAX_BODY`], at 1 KiB/s. Each further part of this size may take another second.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(64);

/// The compression of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

/// A body that may be large. What exceeds [`MAX_BODY`] counts in the memory budget until it is dropped.
pub struct LargeBody {
    bytes: Bytes,
    reservation: BodyReservation,
}

impl LargeBody {
    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The content, which no longer counts in the memory budget.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Reserves memory for what is read from the content: this many times its size, in place of its size.
    ///
    /// # Errors
    /// When the memory budget is used up.
    pub fn reserve_for_reading(&mut self, app: &App, times: usize) -> Result<(), Problem> {
        if self.bytes.len() > MAX_BODY { reserve(app, &mut self.reservation, self.bytes.len() * times) } else { Ok(()) }
    }
}

/// Reads the whole body, and decompresses it according to `Content-Encoding`.
///
/// # Errors
/// When the body is too large, incomplete or late, or its encoding is unsupported.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let encoding = Encoding::of(headers)?;
    let bytes = collect_in_time(body, MAX_BODY, |_| Ok(())).await?;
    encoding.decode(bytes, MAX_BODY)
}

/// Like [`read`], up to `max` bytes. Memory is charged to `payer`.
///
/// # Errors
/// As for [`read`], and when the memory budget, or the payer's share, is used up.
pub async fn read_large(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    max: usize,
    payer: Option<Payer>,
) -> Result<LargeBody, Problem> {
    let encoding = Encoding::of(headers)?;
    let LargeBody { bytes, mut reservation } = receive(app, body, max, payer).await?;
    let bytes = match encoding {
        Encoding::Identity => bytes,
        Encoding::Gzip => {
            let inflated = run_cpu_bound(|| encoding.decode(bytes, max))?;
            reserve(app, &mut reservation, inflated.len())?;
            inflated
        }
    };
    Ok(LargeBody { bytes, reservation })
}

/// Reads the whole body as it was sent, up to `max` bytes.
///
/// # Errors
/// When the body is too large, incomplete or late, and when the memory budget, or the payer's share, is used up.
pub async fn receive(app: &App, body: Body, max: usize, payer: Option<Payer>) -> Result<LargeBody, Problem> {
    let mut reservation = app.hub.memory_budget().body_reservation(payer);
    let bytes = collect_in_time(body, max, |size| reserve(app, &mut reservation, size)).await?;
    Ok(LargeBody { bytes, reservation })
}

fn reserve(app: &App, reservation: &mut BodyReservation, bytes: usize) -> Result<(), Problem> {
    reservation.resize(bytes as u64).map_err(|full| {
        app.hub.metrics().record_refusal(RefusalReason::Memory);
        Problem::from(Unavailable::from(full))
    })
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let lists = headers.get_all(header::CONTENT_ENCODING).iter();
        let lists: Vec<_> = lists.map(|list| String::from_utf8_lossy(list.as_bytes()).to_ascii_lowercase()).collect();
        let codings = lists.iter().flat_map(|list| list.split(',')).map(str::trim);
        let codings: Vec<&str> = codings.filter(|coding| !coding.is_empty() && *coding != "identity").collect();
        match codings[..] {
            [] => Ok(Self::Identity),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip),
            _ => {
                let detail = format!(
                    "the Content-Encoding {} is not supported; send the body with gzip, or uncompressed",
                    codings.join(", ")
                );
                Err(Problem::unsupported_media_type(detail))
            }
        }
    }
}

impl Encoding {
    fn decode(self, bytes: Bytes, max: usize) -> Result<Bytes, Problem> {
        match self {
            Self::Identity => Ok(bytes),
            Self::Gzip => inflate(&bytes, max),
        }
    }
}

fn timed_out(detail: String) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Request timeout", detail)
}

/// Reads a body of at most `max` bytes. `reserve` is called with its size before it grows beyond [`MAX_BODY`].
async fn collect_in_time(
    body: Body,
    max: usize,
    reserve: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > max.max(MAX_DISCARD) {
        return Err(too_large(max));
    }
    let total = TOTAL_TIMEOUT + Duration::from_secs((max / MAX_BODY) as u64 - 1);
    timeout(total, collect(body, max, reserve))
        .await
        .unwrap_or_else(|_| Err(timed_out(format!("the body did not arrive within {} s", total.as_secs()))))
}

async fn collect(
    mut body: Body,
    max: usize,
    mut reserve: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    let mut size = 0;
    loop {
        let next = timeout(IDLE_TIMEOUT, body.frame()).await;
        let next =
            next.map_err(|_| timed_out(format!("no part of the body arrived for {} s", IDLE_TIMEOUT.as_secs())))?;
        let Some(frame) = next else { break };
        let frame = frame.map_err(|_| Problem::bad_request("the connection closed before the end of the body"))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > max.max(MAX_DISCARD) {
            break;
        }
        if size <= max {
            if size > MAX_BODY {
                reserve(size)?;
            }
            bytes.extend_from_slice(&data);
        }
    }
    if size > max { Err(too_large(max)) } else { Ok(bytes.freeze()) }
}

/// Stops at `max` bytes, so that a small body cannot fill the memory.
fn inflate(gzip: &[u8], max: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(gzip)
        .take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| Problem::bad_request("the body is not valid gzip data, although its Content-Encoding is gzip"))?;
    if bytes.len() > max { Err(too_large(max)) } else { Ok(bytes.into()) }
}

fn too_large(max: usize) -> Problem {
    let detail = format!("the body must have at most {max} bytes, both compressed and decompressed");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_as(encodings: &[&'static str], body: Vec<u8>) -> Result<Bytes, u16> {
        let values = encodings.iter().map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(values);
        read(&headers, Body::from(body)).await.map_err(|problem| problem.status)
    }

    #[tokio::test]
    async fn gzip_bodies_are_decompressed() {
        for encoding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
            assert_eq!(read_as(&[encoding], gzip(b"{}")).await, Ok(Bytes::from("{}")), "{encoding}");
        }
        for encodings in [&[][..], &["identity"], &[""]] {
            assert_eq!(read_as(encodings, b"{}".to_vec()).await, Ok(Bytes::from("{}")), "{encodings:?}");
        }
        let full = vec![b' '; MAX_BODY];
        assert_eq!(read_as(&["gzip"], gzip(&full)).await.map(|body| body.len()), Ok(MAX_BODY));
    }

    #[tokio::test]
    async fn unsupported_encodings_are_rejected() {
        for encodings in [&["deflate"][..], &["br"], &["zstd"], &["gzip, gzip"], &["gzip", "gzip"], &["gzip2"]] {
            assert_eq!(read_as(encodings, gzip(b"{}")).await, Err(415), "{encodings:?}");
        }
    }

    #[tokio::test]
    async fn gzip_bombs_are_rejected() {
        let bomb = gzip(&vec![0; 32 << 20]);
        assert!(bomb.len() < MAX_BODY);
        assert_eq!(read_as(&["gzip"], bomb).await, Err(413));
    }

    #[tokio::test]
    async fn damaged_gzip_is_rejected() {
        let whole = gzip(b"{\"budget\": 12}");
        let (truncated, mut with_trailer) = (whole[..whole.len() - 1].to_vec(), whole.clone());
        with_trailer.extend(b"more");
        for body in [b"{}".to_vec(), Vec::new(), truncated, with_trailer] {
            assert_eq!(read_as(&["gzip"], body.clone()).await, Err(400), "{body:?}");
        }
    }
}
