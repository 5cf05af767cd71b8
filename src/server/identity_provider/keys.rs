//! Fetches the keys of a provider: at start, regularly, and when a token names an unknown one.

use std::sync::Arc;
use std::time::Duration;

use auth::AuthError;
use limits::{BackOff, BackOffPolicy, equal_jitter};
use tokio::time::{Instant, sleep, sleep_until};

use super::http::HttpError;
use super::metadata::{Metadata, MetadataError};
use super::{IdentityProvider, ProviderSource};

/// Time after which keys are fetched again. A key that the provider has withdrawn is accepted for so long.
const REFRESH: Duration = Duration::from_secs(900);
/// Least time between two requests because of unknown keys: anybody can send a token with one.
const LEAST_INTERVAL: Duration = Duration::from_secs(30);
/// Delays after failures.
const BACK_OFF: BackOffPolicy = BackOffPolicy::new(Duration::from_secs(1), Duration::from_secs(300));

/// Why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url}: {source}")]
    Http { url: String, source: HttpError },
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Keys(#[from] AuthError),
}

impl IdentityProvider {
    /// Keeps the keys up to date forever.
    pub(in crate::server) async fn run(self: Arc<Self>) {
        let mut back_off = BackOff::new(BACK_OFF);
        let mut has_failed = false;
        loop {
            let pause = match self.fetch().await {
                Ok(()) => {
                    back_off.reset();
                    if std::mem::take(&mut has_failed) {
                        tracing::info!("the identity provider answers again");
                    }
                    REFRESH
                }
                Err(error) => {
                    // Once for each outage.
                    if !std::mem::replace(&mut has_failed, true) {
                        tracing::error!(%error, "the keys of the identity provider could not be fetched; the previous ones stay in use");
                    }
                    equal_jitter(back_off.record_failure(), rand::random())
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wanted() => {}
            }
        }
    }

    /// Waits until a token names an unknown key or a login lacks the metadata, and the last request is long enough ago.
    async fn wanted(&self) {
        self.authority.unknown_key().await;
        let last = *self.last_request.lock().await;
        if let Some(last) = last {
            sleep_until(last + LEAST_INTERVAL).await;
        }
    }

    /// Fetches the keys if a token of a login names an unknown one. Not limited: the provider itself has just issued the token.
    pub(super) async fn fetch_for(&self, token: &str) {
        // Checked first, so that no login waits for a request of another that it does not need.
        if self.authority.knows_key_of(token) {
            return;
        }
        let begun = Instant::now();
        let mut last = self.last_request.lock().await;
        // A request that began while this login waited has seen the newest keys, so one serves all logins that wait.
        let is_fetched = last.is_some_and(|last| last >= begun);
        if is_fetched || self.authority.knows_key_of(token) {
            return;
        }
        *last = Some(Instant::now());
        if let Err(error) = self.request().await {
            tracing::warn!(%error, "the keys of the identity provider could not be fetched");
        }
    }

    async fn fetch(&self) -> Result<(), FetchError> {
        let mut last = self.last_request.lock().await;
        *last = Some(Instant::now());
        self.request().await
    }

    async fn request(&self) -> Result<(), FetchError> {
        let keys = match &self.source {
            ProviderSource::Keys(url) => url.clone(),
            ProviderSource::Issuer(issuer) => {
                let metadata = Metadata::read(&self.get(&Metadata::url(issuer)).await?, issuer)?;
                let keys = metadata.jwks_uri.clone();
                *self.metadata.write() = Some(Arc::new(metadata));
                keys
            }
        };
        Ok(self.authority.set_provider_keys(&self.get(&keys).await?)?)
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        self.http.get(url).await.map_err(|source| FetchError::Http { url: url.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use auth::{AuthOptions, Authority};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::IdentityProviderOptions;
    use super::*;

    /// A token that names a key. Its signature does not matter.
    const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6Im5ldyJ9.e30.AA";

    /// A provider without keys that counts the requests, on a free port.
    async fn counting() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0, "{request:?}");
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.expect("answered");
            }
        });
        (url, requests)
    }

    #[tokio::test]
    async fn logins_that_wait_share_one_request() {
        let (url, requests) = counting().await;
        let options = AuthOptions { expects_provider_keys: true, ..AuthOptions::default() };
        let authority = Authority::open(&options).expect("opens");
        assert!(!authority.knows_key_of(TOKEN));
        let options = IdentityProviderOptions { source: ProviderSource::Keys(url), client: None };
        let provider = IdentityProvider::open(&options, authority).expect("opens");
        futures_util::future::join_all((0..8).map(|_| provider.fetch_for(TOKEN))).await;
        // Those that began before the first request wait for the second one.
        let made = requests.load(Ordering::Relaxed);
        assert!((1..=2).contains(&made), "{made} requests");
        provider.fetch_for(TOKEN).await;
        assert_eq!(requests.load(Ordering::Relaxed), made + 1, "a later login makes its own");
    }
}
