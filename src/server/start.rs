//! Starts a server from its [`Options`]: binds the addresses, opens the store, and loads or creates the default document.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::{AccountStore, AuthError, AuthFolder, AuthOptions, Authority, Role};
use backup::TargetError;
use futures_util::FutureExt;
use parking_lot::Mutex;
use plan::{Author, Budget, Condition, Edit, EditError, PlanPatch, read_view};
use primitives::DocumentId;
use runtime::clock::{now, now_ms};
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, AccessError, EditFailure, Hub, HubSettings, LegacyPresence, Requester, Unavailable};
use runtime::metrics::Metrics;
use store::disk::{Disk, RealDisk};
use store::sql::{DatabaseError, DatabaseOpenError, DatabaseOptions};
use store::{OpenError, Repair, StoreError};
use sync_engine::MessageLimits;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backups::{BackupSource, Backups, open_target};
use super::identity_provider::IdentityProvider;
use super::peering::Peering;
use super::renderings::{JSON_AND_CSV, renderings};
use super::security::origin::OriginPolicy;
use super::security::session_monitor::SessionMonitor;
use super::server_metrics::ServerMetrics;
use super::storage::{Missing, Storage};
use super::transport::compression::Compression;
use super::transport::connection_limits::ConnectionLimiter;
use super::transport::listen::Background;
use super::webhooks::{WebhookFolder, Webhooks};
use super::ws::ephemeral_rate::EphemeralRateLimits;
use super::ws::rate_limit::UserRateLimits;
use super::ws::sync::PeerRegistry;
use super::{
    AdditionalSurface, App, BackupSchedule, Dashboard, IdentityProviderOptions, Limits, PeerError, PeerOptions,
    ProviderError, Server, SocketTimeouts, Tls, TlsError, TlsFiles,
};

/// The configuration of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key for TLS on all addresses; `None` disables TLS.
    pub tls: Option<TlsFiles>,
    /// The database of all documents, in place of files.
    pub database: Option<DatabaseOptions>,
    /// Other servers to dial, and to keep documents in step with.
    pub peers: Vec<PeerOptions>,
    /// Backups to make regularly.
    pub backups: Option<BackupSchedule>,
    /// File of the default document.
    pub state: PathBuf,
    /// Folder of all other documents.
    pub documents: PathBuf,
    /// Web origins allowed in addition to the server's own and loopback origins.
    pub allowed_origins: Vec<String>,
    /// Host names accepted in addition to IP addresses and loopback names: lower case, without a port. Other names are rejected on
    /// loopback listeners, and on all listeners if authentication is off.
    pub hosts: Vec<String>,
    /// Authentication; `None` disables it, so that all clients may do everything.
    pub auth: Option<AuthOptions>,
    /// An identity provider to get keys from; requires [`auth`](Self::auth).
    pub identity_provider: Option<IdentityProviderOptions>,
    /// The lowest role that may create documents; `None` if no user may.
    pub who_may_create: Option<Role>,
    /// Maximum size of a WebSocket message, in bytes.
    pub max_message: usize,
    /// Time without use after which a document is unloaded.
    pub idle_after: Duration,
    /// Maximum number of missing documents that all clients together may wait for.
    pub max_pending: usize,
    /// Time limit for applying a batch of sync messages.
    pub apply_budget: Duration,
    /// Limits of clients.
    pub limits: Limits,
    /// The dashboard at `/`.
    pub dashboard: Dashboard,
    /// Time for which the content of a deleted document stays on disk.
    pub keep_deleted: Duration,
    /// Time limits of WebSockets.
    pub timeouts: SocketTimeouts,
    /// Time limit for a graceful shutdown.
    pub grace: Duration,
    /// Creates a further protocol for the server.
    pub additional: Option<fn() -> Arc<dyn AdditionalSurface>>,
}

impl Options {
    /// Where the default document is, for messages to the operator. Contains no password.
    #[must_use]
    pub fn location(&self) -> String {
        match &self.database {
            Some(database) => database.url.to_string(),
            None => std::path::absolute(&self.state).unwrap_or_else(|_| self.state.clone()).display().to_string(),
        }
    }
}

/// The defaults of the command line, except that the server listens on a free port of 127.0.0.1 and has no dashboard.
impl Default for Options {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            tls: None,
            database: None,
            peers: Vec::new(),
            backups: None,
            state: PathBuf::from("state.automerge"),
            documents: PathBuf::from("documents"),
            allowed_origins: Vec::new(),
            hosts: Vec::new(),
            auth: None,
            identity_provider: None,
            who_may_create: Some(Role::Editor),
            max_message: usize::try_from(limits.largest_message()).unwrap_or(usize::MAX),
            idle_after: Duration::from_secs(300),
            max_pending: 10_000,
            apply_budget: APPLY_BUDGET,
            limits,
            dashboard: Dashboard::none(),
            keep_deleted: Duration::from_secs(30 * 86_400),
            timeouts: SocketTimeouts::default(),
            grace: Duration::from_secs(10),
            additional: None,
        }
    }
}

