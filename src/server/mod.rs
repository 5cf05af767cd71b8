//! The server: an axum application with WebSockets, an HTTP API and the dashboard on every listening address.
//!
//! The server translates between protocols and documents ([`runtime::hub`]). It decides nothing about documents.
//!
//! | module | purpose |
//! |---|---|
//! | [`start()`] | opens the store and binds the addresses |
//! | `routes`, `middleware`, `fallback` | all routes, and the checks that every request passes |
//! | `transport` | listeners, TLS, connection limits, compression |
//! | `security` | origins, authentication, sessions |
//! | `ws` | WebSockets, and the sync protocols on them |
//! | `peering` | dials other servers |
//! | `backups` | makes backups regularly |
//! | `identity_provider` | keys and logins of an identity provider |
//! | `api` | the HTTP API below `/api` |
//! | `dashboard`, `about`, `health`, `server_metrics` | the web application, a page of endpoints, endpoints for operators |
//! | `problem`, `body`, `conditional`, `document_view`, `reserved_body`, `csv_table`, `xlsx_table`, `renderings` | helpers of HTTP handlers |
//!
//! `ws` may import from `security` and `transport`, `security` from `transport`, and `peering` from `ws` and `transport`; not the
//! other way round.

mod about;
mod additional_surface;
mod api;
mod backups;
pub(crate) mod body;
pub(crate) mod conditional;
pub mod csv_table;
mod dashboard;
pub(crate) mod document_view;
mod fallback;
mod header_tokens;
mod health;
mod identity_provider;
mod limits;
mod middleware;
mod peering;
mod position_id;
mod problem;
pub mod renderings;
mod request_span;
pub(crate) mod reserved_body;
mod routes;
pub(crate) mod security;
mod server_metrics;
mod start;
mod static_files;
mod storage;
pub(crate) mod transport;
mod webhooks;
pub(crate) mod ws;
pub mod xlsx_table;

use std::sync::Arc;
use std::time::Duration;

pub use additional_surface::AdditionalSurface;
use api::idempotency::IdempotencyStore;
use auth::Authority;
pub use backups::BackupSchedule;
pub use dashboard::{Asset, Content, Dashboard};
use identity_provider::IdentityProvider;
pub use identity_provider::{ClientOptions, IdentityProviderOptions, ProviderError, ProviderSource};
pub use limits::{Limits, MESSAGE_MEMORY, NEW_DOCUMENTS_BURST, within_open_files};
use parking_lot::Mutex;
pub use peering::{PeerError, PeerOptions};
pub use position_id::new_position_id;
use primitives::DocumentId;
pub use problem::{InvalidRow, Problem};
use runtime::hub::Hub;
use security::origin::OriginPolicy;
use security::session_monitor::SessionMonitor;
use server_metrics::ServerMetrics;
pub use start::{Options, StartError, Started, start, start_on};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::compression::Compression;
use transport::connection_limits::ConnectionLimiter;
pub use transport::listen::Server;
pub use transport::tls::{Tls, TlsError, TlsFiles};
use webhooks::Webhooks;
pub use webhooks::{
    DEFAULT_DEBOUNCE, FolderError as WebhookError, MAX_DEBOUNCE, NewWebhook, Progress, Sender as WebhookSender,
    Webhook, WebhookFolder, send_test,
};
use ws::ephemeral_rate::EphemeralRateLimits;
use ws::rate_limit::UserRateLimits;
pub use ws::server_identity::ServerIdentity;
use ws::sync::PeerRegistry;
pub use ws::timeouts::SocketTimeouts;

/// The state that all request handlers and connections share.
pub struct App {
    /// The documents.
    pub hub: Hub,
    /// The default document: that of legacy clients, and of the id `default`.
    pub default_id: DocumentId,
    /// The ids by which automerge-repo peers know this server.
    pub identity: Arc<ServerIdentity>,
    /// Accepted origins and host names.
    pub(crate) origin_policy: OriginPolicy,
    /// Time limits of WebSockets.
    pub timeouts: SocketTimeouts,
    /// Maximum size of a WebSocket message and frame, in bytes.
    pub max_message: usize,
    /// Time for which the content of a deleted document stays on disk.
    pub keep_deleted: Duration,
    /// Limits of clients.
    pub limits: Limits,
    /// The dashboard at `/`.
    pub dashboard: Dashboard,
    /// Authenticates users; `None` if authentication is off.
    pub(crate) authority: Option<Authority>,
    /// `None` without an identity provider that this server asks.
    identity_provider: Option<Arc<IdentityProvider>>,
    /// `None` if authentication is off.
    session_monitor: Option<SessionMonitor>,
    pub(crate) connection_limiter: ConnectionLimiter,
    compression: Compression,
    pub(crate) ephemeral_rate_limits: EphemeralRateLimits,
    user_rate_limits: Arc<UserRateLimits>,
    peers: PeerRegistry,
    metrics: ServerMetrics,
    /// `None` if the documents are in a database.
    webhooks: Option<Webhooks>,
    /// The answers that are kept for repeated requests of the API.
    idempotency: Mutex<IdempotencyStore>,
    /// A further protocol.
    additional: Option<Arc<dyn AdditionalSurface>>,
    /// Cancelled when the server shuts down, which closes all connections.
    stopping: CancellationToken,
    /// The tasks of all connections.
    connections: TaskTracker,
}

impl App {
    /// Whether WebSockets at this path use the additional protocol.
    fn has_additional_socket_at(&self, path: &str) -> bool {
        self.additional.as_ref().is_some_and(|surface| surface.has_socket_at(path))
    }

    /// Whether the additional protocol has HTTP routes below this first segment of a path.
    fn has_additional_routes_below(&self, segment: &str) -> bool {
        self.additional.as_ref().is_some_and(|surface| surface.has_routes_below(segment))
    }
}
