//! The server: listeners, routes, one file per surface, and who may ask.
//!
//! Every surface is on every listening port. The server translates between protocols and
//! documents ([`runtime::hub`]); it decides nothing about documents.

pub mod access;
mod additional_surface;
mod api;
pub(crate) mod authentication;
pub(crate) mod body;
pub(crate) mod close_codes;
mod compression;
pub(crate) mod conditional;
pub(crate) mod connect;
pub mod csv_table;
mod dashboard;
pub(crate) mod dismiss;
mod encoding;
pub(crate) mod ephemerals;
mod frames;
pub(crate) mod guests;
mod health;
mod identity;
pub(crate) mod ids;
mod inbound;
pub(crate) mod large;
pub(crate) mod last_words;
mod limits;
mod listen;
mod liveness;
mod middleware;
pub(crate) mod origin;
pub(crate) mod outbound;
mod pace;
mod page;
mod problem;
pub(crate) mod protocol;
mod read_budget;
pub(crate) mod refused_upgrade;
pub mod renderings;
mod root_socket;
mod routes;
pub(crate) mod secure;
mod sessions;
pub(crate) mod socket;
mod socket_times;
pub(crate) mod spoken;
mod start;
mod static_files;
mod stream;
mod sync;
mod tls;
mod unknown_path;
pub(crate) mod upgrade;
pub(crate) mod websockets;
pub(crate) mod write;

use std::sync::Arc;
use std::time::Duration;

use access::Access;
pub use additional_surface::AdditionalSurface;
use auth::Authority;
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
pub use socket_times::SocketTimes;
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
    pub(crate) authority: Option<Authority>,
    sessions: Option<Sessions>,
    pub(crate) guests: Guests,
    compression: Compression,
    pub(crate) ephemerals: EphemeralRates,
    paces: Arc<UserPaces>,
    peers: PeerRegistry,
    /// A further protocol, if there is one.
    additional: Option<Arc<dyn AdditionalSurface>>,
    /// Cancelled when the server stops: connections say goodbye.
    stopping: CancellationToken,
    /// The connections.
    connections: TaskTracker,
}

impl App {
    /// Whether a WebSocket at this path speaks the additional protocol.
    fn has_additional_socket_at(&self, path: &str) -> bool {
        self.additional.as_ref().is_some_and(|surface| surface.has_socket_at(path))
    }

    /// Whether the additional surface has HTTP routes below this first segment of a path.
    fn has_additional_routes_below(&self, segment: &str) -> bool {
        self.additional.as_ref().is_some_and(|surface| surface.has_routes_below(segment))
    }
}

/// Seconds for which a browser keeps the answer to a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);