/// A server that is ready to run, with the data for the startup message.
pub struct Started {
    /// The server. Call [`Server::run`].
    pub server: Server,
    /// The bound addresses, with their actual ports.
    pub addresses: Vec<SocketAddr>,
    /// The default document.
    pub document: DocumentId,
    /// Number of positions in the default document.
    pub positions: usize,
    /// Whether the default document was created now.
    pub created: bool,
    /// The incomplete write that was truncated from the file of the default document.
    pub repaired: Option<Repair>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file of the default document, or the folder of the others, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be opened.
    #[error(transparent)]
    OpenDatabase(Box<DatabaseOpenError>),
    /// The database fails after it was opened.
    #[error(transparent)]
    Database(Box<DatabaseError>),
    /// The default document could not be created, or its id could not be stored in it.
    #[error("the document in {location} could not be written: {source}")]
    Write {
        /// The file or the database.
        location: String,
        /// The error of the edit.
        source: Box<EditFailure>,
    },
    /// The default document cannot be opened.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The access records cannot be loaded.
    #[error(transparent)]
    Access(AccessError),
    /// Keys or accounts cannot be loaded.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The identity provider cannot be used.
    #[error(transparent)]
    IdentityProvider(#[from] ProviderError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}{}", bind_hint(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The place of the backups cannot be used.
    #[error(transparent)]
    Backup(#[from] TargetError),
    /// Another server cannot be dialled with these options.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A generated peer or storage id is invalid. Does not occur.
    #[error(transparent)]
    Identity(#[from] repo_protocol::InvalidPeerName),
}

impl From<DatabaseOpenError> for StartError {
    fn from(error: DatabaseOpenError) -> Self {
        Self::OpenDatabase(Box::new(error))
    }
}

impl From<DatabaseError> for StartError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<AccessError> for StartError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(StoreError::Open(error)) => Self::Open(error),
            error => Self::Access(error),
        }
    }
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the program that uses it, or give another address with --listen",
        io::ErrorKind::PermissionDenied => "; give a port above 1023 with --listen",
        _ => "; give another address with --listen",
    }
}

/// Opens the store, and binds the addresses. [`Server::run`] then serves connections.
///
/// # Errors
/// If any step fails. No tasks are left running.
pub async fn start(options: Options) -> Result<Started, StartError> {
    start_on(Arc::new(RealDisk::default()), options).await
}

