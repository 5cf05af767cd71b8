//! Portions, permits and encoders of the compression.

use std::io::Read;

use flate2::read::GzDecoder;
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};

use super::*;

/// Text with high entropy, so that every few portions yield output.
fn text(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'0' + (state >> 59) as u8
    });
    letters.take(bytes).collect()
}

fn answer(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new())
}

fn counted(metrics: &Metrics, name: &str) -> Option<u64> {
    metrics.render().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn decoded(encoding: ContentEncoding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        ContentEncoding::Brotli => brotli::Decompressor::new(bytes, BUFFER).read_to_end(&mut out).expect("brotli"),
        ContentEncoding::Gzip => GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip"),
        ContentEncoding::Identity => return bytes.to_vec(),
    };
    out
}

#[tokio::test]
async fn large_response_is_compressed_in_portions() {
    for encoding in [ContentEncoding::Brotli, ContentEncoding::Gzip] {
        let (compression, metrics, text) = (Compression::new(), metrics(), text(1_000_000));
        let response = compression.compressed(answer(text.clone()), encoding, &metrics).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], encoding.name().expect("a name"));
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
        let frames: Vec<_> =
            response.into_body().into_data_stream().map(|frame| frame.expect("a frame")).collect().await;
        assert!(frames.len() > 4 && frames.iter().all(|frame| frame.len() < 4 * PORTION), "{}", frames.len());
        assert_eq!(decoded(encoding, &frames.concat()), text);
        assert_eq!(counted(&metrics, "happierwork_compressed_portions_total"), Some(16), "of 64 KiB");
        assert_eq!(compression.encoders.available_permits(), MAX_ENCODERS, "released");
    }
}

#[tokio::test]
async fn compression_waits_for_a_worker_permit() {
    let (compression, metrics) = (Compression::with_limits(2, 1), metrics());
    let permit = Arc::clone(&compression.workers).try_acquire_owned().expect("free");
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let response = compression.compressed(answer(text(200_000)), ContentEncoding::Gzip, &metrics).await;
        bodies.push(Box::pin(response.into_body().collect()));
    }
    for body in &mut bodies {
        assert!(body.as_mut().now_or_never().is_none());
    }
    assert_eq!(counted(&metrics, "happierwork_compressed_portions_total"), Some(0));
    drop(permit);
    // The responses alternate, so both are read at the same time.
    for body in join_all(bodies).await {
        body.expect("read");
    }
    assert_eq!(counted(&metrics, "happierwork_compressed_portions_total"), Some(8));
}

#[tokio::test]
async fn responses_beyond_the_encoders_are_uncompressed() {
    let (compression, metrics, text) = (Compression::with_limits(1, 1), metrics(), text(100_000));
    let first = compression.compressed(answer(text.clone()), ContentEncoding::Brotli, &metrics).await;
    let second = compression.compressed(answer(text.clone()), ContentEncoding::Brotli, &metrics).await;
    assert!(!second.headers().contains_key(header::CONTENT_ENCODING));
    assert_eq!(second.headers()[header::VARY], "accept-encoding");
    assert_eq!(second.into_body().collect().await.expect("read").to_bytes(), text);
    assert_eq!(counted(&metrics, "happierwork_uncompressed_answers_total"), Some(1));
    // A small response needs no encoder, and a dropped response releases its own.
    let small = compression.compressed(answer(text[..5_000].to_vec()), ContentEncoding::Brotli, &metrics).await;
    assert_eq!(small.headers()[header::CONTENT_ENCODING], "br");
    drop(first);
    let third = compression.compressed(answer(text.clone()), ContentEncoding::Brotli, &metrics).await;
    assert_eq!(third.headers()[header::CONTENT_ENCODING], "br");
}

#[tokio::test]
async fn compressed_media_types_are_not_compressed_again() {
    let (compression, metrics, text) = (Compression::new(), metrics(), text(10_000));
    for kind in ["image/png", "application/octet-stream", "text/event-stream"] {
        let response = ([(header::CONTENT_TYPE, kind)], text.clone()).into_response();
        let response = compression.compressed(response, ContentEncoding::Brotli, &metrics).await;
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "{kind}");
    }
    let mut response = answer(text.clone());
    response.extensions_mut().insert(SkipCompression);
    let response = compression.compressed(response, ContentEncoding::Brotli, &metrics).await;
    assert!(!response.headers().contains_key(header::VARY));
    let tiny = compression.compressed(answer(b"{}".to_vec()), ContentEncoding::Brotli, &metrics).await;
    assert!(!tiny.headers().contains_key(header::CONTENT_ENCODING));
}
