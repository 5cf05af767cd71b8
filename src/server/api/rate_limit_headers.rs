//! `RateLimit` and `RateLimit-Policy` on the answers of operations that create documents
//! (draft-ietf-httpapi-ratelimit-headers, revision 12).

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use limits::Quota;
use sync_engine::Surface;

use crate::server::App;
use crate::server::security::authentication::{Authentication, requester_of};

/// What is left of the limit.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The limit.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The name of the limit.
const POLICY: &str = "new-documents";
/// The operations that create documents, all of them `POST`.
const CREATES: [&str; 3] = ["/api/documents", "/api/documents/import", "/api/documents/{documentId}/scenarios"];

/// Whether an operation is limited.
#[must_use]
pub fn is_limited(method: &Method, path: &str) -> bool {
    *method == Method::POST && CREATES.contains(&path)
}

/// Adds the headers.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str());
    if !is_limited(request.method(), path) {
        return next.run(request).await;
    }
    let requester = request.extensions().get::<Authentication>().map(|who| requester_of(who, Surface::Api));
    let mut response = next.run(request).await;
    let quota = match requester {
        Some(Ok(requester)) => app.hub.new_document_quota(&requester),
        _ => None,
    };
    if let Some(quota) = quota {
        let (policy, left) = header_values(&quota);
        for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    response
}

/// The policy, and what is left: `q` documents in `w` seconds, `r` of them now, and all again after `t` seconds.
fn header_values(Quota { rate, available }: &Quota) -> (String, String) {
    let seconds = |documents: f64| (documents / rate.per_second).ceil();
    let policy = format!("\"{POLICY}\";q={:.0};w={:.0}", rate.burst.floor(), seconds(rate.burst).max(1.0));
    let missing = (rate.burst - available).max(0.0);
    (policy, format!("\"{POLICY}\";r={:.0};t={:.0}", available.floor(), seconds(missing)))
}

#[cfg(test)]
mod tests {
    use limits::Rate;

    use super::*;

    #[test]
    fn values_are_whole_numbers_on_the_safe_side() {
        let rate = Rate { per_second: 5.0, burst: 6_000.0 };
        let values = |available| header_values(&Quota { rate, available });
        assert_eq!(
            values(5_999.4),
            ("\"new-documents\";q=6000;w=1200".to_owned(), "\"new-documents\";r=5999;t=1".to_owned())
        );
        assert_eq!(values(6_000.0).1, "\"new-documents\";r=6000;t=0");
        assert_eq!(values(0.9).1, "\"new-documents\";r=0;t=1200");
    }
}
