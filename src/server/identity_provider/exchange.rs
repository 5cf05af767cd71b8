//! Turns the code of a provider into a session (OpenID Connect Core 1.0, section 3.1.3; RFC 6749, section 4.1).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use auth::{IdToken, ProviderLoginRefused, Refused, Session};
use limits::Payer;
use runtime::clock::now;
use serde::Deserialize;
use tokio::time::Instant;

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

/// Longest text of a redirect that is kept, in characters: anybody can write there.
const MAX_REPORTED: usize = 100;

/// Why a login failed. The log has the details.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("this server has no identity provider to log in by")]
    NoProvider,
    #[error("the identity provider was not reached yet")]
    NotReached,
    #[error(
        "the request names this server differently than with localhost or a name of --host, and --public-url is not given"
    )]
    Address,
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
            Self::Busy | Self::Refused(ProviderLoginRefused::Later(_)) => "busy",
            Self::NoProvider
            | Self::NotReached
            | Self::Address
            | Self::Reported(_)
            | Self::Issuer
            | Self::Exchange(_)
            | Self::NoIdToken
            // Nothing is wrong with the user: the server does not know whether the session would be accepted.
            | Self::Refused(
                ProviderLoginRefused::User(Refused::Unavailable)
                | ProviderLoginRefused::NoKey
                | ProviderLoginRefused::Session,
            ) => "failed",
            Self::Refused(ProviderLoginRefused::Token(_) | ProviderLoginRefused::User(_)) => "refused",
        }
    }

    /// Whether this is an error of the client, which anybody can cause, rather than one of this server or its provider.
    pub(super) fn is_of_client(&self) -> bool {
        matches!(self, Self::Address | Self::Unknown | Self::Reported(_)) || self.code() == "busy"
    }
}

/// The token endpoint's answer. The access token is not used: no request is made in the user's name.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
}

