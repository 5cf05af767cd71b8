//! The server: listeners, routes, one file per surface, and who may ask.
//!
//! Every surface is on every listening port. This room translates between protocols ([`crate::wire`]) and documents
//! ([`runtime::hub`]); it decides nothing about documents.

pub mod access;
mod api;
mod authentication;
mod body;
mod compression;
mod conditional;
mod dashboard;
mod encoding;
mod ephemerals;
mod frames;
mod guests;
mod health;
mod identity;
mod ids;
mod inbound;
mod large;
mod legacy_rest;
mod legacy_socket;
mod limits;
mod listen;
mod liveness;
mod middleware;
mod origin;
mod outbound;
mod pace;
mod page;
mod problem;
pub mod renderings;
mod root_socket;
mod secure;
mod sessions;
mod socket;
mod start;
mod static_files;
mod stream;
mod sync;
pub mod table;
mod tls;
mod unknown_path;
mod upgrade;
mod websockets;
mod write;

use std::sync::Arc;
use std::time::Duration;

use access::Access;
use auth::Authority;
use axum::Router;
use compression::Compression;
pub use dashboard::{Asset, Content, Dashboard};
use ephemerals::EphemeralRates;
use guests::Guests;
pub use identity::Identity;
pub use ids::new_position_id;
pub use limits::{Limits, MESSAGE_MEMORY, NEW_DOCUMENTS_BURST, within_open_files};
pub use listen::Server;
use pace::UserPaces;
use primitives::DocumentId;
pub use problem::Problem;
use runtime::hub::Hub;
use sessions::Sessions;
pub use socket::SocketTimes;
pub use start::{Options, StartError, Started, start, start_on};
use sync::PeerRegistry;
pub use tls::{Tls, TlsError, TlsFiles};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all surfaces share.
pub struct App {
    /// The documents.
    pub hub: Hub,
    /// The document that legacy clients see, and that `default` names in the API.
    pub default_id: DocumentId,
    /// Who we are to automerge-repo peers.
    pub identity: Arc<Identity>,
    /// Who may ask.
    pub access: Access,
    /// How long sockets may take.
    pub times: SocketTimes,
    /// Bytes in one WebSocket message, and in a frame.
    pub max_message: usize,
    /// How long the content of deleted documents stays on the disk.
    pub keep_deleted: Duration,
    /// What a client may take.
    pub limits: Limits,
    /// The page at `/`.
    pub dashboard: Dashboard,
    /// Who somebody is; None: nobody is asked.
    authority: Option<Authority>,
    sessions: Option<Sessions>,
    guests: Guests,
    compression: Compression,
    ephemerals: EphemeralRates,
    paces: Arc<UserPaces>,
    peers: PeerRegistry,
    /// Cancelled when the server stops: connections say goodbye.
    stopping: CancellationToken,
    /// The connections.
    connections: TaskTracker,
}

/// Seconds for which a browser keeps the answer to a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);

fn router(app: &Arc<App>) -> Router {
    let surfaces = Router::new()
        .merge(websockets::router())
        .merge(legacy_rest::router())
        .merge(api::router())
        .merge(health::router())
        .merge(page::router())
        .fallback(websockets::elsewhere)
        .method_not_allowed_fallback(page::method_not_allowed)
        .with_state(Arc::clone(app));
    middleware::around(surfaces, app)
}
