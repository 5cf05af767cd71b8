//! Headers that hold comma-separated tokens, such as `Connection` and `Upgrade`.

use axum::http::{HeaderMap, HeaderName};

/// Whether a header lists this token, in any letter case.
#[must_use]
pub fn lists_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    })
}