impl IdentityProvider {
    /// The URL to which a browser is sent to log in. `origin`: that of its request; `None` if that may not be this server.
    pub(super) fn authorization_url(&self, attempt: &Attempt, origin: Option<&str>) -> Result<String, LoginError> {
        let client = self.client.as_ref().ok_or(LoginError::NoProvider)?;
        let callback = self.callback(client, origin)?;
        let metadata = self.reached()?;
        let endpoint = metadata.authorization_endpoint.as_ref().ok_or(LoginError::NoProvider)?;
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &callback)
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
        origin: Option<&str>,
        from: Option<Payer>,
    ) -> Result<Session, LoginError> {
        let client = self.client.as_ref().ok_or(LoginError::NoProvider)?;
        let callback = self.callback(client, origin)?;
        let metadata = self.reached()?;
        let attempt = attempt.filter(|attempt| answer.state.as_ref() == Some(&attempt.state));
        let attempt = attempt.ok_or(LoginError::Unknown)?;
        check_issuer(&metadata, answer.issuer.as_deref())?;
        if let Some(error) = answer.error {
            return Err(LoginError::Reported(error.chars().take(MAX_REPORTED).collect()));
        }
        let code = answer.code.ok_or(LoginError::Unknown)?;
        let _permit = self.exchanges.take(from.as_ref(), Instant::now()).ok_or(LoginError::Busy)?;
        let token = self.exchange(client, &metadata, &attempt, &code, &callback).await?;
        self.fetch_for(&token).await;
        let id = IdToken { token: &token, issuer: &metadata.issuer, client: &client.id, nonce: &attempt.nonce };
        let session = self.authority.login_with(id, now())?;
        self.exchanges.succeeded(from.as_ref());
        Ok(session)
    }

    /// What the provider publishes. Asks for it sooner if it is lacking.
    fn reached(&self) -> Result<Arc<Metadata>, LoginError> {
        self.metadata().ok_or_else(|| {
            self.authority.ask_provider();
            LoginError::NotReached
        })
    }

    /// Where the provider sends the browser back.
    fn callback(&self, client: &Client, origin: Option<&str>) -> Result<String, LoginError> {
        client.callback(origin).ok_or_else(|| {
            if !self.logged_address.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "logins by the identity provider fail: give the address of this server for browsers with --public-url"
                );
            }
            LoginError::Address
        })
    }

    async fn exchange(
        &self,
        client: &Client,
        metadata: &Arc<Metadata>,
        attempt: &Attempt,
        code: &str,
        callback: &str,
    ) -> Result<String, LoginError> {
        let endpoint = metadata.token_endpoint.as_ref().ok_or(LoginError::NoProvider)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auth::{AuthOptions, Authority};
    use futures_util::FutureExt;
    use serde_json::json;

    use super::super::{ClientOptions, IdentityProviderOptions, ProviderSource};
    use super::*;

    const ISSUER: &str = "https://login.example.com";
    const HERE: Option<&str> = Some("http://localhost:8000");

    /// A provider that nobody has asked yet.
    fn provider(public_url: Option<&str>) -> IdentityProvider {
        let client = ClientOptions {
            id: "plan".to_owned(),
            secret_file: None,
            scopes: "openid".to_owned(),
            name: None,
            public_url: public_url.map(str::to_owned),
        };
        let options = AuthOptions { expects_provider_keys: true, ..AuthOptions::default() };
        let authority = Authority::open(&options).expect("opens");
        let source = ProviderSource::Issuer(ISSUER.to_owned());
        IdentityProvider::open(&IdentityProviderOptions { source, client: Some(client) }, authority).expect("valid")
    }

    /// A provider that has published its metadata.
    fn reached(public_url: Option<&str>) -> IdentityProvider {
        let json = json!({
            "issuer": ISSUER, "jwks_uri": "https://login.example.com/keys",
            "authorization_endpoint": "https://login.example.com/auth", "token_endpoint": "https://login.example.com/token",
        });
        let provider = provider(public_url);
        let metadata = Metadata::read(json.to_string().as_bytes(), ISSUER).expect("valid");
        *provider.metadata.write() = Some(Arc::new(metadata));
        provider
    }

    #[tokio::test]
    async fn login_without_metadata_asks_for_it() {
        let provider = provider(None);
        assert!(provider.authority.unknown_key().now_or_never().is_none());
        let url = provider.authorization_url(&Attempt::new(), HERE);
        assert!(matches!(url, Err(LoginError::NotReached)), "{url:?}");
        provider.authority.unknown_key().now_or_never().expect("woken");
    }

    #[tokio::test]
    async fn unknown_address_of_this_server_needs_the_public_url() {
        let url = |provider: IdentityProvider, origin| provider.authorization_url(&Attempt::new(), origin);
        assert!(url(reached(None), HERE).is_ok_and(|url| url.contains("localhost")));
        assert!(matches!(url(reached(None), None), Err(LoginError::Address)));
        assert!(url(reached(Some("https://plan.example.com")), None).is_ok_and(|url| url.contains("plan.example.com")));
    }

    #[tokio::test]
    async fn reported_error_is_cut() {
        let provider = reached(None);
        let attempt = Attempt::new();
        let answer = Answer {
            state: Some(attempt.state.clone()),
            issuer: Some(ISSUER.to_owned()),
            error: Some("é".repeat(1_000)),
            code: None,
        };
        let error = provider.finish(Some(attempt), answer, HERE, None).await.expect_err("reported");
        assert!(matches!(&error, LoginError::Reported(text) if text.chars().count() == MAX_REPORTED), "{error}");
        assert!(error.is_of_client());
    }

    #[test]
    fn page_tells_only_what_the_user_can_change() {
        for (refused, code) in [
            (ProviderLoginRefused::User(Refused::Disabled), "refused"),
            (ProviderLoginRefused::Token("it has no role"), "refused"),
            (ProviderLoginRefused::User(Refused::Unavailable), "failed"),
            (ProviderLoginRefused::NoKey, "failed"),
            (ProviderLoginRefused::Later(Duration::from_secs(10)), "busy"),
        ] {
            assert_eq!(LoginError::Refused(refused).code(), code, "{refused}");
        }
    }
}
