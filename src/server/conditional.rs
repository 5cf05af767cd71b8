//! Conditional requests (RFC 9110, section 13): `If-None-Match` saves sending unchanged content, and `If-Match` prevents lost
//! updates.

use std::fmt::Write;

use automerge::ChangeHash;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Browsers may store a response but must revalidate it. Shared caches must not store it.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The strong entity tag of a document with these heads, in any order.
///
/// The tag has a fixed length. A document can have many heads, and clients reject headers of more than about 16 KiB.
#[must_use]
pub fn etag_of_heads(heads: &[ChangeHash]) -> String {
    let mut heads: Vec<&ChangeHash> = heads.iter().collect();
    heads.sort_unstable();
    let mut hash = Sha256::new();
    for head in heads {
        hash.update(head.0);
    }
    tag_of(&hash.finalize())
}

/// Responds to a read request: 304 if `If-None-Match` lists `tag`, otherwise the response of `assemble` with the tag. An error
/// response gets no tag.
pub fn respond(request: &HeaderMap, tag: &str, assemble: impl FnOnce() -> Response) -> Response {
    if is_known(request, tag) {
        return with_etag(tag, StatusCode::NOT_MODIFIED.into_response());
    }
    let response = assemble();
    if response.status().is_success() { with_etag(tag, response) } else { response }
}

/// The strong entity tag of this content.
#[must_use]
pub fn etag_of_content(content: &[u8]) -> String {
    tag_of(&Sha256::digest(content))
}

/// A tag of 128 bits of a hash.
fn tag_of(hash: &[u8]) -> String {
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in &hash[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Responds to a read request with JSON whose tag identifies its content, for content that depends on more than one document. Saves
/// sending it again, but not assembling it.
pub fn json(request: &HeaderMap, content: &impl Serialize) -> Response {
    match serde_json::to_vec(content) {
        Ok(body) => {
            let tag = etag_of_content(&body);
            respond(request, &tag, || ([(header::CONTENT_TYPE, JSON)], body).into_response())
        }
        // Cannot occur: the schemas have only texts as keys.
        Err(error) => {
            tracing::error!(%error, "a response cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether `If-None-Match` lists this tag, so that the client already has the content.
pub fn is_known(request: &HeaderMap, tag: &str) -> bool {
    lists_tag(request, &header::IF_NONE_MATCH, tag)
}

/// Adds `ETag` and `Cache-Control` to a response.
pub fn with_etag(tag: &str, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response
}

/// The outcome of an `If-Match` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The header is absent or `*`: write unconditionally.
    None,
    /// The header lists a current tag. The write must check again that the content is unchanged, in the same step.
    Holds,
    /// The header lists no current tag.
    Fails,
}

/// Evaluates `If-Match` for a resource with these current tags: one for each of its representations.
#[must_use]
pub fn if_match(request: &HeaderMap, tags: &[impl AsRef<str>]) -> Precondition {
    let values = || request.get_all(header::IF_MATCH).iter();
    if values().all(|value| value.as_bytes().trim_ascii() == b"*") {
        return Precondition::None;
    }
    let is_listed = tags.iter().any(|tag| lists_tag(request, &header::IF_MATCH, tag.as_ref()));
    if is_listed { Precondition::Holds } else { Precondition::Fails }
}

/// Whether a header lists this tag or is `*`. Compares weakly, also for `If-Match`: proxies that compress a response weaken its
/// tag, and our tags identify the content, not its encoding.
fn lists_tag(request: &HeaderMap, header: &HeaderName, tag: &str) -> bool {
    let tag = tag.trim_start_matches("W/");
    let mut values = request.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.any(|list| list.trim() == "*" || opaque_tags(list).any(|listed| listed == tag))
}

/// The tags of a list, with their quotes and without `W/`. Malformed text ends the list.
fn opaque_tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let rest = list.trim_start_matches([' ', '\t', ',']);
        let rest = rest.strip_prefix("W/").unwrap_or(rest);
        let length = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, remainder) = rest.split_at(length);
        list = remainder;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn if_none_match_accepts_lists_wildcards_and_weak_tags() {
        for (values, known) in [
            (&[][..], false),
            (&["\"a\""], true),
            (&["W/\"a\""], true),
            (&["\"b\", W/\"a\""], true),
            (&["\"x,y\",\"a\""], true),
            (&["\"b\"", "\"a\""], true),
            (&["*"], true),
            (&[" * "], true),
            (&["a"], false),
            (&["\"a"], false),
            (&["\"A\""], false),
            (&["\"b\" nonsense \"a\""], false),
            (&[""], false),
        ] {
            let response = respond(&headers(header::IF_NONE_MATCH, values), "\"a\"", || "content".into_response());
            assert_eq!(response.status() == StatusCode::NOT_MODIFIED, known, "{values:?}");
            assert_eq!(response.headers()[header::ETAG], "\"a\"", "{values:?}");
        }
    }

    #[test]
    fn tag_length_does_not_depend_on_the_number_of_heads() {
        let heads: Vec<ChangeHash> = (0..=255).map(|byte| ChangeHash([byte; 32])).collect();
        let reversed: Vec<ChangeHash> = heads.iter().rev().copied().collect();
        assert_eq!(etag_of_heads(&heads).len(), etag_of_heads(&heads[..1]).len());
        assert_eq!(etag_of_heads(&heads), etag_of_heads(&reversed));
        assert_ne!(etag_of_heads(&heads), etag_of_heads(&heads[1..]));
    }

    #[test]
    fn unchanged_content_is_not_assembled() {
        respond(&headers(header::IF_NONE_MATCH, &["\"a\""]), "\"a\"", || unreachable!());
    }

    #[test]
    fn if_match_decides_whether_to_write() {
        for (values, expected) in [
            (&[][..], Precondition::None),
            (&["*"], Precondition::None),
            (&["\"a\""], Precondition::Holds),
            (&["\"b\", W/\"a\""], Precondition::Holds),
            (&["\"b\""], Precondition::Fails),
            (&["nonsense"], Precondition::Fails),
            (&[""], Precondition::Fails),
        ] {
            assert_eq!(if_match(&headers(header::IF_MATCH, values), &["\"c\"", "\"a\""]), expected, "{values:?}");
        }
    }
}
