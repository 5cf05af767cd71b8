//! Entity tags: what has not changed is not sent again, and what has changed is not overwritten unseen (RFC 9110, 13).

use std::fmt::Write;

use automerge::ChangeHash;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Browsers may keep an answer, but must ask whether it still holds; nobody in between may keep it.
const CACHE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The strong entity tag of a document with these heads, in any order. Its length does not depend on how many there are:
/// clients refuse headers of more than some 16 KiB, and anybody who writes can make a document of many heads.
#[must_use]
pub fn tag_of_heads(heads: &[ChangeHash]) -> String {
    let mut heads: Vec<&ChangeHash> = heads.iter().collect();
    heads.sort_unstable();
    let mut hash = Sha256::new();
    for head in heads {
        hash.update(head.0);
    }
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in &hash.finalize()[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Answers a reading request: 304 when the client has it already, and only otherwise what `assemble` makes. If that is an
/// error it is nothing that has the tag.
pub fn answer(request: &HeaderMap, tag: &str, assemble: impl FnOnce() -> Response) -> Response {
    if is_known(request, tag) {
        return tagged(tag, StatusCode::NOT_MODIFIED.into_response());
    }
    let response = assemble();
    if response.status().is_success() { tagged(tag, response) } else { response }
}

/// Whether the client has what has this tag.
pub fn is_known(request: &HeaderMap, tag: &str) -> bool {
    names(request, &header::IF_NONE_MATCH, tag).unwrap_or(false)
}

/// An answer with its tag.
pub fn tagged(tag: &str, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response
}

/// What the `If-Match` header of a writing request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// Write unconditionally.
    Anything,
    /// Write if this is still what stands there; it is, at this moment.
    This,
    /// Something else stands there.
    Other,
}

/// Reads `If-Match` for a thing that has these tags now: one for each way in which it is shown.
#[must_use]
pub fn if_match(request: &HeaderMap, tags: &[impl AsRef<str>]) -> IfMatch {
    let values = || request.get_all(header::IF_MATCH).iter();
    if values().all(|value| value.as_bytes().trim_ascii() == b"*") {
        return IfMatch::Anything;
    }
    let is_named = |tag: &str| names(request, &header::IF_MATCH, tag) == Some(true);
    if tags.iter().any(|tag| is_named(tag.as_ref())) { IfMatch::This } else { IfMatch::Other }
}

/// Whether a header names this tag; None without such a header. Compares weakly, also for `If-Match`: a tag is weakened
/// on its way by every compression, and what it stands for is the content, not its encoding.
fn names(request: &HeaderMap, header: &HeaderName, tag: &str) -> Option<bool> {
    let mut values = request.get_all(header).iter().peekable();
    values.peek()?;
    let tag = tag.trim_start_matches("W/");
    Some(values.any(|value| value.to_str().is_ok_and(|list| list.trim() == "*" || tags(list).any(|one| one == tag))))
}

/// The tags of a list, each in its quotes. What is no tag ends the list.
fn tags(mut list: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let rest = list.trim_start_matches([' ', '\t', ',']);
        let rest = rest.strip_prefix("W/").unwrap_or(rest);
        let length = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, behind) = rest.split_at(length);
        list = behind;
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
    fn if_none_match_takes_lists_stars_and_weak_tags() {
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
            let answered = answer(&headers(header::IF_NONE_MATCH, values), "\"a\"", || "all of it".into_response());
            assert_eq!(answered.status() == StatusCode::NOT_MODIFIED, known, "{values:?}");
            assert_eq!(answered.headers()[header::ETAG], "\"a\"", "{values:?}");
        }
    }

    #[test]
    fn tag_of_many_heads_is_as_short_as_of_one() {
        let heads: Vec<ChangeHash> = (0..=255).map(|byte| ChangeHash([byte; 32])).collect();
        let reversed: Vec<ChangeHash> = heads.iter().rev().copied().collect();
        assert_eq!(tag_of_heads(&heads).len(), tag_of_heads(&heads[..1]).len());
        assert_eq!(tag_of_heads(&heads), tag_of_heads(&reversed));
        assert_ne!(tag_of_heads(&heads), tag_of_heads(&heads[1..]));
    }

    #[test]
    fn nothing_is_assembled_for_who_has_it() {
        answer(&headers(header::IF_NONE_MATCH, &["\"a\""]), "\"a\"", || unreachable!());
    }

    #[test]
    fn if_match_says_what_may_be_overwritten() {
        for (values, meaning) in [
            (&[][..], IfMatch::Anything),
            (&["*"], IfMatch::Anything),
            (&["\"a\""], IfMatch::This),
            (&["\"b\", W/\"a\""], IfMatch::This),
            (&["\"b\""], IfMatch::Other),
            (&["nonsense"], IfMatch::Other),
            (&[""], IfMatch::Other),
        ] {
            assert_eq!(if_match(&headers(header::IF_MATCH, values), &["\"c\"", "\"a\""]), meaning, "{values:?}");
        }
    }
}
