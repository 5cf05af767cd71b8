//! Requests to an identity provider. Follows no redirects: a provider's documents are where it says.

use std::time::Duration;

use axum::http::header;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

/// Time limit of a request.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Name of this program in requests.
const USER_AGENT: &str = concat!("happierwork/", env!("CARGO_PKG_VERSION"));

/// A client for requests to the provider.
pub(super) struct ProviderHttp(Client);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{}", chain(.0))]
    Request(#[from] reqwest::Error),
    #[error("the answer is larger than {MAX_ANSWER} bytes")]
    Large,
    #[error("the answer is {status}{}", detail(.body))]
    Status { status: u16, body: Vec<u8> },
}

/// The causes of an error: its own text names only the request.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// The error that a provider reports (RFC 6749, section 5.2).
fn detail(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Reported {
        error: String,
        error_description: Option<String>,
    }
    let Ok(Reported { error, error_description }) = serde_json::from_slice(body) else { return String::new() };
    let text = format!(" ({error}: {})", error_description.unwrap_or_default());
    text.chars().filter(|char| !char.is_control()).take(300).collect()
}

impl ProviderHttp {
    pub(super) fn new() -> Result<Self, HttpError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(TIME_LIMIT)
            .pool_max_idle_per_host(1)
            .user_agent(USER_AGENT)
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, HttpError> {
        read(self.0.get(url).header(header::ACCEPT, "application/json")).await
    }

    /// Sends a form. `credentials`: name and password (RFC 6749, section 2.3.1).
    pub(super) async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        credentials: Option<(&str, &str)>,
    ) -> Result<Vec<u8>, HttpError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self
            .0
            .post(url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        if let Some((name, password)) = credentials {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encode(name), Some(encode(password)));
        }
        read(request).await
    }
}

async fn read(request: RequestBuilder) -> Result<Vec<u8>, HttpError> {
    let mut response = request.send().await?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(HttpError::Large);
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() { Ok(body) } else { Err(HttpError::Status { status: status.as_u16(), body }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_errors_are_shown_without_control_characters() {
        let shown = |body: &str| HttpError::Status { status: 400, body: body.as_bytes().to_vec() }.to_string();
        assert_eq!(shown("<html>"), "the answer is 400");
        let body = r#"{"error":"invalid_grant","error_description":"the code\nis used"}"#;
        assert_eq!(shown(body), "the answer is 400 (invalid_grant: the codeis used)");
    }
}