/// Like [`start`], on another [`Disk`].
///
/// # Errors
/// As for [`start`].
pub async fn start_on(disk: Arc<dyn Disk>, options: Options) -> Result<Started, StartError> {
    let tls = options.tls.clone().map(Tls::open).transpose()?;
    let peerings = Peering::open_all(options.peers.clone())?;
    let schedule = options.backups.clone();
    let backup_target = schedule.as_ref().map(|schedule| open_target(schedule, disk.mode())).transpose()?;
    let mut listeners = Vec::new();
    for address in &options.listen {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| StartError::Bind { address: *address, source })?);
    }
    // Files are checked before a database is waited for.
    let authority = match (&options.auth, &options.database) {
        (Some(auth), None) => {
            auth.prepare(None, now()).await?;
            Some(Authority::open(auth)?)
        }
        _ => None,
    };
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();

    let location = options.location();
    let Storage { store, database, identity, default_document: document, missing, repair } =
        Storage::open(&options, disk).await?;
    let authority = match (&options.auth, &database) {
        (Some(auth), Some(database)) => {
            auth.prepare(Some(database), now()).await?;
            Some(Authority::open_shared(auth, Arc::clone(database), now()).await?)
        }
        _ => authority,
    };
    let identity_provider = match (&options.identity_provider, &authority) {
        (Some(provider), Some(authority)) => Some(Arc::new(IdentityProvider::open(provider, authority.clone())?)),
        _ => None,
    };
    let session = format!("{:032x}", u128::from_be_bytes(rand::random()));
    let surface = options.additional.map(|surface| surface());
    let additional = surface.as_deref();
    let settings = HubSettings {
        renderings: additional.map_or(JSON_AND_CSV, |surface| renderings(surface.render_position())),
        rows: additional.map_or(|_| Vec::new(), |surface| surface.render_rows()),
        legacy_presence: additional
            .map(|surface| Arc::new(LegacyPresence::new(identity.peer.as_str(), &session, surface.render_presence()))),
        limits: MessageLimits::for_documents(
            options.limits.document_changes,
            options.limits.document_bytes,
            options.limits.document_operations,
        )
        .with_actor_changes(options.limits.document_actor_changes),
        apply_budget: options.apply_budget,
        idle_after: options.idle_after,
        max_pending: options.max_pending,
        max_pending_per_connection: options.limits.pending_per_connection,
        message_memory: options.limits.message_memory,
        new_documents_per_minute: options.limits.new_documents_per_minute,
        new_documents_at_once: options.limits.new_documents_at_once,
        actors: ActorSource::default(),
        default_document: Some(document.clone()),
        may_create: options.who_may_create,
    };
    let hub = Hub::new(store, settings, Arc::new(Metrics::new()));
    if let Err(error) = hub.load_access().await {
        hub.stop().await;
        return Err(error.into());
    }
    hub.follow_news();
    let opened = open_default(hub.clone(), document.clone(), missing).await;
    let (created, positions) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            hub.stop().await;
            return Err(error.into_start_error(location));
        }
    };
    let app = App {
        metrics: ServerMetrics::new(hub.metrics()),
        hub,
        default_id: document.clone(),
        identity: Arc::new(identity),
        origin_policy: OriginPolicy::new(options.allowed_origins, options.hosts, authority.is_none()),
        session_monitor: authority.clone().map(SessionMonitor::new),
        authority,
        identity_provider: identity_provider.clone(),
        timeouts: options.timeouts,
        max_message: options.max_message,
        keep_deleted: options.keep_deleted,
        connection_limiter: ConnectionLimiter::new(&options.limits),
        compression: Compression::new(),
        ephemeral_rate_limits: EphemeralRateLimits::new(&options.limits, Instant::now()),
        user_rate_limits: Arc::new(UserRateLimits::new(&options.limits, Instant::now())),
        limits: options.limits,
        dashboard: options.dashboard,
        peers: PeerRegistry::default(),
        webhooks: options.database.is_none().then(|| Webhooks::new(WebhookFolder::of_documents(&options.documents))),
        idempotency: Mutex::default(),
        additional: surface,
        stopping: CancellationToken::new(),
        connections: TaskTracker::new(),
    };
    let app = Arc::new(app);
    let backups = schedule.zip(backup_target).map(|(schedule, target)| {
        let (source, accounts) = match &database {
            Some(database) => {
                let (shared, default) = (Arc::clone(database), document.clone());
                let accounts = AccountStore::Database(Arc::clone(database));
                (BackupSource::Database { database: shared, default, location }, Some(accounts))
            }
            None => {
                let folder = options.auth.as_ref().and_then(|auth| auth.folder.as_ref());
                let accounts = folder.map(|folder| AccountStore::Folder(AuthFolder::at(folder)));
                (BackupSource::Files { state: options.state, documents: options.documents }, accounts)
            }
        };
        Backups::new(&schedule, target, source, accounts).run(app.hub.clone()).boxed()
    });
    let keys = identity_provider.map(|provider| provider.run().boxed());
    let tasks = backups.into_iter().chain(keys).collect();
    let outgoing = peerings.into_iter().map(|peering| peering.run(Arc::clone(&app)).boxed()).collect();
    let server = Server::new(app, database, listeners, tls, Background { outgoing, tasks }, options.grace);
    Ok(Started { server, addresses, document, positions, created, repaired: repair })
}

/// Why the default document cannot be opened.
enum DefaultDocumentError {
    Write(EditFailure),
    Unavailable(Unavailable),
}

impl DefaultDocumentError {
    fn into_start_error(self, location: String) -> StartError {
        match self {
            Self::Write(source) => StartError::Write { location, source: Box::new(source) },
            Self::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

/// Opens the default document after adding what it lacks. Returns whether it was created, and the number of its positions.
async fn open_default(hub: Hub, document: DocumentId, missing: Missing) -> Result<(bool, usize), DefaultDocumentError> {
    let edit = match missing {
        Missing::Nothing => None,
        Missing::Id => Some(Edit::CarryId(document.clone())),
        Missing::Document => Some(new_plan(document.clone())),
        Missing::DocumentUnlessStored => {
            let condition = Condition::Heads(Vec::new());
            Some(Edit::OnlyIf { condition, edit: Box::new(new_plan(document.clone())) })
        }
    };
    let mut created = missing == Missing::Document;
    if let Some(edit) = edit {
        let author = Author { name: "server".to_owned(), now: now_ms() };
        match hub.edit(&Requester::server(), &document, edit, author).await {
            Ok(_) => created |= missing == Missing::DocumentUnlessStored,
            Err(EditFailure::Edit(EditError::Changed)) if missing == Missing::DocumentUnlessStored => {}
            Err(error) => return Err(DefaultDocumentError::Write(error)),
        }
    }
    match hub.view(&Requester::server(), &document).await {
        Ok(view) => Ok((created, view.map_or(0, |view| read_view(&view).len()))),
        Err(error) => Err(DefaultDocumentError::Unavailable(error)),
    }
}

/// An empty plan, in lakh of rupees.
fn new_plan(id: DocumentId) -> Edit {
    let plan = PlanPatch {
        name: Some("New plan".to_owned()),
        currency: Some("INR".to_owned()),
        unit: Some(Budget::Int(100_000)),
        ..PlanPatch::default()
    };
    Edit::Create { id, plan, positions: Vec::new() }
}
