//! An identity provider: OpenID Connect Discovery 1.0, keys by URL, and logins by redirect (authorization code with PKCE).
//!
//! | module | purpose |
//! |---|---|
//! | `options` | what the operator configures |
//! | `http` | requests to the provider |
//! | `metadata` | what the provider publishes about itself |
//! | `keys` | fetches keys: at start, regularly, and when a token names an unknown one |
//! | `admission` | limits on the exchanges of codes |
//! | `attempt` | a login between its redirect to the provider and back |
//! | `exchange` | turns the provider's code into a session |
//! | `routes` | the paths of a login |

mod admission;
mod attempt;
mod exchange;
mod http;
mod keys;
mod metadata;
mod options;
pub mod routes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auth::Authority;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::admission::Admission;
use self::http::ProviderHttp;
use self::metadata::Metadata;
pub use self::options::{ClientOptions, IdentityProviderOptions, ProviderError, ProviderSource};

/// The identity provider of a server.
pub struct IdentityProvider {
    source: ProviderSource,
    client: Option<Client>,
    authority: Authority,
    http: ProviderHttp,
    /// `None` until it was fetched, and if only the keys are configured.
    metadata: RwLock<Option<Arc<Metadata>>>,
    /// When the keys were last requested. Held during a request.
    last_request: Mutex<Option<Instant>>,
    exchanges: Admission,
    /// An unknown address of this server has been logged. It is logged once.
    logged_address: AtomicBool,
}

/// This server as a client of the provider.
struct Client {
    id: String,
    secret: Option<String>,
    scopes: String,
    name: String,
    public_url: Option<String>,
}

impl IdentityProvider {
    /// Prepares a provider. Requests nothing yet.
    ///
    /// # Errors
    /// When a URL or the file of the secret cannot be used.
    pub(super) fn open(options: &IdentityProviderOptions, authority: Authority) -> Result<Self, ProviderError> {
        options.source.check()?;
        Ok(Self {
            client: options.client.as_ref().map(|client| client.open(&options.source)).transpose()?,
            source: options.source.clone(),
            authority,
            http: ProviderHttp::new()?,
            metadata: RwLock::default(),
            last_request: Mutex::default(),
            exchanges: Admission::new(Instant::now()),
            logged_address: AtomicBool::new(false),
        })
    }

    /// Name of the provider for people; `None` if nobody can log in by it.
    pub(super) fn login_name(&self) -> Option<&str> {
        self.client.as_ref().map(|client| client.name.as_str())
    }

    /// Whether the configured address of this server for browsers is protected, so that all their requests are. A proxy that ends TLS
    /// need not say so.
    pub(super) fn is_public_by_https(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_public_by_https)
    }

    fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.read().clone()
    }
}
