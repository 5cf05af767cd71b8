//! Turns the code of a provider into a session (OpenID Connect Core 1.0, section 3.1.3; RFC 6749, section 4.1).

use std::sync::Arc;

use auth::{IdToken, ProviderLoginRefused, Session};
use limits::Payer;
use runtime::clock::now;
use serde::Deserialize;

use super::attempt::Attempt;
use super::http::HttpError;
use super::metadata::Metadata;
use super::{Client, IdentityProvider};

/// The parameters with which the provider sends the browser back.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) error: Option<String>,
    pub(super) issuer: Option<String>,
}

/// Why a login failed. The log has the details.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("this server has no identity provider to log in by")]
    NoProvider,
    #[error("the identity provider was not reached yet")]
    NotReached,
    #[error("the login was not begun in this browser, or too long ago")]
    Unknown,
    #[error("the provider reports {0:?}")]
    Reported(String),
    #[error("the answer is of another issuer")]
    Issuer,
    #[error("too many logins at a time")]
    Busy,
    #[error("the code could not be exchanged: {0}")]
    Exchange(#[from] HttpError),
    #[error("the provider returned no ID token")]
    NoIdToken,
    #[error(transparent)]
    Refused(#[from] ProviderLoginRefused),
}

impl LoginError {
    /// Short name for the login page.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "expired",
            Self::Reported(error) if error == "access_denied" => "cancelled",
            Self::Refused(ProviderLoginRefused::Token(_) | ProviderLoginRefused::User(_)) => "refused",
            Self::Busy => "busy",
            Self::NoProvider
            | Self::NotReached
            | Self::Reported(_)
            | Self::Issuer
            | Self::Exchange(_)
            | Self::NoIdToken
            | Self::Refused(ProviderLoginRefused::NoKey | ProviderLoginRefused::Session) => "failed",
        }
    }
}

/// The token endpoint's answer. The access token is not used: no request is made in the user's name.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

impl IdentityProvider {
    /// The URL to which a browser is sent to log in. `origin`: that of its request.
    pub(super) fn authorization_url(&self, attempt: &Attempt, origin: &str) -> Result<String, LoginError> {
        let client = self.client.as_ref().ok_or(LoginError::NoProvider)?;
        let metadata = self.metadata().ok_or(LoginError::NotReached)?;
        let endpoint = metadata.authorization_endpoint.as_ref().ok_or(LoginError::NoProvider)?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &client.callback(origin))
            .append_pair("scope", &client.scopes)
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256")
            .finish();
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{query}"))
    }

    /// Finishes a login. `attempt`: that of the browser's cookie. `from` is charged for the request to the provider.
    pub(super) async fn finish(
        &self,
        attempt: Option<Attempt>,
        answer: Answer,
        origin: &str,
        from: Option<Payer>,
    ) -> Result<Session, LoginError> {
        let client = self.client.as_ref().ok_or(LoginError::NoProvider)?;
        let metadata = self.metadata().ok_or(LoginError::NotReached)?;
        let attempt = attempt.filter(|attempt| answer.state.as_ref() == Some(&attempt.state));
        let attempt = attempt.ok_or(LoginError::Unknown)?;
        check_issuer(&metadata, answer.issuer.as_deref())?;
        if let Some(error) = answer.error {
            return Err(LoginError::Reported(error));
        }
        let code = answer.code.ok_or(LoginError::Unknown)?;
        let _permit = self.exchanges.take(from).map_err(|_| LoginError::Busy)?;
        let token = self.exchange(client, &metadata, &attempt, &code, origin).await?;
        self.fetch_for(&token).await;
        let id = IdToken { token: &token, issuer: &metadata.issuer, client: &client.id, nonce: &attempt.nonce };
        Ok(self.authority.login_with(id, now())?)
    }

    async fn exchange(
        &self,
        client: &Client,
        metadata: &Arc<Metadata>,
        attempt: &Attempt,
        code: &str,
        origin: &str,
    ) -> Result<String, LoginError> {
        let endpoint = metadata.token_endpoint.as_ref().ok_or(LoginError::NoProvider)?;
        let callback = client.callback(origin);
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback),
            ("code_verifier", &attempt.verifier),
        ];
        let mut credentials = None;
        match &client.secret {
            Some(secret) if metadata.takes_basic() => credentials = Some((&*client.id, &**secret)),
            Some(secret) => form.extend([("client_id", &*client.id), ("client_secret", secret)]),
            None => form.push(("client_id", &client.id)),
        }
        let answer = self.http.post(endpoint, &form, credentials).await?;
        let tokens: Tokens = serde_json::from_slice(&answer).map_err(|_| LoginError::NoIdToken)?;
        tokens.id_token.ok_or(LoginError::NoIdToken)
    }
}

/// Checks that the answer comes from the provider that was asked (RFC 9207).
fn check_issuer(metadata: &Metadata, issuer: Option<&str>) -> Result<(), LoginError> {
    match issuer {
        Some(issuer) if issuer == metadata.issuer => Ok(()),
        None if !metadata.authorization_response_iss_parameter_supported => Ok(()),
        _ => Err(LoginError::Issuer),
    }
}
